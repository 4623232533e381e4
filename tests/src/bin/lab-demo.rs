//! The demo, as it runs in the lab: a backup of the guest while rows are being committed, and the proof of what it holds.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::unwrap_used, reason = "a program for the lab's scripts")]

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use serde_json::Value;
use stillpoint_tests::lab::guest::{AGENT_SOCKET, Guest, product};
use stillpoint_tests::lab::proof::prove_rows;
use stillpoint_tests::lab::recovered::{ext4_at, unpack};
use stillpoint_tests::lab::volume::{DATA, ROOT};
use stillpoint_tests::machine::database_product::Product;

fn main() -> ExitCode {
    let started = Instant::now();
    let step = |what: &str| println!("\n== {:3} s  {what}", started.elapsed().as_secs());
    let program = std::env::var_os("STILLPOINT").unwrap();
    let folder = PathBuf::from("/run/share");
    let backups = folder.join("backup");
    std::fs::create_dir(&backups).unwrap();

    step("rows 1, 2, 3 ... are being committed in the guest, each in its own transaction");
    let guest = Guest::default();
    guest.start_ticks(20);
    println!("  row {} is committed", guest.wait_for_ticks(100));

    // The freeze of an idle XFS, MySQL's second disk, is proven within half a minute of its marker, which an emulated guest may not keep.
    let disks = match product() {
        Product::MariaDb => format!("--disk {ROOT} --disk {DATA}"),
        Product::MySql => format!("--disk {ROOT} --ignore-mount /srv/data"),
    };
    let arguments = format!(
        "backup db1 {disks} --agent unix:{AGENT_SOCKET} --db agent --cow-size 300M --to {} --name db1",
        backups.display()
    );
    step("the backup");
    println!("# stillpoint {arguments}");
    let mut backup = Command::new(program);
    backup.args(arguments.split(' ')).args(["--state-dir", "/run/share/state"]).arg0("stillpoint");
    // The ten lines come last, under the proof.
    let backed_up = backup.stdout(std::process::Stdio::piped()).spawn().unwrap().wait_with_output().unwrap();
    if !backed_up.status.success() {
        eprintln!("demo: the backup failed: {}", backed_up.status);
        return ExitCode::FAILURE;
    }

    let receipt: Value = serde_json::from_slice(&std::fs::read(backups.join("db1.json")).unwrap()).unwrap();
    let disk = &receipt["disks"][0];
    let (artifact, image) = (backups.join(disk["image"].as_str().unwrap()), folder.join("scratch.img"));
    step("the artifact is unpacked, by zstd");
    println!("# zstd -dc {} >{}", artifact.display(), image.display());
    unpack(&artifact, &image);

    let server = match product() {
        Product::MariaDb => "mariadbd",
        Product::MySql => "mysqld",
    };
    step(&format!(
        "a private {server} recovers the data directory found in it (debugfs takes it out, without a mount)"
    ));
    prove(&guest, &receipt, &ext4_at(&image, &disk["evidence"]["volumes"][0]["offset_bytes"]), &folder);

    step(&format!("the receipt, of {}", backups.join("db1.json").display()));
    print!("{}", String::from_utf8_lossy(&backed_up.stdout));
    ExitCode::SUCCESS
}

fn prove(guest: &Guest, receipt: &Value, filesystem: &str, folder: &Path) {
    prove_rows(guest, receipt, filesystem, folder);
    guest.stop_ticks();
}
