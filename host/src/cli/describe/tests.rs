use insta::assert_snapshot;
use serde_json::{Value, json};

use super::*;

fn plan_document() -> Value {
    let disk = |name: &str, size: u64, cow: u64, volumes: &[&str]| {
        let reason = "20% of the origin, as built in";
        json!({ "origin": name, "size": size, "cow": cow, "cow_reason": reason, "volumes": volumes })
    };
    let setting = |name: &str, value: &str, from: &str| json!({ "name": name, "value": value, "from": from });
    json!({
        "vm": "db1",
        "disks": [
            disk("vg0/db1-root", 8 << 30, 1717986918, &["1 ext4", "14 bios-boot", "15 vfat"]),
            disk("vg0/db1-data", 200 << 30, 40 << 30, &["0 xfs"]),
        ],
        "window": {
            "lock": {
                "server": {
                    "flavour": "maria-db", "version": { "major": 10, "minor": 11, "patch": 6 },
                    "version_text": "10.11.6-MariaDB", "hostname": "db1", "datadir": "/var/lib/mysql",
                    "other_data_directories": [], "log_bin": true, "gtid_mode": null, "read_only": false,
                    "galera": false, "has_percona_backup_locks": false, "non_transactional_tables": 0,
                },
                "method": "backup-stage",
                "reason": "MariaDB 10.11.6 has BACKUP STAGE: commits wait, running writes need not finish first",
                "lock_deadline_ms": 30_000, "expiry_ms": 90_000,
            },
            "freeze": {
                "agent": "unix:/var/lib/libvirt/qemu/channel/target/domain-1-db1/org.qemu.guest_agent.0",
                "deadline_ms": 20_000,
            },
        },
        "guest_sync": true,
        "require": "application",
        "level": 3,
        "settings": [
            setting("disks", "vg0/db1-root, vg0/db1-data", "[vm.db1]"),
            setting("require", "application", "built in"),
            setting("cow_size", "20%", "built in"),
            setting("lock_deadline_s", "30 s", "[defaults]"),
            setting("level", "3", "--level"),
        ],
        "notes": ["the guest mounts a disk at /mnt/scratch that is not among those that are backed up"],
    })
}

fn a_plan() -> Plan {
    serde_json::from_value(plan_document()).unwrap()
}

fn a_receipt() -> Receipt {
    let disk = |name: &str, raw: u64, allocated: u64, stored: u64, peak: u64, cow: u64| {
        json!({
            "origin": format!("vg0/{name}"), "image": format!("{name}.img.zst"), "raw_bytes": raw,
            "allocated_bytes": allocated, "stored_bytes": stored, "raw_blake3": "00", "stored_blake3": "00",
            "copy_ms": 6000,
            "evidence": {
                "target": name, "size_bytes": raw, "sector_size_bytes": 512, "table": "none", "verdict": "consistent",
                "findings": [], "volumes": [],
            },
            "cow": { "origin": format!("vg0/{name}"), "total_bytes": cow, "peak_bytes": peak, "points": [] },
        })
    };
    let thawed = |mountpoint: &str, disk: Option<&str>, proof: &Value| {
        let volume = disk.map(|_| "1");
        json!({ "mountpoint": mountpoint, "disk": disk, "volume": volume, "proof": proof })
    };
    serde_json::from_value(json!({
        "format": 1, "version": "0.1.0", "run": "20261121t195923z4f1a09c2d7e3", "vm": "db1",
        "started_at": "2026-11-21T19:59:23.000Z", "ended_at": "2026-11-21T20:04:25.000Z",
        "grade": "crash", "required": "application",
        "reasons": [
            "vg0/db1-data volume 0: it was not frozen at the snapshot: its log has 17 transactions to replay",
            "the database lock was lost inside the window: the server has gone away",
        ],
        "window": {
            "snapshot_at": "2026-11-21T19:59:26.000Z", "window_ms": 312, "stall_ms": 15226,
            "coordinates": {
                "file": "binlog.000417", "position": 51239,
                "gtid": "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-90210,7a3bfa47-71ca-11e1-9e33-c80aa9429562:1-5",
            },
            "lock": { "state": "held-through" }, "freeze": { "state": "counted", "frozen": 2, "thawed": 2 },
            "thaw": [
                thawed("/", Some("vg0/db1-root"), &json!({ "state": "seen-live", "after_ms": 8 })),
                thawed("/home", Some("vg0/db1-root"), &json!({ "state": "seen-live", "after_ms": 14 })),
                thawed("/srv", Some("vg0/db1-data"), &json!({ "state": "written" })),
                thawed("/mnt", None, &json!({ "state": "not-proven", "why": "which volume it is, is not known" })),
            ],
        },
        "disks": [
            disk("db1-root", 8 << 30, 3 << 30, 1288490188, 14 << 20, 1717986918),
            disk("db1-data", 200 << 30, 120 << 30, 41 << 30, 7500 << 20, 40 << 30),
        ],
        "plan": plan_document(),
        "peers": { "agent": "8.2.0", "database": "10.11.6-MariaDB" },
    }))
    .unwrap()
}

