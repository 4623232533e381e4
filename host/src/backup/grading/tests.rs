use std::path::PathBuf;
use std::time::Duration;

use fsprobe::{Ext4Summary, Finding, Kind, Report, Table, VolumeReport};
use guest_bridge::places::{DeviceNumber, Mount, On, Place};
use lvm::LvName;

use super::super::database_state::ProvenBy;
use super::super::identity::OnVolume;
use super::*;

const FROZEN: FreezeFacts = FreezeFacts::Counted { frozen: 1, thawed: Some(1) };
const HELD: LockFacts = LockFacts::HeldThrough;

fn ext4(path: &str, needs_recovery: bool, journal_start: u32, verdict: Verdict) -> VolumeReport {
    let features = vec!["has_journal".to_owned()];
    VolumeReport {
        path: path.to_owned(),
        offset_bytes: Some(1 << 20),
        size_bytes: 1 << 30,
        kind: Kind::Ext4,
        partition_type: None,
        partition_name: None,
        partition_uuid: None,
        label: None,
        uuid: None,
        pieces: Vec::new(),
        verdict,
        findings: Vec::new(),
        ext4: Some(Ext4Summary { needs_recovery, journal_start, features, ..Ext4Summary::default() }),
    }
}

fn clean() -> VolumeReport {
    ext4("1", false, 0, Verdict::Consistent)
}

/// A volume beside the one that is mounted.
fn beside(kind: Kind) -> VolumeReport {
    VolumeReport { path: "2".into(), kind, ext4: None, verdict: Verdict::Unknown, ..clean() }
}

fn disk(volumes: Vec<VolumeReport>) -> Report {
    let verdict = volumes.iter().map(|volume| volume.verdict).max().unwrap_or_default();
    Report {
        target: String::new(),
        size_bytes: 2 << 30,
        sector_size_bytes: 512,
        table: Table::Gpt,
        table_uuid: None,
        verdict,
        findings: Vec::new(),
        volumes,
    }
}

fn db() -> LvName {
    "vg/db".parse().unwrap()
}

fn mount(minor: u32, mountpoint: &str) -> Mount {
    Mount {
        device: DeviceNumber { major: 254, minor },
        mountpoint: mountpoint.to_owned(),
        fs_type: "ext4".to_owned(),
        source: "/dev/vda1".to_owned(),
        read_only: false,
        synchronous: false,
        uuid: None,
    }
}

fn found(volume: &str) -> Fate {
    Fate::Found(OnVolume { origin: db(), volume: volume.to_owned() })
}

/// Something of the database, on the filesystem of device 254:`minor`.
fn place(path: &str, minor: u32, mountpoint: &str) -> Place {
    let on = On {
        device: DeviceNumber { major: 254, minor },
        mountpoint: mountpoint.to_owned(),
        fs_type: "ext4".to_owned(),
    };
    Place { path: PathBuf::from(path), on: Ok(on) }
}

/// `/` on volume 1 of the disk, with the database on it.
fn looked() -> Looked {
    Looked {
        filesystems: vec![Filesystem { mount: mount(1, "/"), fate: found("1") }],
        database: vec![place("/var/lib/mysql", 1, "/")],
        database_unseen: Vec::new(),
        on_untold_devices: Vec::new(),
        marker_age: Some(Duration::from_secs(1)),
        marker_stays: Duration::from_secs(29),
    }
}

fn proven() -> DatabaseState {
    DatabaseState::Proven(ProvenBy::Binlog { path: "/var/lib/mysql/b.000001".into(), end_bytes: 1, gtid: None })
}

struct Given {
    report: Report,
    freeze: FreezeFacts,
    watchdog: WatchdogFacts,
    lock: LockFacts,
    identity: Identity,
    database: DatabaseState,
}

impl Given {
    fn good() -> Self {
        Self {
            report: disk(vec![clean()]),
            freeze: FROZEN,
            watchdog: WatchdogFacts::InTime,
            lock: HELD,
            identity: Identity::LookedFor(looked()),
            database: proven(),
        }
    }

    fn with(looked: Looked) -> Self {
        Self { identity: Identity::LookedFor(looked), ..Self::good() }
    }

    fn of(volumes: Vec<VolumeReport>) -> Self {
        Self { report: disk(volumes), ..Self::good() }
    }

    fn graded(&self) -> Graded {
        let origin = db();
        grade(Case {
            disks: &[Evidence { origin: &origin, report: &self.report }],
            freeze: &self.freeze,
            watchdog: &self.watchdog,
            lock: &self.lock,
            identity: &self.identity,
            database: &self.database,
        })
    }

