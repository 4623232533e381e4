//! What an admin should know of the snapshots that an origin has already, whoever made them.

use lvm::{ExistingSnapshot, Origin};

use crate::show::amount::counted;

/// Names that are said. An origin with more snapshots than these has another trouble.
const NAMED: usize = 8;

/// A note that names them; `None` where there are none.
pub(super) fn note(origin: &Origin) -> Option<String> {
    let snapshots = &origin.snapshots;
    if snapshots.is_empty() {
        return None;
    }
    let mut named: Vec<String> = snapshots.iter().take(NAMED).map(words).collect();
    if let Some(more) = snapshots.len().checked_sub(NAMED).filter(|more| *more > 0) {
        named.push(format!("{more} more"));
    }
    let costs = match origin.dead_snapshots() {
        0 => "each makes every write of the guest slower",
        dead if dead == snapshots.len() => "they cost nothing but room, and are good for nothing",
        _ => "each that is not full makes every write of the guest slower",
    };
    Some(format!(
        "{} has {} already ({}): {costs}; `stillpoint clean` shows who holds them, and removes those that it is told to",
        origin.name,
        counted(snapshots.len() as u64, "snapshot"),
        named.join(", ")
    ))
}

fn words(ExistingSnapshot { name, is_dead, is_ours }: &ExistingSnapshot) -> String {
    let of = if *is_ours { ", of another run of stillpoint" } else { "" };
    let full = if *is_dead { ", full" } else { "" };
    format!("{name}{of}{full}")
}
