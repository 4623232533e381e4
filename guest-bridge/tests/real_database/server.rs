//! A private server, of MariaDB or MySQL, with two accounts and two tables, also on a loopback port of its own.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use guest_bridge::database::{
    Credentials, OpenSession,
    net::{Address, NetSession, Tls},
};
use stillpoint_tests::machine::database_product::{Product, Programs};
use stillpoint_tests::machine::database_server::{self, DatabaseServer};
use tempfile::TempDir;

/// Ends with the value, also when a test panics.
pub struct PrivateServer {
    server: DatabaseServer,
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
        Self::start_in(&std::env::temp_dir(), options)
    }

    /// With its data below `folder`.
    pub fn start_in(folder: &Path, options: &[&str]) -> Self {
        let directory = tempfile::Builder::new().prefix("stillpoint-db-").tempdir_in(folder).expect("a directory");
        let port = TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr()).expect("a free port").port();
        let data = directory.path().join("data");
        database_server::install(&data, Path::new(env!("CARGO_TARGET_TMPDIR")));
        let own_port = format!("--port={port}");
        let always = [
            "--bind-address=127.0.0.1",
            &own_port,
            "--innodb-buffer-pool-size=16M",
            "--performance-schema=ON",
            "--performance-schema-instrument=wait/lock/metadata/sql/mdl=ON",
        ];
        let of_product: &[&str] = match Programs::of_this_run().product {
            Product::MariaDb => &["--innodb-log-file-size=8M"],
            Product::MySql => &["--mysqlx=OFF"],
        };
        let server = DatabaseServer::start(&data, &[&always, of_product, options].concat());
        if options.contains(&"--wsrep-on=ON") {
            wait_until_ready(&server);
        }
        server.sql("CREATE DATABASE shop; CREATE TABLE shop.orders (id INT PRIMARY KEY); CREATE TABLE shop.visits (id INT PRIMARY KEY);");
        let quoted = PASSWORD.replace('\\', "\\\\").replace('\'', "\\'");
        server.sql(&format!("CREATE USER stillpoint IDENTIFIED BY '{quoted}'; GRANT ALL ON *.* TO stillpoint;"));
        Self { server, directory, port }
    }

    pub fn socket(&self) -> PathBuf {
        self.server.socket()
    }

    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Root on the socket.
    pub fn open(&self) -> OpenSession {
        NetSession::opener(Address::Unix(self.socket()), Credentials::new("root", None), Tls::default())
    }

    /// Whose server it is.
    pub fn product(&self) -> Product {
        self.server.product()
    }

    /// Binlog file and position, and what else it says of them.
    pub fn binlog_status(&self) -> String {
        self.sql(match self.product() {
            Product::MariaDb => "SHOW MASTER STATUS",
            Product::MySql => "SHOW BINARY LOG STATUS",
        })
    }

    /// The transactions in its binlog.
    pub fn gtids_written(&self) -> String {
        self.sql(match self.product() {
            Product::MariaDb => "SELECT @@gtid_binlog_pos",
            Product::MySql => "SELECT @@gtid_executed",
        })
    }

    /// What an account needs to see the binlog's position.
    pub fn binlog_privilege(&self) -> &'static str {
        match self.product() {
            Product::MariaDb => "BINLOG MONITOR",
            Product::MySql => "REPLICATION CLIENT",
        }
    }

    /// Runs statements with the stock client, as somebody else would.
    pub fn sql(&self, statements: &str) -> String {
        self.server.sql(statements)
    }

    /// Loads what a dump has, as root on its socket.
    pub fn load(&self, dump: &[u8]) {
        use std::io::Write;
        let mut client = self.server.client();
        let mut process = client.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("the client starts");
        let written = process.stdin.take().expect("a pipe").write_all(dump);
        let status = process.wait().expect("it ends");
        assert!(status.success() && written.is_ok(), "the dump does not load: {status}");
    }

    /// Ends it at once, as a crash does.
    pub fn crash(&self) {
        let pid = fs::read_to_string(self.socket().with_file_name("pid")).expect("a pid file");
        let killed = Command::new("kill").args(["-KILL", pid.trim()]).status().expect("kill");
        assert!(killed.success());
    }

    /// A stock client that executes `statements` and then keeps its session until the returned value is dropped.
    pub fn visitor(&self, statements: &str) -> Visitor {
        use std::io::Write;
        let mut process =
            self.server.client().stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("the client starts");
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
                && words.any(|word| word.starts_with(b"--defaults-file=/run/stillpoint."))
        };
        fs::read_dir("/proc")
            .expect("procfs")
            .flatten()
            .filter(|entry| fs::read(entry.path().join("cmdline")).is_ok_and(|line| is_one(&line)))
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .collect()
    }
}

/// A node of a cluster listens before it has formed one.
fn wait_until_ready(node: &DatabaseServer) {
    let started = Instant::now();
    while !node.sql("SHOW GLOBAL STATUS LIKE 'wsrep_ready'").ends_with("ON") {
        assert!(started.elapsed() < Duration::from_secs(60), "the node forms no cluster:\n{}", node.log());
        thread::sleep(Duration::from_millis(50));
    }
}

impl Drop for PrivateServer {
    fn drop(&mut self) {
        // Clients that a test has abandoned, as a dead coordinator would: their scripts clean up after them.
        for pid in self.agent_clients() {
            Command::new("kill").arg(pid.to_string()).stderr(Stdio::null()).status().ok();
        }
        if thread::panicking() {
            eprintln!("{}", self.server.log());
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