#[test]
fn a_plan_says_what_will_happen_and_what_somebody_chose() {
    assert_snapshot!("plan_pipe", plan(&a_plan(), false, None));
    assert_snapshot!("plan_150", plan(&a_plan(), false, Some(150)));
}

#[test]
fn on_a_narrow_terminal_its_rows_hang_under_their_beginning() {
    assert_snapshot!("plan_80_every_setting", plan(&a_plan(), true, Some(80)));
}

#[test]
fn a_guest_cannot_forge_a_row() {
    let mut forged = a_receipt();
    forged.reasons = vec!["the server said: gone\n    grade  application".to_owned()];
    let shown = receipt(&forged, None);
    assert!(shown.contains("the server said: gone\\n    grade  application\n"), "{shown}");
}

#[test]
fn a_receipt_says_the_grade_and_why_it_is_not_better() {
    assert_snapshot!("receipt_80", receipt(&a_receipt(), Some(80)));
    assert_snapshot!("receipt_pipe", receipt(&a_receipt(), None));
}

/// A plan with numbers to be checked: of a disk of which much is known, and of one of which little is.
#[test]
fn a_plan_says_in_numbers_whether_the_cow_lasts_and_what_else_there_is() {
    let mut document = plan_document();
    document["disks"][0]["cow_reason"] =
        json!("20% of the origin, more than the forecast: too little is known for less");
    document["disks"][0]["cow_verdict"] = json!("lasts");
    document["disks"][0]["forecast"] = json!({
        "basis": { "from": "measured", "written_per_second": 300_000, "over_ms": 3012 },
        "to_copy": 5_u64 << 30, "copy_per_second": 512 << 20, "copy_speed_is_known": false, "lasts_ms": 15_000,
        "lasts_at_most_ms": 30_000, "expected": 4_500_000, "need": 18_000_000, "room": 757_u64 << 30,
    });
    document["disks"][1]["cow_verdict"] = json!("tight");
    document["disks"][1]["forecast"] = json!({
        "basis": { "from": "earlier-runs", "runs": 7, "busier_percent": 140 },
        "to_copy": 38_u64 << 30, "copy_per_second": 120 << 20, "copy_speed_is_known": true, "lasts_ms": 340_000,
        "lasts_at_most_ms": 430_000, "expected": 30_u64 << 30, "need": 45_u64 << 30, "room": 757_u64 << 30,
    });
    document["dump"] = json!({ "when": "if-needed", "why": null });
    assert_snapshot!("plan_with_forecast", plan(&serde_json::from_value(document).unwrap(), false, Some(120)));
}

#[test]
fn the_receipt_of_a_dump_says_why_there_is_one_and_how_it_is_loaded() {
    let mut receipt_of_a_dump = serde_json::to_value(a_receipt()).unwrap();
    receipt_of_a_dump["disks"] = json!([]);
    receipt_of_a_dump["grade"] = json!("logical");
    receipt_of_a_dump["reasons"] = json!(["it is a dump: the COW of vg0/db1-data (1 GiB) was full after 128 s"]);
    receipt_of_a_dump["dump"] = json!({
        "file": "db1.sql.zst", "when": "during-copy", "why": "the COW was full", "client": "mariadb-dump from 10.11.6-MariaDB",
        "raw_bytes": 3_u64 << 30, "stored_bytes": 400 << 20, "raw_blake3": "00", "stored_blake3": "00", "took_ms": 93_000,
        "losses": [], "before_loading": [], "after_loading": ["FLUSH PRIVILEGES"],
    });
    assert_snapshot!("receipt_of_a_dump", receipt(&serde_json::from_value(receipt_of_a_dump).unwrap(), Some(120)));
}
