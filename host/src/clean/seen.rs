//! Everything that was read, before anything is concluded from it.

use std::collections::{BTreeMap, BTreeSet};

use lvm::{Inventory, Mapped, RunId};

use super::blocks::Block;
use super::mounts::Mount;
use super::processes::User;
use super::run_of::RunState;

/// What is there.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// LVM's volumes, and which of its groups could not be looked at.
    pub inventory: Inventory,
    /// Every mapped device.
    pub mapped: Vec<Mapped>,
    /// The UUIDs of those that were there before LVM was asked, too: of others LVM may only not know any more, or not yet.
    pub standing: BTreeSet<String>,
    /// Other block devices that may lie on them.
    pub blocks: Vec<Block>,
    /// Every mount.
    pub mounts: Vec<Mount>,
    /// Processes that hold any of what is stale.
    pub users: Vec<User>,
    /// The runs of ours that volumes here are of.
    pub runs: BTreeMap<RunId, RunState>,
}
