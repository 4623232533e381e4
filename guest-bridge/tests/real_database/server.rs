//! A private MariaDB server, in a temporary directory, on a socket and a loopback port of its own.

use std::os::unix::net::UnixStream;
use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use guest_bridge::database::{
    Credentials, OpenSession,
    net::{Address, NetSession},
};

/// Ends with the value, also when a test panics.
pub struct PrivateServer {
    process: Child,
    directory: TempDir,
    pub port: u16,
}

/// The account of the private server that needs a password.
pub const PASSWORD: &str = "pass \"w'ö#rd\\";

impl PrivateServer {
    /// With a binlog and GTIDs; anybody on the machine's socket is root, `stillpoint` needs [`PASSWORD`].
    pub fn start() -> Self {
        Self::start_with(&["--log-bin=binlog"])
    }

    pub fn start_with(options: &[&str]) -> Self {
        let directory = tempfile::Builder::new().prefix("stillpoint-db-").tempdir().expect("a directory");
        let port = TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr()).expect("a free port").port();
        let data = directory.path().join("data");
        run(Command::new("cp").arg("-a").arg(template()).arg(&data));
        // The server of a distribution refuses to run as root unless it is told to.
        let process = Command::new("mariadbd")
            .args(["--no-defaults", "--user=root", "--bind-address=127.0.0.1", "--innodb-buffer-pool-size=16M"])
            .args(["--performance-schema=ON", "--performance-schema-instrument=wait/lock/metadata/sql/mdl=ON"])
            .arg("--innodb-log-file-size=8M")
            .arg(format!("--port={port}"))
            .arg(format!("--datadir={}", data.display()))
            .arg(format!("--socket={}", directory.path().join("sock").display()))
            .arg(format!("--pid-file={}", directory.path().join("pid").display()))
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(directory.path().join("log")).expect("a log"))
            .spawn()
            .expect("mariadbd starts");
        let server = Self { process, directory, port };
        server.wait();
        server.sql("CREATE DATABASE shop; CREATE TABLE shop.orders (id INT PRIMARY KEY); CREATE TABLE shop.visits (id INT PRIMARY KEY);");
        let quoted = PASSWORD.replace('\\', "\\\\").replace('\'', "\\'");
        server.sql(&format!("CREATE USER stillpoint IDENTIFIED BY '{quoted}'; GRANT ALL ON *.* TO stillpoint;"));
        server
    }

    fn wait(&self) {
        let started = Instant::now();
        // The socket is there a moment before anybody listens on it.
        while UnixStream::connect(self.socket()).is_err() {
            let log = || fs::read_to_string(self.directory.path().join("log")).unwrap_or_default();
            assert!(started.elapsed() < Duration::from_secs(60), "mariadbd does not listen: {}", log());
            thread::sleep(Duration::from_millis(50));
        }
    }

    pub fn socket(&self) -> PathBuf {
        self.directory.path().join("sock")
    }

    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Root on the socket.
    pub fn open(&self) -> OpenSession {
        NetSession::opener(Address::Unix(self.socket()), Credentials::new("root", None))
    }

    /// Runs statements with the stock client, as somebody else would.
    pub fn sql(&self, statements: &str) -> String {
        let output = self.client().arg("-e").arg(statements).output().expect("the client starts");
        assert!(output.status.success(), "{statements}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    /// A stock client that executes `statements` and then keeps its session until the returned value is dropped.
    pub fn visitor(&self, statements: &str) -> Visitor {
        use std::io::Write;
        let mut process = self.client().stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("the client starts");
        let mut input = process.stdin.take().expect("a pipe");
        writeln!(input, "{statements}").expect("the client reads");
        Visitor { process, _input: input }
    }

    /// Processes of sessions through an agent that connect here.
    pub fn agent_clients(&self) -> Vec<u32> {
        let socket = format!("--socket={}", self.socket().display());
        let is_one = |line: &[u8]| {
            let mut words = line.split(|byte| *byte == 0);
            words.clone().any(|word| word == socket.as_bytes())
                && words.any(|word| word.starts_with(b"--defaults-extra-file="))
        };
        fs::read_dir("/proc")
            .expect("procfs")
            .flatten()
            .filter(|entry| fs::read(entry.path().join("cmdline")).is_ok_and(|line| is_one(&line)))
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .collect()
    }

    fn client(&self) -> Command {
        let mut command = Command::new("mariadb");
        command.arg("--no-defaults").arg(format!("--socket={}", self.socket().display()));
        command.args(["-uroot", "-N", "-B", "-n"]);
        command
    }
}

impl Drop for PrivateServer {
    fn drop(&mut self) {
        // Clients that a test has abandoned, as a dead coordinator would: their scripts clean up after them.
        for pid in self.agent_clients() {
            Command::new("kill").arg(pid.to_string()).stderr(Stdio::null()).status().ok();
        }
        self.process.kill().ok();
        self.process.wait().ok();
        if thread::panicking() {
            eprintln!("{}", fs::read_to_string(self.directory.path().join("log")).unwrap_or_default());
        }
    }
}

/// Another user of the server.
pub struct Visitor {
    process: Child,
    _input: ChildStdin,
}

impl Drop for Visitor {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A data directory as `mariadb-install-db` makes it: made once a run, copied for each server.
fn template() -> &'static Path {
    static TEMPLATE: OnceLock<PathBuf> = OnceLock::new();
    TEMPLATE.get_or_init(|| {
        let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("mariadb-data");
        fs::remove_dir_all(&directory).ok();
        run(Command::new("mariadb-install-db")
            .args(["--no-defaults", "--user=root", "--skip-test-db", "--auth-root-authentication-method=normal"])
            .arg("--innodb-log-file-size=8M")
            .arg(format!("--datadir={}", directory.display())));
        directory
    })
}
