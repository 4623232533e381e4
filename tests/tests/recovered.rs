//! A private server on data of a replica that died: it recovers them, and touches nothing else on this machine.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use stillpoint_tests::lab::recovered::Recovered;
use stillpoint_tests::machine::database_server::{self, DatabaseServer};
use stillpoint_tests::machine::program::run;
use tempfile::TempDir;

/// A source that lives on, and what its replica left behind: its data directory, and a copy of that.
struct Replication {
    source: DatabaseServer,
    original: PathBuf,
    folder: TempDir,
}

impl Replication {
    /// The replica is killed with the first 100 rows of `shop.t` applied, and replication as it was.
    fn died() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [source_data, original] = ["source", "replica"].map(|name| folder.path().join(name));
        for data in [&source_data, &original] {
            database_server::install(data, Path::new(env!("CARGO_TARGET_TMPDIR")));
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let listens = [format!("--port={port}"), "--bind-address=127.0.0.1".into(), "--server-id=1".into()];
        let source = DatabaseServer::start(&source_data, &[&listens[..], &["--log-bin=binlog".into()]].concat());
        source.sql("CREATE USER replica@'127.0.0.1' IDENTIFIED BY 'secret'");
        source.sql("GRANT REPLICATION SLAVE ON *.* TO replica@'127.0.0.1'");
        source.sql("CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY) ENGINE=InnoDB");
        source.sql("INSERT INTO shop.t SELECT seq FROM shop.seq_1_to_100");

        let replicates = ["--server-id=2", "--log-bin=binlog", "--log-slave-updates", "--skip-networking"];
        let replica = DatabaseServer::start(&original, &[&replicates[..], &["--relay-log=vm-relay-bin"]].concat());
        replica.sql(&format!(
            "CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT={port}, MASTER_USER='replica', \
             MASTER_PASSWORD='secret', MASTER_USE_GTID=slave_pos; START SLAVE"
        ));
        let end = Instant::now() + Duration::from_secs(60);
        while replica.client().args(["-e", "SELECT COUNT(*) FROM shop.t"]).output().unwrap().stdout != b"100\n" {
            assert!(Instant::now() < end, "nothing is replicated:\n{}", replica.log());
            sleep(Duration::from_millis(50));
        }
        // Killed, as its value is dropped. The source notices when it has something to send.
        drop(replica);
        while replicas_of(&source) != "0" {
            assert!(Instant::now() < end, "the source keeps the connection of the dead replica");
            source.sql("FLUSH BINARY LOGS");
        }
        assert!(original.join("master.info").exists());
        Self { source, original, folder }
    }

    /// A copy of the replica's data that names the originals by absolute paths, as a guest's can.
    fn copy(&self) -> PathBuf {
        let (folder, copy) = (self.folder.path().join("backup"), self.folder.path().join("backup/mysql"));
        fs::create_dir(&folder).unwrap();
        run("cp", &["-a".as_ref(), self.original.as_os_str(), copy.as_os_str()]);
        for index in ["binlog.index", "vm-relay-bin.index"] {
            let listed = fs::read_to_string(copy.join(index)).unwrap();
            let original = |line: &str| format!("{}/{}\n", self.original.display(), line.trim_start_matches("./"));
            fs::write(copy.join(index), listed.lines().map(original).collect::<String>()).unwrap();
        }
        copy
    }

    /// The replica's files with what is in them and when they were written.
    fn originals(&self) -> BTreeMap<String, String> {
        let listed = run(
            "find",
            &[self.original.as_os_str(), "-type".as_ref(), "f".as_ref(), "-printf".as_ref(), r"%T@ %p\n".as_ref()],
        );
        let content = |path: &str| blake3::hash(&fs::read(path).unwrap()).to_string();
        let files = listed.lines().map(|line| line.split_once(' ').unwrap());
        files.map(|(time, path)| (path.to_owned(), format!("{time} {}", content(path)))).collect()
    }
}

/// How many are connected to it as its replicas.
fn replicas_of(source: &DatabaseServer) -> String {
    source.sql("SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'replica'")
}

#[test]
fn a_replica_that_died_is_recovered_and_does_not_go_on_replicating() {
    let replication = Replication::died();
    let recovered = Recovered::on(&replication.copy(), &replication.folder.path().join("backup"));
    replication.source.sql("INSERT INTO shop.t VALUES (101)");
    assert_eq!(recovered.sql("SELECT COUNT(*), MAX(id) FROM shop.t"), "100\t100");
    assert_eq!(recovered.sql("SHOW ALL SLAVES STATUS"), "");
    assert_eq!(recovered.sql("SELECT @@skip_networking, @@event_scheduler, @@server_id"), "1\tDISABLED\t99");
    assert!(
        recovered.sql("SELECT @@gtid_binlog_pos").starts_with("0-1-"),
        "the source's transactions, from the binlog"
    );
    assert_eq!(replicas_of(&replication.source), "0");
}

#[test]
fn what_the_copy_names_by_absolute_paths_is_not_touched() {
    let replication = Replication::died();
    let before = replication.originals();
    let recovered = Recovered::on(&replication.copy(), &replication.folder.path().join("backup"));
    // All that a server does to its binlogs: it opens the last, goes on in a new one, and removes old ones.
    let binlogs = recovered.sql("DELETE FROM shop.t; FLUSH BINARY LOGS; SHOW BINARY LOGS");
    let newest = binlogs.lines().last().and_then(|line| line.split('\t').next()).unwrap();
    recovered.sql(&format!("PURGE BINARY LOGS TO '{newest}'"));
    assert!(!recovered.sql("SHOW BINARY LOGS").contains("binlog.000001"), "{binlogs}");
    drop(recovered);
    assert_eq!(replication.originals(), before);
}

#[test]
fn every_file_that_the_server_has_open_is_in_the_folder() {
    let replication = Replication::died();
    let folder = replication.folder.path().join("backup");
    let recovered = Recovered::on(&replication.copy(), &folder);
    let pid = fs::read_to_string(recovered.sql("SELECT @@pid_file")).unwrap();
    let open = fs::read_dir(format!("/proc/{}/fd", pid.trim())).unwrap().flatten();
    let open: Vec<PathBuf> = open.filter_map(|fd| fs::read_link(fd.path()).ok()).collect();
    let files: Vec<&PathBuf> = open.iter().filter(|path| path.is_absolute() && !path.starts_with("/dev")).collect();
    assert!(files.iter().any(|path| path.ends_with("ibdata1")), "{open:?}");
    let temporary = recovered.sql("SELECT @@tmpdir");
    assert!(files.iter().any(|path| path.starts_with(&temporary)), "no temporary file in {temporary}: {open:?}");
    assert!(files.iter().all(|path| path.starts_with(&folder)), "{files:?}");
}

#[test]
fn no_server_is_started_on_data_with_a_schema_elsewhere() {
    let replication = Replication::died();
    let copy = replication.copy();
    fs::remove_dir_all(copy.join("shop")).unwrap();
    symlink(replication.original.join("shop"), copy.join("shop")).unwrap();
    let before = replication.originals();
    let refused = catch_unwind(|| Recovered::on(&copy, copy.parent().unwrap())).unwrap_err();
    let why = refused.downcast_ref::<String>().unwrap();
    assert!(why.contains("shop is a symlink out of it, to "), "{why}");
    assert_eq!(replication.originals(), before);
}