    #[track_caller]
    fn is(&self, wanted: Grade, indication: Indication, word: &str) {
        let Graded { grade, reasons, indications } = self.graded();
        assert_eq!(grade, wanted, "{reasons:?}");
        assert!(indications.contains(&indication), "{indications:?}");
        assert!(reasons.iter().any(|reason| reason.contains(word)), "{reasons:?}");
    }
}

#[test]
fn proven_found_and_locked_through_is_application() {
    let graded = Given::good().graded();
    assert_eq!(graded, Graded { grade: Grade::Application, reasons: vec![], indications: vec![] });
}

#[test]
fn proven_without_a_database_is_filesystem() {
    let none = Given { lock: LockFacts::NotAsked, database: DatabaseState::NotAsked, ..Given::good() };
    none.is(Grade::Filesystem, Indication::NoDatabase, "none is configured");
}

#[test]
fn a_lock_that_ran_out_in_the_window_leaves_filesystem_and_says_so() {
    let lost = Given { lock: LockFacts::Lost { reason: "session gone".into() }, ..Given::good() };
    lost.is(Grade::Filesystem, Indication::LockLost, "session gone");
}

#[test]
fn commits_that_went_on_are_as_good_where_nothing_needs_them_to_wait() {
    let went_on = |needed_because: Option<&str>| {
        let needed_because = needed_because.map(str::to_owned);
        Given { lock: LockFacts::HeldThrough.where_commits_went_on(needed_because), ..Given::good() }
    };
    assert_eq!(went_on(None).graded().grade, Grade::Application);
    let myisam = went_on(Some("there are tables in an engine without transactions")).graded();
    assert_eq!((myisam.grade, myisam.indications), (Grade::Filesystem, vec![Indication::LockDeclined]));
    let lost = LockFacts::Lost { reason: "session gone".into() };
    assert_eq!(lost.clone().where_commits_went_on(None), lost);
}

#[test]
fn a_lock_under_which_the_engine_logs_were_not_flushed_is_never_application() {
    let reason = "MariaDB 10.11.19 with innodb_flush_log_at_trx_commit = 0: refused".to_owned();
    let lazy = Given { lock: LockFacts::EngineLogsNotFlushed { reason: reason.clone() }, ..Given::good() };
    lazy.is(Grade::Filesystem, Indication::EngineLogsNotFlushed, &reason);
}

#[test]
fn a_database_whose_log_does_not_end_where_the_server_said_is_never_application() {
    let reason = "it goes on behind that".to_owned();
    let indication = Indication::LogBeyondCoordinates;
    let beyond = Given { database: DatabaseState::NotProven { indication, reason }, ..Given::good() };
    beyond.is(Grade::Filesystem, Indication::LogBeyondCoordinates, "goes on");
}

#[test]
fn a_freeze_that_succeeded_and_froze_nothing_is_crash() {
    let live = Given::of(vec![ext4("1", true, 1, Verdict::Replay)]);
    live.is(Grade::Crash, Indication::QuiesceFailed, "not frozen at the snapshot");
}

#[test]
fn an_empty_journal_that_still_asks_for_recovery_is_no_proof() {
    Given::of(vec![ext4("1", true, 0, Verdict::Replay)]).is(Grade::Crash, Indication::QuiesceFailed, "not frozen");
}

#[test]
fn one_filesystem_that_was_live_weakens_all_whoever_it_is() {
    let mixed = Given::of(vec![clean(), ext4("2", true, 7, Verdict::Replay)]);
    mixed.is(Grade::Crash, Indication::QuiesceFailed, "volume 2");
}

#[test]
fn a_thaw_that_came_early_is_crash_whatever_the_disk_shows() {
    let early = Given { freeze: FreezeFacts::Counted { frozen: 2, thawed: Some(0) }, ..Given::good() };
    early.is(Grade::Crash, Indication::ThawedEarly, "thawed early");
}

#[test]
fn a_watchdog_that_thawed_inside_the_window_leaves_crash_whatever_the_disk_shows() {
    let broken = Given { watchdog: WatchdogFacts::Broke("the watchdog thawed it"), ..Given::good() };
    broken.is(Grade::Crash, Indication::ThawedEarly, "the watchdog thawed it");
    for watchdog in [WatchdogFacts::None, WatchdogFacts::NotTold] {
        assert_eq!(Given { watchdog, ..Given::good() }.graded().grade, Grade::Application);
    }
}

#[test]
fn a_freeze_of_nothing_or_none_at_all_is_crash() {
    let freeze = |freeze| Given { freeze, ..Given::good() };
    freeze(FreezeFacts::Counted { frozen: 0, thawed: Some(0) }).is(Grade::Crash, Indication::QuiesceFailed, "of 0");
    freeze(FreezeFacts::NotAsked).is(Grade::Crash, Indication::QuiesceDeclined, "no freeze");
    freeze(FreezeFacts::NoAgent).is(Grade::Crash, Indication::NoAgent, "pause of the VM would be no better");
}

