//! A dump in place of an image: made by a real client in a real guest, carried out by a real agent.

use std::fs::File;
use std::path::Path;

use serde_json::Value;
use stillpoint_tests::lab::guest::{Guest, until};
use stillpoint_tests::lab::recovered::unpack;
use stillpoint_tests::lab::scenario::{assert_nothing_is_left, scenario};
use stillpoint_tests::lab::stillpoint::{Run, files_of};
use stillpoint_tests::lab::volume::{self, DATA, ROOT};
use stillpoint_tests::machine::database_product::Programs;
use stillpoint_tests::machine::database_server::DatabaseServer;
use stillpoint_tests::machine::program::run;

/// A server into which the dump of `run` was loaded, as its receipt says.
fn loaded(run: &Run, folder: &Path) -> DatabaseServer {
    let receipt = run.receipt();
    let dump = &receipt["dump"];
    let sql = folder.join("dump.sql");
    unpack(&run.target().join(dump["file"].as_str().unwrap()), &sql);
    let data = folder.join("data");
    Programs::of_this_run().make_data(&data);
    // With system calls that a kernel in user mode has, and little address space.
    let modest =
        ["--skip-networking", "--skip-grant-tables", "--innodb-buffer-pool-size=64M", "--innodb-use-native-aio=0"];
    let server = DatabaseServer::start_alone(folder, &data, &modest);
    let statements = |when: &str| {
        let list = dump[when].as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_owned());
        list.filter(|statement| statement != "FLUSH PRIVILEGES").collect::<Vec<_>>()
    };
    statements("before_loading").iter().for_each(|statement| drop(server.sql(statement)));
    assert!(server.client().stdin(File::open(sql).unwrap()).status().unwrap().success(), "{}", server.log());
    statements("after_loading").iter().for_each(|statement| drop(server.sql(statement)));
    server
}

/// The rows of the dump are those that were committed at its coordinates, and none else.
fn assert_rows_are_of_the_coordinates(guest: &Guest, server: &DatabaseServer, receipt: &Value) {
    guest.stop_ticks();
    let [rows, last]: [u64; 2] = {
        let said = server.sql("SELECT COUNT(*), MAX(id) FROM stillpoint_demo.ticks");
        let numbers: Vec<u64> = said.split('\t').map(|number| number.parse().unwrap()).collect();
        numbers.try_into().unwrap()
    };
    assert_eq!(rows, last, "no row is missing");
    let sequence = |gtid: &str| gtid.rsplit('-').next().unwrap().parse::<u64>().unwrap();
    // Nobody else writes: each tick is a transaction of its own, and none came after the last.
    let after = sequence(&guest.sql("SELECT @@GLOBAL.gtid_binlog_pos"))
        - sequence(receipt["window"]["coordinates"]["gtid"].as_str().unwrap());
    assert_eq!(guest.last_tick(), last + after, "{}", receipt["window"]["coordinates"]);
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
        let server = loaded(&backup, backup.folder());
        assert_rows_are_of_the_coordinates(guest, &server, &receipt);
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
        let server = loaded(&backup, backup.folder());
        assert_rows_are_of_the_coordinates(guest, &server, &receipt);
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
