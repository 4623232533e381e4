//! A binlog that ends where the server said under a lock that every commit waited for.

use fsprobe::binlog::{AtCoordinates, Gtids, Torn, Walked};
use guest_bridge::database::server::{Coordinates, Server};

use super::walk::{gtid, walk};
use super::{Doubt, ProvenBy, Snapshots, not_proven};
use crate::grade::Indication;

pub(super) fn by_binlog(
    server: &Server,
    coordinates: &Coordinates,
    snapshots: &Snapshots<'_>,
) -> Result<ProvenBy, Doubt> {
    let (path, walked) = walk(server, coordinates, Some(coordinates.position), snapshots)?;
    held_against(coordinates, &walked).map_err(|(indication, why)| {
        let Coordinates { file, position, .. } = coordinates;
        (
            indication,
            format!("the binlog in the image is not what the server said under the lock ({file}:{position}): {why}"),
        )
    })?;
    Ok(ProvenBy::Binlog { path, end_bytes: walked.end_bytes, gtid: gtid(&walked) })
}

/// Whether the binlog in the image ends at `coordinates`, at the end of a transaction, with the GTIDs that the server named.
pub(super) fn held_against(coordinates: &Coordinates, walked: &Walked) -> Result<(), Doubt> {
    let short = |why: String| Err((Indication::LogShortOfCoordinates, why));
    if walked.end_bytes < coordinates.position {
        return short(match &walked.torn {
            Some(torn) => format!("it is whole up to {} only, and {torn}", walked.end_bytes),
            None => format!("it ends at {}", walked.end_bytes),
        });
    }
    let Some(at) = walked.at.as_ref().filter(|at| at.is_event_end) else {
        return short("no event ends there".to_owned());
    };
    if !at.is_outside_transaction {
        return short("a transaction is unfinished there".to_owned());
    }
    if let Some(beyond) = beyond(at, walked.torn.as_ref()) {
        return Err((Indication::LogBeyondCoordinates, format!("it goes on behind that, with {beyond}")));
    }
    match agree(&at.gtids, coordinates.gtid.as_deref()) {
        Some(true) => Ok(()),
        None => Err(not_proven("its GTIDs cannot be read")),
        Some(false) => {
            let said = coordinates.gtid.as_deref().unwrap_or("none");
            short(format!("its last GTIDs are {}, and the server said {said}", at.gtids))
        }
    }
}

/// What follows behind the coordinates; `None` where that is nothing.
pub(super) fn beyond(at: &AtCoordinates, torn: Option<&Torn>) -> Option<String> {
    let events = at.beyond.iter().map(|(name, count)| format!("{count} {name}"));
    let rotated = at.is_rotated.then(|| "a change to another file".to_owned());
    let stopped = at.is_stopped.then(|| "the server's shutdown".to_owned());
    let torn = torn.map(|torn| format!("something torn ({torn})"));
    let all: Vec<String> = events.chain(rotated).chain(stopped).chain(torn).collect();
    (!all.is_empty()).then(|| all.join(", "))
}

/// Whether the GTIDs of a log are those that the server said; `None` where they cannot be read. MySQL's set has more than its binlogs
/// where it replicates without writing one, so that of it only the last has to be there.
fn agree(gtids: &Gtids, said: Option<&str>) -> Option<bool> {
    match gtids {
        Gtids::Unknown => None,
        Gtids::None => Some(said.is_none()),
        Gtids::MariaDb(_) => Some(gtids.is(said.unwrap_or_default())),
        Gtids::MySql { last: None, .. } => Some(true),
        Gtids::MySql { last: Some(_), .. } => gtids.last_is_in(said.unwrap_or_default()),
    }
}
