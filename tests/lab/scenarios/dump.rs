//! A dump in place of an image: made by a real client in a real guest, carried out by a real agent.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use stillpoint_tests::lab::guest::{Guest, until};
use stillpoint_tests::lab::recovered::unpack;
use stillpoint_tests::lab::scenario::{assert_nothing_is_left, scenario};
use stillpoint_tests::lab::stillpoint::{Ended, Run, files_of};
use stillpoint_tests::lab::volume::{self, DATA, ROOT};
use stillpoint_tests::machine::program::run;

/// The ids of the rows of the stream of inserts, in the order in which the dump of `run` has them. That a server takes all of it, tests of
/// guest-bridge look at.
fn dumped_ticks(run: &Run) -> Vec<u64> {
    let receipt = run.receipt();
    let sql = run.folder().join("dump.sql");
    unpack(&run.target().join(receipt["dump"]["file"].as_str().unwrap()), &sql);
    let text = String::from_utf8_lossy(&fs::read(&sql).unwrap()).into_owned();
    assert_eq!(text.len() as u64, receipt["dump"]["raw_bytes"].as_u64().unwrap());
    assert!(text.lines().last().unwrap().starts_with("-- Dump completed"), "{}", &text[text.len() - 200..]);
    // Rows stand in statements of many, or in one statement over many lines.
    let of_ticks = text.split("INSERT INTO ").skip(1).filter(|statement| statement.starts_with("`ticks`"));
    let rows = of_ticks.flat_map(|statement| statement.split(";\n").next().unwrap().split('(').skip(1));
    rows.map(|row| row.split(',').next().unwrap().parse().unwrap()).collect()
}

/// The rows of the dump are those that were committed at its coordinates, and none else.
fn assert_rows_are_of_the_coordinates(guest: &Guest, run: &Run) {
    guest.stop_ticks();
    let (ids, receipt) = (dumped_ticks(run), run.receipt());
    assert!(!ids.is_empty() && ids.iter().copied().eq(1..=ids.len() as u64), "no row is missing: {ids:?}");
    let sequence = |gtid: &str| gtid.rsplit('-').next().unwrap().parse::<u64>().unwrap();
    // Nobody else writes: each tick is a transaction of its own, and none came after the last.
    let then = sequence(receipt["window"]["coordinates"]["gtid"].as_str().unwrap());
    let after = sequence(&guest.sql("SELECT @@GLOBAL.gtid_binlog_pos")) - then;
    assert_eq!(guest.last_tick(), ids.len() as u64 + after, "{}", receipt["window"]["coordinates"]);
}

fn assert_nothing_of_a_dump_is_in(guest: &Guest) {
    assert_eq!(guest.sh("ls -d /run/stillpoint-dump* /dev/shm/stillpoint-dump* 2>/dev/null; true"), "");
    assert_eq!(guest.sh("pgrep -x 'mariadb-dump|mysqldump' || true"), "");
}

#[test]
fn a_dump_that_is_asked_for_has_the_rows_that_were_committed_at_its_coordinates() {
    scenario(|guest| {
        guest.forget_ticks();
        guest.start_ticks(20);
        guest.wait_for_ticks(20);
        let disk = guest.sh("cat /sys/block/vda/stat | awk '{print $7}'");
        let mut backup = Run::backup_of_all().with(&["--dump", "only"]);
        backup.end().with_code(0);
        let receipt = backup.receipt();
        assert_eq!([&receipt["grade"], &receipt["dump"]["when"]], ["logical", "asked"]);
        assert_eq!(files_of(&backup.target()), ["backup.json", "backup.sql.zst"]);
        assert_nothing_of_a_dump_is_in(guest);
        let (written, sql) =
            (guest.sh("cat /sys/block/vda/stat | awk '{print $7}'"), receipt["dump"]["raw_bytes"].as_u64().unwrap());
        let sectors = |text: &str| text.trim().parse::<u64>().unwrap();
        println!(
            "the guest wrote {} KiB to its disk during a dump of {} KiB",
            (sectors(&written) - sectors(&disk)) / 2,
            sql / 1024
        );
        assert_rows_are_of_the_coordinates(guest, &backup);
    });
}

