//! Snapshots that another tool forgot, and what it left on top of them.

use std::fs::{File, create_dir};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use stillpoint_tests::lab::guest::until;
use stillpoint_tests::lab::scenario::scenario;
use stillpoint_tests::lab::stillpoint::{Ended, Run};
use stillpoint_tests::lab::volume::{OwnVolume, ROOT, VG, foreign};
use stillpoint_tests::machine::program::{run, try_run};
use tempfile::TempDir;

/// `stillpoint clean --json` with these arguments.
fn clean(arguments: &[&str]) -> (Ended, Value) {
    let ended = Run::of("clean").with(&["--json"]).with(arguments).end();
    let document = serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:?}"));
    (ended, document)
}

/// What the listing says of this volume.
#[track_caller]
fn listed(name: &str) -> Value {
    let (ended, document) = clean(&[]);
    ended.with_code(0);
    let findings = document["findings"].as_array().unwrap();
    findings.iter().find(|finding| finding["name"] == name).cloned().unwrap_or_else(|| panic!("{document:#}"))
}

fn snapshot(origin: &str, name: &str, size: &str) {
    run("lvcreate", &["-q", "-y", "-s", "-n", name, "-L", size, origin]);
    run("udevadm", &["settle"]);
}

/// As `kpartx -a -p X` does it.
fn map_first_partition(volume: &str, mapping: &str) {
    let device = format!("/dev/{volume}");
    let sectors = run("partx", &["-g", "-o", "START,SECTORS", "-n", "1", &device]);
    let [start, length] = sectors.split_whitespace().collect::<Vec<_>>()[..] else { panic!("{sectors}") };
    run("dmsetup", &["create", mapping, "--table", &format!("0 {length} linear {device} {start}")]);
    run("udevadm", &["settle"]);
}

fn is_mapped(name: &str) -> bool {
    try_run("dmsetup", &["info", name]).status.success()
}

fn names() -> Vec<String> {
    foreign().into_iter().map(|lv| lv.name).collect()
}

#[test]
fn a_forgotten_backup_snapshot_is_listed_with_who_holds_it_and_taken_down_from_the_top() {
    scenario(|_| {
        snapshot(ROOT, "backup-7", "64m");
        snapshot(ROOT, "kept", "64m");
        map_first_partition("vg/backup-7", "backup-7X1");
        map_first_partition("vg/kept", "keptX1");
        let folder = TempDir::new().unwrap();
        let point = folder.path().join("a b");
        create_dir(&point).unwrap();
        let point = point.to_str().unwrap();
        run("mount", &["-o", "ro,noload", "/dev/mapper/backup-7X1", point]);

        let found = listed("vg/backup-7");
        assert_eq!((&found["what"], &found["origin"]), (&json!("snapshot"), &json!(ROOT)));
        assert!(found["cow_total_bytes"] == 64 << 20 && found["made_at"].is_string(), "{found:#}");
        let on_top = json!([
            { "is": "mapping", "name": "backup-7X1", "on": "vg-backup--7" },
            { "is": "mount", "mountpoint": point, "fs_type": "ext4", "on": "backup-7X1", "within": null },
        ]);
        assert_eq!(found["on_top"], on_top);
        let programs: Vec<&Value> = found["order"].as_array().unwrap().iter().map(|command| &command[0]).collect();
        assert_eq!(programs, ["umount", "dmsetup", "lvremove"]);
        assert_eq!(names(), ["backup-7", "kept"], "a listing changes nothing");

        // Somebody works in the mount.
        let mut works = Command::new("sleep").arg("600").current_dir(point).spawn().unwrap();
        let (held, document) = clean(&["--yes", "vg/backup-7"]);
        works.kill().unwrap();
        works.wait().unwrap();
        held.with_code(1);
        let hint = document["findings"][0]["outcome"]["hint"].as_str().unwrap();
        assert!(hint.contains(&format!("sleep (pid {}) works in {point}", works.id())), "{hint}");
        assert!(is_mapped("backup-7X1") && names().len() == 2);

        let (done, document) = clean(&["--yes", "vg/backup-7"]);
        done.with_code(0);
        assert_eq!(document["findings"][0]["outcome"], json!({ "state": "gone" }), "{document:#}");
        assert!(!try_run("mountpoint", &["-q", point]).status.success());
        assert!(!is_mapped("backup-7X1") && !is_mapped("vg-backup--7") && !is_mapped("vg-backup--7-cow"));
        assert!(is_mapped("keptX1") && names() == ["kept"]);
        clean(&["--yes", "vg/kept"]).0.with_code(0);
    });
}

#[test]
fn a_full_snapshot_is_called_by_its_name_and_removed() {
    scenario(|_| {
        let own = OwnVolume::make("own", "64m");
        snapshot(own.name(), "full", "4m");
        run(
            "dd",
            &["if=/dev/urandom", &format!("of={}", own.device()), "bs=1M", "count=16", "oflag=direct", "status=none"],
        );
        assert_eq!(listed("vg/full")["what"], "invalid-snapshot");
        clean(&["--yes", "vg/full"]).0.with_code(0);
        assert_eq!(names(), ["own"]);
    });
}

