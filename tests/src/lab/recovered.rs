//! What a backup holds, taken out of it with other people's programs: zstd, debugfs and the database's own server.

mod prepare;

use std::fs::File;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use self::prepare::{Binlog, prepare};
use crate::machine::database_product::{Product, Programs};
use crate::machine::database_server::DatabaseServer;
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

/// A private server on a data directory taken out of an image. It ends when this is dropped.
#[derive(Debug)]
pub struct Recovered {
    server: DatabaseServer,
}

impl Recovered {
    /// Takes the data directory out of `filesystem` into `folder` and starts a server on it as [`Recovered::on`] does.
    pub fn start(filesystem: &str, folder: &Path) -> Self {
        run("debugfs", &["-R", &format!("rdump /var/lib/mysql {}", folder.display()), filesystem]);
        Self::on(&folder.join("mysql"), folder)
    }

    /// Starts a server on the data directory `data`, a copy that it may change: it recovers it as after a crash. Nobody but
    /// the caller reaches it, it reaches nobody, and it writes nowhere but there and in `folder`.
    ///
    /// Panics where the data are none that the server of this run understands, or something in them leads elsewhere.
    pub fn on(data: &Path, folder: &Path) -> Self {
        let programs = Programs::of_this_run();
        let version = programs.version();
        let version = version.split_once("Ver ").map_or(&*version, |(_, version)| version);
        let prepared = prepare(data, &folder.join("replication"), programs.product, version);
        let binlog = prepared.unwrap_or_else(|why| panic!("no server is started on {}: {why}", data.display()));
        Self { server: DatabaseServer::start_alone(folder, data, &options(programs.product, &binlog)) }
    }

    /// Whose server it is.
    pub fn product(&self) -> Product {
        self.server.product()
    }

    /// The rows that `statement` gives, a line each, columns separated by tabs.
    pub fn sql(&self, statement: &str) -> String {
        self.server.sql(statement)
    }

    /// Where the binlog stood at the last transaction that InnoDB holds, as InnoDB's recovery read it from its own pages
    /// and log, without looking at the binlog: file and position. MySQL's does not say.
    pub fn innodb_binlog_position(&self) -> (String, u64) {
        let log = self.server.log();
        let line = log.lines().find(|line| line.contains("InnoDB: Last binlog file '"));
        let line = line.unwrap_or_else(|| panic!("InnoDB names no binlog position:\n{log}"));
        let (path, position) = line.split_once('\'').and_then(|(_, rest)| rest.split_once("', position ")).unwrap();
        (path.rsplit('/').next().unwrap().to_owned(), position.trim().parse().unwrap())
    }
}

/// The options of a server on data from elsewhere, besides those that name its own files.
fn options(product: Product, binlog: &Binlog) -> Vec<String> {
    let unreachable = ["--skip-networking", "--skip-grant-tables", "--loose-mysqlx=OFF"];
    // Nothing that the data ask for is begun: no replication, no events. Of a server id that is no guest's.
    let replicates_not = match product {
        Product::MariaDb => "--skip-slave-start",
        Product::MySql => "--skip-replica-start",
    };
    let idle = [replicates_not, "--event-scheduler=DISABLED", "--server-id=99"];
    // Little address space, and only system calls that a kernel in user mode has.
    let modest = [
        "--innodb-buffer-pool-size=64M",
        "--loose-innodb-buffer-pool-size-max=64M",
        "--innodb-use-native-aio=0",
        "--innodb-flush-method=fsync",
    ];
    // With its binary log it knows which prepared transactions were committed.
    let log = [format!("--log-bin={}", binlog.base), format!("--log-bin-index={}", binlog.index)];
    let fixed = [&unreachable[..], &idle, &modest].concat().into_iter().map(str::to_owned);
    fixed.chain(log).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_is_told_to_reach_nobody_and_to_begin_nothing() {
        let binlog = Binlog { base: "vm-bin".to_owned(), index: "binlog.index".to_owned() };
        assert!(options(Product::MySql, &binlog).iter().any(|option| option == "--skip-replica-start"));
        let options = options(Product::MariaDb, &binlog);
        for needed in [
            "--skip-networking",
            "--skip-grant-tables",
            "--skip-slave-start",
            "--event-scheduler=DISABLED",
            "--server-id=99",
            "--log-bin=vm-bin",
            "--log-bin-index=binlog.index",
        ] {
            assert!(options.iter().any(|option| option == needed), "{needed}: {options:?}");
        }
        assert!(options.iter().all(|option| !option.contains("skip-log-bin")), "{options:?}");
    }
}
