//! What is another matter on the guest with MySQL, whose data disk is XFS. `./test` runs these on that guest, and no others.

use std::fs;

use stillpoint_tests::lab::guest::{Guest, client};
use stillpoint_tests::lab::proof::prove_rows;
use stillpoint_tests::lab::recovered::{assert_needs_no_replay_and_no_repair, ext4_at, unpack};
use stillpoint_tests::lab::scenario::scenario;
use stillpoint_tests::lab::stillpoint::Run;
use stillpoint_tests::lab::volume::{DATA, ROOT};

use super::backup::over_the_network;

/// A backup of the disk that the database is on. An idle XFS looks frozen half a minute after the last write to it, and through an emulated
/// agent the lock may take as long: the other disk has a scenario of its own.
fn of_root() -> Run {
    Run::backup().with(&ROOT_ONLY).with(&["--db", "agent"])
}

const ROOT_ONLY: [&str; 4] = ["--disk", ROOT, "--ignore-mount", "/srv/data"];

/// A backup that has to be of grade `application`, by this lock.
fn backed_up(mut run: Run, method: &str) -> Run {
    run = run.with(&["--cow-size", "200M"]);
    run.end().with_code(0);
    let receipt = run.receipt();
    assert_eq!(receipt["grade"], "application", "{receipt}");
    assert_eq!(receipt["plan"]["window"]["lock"]["method"], method, "{receipt}");
    run
}

#[test]
fn commits_go_on_and_the_image_holds_what_the_binlog_in_it_says() {
    scenario(|guest| {
        guest.forget_ticks();
        guest.start_ticks(20);
        guest.wait_for_ticks(20);
        let run = backed_up(of_root(), "instance-for-backup");
        let receipt = run.receipt();
        let window = &receipt["window"];
        assert_eq!(window["engine_logs"]["state"], "written-at-commit", "{window}");
        assert_eq!(window["stall_ms"], window["window_ms"], "{window}");
        assert_eq!(receipt["database"]["state"], "binlog-ends-at-coordinates", "{receipt}");

        let disk = &receipt["disks"][0];
        let image = run.folder().join("root.img");
        unpack(&run.target().join(disk["image"].as_str().unwrap()), &image);
        let root = ext4_at(&image, &disk["evidence"]["volumes"][0]["offset_bytes"]);
        prove_rows(guest, &receipt, &root, run.folder());
        assert_needs_no_replay_and_no_repair(&root);
    });
}

#[test]
fn an_account_of_the_network_that_may_no_more_than_it_has_to_does_as_well() {
    scenario(|guest| {
        guest.start_ticks(20);
        guest.wait_for_ticks(5);
        let password = fs::read_to_string(std::env::var("LAB_DB_PASSWORD_FILE").unwrap()).unwrap();
        backed_up(over_the_network(&password).with(&ROOT_ONLY), "instance-for-backup");
    });
}

#[test]
fn the_freeze_of_its_xfs_is_proven() {
    scenario(|_| {
        // Nothing between marker and freeze that takes long here.
        let mut run = Run::backup().with(&["--disk", ROOT, "--disk", DATA, "--cow-size", "200M", "--watchdog", "none"]);
        run.end().with_code(0);
        let receipt = run.receipt();
        assert_eq!(receipt["grade"], "filesystem", "{receipt}");
        assert_eq!(receipt["indications"], serde_json::json!(["no-database"]), "{receipt}");
        let kind = |disk: usize| &receipt["disks"][disk]["evidence"]["volumes"][0]["kind"];
        assert_eq!([kind(0), kind(1)], ["ext4", "xfs"]);
    });
}

#[test]
fn behind_a_long_statement_the_backup_goes_on_and_so_do_the_writers() {
    scenario(|guest| {
        guest.start_ticks(20);
        let since = guest.wait_for_ticks(5);
        let long = "SELECT SLEEP(86397) FROM stillpoint_demo.ticks LIMIT 1";
        guest.sh(&format!("{} -e '{long}' >/dev/null 2>&1 &", client()));
        let run = backed_up(of_root(), "instance-for-backup");
        end_statements(guest, "SLEEP(86397)");
        let (gap, window) = (guest.longest_gap_ms(since), &run.receipt()["window"]["window_ms"]);
        println!("longest gap between two commits {gap} ms, window {window} ms");
    });
}

#[test]
fn where_a_table_is_myisam_and_where_it_is_wished_commits_wait() {
    scenario(|guest| {
        guest.start_ticks(20);
        guest.wait_for_ticks(5);
        let run = backed_up(of_root().with(&["--lock", "tables"]), "flush-tables-with-read-lock");
        assert_eq!(run.receipt()["window"]["engine_logs"]["state"], "flushed");
        guest.sql("CREATE TABLE stillpoint_demo.old (id INT) ENGINE=MyISAM");
        let plan = Run::of("plan")
            .with(&["--agent", "unix:/run/lab/qga.sock", "--disk", ROOT, "--db", "agent"])
            .end()
            .with_code(0);
        guest.sql("DROP TABLE stillpoint_demo.old");
        assert!(plan.stdout.contains("tables in an engine without transactions"), "{}", plan.stdout);
        assert!(plan.stdout.contains("FLUSH TABLES WITH READ LOCK"), "{}", plan.stdout);
    });
}

fn end_statements(guest: &Guest, text: &str) {
    let kill = format!(
        "SELECT CONCAT('KILL ', ID, ';') FROM information_schema.PROCESSLIST WHERE INFO LIKE '%{text}%' AND ID <> CONNECTION_ID()"
    );
    guest.sh(&format!("{0} -N -e \"{kill}\" | {0} --force", client()));
}
