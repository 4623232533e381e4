//! Whether the database in the snapshots is the one that was held still, in the state that it was held in: by its own logs.
//!
//! Under the lock the server says where its binlog stands. In the snapshot that file is found and walked, event by event: it has to
//! end there, with the last transaction that the server named. A server without a binlog says where its redo log stands, once after
//! the lock and once before the unlock; the log in the snapshot has to end in between. Where commits went on, so does the binlog, and
//! where it ends in the snapshot are the coordinates.

mod at;
mod between;
mod redo_log;
mod walk;

use std::path::{Path, PathBuf};

use fsprobe::{FileError, ReadAt, with_file};
use guest_bridge::database::server::{Coordinates, Flavour, Server, Version};

use super::disk::{Disk, Proven};
use super::identity::{Fate, Identity};
use super::markers::Told;
use super::survey::Survey;
use super::window::{WentOn, WindowReport};
use crate::grade::Indication;

/// What the database's own log in the image says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatabaseState {
    /// No database was locked.
    NotAsked,
    /// It says what the server said.
    Proven(ProvenBy),
    /// It does not, or could not be asked.
    NotProven {
        /// For machines.
        indication: Indication,
        /// For people.
        reason: String,
    },
}

/// The log that proves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProvenBy {
    /// A binlog that ends at the coordinates.
    Binlog {
        /// Its path in the guest.
        path: PathBuf,
        /// Where its last event ends.
        end_bytes: u64,
        /// The GTIDs of its events, as the server writes them.
        gtid: Option<String>,
    },
    /// A redo log that ends where it stood under the lock.
    Redo {
        /// Its path in the guest.
        path: PathBuf,
        /// Its last log sequence number.
        end_lsn: u64,
    },
}

impl DatabaseState {
    /// The coordinates of the image itself; `None` where no binlog proves them.
    #[must_use]
    pub fn coordinates(&self) -> Option<Coordinates> {
        let Self::Proven(ProvenBy::Binlog { path, end_bytes, gtid }) = self else { return None };
        let file = path.file_name()?.to_string_lossy().into_owned();
        Some(Coordinates { file, position: *end_bytes, gtid: gtid.clone() })
    }
}

/// Why a log proves nothing.
type Doubt = (Indication, String);

/// As much of an `auto.cnf` as there can be anything in.
const AUTO_CNF_MAX_BYTES: u64 = 64 << 10;

/// The files by which the state is proven: where they lie is asked of the guest. The binlog stood at `before` when the lock was granted,
/// and `after` it, where commits went on.
#[must_use]
pub fn files(server: Option<&Server>, before: Option<&Coordinates>, after: Option<&Coordinates>) -> Vec<PathBuf> {
    let Some(server) = server else { return Vec::new() };
    let log = match before {
        Some(before) => {
            let after = after.filter(|after| after.file != before.file);
            std::iter::once(before).chain(after).filter_map(|one| binlog_path(server, one)).collect()
        }
        None => redo_paths(server),
    };
    log.into_iter().chain(auto_cnf_path(server)).collect()
}

fn binlog_path(server: &Server, coordinates: &Coordinates) -> Option<PathBuf> {
    let folder = server.log_bin_basename.as_ref()?.parent()?;
    let is_name = !coordinates.file.is_empty() && !coordinates.file.contains(['/', '\0', '\n']);
    is_name.then(|| folder.join(&coordinates.file))
}

/// MariaDB since 10.8 has one file, in one of the directories that it names.
fn redo_paths(server: &Server) -> Vec<PathBuf> {
    let Version { major, minor, .. } = server.version;
    let has_one = server.flavour == Flavour::MariaDb && (major, minor) >= (10, 8);
    let directories = if has_one { server.data_directories() } else { Vec::new() };
    directories.into_iter().map(|directory| directory.join("ib_logfile0")).collect()
}

/// MySQL's name for itself; MariaDB has none.
fn auto_cnf_path(server: &Server) -> Option<PathBuf> {
    server.server_uuid.as_ref().map(|_| server.datadir.join("auto.cnf"))
}