#[test]
fn how_many_filesystems_the_agent_counts_proves_nothing_and_refutes_nothing() {
    let three = Given { freeze: FreezeFacts::Counted { frozen: 3, thawed: Some(3) }, ..Given::good() };
    assert_eq!(three.graded().grade, Grade::Application);
}

#[test]
fn a_database_on_memory_is_in_no_backup() {
    let shm =
        On { device: DeviceNumber { major: 0, minor: 24 }, mountpoint: "/dev/shm".into(), fs_type: "tmpfs".into() };
    let database = vec![Place { path: "/dev/shm/my".into(), on: Ok(shm) }];
    let tmpfs = Given::with(Looked { database, ..looked() });
    tmpfs.is(Grade::Filesystem, Indication::DatabaseNotInImage, "/dev/shm/my is not proven to be in this backup");
    tmpfs.is(Grade::Filesystem, Indication::DatabaseNotInImage, "/dev/shm (tmpfs), which is on no disk");
}

/// A spare clean partition makes up for no missing disk.
#[test]
fn a_database_on_a_disk_that_is_not_in_the_job_is_not_in_the_backup_whatever_else_is() {
    let looked = Looked {
        filesystems: vec![
            Filesystem { mount: mount(1, "/"), fate: found("1") },
            Filesystem { mount: mount(17, "/srv/data"), fate: Fate::Missing },
        ],
        database: vec![place("/srv/data/mysql", 17, "/srv/data")],
        ..looked()
    };
    let spare = VolumeReport { path: "2".into(), ..clean() };
    let given = Given { report: disk(vec![clean(), spare]), ..Given::with(looked) };
    given.is(Grade::Filesystem, Indication::DatabaseNotInImage, "/srv/data/mysql");
    given.is(Grade::Filesystem, Indication::FilesystemNotInImage, "`ignore_mounts`");
}

#[test]
fn a_disk_that_is_left_out_on_purpose_weakens_nothing_unless_the_database_is_on_it() {
    let mut left_out = looked();
    left_out.filesystems.push(Filesystem { mount: mount(17, "/mnt/scratch"), fate: Fate::LeftOut });
    assert_eq!(Given::with(left_out.clone()).graded().grade, Grade::Application);
    left_out.database.push(place("/mnt/scratch/t", 17, "/mnt/scratch"));
    Given::with(left_out).is(Grade::Filesystem, Indication::DatabaseNotInImage, "left out of the job");
}

#[test]
fn a_mount_of_a_file_of_the_guest_weakens_nothing() {
    let mut with_loop = looked();
    let why = "it lies in a file of another filesystem";
    with_loop.filesystems.push(Filesystem { mount: mount(40, "/tmp"), fate: Fate::Exempt(why) });
    assert_eq!(Given::with(with_loop).graded().grade, Grade::Application);
}

#[test]
fn a_filesystem_that_took_no_marker_is_not_proven_to_be_in_the_backup() {
    let mut refused = looked();
    refused.filesystems[0].fate = Fate::Refused("Permission denied".to_owned());
    Given::with(refused).is(Grade::Filesystem, Indication::IdentityNotProven, "Permission denied");
}

#[test]
fn a_place_that_the_guest_does_not_know_is_not_in_the_backup() {
    let mut unknown = looked();
    unknown.database.push(Place { path: "/container/mysql".into(), on: Err("No such file or directory".into()) });
    Given::with(unknown).is(Grade::Filesystem, Indication::DatabaseNotInImage, "/container/mysql");
}

#[test]
fn links_that_were_not_all_looked_at_may_lead_anywhere() {
    let given = Given::with(Looked { database_unseen: vec!["more links than are looked at".into()], ..looked() });
    given.is(Grade::Filesystem, Indication::IdentityNotProven, "more links");
}

#[test]
fn disks_of_another_vm_are_crash_however_clean() {
    let mut nothing = looked();
    nothing.filesystems[0].fate = Fate::Missing;
    Given::with(nothing).is(Grade::Crash, Indication::IdentityNotProven, "another VM's");
}

#[test]
fn without_a_look_into_the_guest_it_is_filesystem_at_best() {
    let unknown = Identity::Unknown { why: "the agent blocks guest-exec".to_owned() };
    let blind = Given { identity: unknown, ..Given::good() };
    blind.is(Grade::Filesystem, Indication::IdentityNotProven, "blocks guest-exec");
}

