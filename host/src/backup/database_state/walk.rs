//! Walking through a binlog in the snapshots.

use std::path::PathBuf;

use fsprobe::binlog::{self, Gtids, Walked};
use guest_bridge::database::server::{Coordinates, Server, Version};

use super::{Doubt, Snapshots, binlog_path, not_proven};
use crate::grade::Indication;

/// Walks through the binlog of `coordinates`, and looks what is at that position.
pub(super) fn walk(
    server: &Server,
    coordinates: &Coordinates,
    position: Option<u64>,
    snapshots: &Snapshots<'_>,
) -> Result<(PathBuf, Walked), Doubt> {
    let path =
        binlog_path(server, coordinates).ok_or_else(|| not_proven("the server does not say where its binlog lies"))?;
    let walked = snapshots.read(&path, |file| binlog::walk(file, position))?;
    let name = path.display();
    let walked =
        walked.map_err(|error| not_proven(&format!("the binlog {name} in the image cannot be read: {error}")))?;
    is_this_servers(server, &walked)?;
    Ok((path, walked))
}

pub(super) fn is_this_servers(server: &Server, walked: &Walked) -> Result<(), Doubt> {
    if Version::parse(&walked.server_version) == Some(server.version) {
        return Ok(());
    }
    let why =
        format!("the binlog in the image was written by {}, not by {}", walked.server_version, server.version_text);
    Err((Indication::OtherServer, why))
}

/// The GTIDs of a log, as the server writes them.
pub(super) fn gtid(walked: &Walked) -> Option<String> {
    match &walked.gtids {
        Gtids::None | Gtids::Unknown => None,
        gtids => Some(gtids.to_string()).filter(|text| !text.is_empty()),
    }
}
