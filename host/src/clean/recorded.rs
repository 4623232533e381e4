//! Listings as a host gives them, for tests of what is concluded from them.
#![allow(clippy::unwrap_used)] // it is for tests

use std::collections::BTreeSet;

use lvm::{Bytes, Inventory, Mapped, Sectors, SnapshotState, Volume};

use super::blocks::{Block, BlockKind};
use super::mounts::Mount;
use super::processes::Process;
use super::seen::Seen;

const VG: &str = "7eJ8sAdKUBSo2rVmkZWvXQpTn1cYhG0f";

pub fn uuid(letter: char) -> String {
    format!("LVM-{VG}{}", letter.to_string().repeat(32))
}

pub fn volume(letter: char, name: &str, attr: &str, origin: &str) -> Volume {
    Volume {
        name: name.parse().unwrap(),
        uuid: uuid(letter),
        lv_uuid: letter.to_string().repeat(32),
        size: Some(Bytes(20 << 20)),
        attr: attr.to_owned(),
        origin: Some(origin.to_owned()).filter(|origin| !origin.is_empty()),
        made: Some(1_764_100_060),
        is_ours: false,
    }
}

pub fn mapped(name: &str, uuid: &str, number: &str, lies_on: &str, table: &str) -> Mapped {
    let active = SnapshotState::Active { used: Sectors(8192), total: Sectors(40960), metadata: Sectors(16) };
    Mapped {
        name: name.to_owned(),
        uuid: uuid.to_owned(),
        is_suspended: false,
        number: number.to_owned(),
        lies_on: lies_on.split(' ').filter(|number| !number.is_empty()).map(str::to_owned).collect(),
        table: vec![table.to_owned()],
        snapshot: table.contains(" snapshot ").then_some(active),
    }
}

pub fn mount(id: u64, number: &str, mountpoint: &str) -> Mount {
    let (fs_type, source) = ("ext4".to_owned(), String::new());
    Mount { id, parent: 1, number: number.to_owned(), mountpoint: mountpoint.into(), fs_type, source, within: None }
}

pub fn loop_device(name: &str, number: &str, backing: &str) -> Block {
    let kind = BlockKind::Loop { backing: backing.to_owned() };
    Block { name: name.to_owned(), number: number.to_owned(), kind }
}

pub fn process(pid: u32, command: &str) -> Process {
    Process { pid, command: command.to_owned(), since: Some(1_764_100_120) }
}

/// The host of a backup tool that left a snapshot of `vg/db` with a mapping of its first partition, mounted.
pub fn host() -> Seen {
    let [db, snap] = ['d', 's'].map(uuid);
    let mapped = vec![
        mapped("vg-db", &db, "254:0", "254:3", "0 614400 snapshot-origin 254:3"),
        mapped("vg-db-real", &format!("{db}-real"), "254:3", "8:0", "0 614400 linear 8:0 2048"),
        mapped("vg-snap-cow", &format!("{snap}-cow"), "254:5", "8:0", "0 40960 linear 8:0 616448"),
        mapped("vg-snap", &snap, "254:6", "254:3 254:5", "0 614400 snapshot 254:3 254:5 P 8"),
        mapped("vg-snap1", "", "254:7", "254:6", "0 2048 linear 254:6 2048"),
    ];
    let volumes = vec![volume('d', "vg/db", "owi-aos---", ""), volume('s', "vg/snap", "swi-aos---", "db")];
    let inventory = Inventory {
        uuids: volumes.iter().map(|volume| volume.uuid.clone()).collect(),
        groups: BTreeSet::from([VG.to_owned()]),
        volumes,
        unseen: Vec::new(),
    };
    let standing = mapped.iter().map(|device| device.uuid.clone()).collect();
    let mounts = vec![mount(1, "0:20", "/"), mount(27, "254:7", "/mnt/snap")];
    Seen { inventory, mapped, standing, mounts, ..Seen::default() }
}
