//! The proof that a backup holds what was committed before its coordinates, and nothing else.
#![allow(clippy::print_stdout, reason = "the demo shows the proof; a test's output is captured")]

use std::path::Path;

use serde_json::Value;

use super::guest::{Guest, product};
use super::recovered::Recovered;
use crate::machine::database_product::Product;

/// Recovers the database of `filesystem`, in `folder`, and asserts that
///
/// - its rows are exactly those that the live server committed before the receipt's coordinates, by the live server's own
///   binlog, and there are rows that it committed after them;
/// - the receipt's coordinates are where the recovered database ends: by the length of the binlog beside it, by the GTID that the server
///   reads from it, and by InnoDB's own record, which MariaDB's keeps, and which is exact where commits waited.
///
/// Prints each as a line.
pub fn prove_rows(guest: &Guest, receipt: &Value, filesystem: &str, folder: &Path) {
    let coordinates = &receipt["window"]["coordinates"];
    let file = coordinates["file"].as_str().unwrap();
    let position = coordinates["position"].as_u64().unwrap();
    let gtid = coordinates["gtid"].as_str().unwrap();
    let logs = &receipt["window"]["engine_logs"]["state"];
    let moment = if logs == "written-at-commit" { "snapshot" } else { "lock" };

    guest.wait_for_ticks(1);
    let (before, after) = committed_ticks(guest, file, position);
    assert!(!before.is_empty() && !after.is_empty(), "no rows on both sides of {file}:{position}");

    let recovered = Recovered::start(filesystem, folder);
    let rows = ids(&recovered.sql("SELECT id FROM stillpoint_demo.ticks ORDER BY id"));
    assert_eq!(rows, before, "the recovered rows are not those committed before the {moment}");
    assert!(after.iter().all(|id| !rows.contains(id)), "a row committed after the {moment} is in the backup");
    let gaps = (1..).zip(&rows).filter(|(number, id)| number != *id).count();
    assert_eq!(gaps, 0, "the rows are not numbered without a gap");
    println!("  rows     1 to {} are there: all that was committed before the {moment}, without a gap", rows.len());
    println!(
        "  rows     from {} on are not: {} were committed after it, by the live server's binlog",
        after[0],
        after.len()
    );

    let binlogs = recovered.sql("SHOW BINARY LOGS");
    let found: Vec<&str> = binlogs.lines().rev().nth(1).unwrap_or_default().split('\t').take(2).collect();
    assert_eq!(found, [file, &position.to_string()], "the newest binlog in the backup:\n{binlogs}");
    let server_gtid = match recovered.product() {
        Product::MariaDb => recovered.sql("SELECT @@gtid_binlog_pos"),
        Product::MySql => recovered.sql("SELECT REPLACE(@@gtid_executed, '\n', '')"),
    };
    assert_eq!(server_gtid, gtid);
    match recovered.product() {
        Product::MariaDb if moment == "lock" => {
            let innodb = recovered.innodb_binlog_position();
            assert_eq!(innodb, (file.to_owned(), position), "InnoDB's last transaction is elsewhere in the binlog");
            println!("  binlog   {file}:{position} in the receipt; InnoDB's recovery says {}:{}", innodb.0, innodb.1);
        }
        _ => println!("  binlog   {file}:{position} in the receipt; the recovered server's has {} bytes", found[1]),
    }
    println!("  gtid     {gtid} in the receipt, and on the recovered server");
}

/// The ids of the ticks that the live server committed up to `position` of the binlog `file`, and from there on.
fn committed_ticks(guest: &Guest, file: &str, position: u64) -> (Vec<u64>, Vec<u64>) {
    let inserted = "awk '/^### (INSERT|UPDATE|DELETE) / { tick = /INSERT INTO `stillpoint_demo`.`ticks`/ } \
                    tick && sub(/^###   @1=/, \"\")'";
    let program = match product() {
        Product::MariaDb => "mariadb-binlog",
        Product::MySql => "mysqlbinlog",
    };
    let decode = format!("cd /var/lib/mysql; {program} -v --base64-output=DECODE-ROWS");
    let before = format!("$(sed '/{file}$/q' binlog.index)");
    let after = format!("$(sed -n '/{file}$/,$p' binlog.index)");
    (
        ids(&guest.sh(&format!("{decode} --stop-position={position} {before} | {inserted}"))),
        ids(&guest.sh(&format!("{decode} --start-position={position} {after} | {inserted}"))),
    )
}

fn ids(lines: &str) -> Vec<u64> {
    lines.lines().map(|line| line.parse().unwrap()).collect()
}
