use fsprobe::Kind;
use guest_bridge::places::{DeviceNumber, On};
use lvm::{Bytes, Origin, VolumeGroup};

use super::super::cow_plan::CowPlan;
use super::super::disk::PlannedVolume;
use super::*;

fn disk(lv: &str, uuids: &[&str]) -> DiskPlan {
    let volume = |(number, uuid): (usize, &&str)| PlannedVolume {
        path: number.to_string(),
        kind: Kind::Ext4,
        size_bytes: 1 << 30,
        uuid: Some((*uuid).to_owned()),
    };
    let vg = VolumeGroup {
        name: "vg".to_owned(),
        size: Bytes(0),
        free: Bytes(0),
        extent_size: Bytes(4 << 20),
        devices: Vec::new(),
        barred: Bytes(0),
        volumes_left: None,
    };
    DiskPlan {
        origin: Origin {
            name: format!("vg/{lv}").parse().unwrap(),
            size: Bytes(1 << 30),
            layout: "linear".to_owned(),
            pool: None,
            snapshots: Vec::new(),
            open: true,
            device_path: "/dev/vg/db".into(),
            vg,
        },
        cow: CowPlan::of_no_matter(),
        volumes: uuids.iter().enumerate().map(volume).collect(),
    }
}

fn mount(minor: u32, mountpoint: &str, uuid: Option<&str>) -> Mount {
    Mount {
        device: DeviceNumber { major: 254, minor },
        mountpoint: mountpoint.to_owned(),
        fs_type: "ext4".to_owned(),
        source: "/dev/vda1".to_owned(),
        read_only: false,
        synchronous: false,
        uuid: uuid.map(str::to_owned),
    }
}

fn place(path: &str, major: u32, minor: u32, mountpoint: &str) -> Place {
    let device = DeviceNumber { major, minor };
    Place { path: path.into(), on: Ok(On { device, mountpoint: mountpoint.into(), fs_type: "tmpfs".into() }) }
}

/// What is said of a guest with these, whose job has `vg/root` with the UUID `aa`.
fn said(mounts: Vec<Mount>, paths: Vec<Place>, ignored: &[&str]) -> Vec<String> {
    let places = Places { mounts, paths, ..Places::default() };
    let ignored: Vec<String> = ignored.iter().map(ToString::to_string).collect();
    notes(&placed(&places, &ignored, &[disk("root", &["aa"])]), &places, &ignored)
}

#[test]
fn what_is_on_the_disks_of_the_job_needs_no_word() {
    let paths = vec![place("/var/lib/mysql", 254, 1, "/")];
    assert_eq!(said(vec![mount(1, "/", Some("AA"))], paths, &[]), [""; 0]);
}

#[test]
fn a_filesystem_that_no_disk_has_is_named_with_what_the_database_keeps_on_it() {
    let mounts = vec![mount(1, "/", Some("aa")), mount(17, "/srv/data", Some("bb"))];
    let said = said(mounts, vec![place("/srv/data/mysql", 254, 17, "/srv/data")], &[]);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("/srv/data (ext4) of the guest, with the database's /srv/data/mysql on it"), "{said:?}");
    assert!(said[0].contains("`filesystem` at best"), "{said:?}");
}

#[test]
fn a_database_on_memory_is_named_with_path_and_mount() {
    let said = said(vec![mount(1, "/", Some("aa"))], vec![place("/dev/shm/my", 0, 24, "/dev/shm")], &[]);
    assert!(said.len() == 1 && said[0].contains("/dev/shm/my"), "{said:?}");
    assert!(said[0].contains("/dev/shm (tmpfs), which is on no disk"), "{said:?}");
}

#[test]
fn what_is_left_out_on_purpose_is_said_and_weakens_only_a_database_on_it() {
    let mounts = || vec![mount(1, "/", Some("aa")), mount(17, "/mnt/scratch", Some("bb"))];
    let left_out = said(mounts(), Vec::new(), &["/mnt/scratch"]);
    assert_eq!(left_out, ["/mnt/scratch (ext4) of the guest is left out on purpose"]);
    let with_table = said(mounts(), vec![place("/mnt/scratch/t", 254, 17, "/mnt/scratch")], &["/mnt/scratch"]);
    assert!(with_table[0].contains("`filesystem` at best"), "{with_table:?}");
}

#[test]
fn a_mountpoint_to_leave_out_that_is_none_is_said() {
    let said = said(vec![mount(1, "/", Some("aa"))], Vec::new(), &["/mnt/scrtch"]);
    assert!(said[0].contains("/mnt/scrtch, and nothing is mounted there"), "{said:?}");
}

#[test]
fn a_filesystem_without_a_uuid_or_with_that_of_another_cannot_be_told_beforehand() {
    assert!(said(vec![mount(1, "/", None)], Vec::new(), &[])[0].contains("its marker will show"));
    let places = Places { mounts: vec![mount(1, "/", Some("aa"))], ..Places::default() };
    let clones = [disk("root", &["aa"]), disk("clone", &["aa"])];
    assert_eq!(placed(&places, &[], &clones)[0].seems, Seems::Unknown);
}

#[test]
fn a_mount_of_a_file_of_the_guest_is_not_looked_for() {
    let on_loop = Mount { device: DeviceNumber { major: 7, minor: 0 }, ..mount(0, "/tmp", Some("cc")) };
    assert_eq!(said(vec![mount(1, "/", Some("aa")), on_loop], Vec::new(), &[]), [""; 0]);
}