/// Looks into the snapshots.
#[must_use]
pub fn look(
    survey: &Survey,
    window: &WindowReport,
    told: Option<&Told>,
    identity: &Identity,
    disks: &[Disk<Proven>],
) -> DatabaseState {
    let (Some(server), true) = (&survey.server, window.engine_logs.is_some()) else { return DatabaseState::NotAsked };
    let snapshots = Snapshots { told, identity, disks };
    let proven = same_server(server, &snapshots).and_then(|()| match &window.coordinates {
        Some(before) => match &window.went_on {
            None => at::by_binlog(server, before, &snapshots),
            Some(WentOn { to: Some(after) }) => between::by_binlog(server, before, after, &snapshots),
            Some(WentOn { to: None }) => {
                Err(not_proven("commits went on, and where the binlog stood behind the snapshot is not known"))
            }
        },
        None => redo_log::by_redo(server, window.lsn, &snapshots),
    });
    match proven {
        Ok(by) => DatabaseState::Proven(by),
        Err((indication, reason)) => DatabaseState::NotProven { indication, reason },
    }
}

/// Whether the data directory is that of the server that was asked, where it has a name of its own.
fn same_server(server: &Server, snapshots: &Snapshots<'_>) -> Result<(), Doubt> {
    let (Some(path), Some(uuid)) = (auto_cnf_path(server), &server.server_uuid) else { return Ok(()) };
    let text = snapshots.read(&path, |file| {
        let mut bytes = vec![0; usize::try_from(file.size_bytes().min(AUTO_CNF_MAX_BYTES)).unwrap_or_default()];
        file.read_exact_at(&mut bytes, 0).map(|()| String::from_utf8_lossy(&bytes).into_owned())
    })?;
    let text = text.map_err(|error| not_proven(&format!("{} in the image cannot be read: {error}", path.display())))?;
    match uuid_in(&text) {
        Some(found) if found.eq_ignore_ascii_case(uuid) => Ok(()),
        found => Err((
            Indication::OtherServer,
            format!(
                "the data directory in the image is that of server {}, and {uuid} was locked",
                found.map_or_else(|| "unknown".to_owned(), |found| found.escape_default().to_string())
            ),
        )),
    }
}

/// What an `auto.cnf` says: an option file, in which a dash is as good as an underscore, and the last line counts.
fn uuid_in(text: &str) -> Option<&str> {
    let mut lines = text.lines().rev().filter_map(|line| line.split_once('='));
    lines.find(|(key, _)| key.trim().replace('_', "-") == "server-uuid").map(|(_, uuid)| uuid.trim())
}

fn not_proven(why: &str) -> Doubt {
    (
        Indication::LogNotProven,
        format!("that the database in the image is as it was under the lock is not proven: {why}"),
    )
}

/// The snapshots, and what the guest says of the files in them.
struct Snapshots<'s> {
    told: Option<&'s Told>,
    identity: &'s Identity,
    disks: &'s [Disk<Proven>],
}

impl Snapshots<'_> {
    fn is_told(&self, path: &Path) -> bool {
        self.told.is_some_and(|told| told.files.iter().any(|file| file.path == path && file.at.is_some()))
    }

    /// What `read` makes of a file of the guest.
    fn read<T>(&self, path: &Path, read: impl FnOnce(&dyn ReadAt) -> T) -> Result<T, Doubt> {
        let name = path.display().to_string();
        let name = name.escape_default();
        let told = self.told.and_then(|told| told.files.iter().find(|file| file.path == *path));
        let (device, inode) = told
            .and_then(|file| file.at)
            .ok_or_else(|| not_proven(&format!("the guest did not tell where {name} lies")))?;
        let on = match self.identity {
            Identity::LookedFor(looked) => looked.of_device(device),
            Identity::Unknown { .. } => None,
        };
        let Some(Fate::Found(on)) = on.map(|filesystem| &filesystem.fate) else {
            let why = format!("the database's {name} is not proven to be in this backup: its filesystem was not found");
            return Err((Indication::DatabaseNotInImage, why));
        };
        let volume = self.disks.iter().filter(|disk| *disk.origin() == on.origin).find_map(|disk| {
            let Proven { device, layout, .. } = &disk.stage;
            Some((device, layout.volumes.iter().find(|volume| volume.path == on.volume)?))
        });
        let (device, volume) = volume.ok_or_else(|| not_proven(&format!("the volume of {name} is gone")))?;
        with_file(&volume.open(device), volume.kind, inode, read).map_err(|error: FileError| {
            not_proven(&format!("{name} (inode {inode} of {} volume {}): {error}", on.origin, on.volume))
        })
    }
}

#[cfg(test)]
mod tests;
