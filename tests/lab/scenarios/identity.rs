//! `application` is said of the guest's own filesystems with its own database in them, and of nothing else.

use std::time::Duration;

use serde_json::{Value, json};
use stillpoint_tests::lab::extra_disk::ExtraDisk;
use stillpoint_tests::lab::guest::Guest;
use stillpoint_tests::lab::proxy::AgentWithAnEvent;
use stillpoint_tests::lab::scenario::scenario;
use stillpoint_tests::lab::stillpoint::Run;
use stillpoint_tests::lab::volume::{DATA, OwnVolume, ROOT};
use stillpoint_tests::machine::program::{run, try_run};

fn has(receipt: &Value, indication: &str) -> bool {
    receipt["indications"].as_array().unwrap().iter().any(|word| word == indication)
}

#[track_caller]
fn assert_filesystem(receipt: &Value, indication: &str, words: &str) {
    assert_eq!(receipt["grade"], "filesystem", "{receipt:#}");
    assert!(has(receipt, indication), "{receipt:#}");
    assert!(receipt["reasons"].to_string().contains(words), "{receipt:#}");
}

/// The server's data directory, in memory for as long as `act` takes.
fn with_the_database_in_memory<T>(guest: &Guest, act: impl FnOnce() -> T) -> T {
    guest.sh("systemctl stop mariadb && mkdir /dev/shm/my && cp -a /var/lib/mysql/. /dev/shm/my && \
         chown mysql: /dev/shm/my && mount --bind /dev/shm/my /var/lib/mysql && systemctl start mariadb");
    let outcome = act();
    guest.sh("systemctl stop mariadb && umount /var/lib/mysql && rm -r /dev/shm/my && systemctl start mariadb");
    outcome
}

#[test]
fn a_database_in_memory_is_in_no_backup_and_the_plan_says_so_before() {
    scenario(|guest| {
        let agent = ["--agent", "unix:/run/lab/qga.sock"];
        let arguments = ["--disk", ROOT, "--disk", DATA, "--db", "agent", "--cow-size", "200M"];
        let mut run = Run::backup().with(&arguments);
        let (planned, ended) = with_the_database_in_memory(guest, || {
            (Run::of("plan").with(&[&arguments[..], &agent].concat()).end(), run.end())
        });
        let planned = planned.with_code(0);
        ended.with_code(3);
        assert!(planned.stdout.contains("/var/lib/mysql (tmpfs), which is on no disk"), "{}", planned.stdout);
        assert_filesystem(&run.receipt(), "database-not-in-image", "/var/lib/mysql (tmpfs), which is on no disk");
    });
}

#[test]
fn a_spare_clean_disk_makes_up_for_none_that_is_missing() {
    scenario(|_| {
        let spare = OwnVolume::make("spare", "128M");
        run("mke2fs", &["-q", "-t", "ext4", &spare.device()]);
        // The database is on the first disk of the guest.
        let mut run =
            Run::backup().with(&["--disk", DATA, "--disk", spare.name(), "--db", "agent", "--cow-size", "64M"]);
        run.end().with_code(3);
        let receipt = run.receipt();
        assert_filesystem(&receipt, "database-not-in-image", "/var/lib/mysql");
        assert!(has(&receipt, "filesystem-not-in-image"), "{receipt:#}");
    });
}

#[test]
fn a_copy_of_yesterday_is_not_the_guests_disk() {
    scenario(|guest| {
        let size = run("blockdev", &["--getsize64", "/dev/vg/db-root"]);
        let yesterday = OwnVolume::make("yesterday", &format!("{}b", size.trim()));
        // Frozen: as clean as a snapshot of its own would be. Nothing but the markers tells it from the guest's.
        guest.agent.call("guest-fsfreeze-freeze", json!({})).unwrap();
        let copied =
            try_run("dd", &["if=/dev/vg/db-root", &format!("of={}", yesterday.device()), "bs=1M", "status=none"]);
        guest.agent.call("guest-fsfreeze-thaw", json!({})).unwrap();
        assert!(copied.status.success(), "{copied:?}");
        let mut run =
            Run::backup().with(&["--disk", yesterday.name(), "--disk", DATA, "--db", "agent", "--cow-size", "64M"]);
        run.end().with_code(3);
        let receipt = run.receipt();
        assert_filesystem(&receipt, "database-not-in-image", "/var/lib/mysql");
    });
}

