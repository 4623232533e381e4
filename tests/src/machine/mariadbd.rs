//! A real MariaDB server of a test's own.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::fcntl::{Flock, FlockArg};
use tempfile::TempDir;

use super::program::{run, text};

/// How long it may take to listen: also where it recovers a database, on an emulated machine.
const PATIENCE: Duration = Duration::from_secs(300);

/// A server on a socket of its own. It is killed with the value: its data are a test's.
#[derive(Debug)]
pub struct Mariadbd {
    process: Child,
    /// For its socket, which not every filesystem takes, and its log.
    folder: TempDir,
}

impl Mariadbd {
    /// Starts a server on the data directory `data`, with more of its options, and waits until it listens.
    pub fn start<S: AsRef<OsStr>>(data: &Path, options: &[S]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let option = |name: &str, file: &Path| format!("--{name}={}", file.display());
        // The server of a distribution refuses to run as root unless it is told to.
        let process = Command::new("mariadbd")
            .args(["--no-defaults", "--user=root"])
            .arg(option("datadir", data))
            .arg(option("socket", &folder.path().join("socket")))
            .arg(option("pid-file", &folder.path().join("pid")))
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(folder.path().join("log")).unwrap())
            .spawn()
            .unwrap_or_else(|error| panic!("mariadbd is needed: {error}"));
        let mut server = Self { process, folder };
        server.wait_until_up();
        server
    }

    fn wait_until_up(&mut self) {
        let end = Instant::now() + PATIENCE;
        // The socket is there a moment before anybody listens on it.
        while UnixStream::connect(self.socket()).is_err() {
            let ended = self.process.try_wait().unwrap();
            assert!(ended.is_none() && Instant::now() < end, "mariadbd does not listen:\n{}", self.log());
            sleep(Duration::from_millis(50));
        }
    }

    /// Where it listens.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    /// Its error log.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.folder.path().join("log")).unwrap_or_default()).into_owned()
    }

    /// The stock client, as root on its socket, which prints rows only, columns separated by tabs.
    pub fn client(&self) -> Command {
        let mut client = Command::new("mariadb");
        client.arg("--no-defaults").arg(format!("--socket={}", self.socket().display()));
        client.args(["-uroot", "-N", "-B", "-n"]);
        client
    }

    /// What `statements` print.
    #[track_caller]
    pub fn sql(&self, statements: &str) -> String {
        let output = self.client().args(["-e", statements]).output().unwrap();
        assert!(output.status.success(), "{statements}: {}", text(&output));
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }
}

impl Drop for Mariadbd {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// A new data directory at `data`: a copy of one that `mariadb-install-db` made once in the folder `cache`.
pub fn install(data: &Path, cache: &Path) {
    let made = cache.join("mariadb-data");
    // One test at a time, of all programs that run.
    let lock = File::create(cache.join("mariadb-data.lock")).unwrap();
    let _turn = Flock::lock(lock, FlockArg::LockExclusive).map_err(|(_, errno)| errno).unwrap();
    let version = run("mariadbd", &["--no-defaults", "--version"]);
    if !fs::read_to_string(made.join("made-by")).is_ok_and(|by| by == version) {
        fs::remove_dir_all(&made).ok();
        let datadir = format!("--datadir={}", made.display());
        let root = ["--user=root", "--auth-root-authentication-method=normal"];
        let small = ["--skip-test-db", "--innodb-log-file-size=8M"];
        run("mariadb-install-db", &[&["--no-defaults"], &root[..], &small, &[&datadir]].concat());
        fs::write(made.join("made-by"), &version).unwrap();
    }
    run("cp", &["-a".as_ref(), made.as_os_str(), data.as_os_str()]);
}
