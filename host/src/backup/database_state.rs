//! Whether the database in the snapshots is the one that was held still, in the state that it was held in: by its own logs.
//!
//! Under the lock the server says where its binlog stands. In the snapshot that file is found and walked, event by event: it has to
//! end there, with the last transaction that the server named. A server without a binlog says where its redo log stands, once after
//! the lock and once before the unlock; the log in the snapshot has to end in between.

use std::path::{Path, PathBuf};

use fsprobe::binlog::{self, AtCoordinates, Gtids, Torn, Walked};
use fsprobe::{FileError, ReadAt, redo, with_file};
use guest_bridge::database::server::{Coordinates, Flavour, LsnBounds, Server, Version};

use super::disk::{Disk, Proven};
use super::identity::{Fate, Identity};
use super::markers::Told;
use super::survey::Survey;
use super::window::WindowReport;
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

/// Why a log proves nothing.
type Doubt = (Indication, String);

/// As much of an `auto.cnf` as there can be anything in.
const AUTO_CNF_MAX_BYTES: u64 = 64 << 10;

/// The files by which the state is proven: where they lie is asked of the guest.
#[must_use]
pub fn files(server: Option<&Server>, coordinates: Option<&Coordinates>) -> Vec<PathBuf> {
    let Some(server) = server else { return Vec::new() };
    let log = match coordinates {
        Some(coordinates) => binlog_path(server, coordinates).into_iter().collect(),
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
        Some(coordinates) => by_binlog(server, coordinates, &snapshots),
        None => by_redo(server, window.lsn, &snapshots),
    });
    match proven {
        Ok(by) => DatabaseState::Proven(by),
        Err((indication, reason)) => DatabaseState::NotProven { indication, reason },
    }
}

fn by_binlog(server: &Server, coordinates: &Coordinates, snapshots: &Snapshots<'_>) -> Result<ProvenBy, Doubt> {
    let path =
        binlog_path(server, coordinates).ok_or_else(|| not_proven("the server does not say where its binlog lies"))?;
    let walked = snapshots.read(&path, |file| binlog::walk(file, Some(coordinates.position)))?;
    let name = path.display();
    let walked =
        walked.map_err(|error| not_proven(&format!("the binlog {name} in the image cannot be read: {error}")))?;
    held_against(server, coordinates, &walked).map_err(|(indication, why)| {
        let Coordinates { file, position, .. } = coordinates;
        (
            indication,
            format!("the binlog in the image is not what the server said under the lock ({file}:{position}): {why}"),
        )
    })?;
    Ok(ProvenBy::Binlog { path, end_bytes: walked.end_bytes, gtid: gtid(&walked) })
}

fn gtid(walked: &Walked) -> Option<String> {
    match &walked.gtids {
        Gtids::None | Gtids::Unknown => None,
        gtids => Some(gtids.to_string()),
    }
}

/// Whether the binlog in the image ends at `coordinates`, at the end of a transaction, with the GTIDs that the server named.
fn held_against(server: &Server, coordinates: &Coordinates, walked: &Walked) -> Result<(), Doubt> {
    let short = |why: String| Err((Indication::LogShortOfCoordinates, why));
    if Version::parse(&walked.server_version) != Some(server.version) {
        let why = format!("it was written by {}, not by {}", walked.server_version, server.version_text);
        return Err((Indication::OtherServer, why));
    }
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
fn beyond(at: &AtCoordinates, torn: Option<&Torn>) -> Option<String> {
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

fn by_redo(server: &Server, bounds: Option<LsnBounds>, snapshots: &Snapshots<'_>) -> Result<ProvenBy, Doubt> {
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