#[test]
fn an_image_whose_snapshot_would_not_last_gives_way_to_a_dump() {
    scenario(|guest| {
        guest.forget_ticks();
        guest.start_ticks(5);
        guest.wait_for_ticks(5);
        guest.sh(
            "systemd-run -q --unit heavy sh -c 'while :; do dd if=/dev/urandom of=/srv/data/heavy bs=1M count=120 conv=fsync status=none; \
             done'",
        );
        let mut backup = Run::backup().with(&[
            "--disk",
            ROOT,
            "--disk",
            DATA,
            "--db",
            "agent",
            "--cow-size",
            "32M",
            "--level",
            "19",
        ]);
        let ended = backup.end();
        guest.sh("systemctl stop heavy; rm /srv/data/heavy");
        let ended = ended.with_code(4);
        assert!(ended.stderr.contains("a dump is made in place of the image"), "{}", ended.stderr);
        let receipt = backup.receipt();
        assert_eq!([&receipt["grade"], &receipt["dump"]["when"]], ["logical", "during-copy"]);
        assert_eq!(files_of(&backup.target()), ["backup.json", "backup.sql.zst"], "nothing of the image is left");
        assert_eq!(volume::foreign(), []);
        assert_nothing_of_a_dump_is_in(guest);
        assert_rows_are_of_the_coordinates(guest, &backup);
    });
}

#[test]
fn killed_in_a_dump_nothing_of_it_stays_in_the_guest() {
    scenario(|guest| {
        // A client that waits for a table, so that the dump is under way for as long as that takes.
        guest.sh(
            "(echo 'LOCK TABLES stillpoint_demo.ticks WRITE;'; exec sleep 60) | mariadb >/dev/null 2>&1 & echo $! >/run/locker.pid; sleep 2",
        );
        let mut backup = Run::backup_of_all().with(&["--dump", "only"]);
        let mut child = backup.start();
        let dump = ("dump".to_owned(), "intent".to_owned());
        until("the run dumps", || backup.steps().contains(&dump));
        until("the client runs in the guest", || !guest.sh("pgrep -x mariadb-dump || true").is_empty());
        run("kill", &["-s", "KILL", &child.id().to_string()]);
        child.wait().unwrap();
        until("the guardian closes the run's log", || backup.log_text().contains(r#""mark":"closed""#));
        assert_nothing_of_a_dump_is_in(guest);
        assert_eq!(files_of(&backup.target()), [""; 0]);
        guest.sh("kill $(cat /run/locker.pid); sleep 1");
        assert_nothing_is_left(guest);
    });
}

#[test]
fn a_dump_that_nobody_takes_ends_when_it_is_asked_to() {
    scenario(|guest| {
        // More than a pipe holds, and nothing of it can be compressed.
        guest.sql("USE stillpoint_demo; CREATE TABLE noise AS SELECT RANDOM_BYTES(1024) AS noise FROM seq_1_to_4000");
        let mut backup =
            Run::backup_of_all().to(Path::new("-")).with(&["--dump", "only", "--receipt", "/run/share/stalled.json"]);
        let mut child = backup.start();
        until("the client runs in the guest", || !guest.sh("pgrep -x mariadb-dump || true").is_empty());
        // By then the pipe is full: its other end is held here, and nobody reads from it.
        thread::sleep(Duration::from_secs(5));
        assert!(child.try_wait().unwrap().is_none());
        run("kill", &["-s", "TERM", &child.id().to_string()]);
        until("the run ends", || child.try_wait().unwrap().is_some());
        let ended = Ended::of(child);
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        assert!(ended.stderr.contains("stopped by SIGTERM"), "{}", ended.stderr);
        assert_nothing_of_a_dump_is_in(guest);
        assert_nothing_is_left(guest);
        guest.sql("DROP TABLE stillpoint_demo.noise");
    });
}