#[test]
fn damage_outweighs_everything_and_names_the_finding() {
    let mut broken = ext4("1", false, 0, Verdict::Damaged);
    broken.findings.push(Finding::damage("ext4-superblock-csum", "superblock at byte 1024", "checksum is wrong"));
    Given::of(vec![broken]).is(Grade::Damaged, Indication::Damaged, "checksum is wrong");
}

#[test]
fn a_volume_of_unknown_content_weakens_nothing_where_all_that_is_mounted_is_elsewhere() {
    for kind in [Kind::Unknown, Kind::Btrfs, Kind::LinuxRaid, Kind::Ext2] {
        let given = Given::of(vec![clean(), beside(kind)]);
        assert_eq!(given.graded().grade, Grade::Application, "{kind}");
    }
}

#[test]
fn a_volume_of_unknown_content_may_be_what_was_not_found() {
    let mut missing = looked();
    missing.filesystems.push(Filesystem { mount: mount(17, "/srv"), fate: Fate::Missing });
    for kind in [Kind::Unknown, Kind::Btrfs, Kind::LinuxRaid, Kind::Ext2] {
        let given = Given { report: disk(vec![clean(), beside(kind)]), ..Given::with(missing.clone()) };
        given.is(Grade::Crash, Indication::QuiesceNotProven, "volume 2");
    }
}

/// zfs names no device in the table of mounts, and of NTFS nothing takes a marker: both may be live on any volume.
#[test]
fn a_volume_of_unknown_content_may_be_what_cannot_be_marked() {
    let pool = Looked { on_untold_devices: vec!["zfs".to_owned()], ..looked() };
    let mut windows = looked();
    let mount = Mount { fs_type: "ntfs3".to_owned(), ..mount(17, "/mnt/windows") };
    windows.filesystems.push(Filesystem { mount, fate: Fate::Exempt("Linux has no freeze for it") });
    for looked in [pool, windows] {
        for kind in [Kind::Other("zfs_member"), Kind::Ntfs] {
            let given = Given { report: disk(vec![clean(), beside(kind)]), ..Given::with(looked.clone()) };
            given.is(Grade::Crash, Indication::QuiesceNotProven, "volume 2");
        }
    }
}

#[test]
fn an_efi_partition_and_a_disk_that_is_only_read_hide_nothing() {
    let mut beside_root = looked();
    let efi = Mount { fs_type: "vfat".to_owned(), ..mount(2, "/boot/efi") };
    let read_only = Mount { read_only: true, fs_type: "ntfs3".to_owned(), ..mount(17, "/mnt/windows") };
    for mount in [efi, read_only] {
        beside_root.filesystems.push(Filesystem { mount, fate: Fate::Exempt("it cannot be marked") });
    }
    let given = Given { report: disk(vec![clean(), beside(Kind::Unknown)]), ..Given::with(beside_root) };
    assert_eq!(given.graded().grade, Grade::Application);
}

#[test]
fn a_filesystem_that_may_be_on_a_volume_nobody_can_read_is_no_other_vms() {
    let mut hidden = looked();
    hidden.filesystems[0].fate = Fate::Unseen("it may be on vg/db volume 1 (LUKS)".to_owned());
    let given = Given { report: disk(vec![beside(Kind::Luks)]), ..Given::with(hidden) };
    given.is(Grade::Crash, Indication::IdentityNotProven, "it is luks");
    let reasons = given.graded().reasons.join(" ");
    assert!(!reasons.contains("another VM's") && !reasons.contains("missing from the job"), "{reasons}");
}

#[test]
fn an_ext2_boot_whose_marker_was_flushed_is_as_good_as_any() {
    let mut boot = looked();
    boot.filesystems.push(Filesystem { mount: mount(2, "/boot"), fate: found("2") });
    let given = Given { report: disk(vec![clean(), beside(Kind::Ext2)]), ..Given::with(boot) };
    assert_eq!(given.graded().grade, Grade::Application);
}

#[test]
fn a_boot_loaders_partition_weakens_nothing() {
    let bios_boot = Some("21686148-6449-6E6F-744E-656564454649".to_owned());
    let boot = VolumeReport { partition_type: bios_boot, ..beside(Kind::Unknown) };
    let mut missing = looked();
    missing.filesystems.push(Filesystem { mount: mount(17, "/srv"), fate: Fate::Missing });
    let given = Given { report: disk(vec![boot, clean()]), ..Given::with(missing) };
    assert_eq!(given.graded().grade, Grade::Filesystem);
}

#[test]
fn a_disk_on_which_nothing_can_prove_a_freeze_is_crash() {
    let swap = VolumeReport { kind: Kind::Swap, ext4: None, ..clean() };
    Given::of(vec![swap]).is(Grade::Crash, Indication::QuiesceNotProven, "no filesystem");
}