#[test]
fn a_binlog_that_goes_on_after_its_coordinates_were_read_is_found_out() {
    scenario(|guest| {
        guest.start_ticks(20);
        guest.wait_for_ticks(5);
        let agent = AgentWithAnEvent::start(|| {
            let flush = ["-N", "-B", "-e", "FLUSH BINARY LOGS"];
            let flushed = Guest::default().run("/usr/bin/mariadb", &flush, Duration::from_secs(60)).unwrap();
            assert_eq!(flushed.code, Some(0), "{flushed:?}");
        });
        let agent = format!("unix:{}", agent.socket().display());
        let mut run = Run::of("backup").with(&[
            "--agent",
            &agent,
            "--disk",
            ROOT,
            "--disk",
            DATA,
            "--db",
            "agent",
            "--cow-size",
            "200M",
        ]);
        run.end().with_code(3);
        assert_filesystem(&run.receipt(), "log-beyond-coordinates", "goes on behind that");
    });
}

#[test]
fn mounts_of_files_empty_disks_and_efi_variables_keep_nothing_from_application() {
    scenario(|guest| {
        guest.sh("modprobe loop; truncate -s 16M /tmpfile && mke2fs -q -F -t ext4 /tmpfile && mkdir -p /mnt/tmp && \
             mount -o loop /tmpfile /mnt/tmp");
        let (efi, empty) = (OwnVolume::make("efi", "4M"), OwnVolume::make("empty", "16M"));
        run("dd", &["if=/dev/urandom", &format!("of={}", efi.device()), "bs=64k", "count=8", "status=none"]);
        let mut run = Run::backup_of_all().with(&["--disk", efi.name(), "--disk", empty.name(), "--cow-size", "100M"]);
        let ended = run.end();
        guest.sh("umount /mnt/tmp; rm /tmpfile");
        ended.with_code(0);
        let receipt = run.receipt();
        assert_eq!(receipt["grade"], "application", "{receipt:#}");
        assert!(receipt["identity"].to_string().contains("in a file of another filesystem"), "{receipt:#}");
    });
}

#[test]
fn ext2_xfs_and_ext4_without_a_journal_are_proven_by_what_the_freeze_wrote_out() {
    scenario(|guest| {
        let disks = [
            ("ext2", "64M", &["mke2fs", "-q", "-t", "ext2"][..]),
            ("xfs", "320M", &["mkfs.xfs", "-q"]),
            ("nojournal", "64M", &["mke2fs", "-q", "-t", "ext4", "-O", "^has_journal"]),
        ]
        .map(|(name, size, mkfs)| ExtraDisk::plug(guest, name, size, mkfs, &format!("/mnt/{name}")));
        guest.sh("for d in ext2 xfs nojournal; do dd if=/dev/urandom of=/mnt/$d/file bs=1M count=3 status=none; done");
        let volumes = disks.iter().flat_map(|disk| ["--disk", disk.volume()]);
        let mut run = Run::backup_of_all().with(&volumes.chain(["--cow-size", "100M"]).collect::<Vec<_>>());
        let ended = run.end();
        drop(disks);
        ended.with_code(0);
        let receipt = run.receipt();
        assert_eq!(receipt["grade"], "application", "{receipt:#}");
        for disk in ["ext2", "xfs", "nojournal"] {
            let filesystems = receipt["identity"]["filesystems"].as_array().unwrap();
            let one = filesystems.iter().find(|one| one["mountpoint"] == format!("/mnt/{disk}")).unwrap();
            assert!(one["fate"]["state"] == "found", "{disk}: {receipt:#}");
        }
    });
}

#[test]
fn a_disk_that_is_left_out_on_purpose_is_named_and_weakens_nothing() {
    scenario(|guest| {
        let disk = ExtraDisk::plug(guest, "extra", "64M", &["mke2fs", "-q", "-t", "ext4"], "/mnt/scratch");
        let mut run = Run::backup_of_all().with(&["--cow-size", "100M", "--ignore-mount", "/mnt/scratch"]);
        let ended = run.end();
        drop(disk);
        ended.with_code(0);
        let receipt = run.receipt();
        assert_eq!(receipt["grade"], "application", "{receipt:#}");
        assert!(receipt["identity"].to_string().contains("left-out"), "{receipt:#}");
    });
}

#[test]
fn an_agent_that_blocks_programs_proves_nothing_of_whose_disks_they_are() {
    scenario(|_| {
        let restricted = ["--agent", "unix:/run/lab/restricted.sock", "--cow-size", "200M"];
        let mut run = Run::of("backup").with(&[&["--disk", ROOT, "--disk", DATA], &restricted[..]].concat());
        run.end().with_code(0);
        let receipt = run.receipt();
        assert_filesystem(&receipt, "identity-not-proven", "blocks guest-exec");
    });
}
