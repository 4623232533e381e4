//! A MariaDB of a test's own.

use std::fs;
use std::path::{Path, PathBuf};

use stillpoint_tests::machine::database_server::{DatabaseServer, install};
use tempfile::TempDir;

pub struct Server {
    // Killed before its data go.
    pub mariadbd: Option<DatabaseServer>,
    folder: TempDir,
}

impl Server {
    /// A new one.
    pub fn start(options: &[&str]) -> Self {
        Self::start_in(&std::env::temp_dir(), options)
    }

    /// A new one with its data below `folder`.
    pub fn start_in(folder: &Path, options: &[&str]) -> Self {
        let folder = tempfile::tempdir_in(folder).unwrap();
        install(&folder.path().join("data"), Path::new(env!("CARGO_TARGET_TMPDIR")));
        let mut server = Self { mariadbd: None, folder };
        server.start_again(options);
        server
    }

    /// On the data that are there.
    pub fn start_again(&mut self, options: &[&str]) {
        let always = ["--skip-networking", "--innodb-buffer-pool-size=16M", "--log-bin=log", "--server-id=11"];
        self.mariadbd = Some(DatabaseServer::start(&self.data(), &[&always, options].concat()));
    }

    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    #[track_caller]
    pub fn sql(&self, statements: &str) -> String {
        self.mariadbd.as_ref().unwrap().sql(statements)
    }

    /// The binary log that it writes, the position in it, and `@@gtid_binlog_pos`.
    pub fn coordinates(&self) -> (String, u64, String) {
        let said = self.sql("SHOW MASTER STATUS; SELECT @@gtid_binlog_pos");
        let mut words = said.split_whitespace();
        let (file, position) = (words.next().unwrap().to_owned(), words.next().unwrap().parse().unwrap());
        (file, position, words.last().unwrap_or_default().to_owned())
    }

    /// How far its redo log goes: up to there it is in its file then. Asked in this order, as there is always some thread that
    /// may write more between two statements.
    pub fn lsn(&self) -> u64 {
        let said = self.sql("SHOW GLOBAL STATUS LIKE 'Innodb_lsn_current'; FLUSH LOCAL ENGINE LOGS");
        said.split_whitespace().last().unwrap().parse().unwrap()
    }

    pub fn file(&self, name: &str) -> Vec<u8> {
        fs::read(self.data().join(name)).unwrap()
    }

    /// Kills it.
    pub fn kill(&mut self) {
        self.mariadbd = None;
    }

    /// Has it shut down in good order.
    pub fn shut_down(&mut self) {
        self.sql("SHUTDOWN");
        let pid_file = self.mariadbd.as_ref().unwrap().socket().with_file_name("pid");
        // It takes the file with it at the end.
        for _ in 0..1200 {
            if !pid_file.exists() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        assert!(!pid_file.exists(), "mariadbd does not end");
        self.mariadbd = None;
    }
}
