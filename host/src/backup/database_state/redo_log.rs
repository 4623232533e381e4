//! A redo log that ends where the server said under the lock.

use fsprobe::redo;
use guest_bridge::database::server::{LsnBounds, Server};

use super::{Doubt, ProvenBy, Snapshots, not_proven, redo_paths};
use crate::grade::Indication;

pub(super) fn by_redo(
    server: &Server,
    bounds: Option<LsnBounds>,
    snapshots: &Snapshots<'_>,
) -> Result<ProvenBy, Doubt> {
    let none = || {
        not_proven(&format!(
            "{} {} writes no binlog, and its redo log is of a form that is not read here",
            server.flavour, server.version
        ))
    };
    let mut paths = redo_paths(server).into_iter();
    let path = paths.clone().find(|path| snapshots.is_told(path)).or_else(|| paths.next()).ok_or_else(none)?;
    let Some(LsnBounds { lock, unlock: Some(unlock) }) = bounds else {
        return Err(not_proven("the server writes no binlog, and did not say where its redo log stood"));
    };
    let read = snapshots.read(&path, redo::read)?;
    let name = path.display();
    let redo =
        read.map_err(|error| not_proven(&format!("the redo log {name} in the image cannot be read: {error}")))?;
    let said = format!("the server said {lock} after the lock and {unlock} before the unlock");
    match redo.end_lsn {
        end if end < lock => {
            Err((Indication::LogShortOfCoordinates, format!("the redo log in the image ends at {end}, and {said}")))
        }
        end if end > unlock => {
            Err((Indication::LogBeyondCoordinates, format!("the redo log in the image ends at {end}, and {said}")))
        }
        end_lsn => Ok(ProvenBy::Redo { path, end_lsn }),
    }
}