#[test]
fn a_snapshot_under_a_loop_device_that_a_process_holds_is_explained_and_stays_until_that_ends() {
    scenario(|_| {
        let own = OwnVolume::make("own", "64m");
        snapshot(own.name(), "held", "8m");
        let device = run("losetup", &["--find", "--show", "/dev/vg/held"]);
        let opened = File::open(device.trim()).unwrap();
        let mut holder = Command::new("sleep").arg("600").stdin(Stdio::from(opened)).spawn().unwrap();
        let (ended, document) = clean(&["--yes", "vg/held"]);
        ended.with_code(1);
        let outcome = document["findings"][0]["outcome"].to_string();
        assert!(outcome.contains(&format!("sleep (pid {}) has it open", holder.id())), "{outcome}");
        assert_eq!(names(), ["held", "own"]);
        holder.kill().unwrap();
        holder.wait().unwrap();
        clean(&["--yes", "vg/held"]).0.with_code(0);
        assert_eq!(names(), ["own"]);
        assert_eq!(run("losetup", &["--associated", "/dev/vg/held"]), "");
    });
}

#[test]
fn a_mount_in_another_namespace_is_found_and_left_to_a_person() {
    scenario(|_| {
        snapshot(ROOT, "backup-7", "64m");
        map_first_partition("vg/backup-7", "backup-7X1");
        let folder = TempDir::new().unwrap();
        let (point, ready) = (folder.path().join("there"), folder.path().join("ready"));
        create_dir(&point).unwrap();
        let point = point.to_str().unwrap();
        let script =
            format!("mount -o ro,noload /dev/mapper/backup-7X1 {point}; touch {}; exec sleep 600", ready.display());
        let unshare = ["--mount", "--propagation", "private", "sh", "-c", &script];
        let mut other = Command::new("unshare").args(unshare).spawn().unwrap();
        until("the mount in the other namespace", || ready.exists());
        let (ended, document) = clean(&["--yes", "vg/backup-7"]);
        other.kill().unwrap();
        other.wait().unwrap();
        ended.with_code(1);
        let hint = document["findings"][0]["outcome"]["hint"].as_str().unwrap();
        assert!(hint.contains(&format!("nsenter --target {} --mount umount {point}", other.id())), "{hint}");
        assert!(is_mapped("backup-7X1") && names() == ["backup-7"]);
        clean(&["--yes", "vg/backup-7"]).0.with_code(0);
        assert!(!is_mapped("backup-7X1") && names().is_empty());
    });
}

/// A group on a device of its own that is suspended, so that whoever reads it hangs. Resumed and removed with the value.
struct StuckGroup;

impl StuckGroup {
    fn on(volume: &OwnVolume) -> Self {
        run("dmsetup", &["create", "stuck", "--table", &format!("0 65536 linear {} 0", volume.device())]);
        let stuck = Self;
        run("pvcreate", &["-q", "/dev/mapper/stuck"]);
        run("vgcreate", &["-q", "stuckvg", "/dev/mapper/stuck"]);
        run("dmsetup", &["suspend", "stuck"]);
        stuck
    }
}

impl Drop for StuckGroup {
    fn drop(&mut self) {
        for command in
            [&["dmsetup", "resume", "stuck"][..], &["vgremove", "-f", "stuckvg"], &["dmsetup", "remove", "stuck"]]
        {
            try_run(command[0], &command[1..]);
        }
    }
}

#[test]
fn what_hangs_is_named_and_keeps_nothing_else_from_being_listed() {
    scenario(|_| {
        let own = OwnVolume::make("own", "64m");
        snapshot(ROOT, "backup-7", "64m");
        let stuck = StuckGroup::on(&own);
        let (ended, document) = clean(&[]);
        drop(stuck);
        ended.with_code(1);
        assert_eq!(document["not_looked_at"][0]["device"], "stuck", "{document:#}");
        assert_eq!(document["findings"][0]["name"], "vg/backup-7", "{document:#}");

        let mut holder =
            Command::new("flock").args(["--no-fork", "/run/lock/lvm/V_vg", "sleep", "600"]).spawn().unwrap();
        until("the lock of the group is held", || {
            !try_run("flock", &["-n", "/run/lock/lvm/V_vg", "true"]).status.success()
        });
        let (ended, document) = clean(&[]);
        holder.kill().unwrap();
        holder.wait().unwrap();
        ended.with_code(1);
        assert_eq!(document["not_looked_at"][0]["vg"], VG, "{document:#}");
        clean(&["--yes", "vg/backup-7"]).0.with_code(0);
    });
}

#[test]
fn a_node_that_lvm_knows_nothing_of_is_removed_by_device_mapper() {
    scenario(|_| {
        let own = OwnVolume::make("own", "64m");
        let vg_uuid = run("vgs", &["--noheadings", "-o", "vg_uuid", VG]).trim().replace('-', "");
        let uuid = format!("LVM-{vg_uuid}{}-cow", "g".repeat(32));
        let table = format!("0 8192 linear {} 0", own.device());
        run("dmsetup", &["create", "vg-ghost-cow", "--uuid", &uuid, "--table", &table]);
        assert_eq!(listed("vg/ghost")["what"], "leftover-nodes");
        clean(&["--yes", "vg/ghost"]).0.with_code(0);
        assert!(!is_mapped("vg-ghost-cow"));
        assert_eq!(names(), ["own"]);
    });
}

#[test]
fn a_guests_disk_and_a_name_without_a_yes_are_refused_and_nothing_is_done() {
    scenario(|_| {
        snapshot(ROOT, "backup-7", "64m");
        let refused = |name: &str, arguments: &[&str], words: &[&str]| {
            Run::of("clean").with(arguments).with(&[name]).end().refused(2, words);
        };
        refused(ROOT, &["--yes"], &[ROOT, "an origin, of vg/backup-7", "in use"]);
        refused("vg/backup-7", &[], &["no terminal"]);
        assert_eq!(names(), ["backup-7"]);
        clean(&["--yes", "vg/backup-7"]).0.with_code(0);
    });
}
