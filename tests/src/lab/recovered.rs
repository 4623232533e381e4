//! What a backup holds, taken out of it with other people's programs: zstd, debugfs and MariaDB itself.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::machine::mariadbd::Mariadbd;
use crate::machine::program::{run, text, try_run};

/// `zstd -dc ARTIFACT >IMAGE`: the artifact is the disk, for anyone.
pub fn unpack(artifact: &Path, image: &Path) {
    let unpacked = Command::new("zstd")
        .args(["-q", "-dc", "--sparse"])
        .arg(artifact)
        .stdout(File::create(image).unwrap())
        .status();
    assert!(unpacked.unwrap().success(), "zstd cannot unpack {}", artifact.display());
}

/// The ext4 at `offset_bytes` of `image`, as e2fsprogs name it.
pub fn ext4_at(image: &Path, offset_bytes: &Value) -> String {
    format!("{}?offset={offset_bytes}", image.display())
}

/// What `path` holds in the filesystem, read without mounting it.
pub fn cat(filesystem: &str, path: &str) -> String {
    run("debugfs", &["-R", &format!("cat {path}"), filesystem])
}

/// Lets e2fsck bring the filesystem in order as a mount would, and asserts that all there was to do was to release the
/// inodes that were deleted while open: no journal to replay, nothing to repair. Changes the image.
pub fn assert_needs_no_replay_and_no_repair(filesystem: &str) {
    let preened = try_run("e2fsck", &["-fp", filesystem]);
    let said = text(&preened);
    assert!(matches!(preened.status.code(), Some(0 | 1)), "{said}");
    assert!(!said.contains("recovering journal"), "{said}");
    run("e2fsck", &["-fn", filesystem]);
}

/// A private MariaDB on a data directory taken out of an image. It ends when this is dropped.
#[derive(Debug)]
pub struct Recovered {
    server: Mariadbd,
}

impl Recovered {
    /// Takes the data directory out of `filesystem` into `folder` and starts a server on it, which recovers it as after a
    /// crash. Nobody but the caller reaches it: no network, a socket of its own.
    pub fn start(filesystem: &str, folder: &Path) -> Self {
        run("debugfs", &["-R", &format!("rdump /var/lib/mysql {}", folder.display()), filesystem]);
        let data = folder.join("mysql");
        // The index lists the binlogs by the path that they had in the guest.
        let index = fs::read_to_string(data.join("binlog.index")).unwrap();
        fs::write(data.join("binlog.index"), index.replace("/var/lib/mysql/", "./")).unwrap();

        let alone = ["--skip-networking", "--skip-grant-tables", "--server-id=1", "--log-bin=binlog"];
        // Little address space, and only system calls that a kernel in user mode has.
        let modest = [
            "--innodb-buffer-pool-size=64M",
            "--loose-innodb-buffer-pool-size-max=64M",
            "--innodb-use-native-aio=0",
            "--innodb-flush-method=fsync",
        ];
        Self { server: Mariadbd::start(&data, &[alone, modest].concat()) }
    }

    /// The rows that `statement` gives, a line each, columns separated by tabs.
    pub fn sql(&self, statement: &str) -> String {
        self.server.sql(statement)
    }

    /// Where the binlog stood at the last transaction that InnoDB holds, as InnoDB's recovery read it from its own pages
    /// and log, without looking at the binlog: file and position.
    pub fn innodb_binlog_position(&self) -> (String, u64) {
        let log = self.server.log();
        let line = log.lines().find(|line| line.contains("InnoDB: Last binlog file '"));
        let line = line.unwrap_or_else(|| panic!("InnoDB names no binlog position:\n{log}"));
        let (path, position) = line.split_once('\'').and_then(|(_, rest)| rest.split_once("', position ")).unwrap();
        (path.rsplit('/').next().unwrap().to_owned(), position.trim().parse().unwrap())
    }
}
