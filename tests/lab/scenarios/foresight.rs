//! What is known beforehand of how long a snapshot lasts, and what is done while it does.

use std::fs;

use serde_json::{Value, json};
use stillpoint_tests::lab::guest::Guest;
use stillpoint_tests::lab::scenario::scenario;
use stillpoint_tests::lab::stillpoint::Run;
use stillpoint_tests::lab::volume::{DATA, ROOT, dm_status};
use stillpoint_tests::machine::program::run;

/// The guest rewrites a file of 120 MiB on its second disk, a MiB after the other, a few of them a second.
fn write_to_data(guest: &Guest) {
    guest.sh(
        "systemd-run -q --unit busy sh -c 'i=0; while :; do dd if=/dev/urandom of=/srv/data/busy bs=1M count=1 seek=$((i % 120)) \
         conv=notrunc,fsync status=none; i=$((i+1)); sleep 0.1; done'",
    );
    // It is not new then, and a COW that takes it has to take all of it.
    let written = "sh -c 'until [ $(stat -c %s /srv/data/busy) -ge 125829120 ]; do sleep 1; done; sync'";
    guest.sh(&format!("timeout 120 {written}"));
}

fn stop_writing(guest: &Guest) {
    guest.sh("systemctl stop busy; rm /srv/data/busy");
}

/// What a run keeps of a disk for the next one: quiet nights, of which a forecast makes the smallest COW there is.
fn quiet_nights(run: &Run, vm: &str, disk: &str) {
    let folder = run.state_dir().join("history");
    fs::create_dir_all(&folder).unwrap();
    let night = |night: u32| {
        json!({"format": 1, "run": format!("r{night}"), "vm": vm, "at": "2026-11-01T01:00:00.000Z", "cow_bytes": 1 << 26, "points": [[60_000, 1 << 20]],
            "copied_bytes": 100 << 20, "copy_ms": 10_000, "written_per_second": null})
    };
    let lines: String = (0..3).map(|count| format!("{}\n", night(count))).collect();
    fs::write(folder.join(format!("{}.jsonl", disk.replace('/', ":"))), lines).unwrap();
}

/// The story of the first users: the quiet disk was copied first, while the snapshot of the busy one ran full.
#[test]
fn the_busy_disk_is_copied_first_where_the_order_of_the_job_would_lose_its_snapshot() {
    scenario(|guest| {
        write_to_data(guest);
        for (name, origin) in [("plain-root", ROOT), ("plain-data", DATA)] {
            run("lvcreate", &["-q", "-s", "-L", "64M", "-n", name, origin]);
        }
        run("sh", &["-c", "dd if=/dev/vg/plain-root bs=4M status=none | gzip >/dev/null"]);
        assert!(dm_status("plain-data").contains("snapshot Invalid"), "{}", dm_status("plain-data"));
        for name in ["vg/plain-root", "vg/plain-data"] {
            run("lvremove", &["-q", "-y", name]);
        }

        let mut run = Run::backup_of_all().with(&["--cow-size", "64M", "--level", "6"]);
        let ended = run.end();
        stop_writing(guest);
        ended.with_code(0);
        let disks = run.receipt()["disks"].clone();
        let ends = |disk: usize| disks[disk]["cow"]["points"].as_array().unwrap().last().unwrap()[0].as_u64().unwrap();
        assert_eq!([&disks[0]["origin"], &disks[1]["origin"]], [ROOT, DATA]);
        assert!(ends(1) < ends(0), "the second disk was done before the first: {disks}");
    });
}

#[test]
fn a_cow_that_fills_as_never_before_gets_more_room_in_time() {
    scenario(|guest| {
        write_to_data(guest);
        let mut run = Run::backup().with(&["--disk", DATA, "--level", "19"]);
        quiet_nights(&run, "db-data", DATA);
        let ended = run.end();
        stop_writing(guest);
        let ended = ended.with_code(0);
        let disk = run.receipt()["disks"][0].clone();
        assert_eq!(run.receipt()["plan"]["disks"][0]["cow"], 64 << 20);
        assert!(ended.stderr.contains("the COW of vg/db-data will be full in"), "{}", ended.stderr);
        assert!(disk["cow"]["total_bytes"].as_u64() > Some(64 << 20), "{}: {disk}", ended.stderr);
    });
}

#[test]
fn a_backup_tells_the_next_plan_how_its_cows_filled() {
    scenario(|guest| {
        guest.start_ticks(20);
        let mut first = Run::backup_of_all();
        first.end().with_code(0);
        let arguments = ["--disk", ROOT, "--disk", DATA, "--no-freeze", "--json"];
        let mut next = Run::of("plan").with(&arguments).after(&first);
        let plan: Value = serde_json::from_str(&next.end().with_code(0).stdout).unwrap();
        let forecast = &plan["disks"][0]["forecast"];
        assert_eq!([&forecast["basis"]["from"], &forecast["basis"]["runs"]], [&json!("earlier-runs"), &json!(1)]);
        assert_eq!(forecast["copy_speed_is_known"], true, "{forecast}");
        assert!(forecast["expected"].as_u64() > Some(0), "{forecast}");

        let unknown = Run::of("plan").with(&arguments).end().with_code(0).stdout;
        let plan: Value = serde_json::from_str(&unknown).unwrap();
        let basis = &plan["disks"][0]["forecast"]["basis"];
        assert_eq!(basis["from"], "measured", "{plan}");
        assert!(basis["written_per_second"].as_u64() > Some(0), "the guest commits: {basis}");
    });
}

#[test]
fn every_snapshot_of_the_host_is_watched_whoever_made_it() {
    scenario(|guest| {
        run("lvcreate", &["-q", "-s", "-L", "16M", "-n", "somebodys", DATA]);
        write_to_data(guest);
        let ended = Run::of("watch").with(&["--json", "--for", "30s", "--alert", "50"]).end();
        stop_writing(guest);
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        let looks: Vec<Value> = ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert!(looks.iter().all(|look| look["snapshots"][0]["name"] == "vg/somebodys"), "{}", ended.stdout);
        assert_eq!(looks.last().unwrap()["snapshots"][0]["state"], "invalid");
        assert!(ended.stderr.contains("vg/somebodys"), "{}", ended.stderr);
        run("lvremove", &["-q", "-y", "vg/somebodys"]);
    });
}
