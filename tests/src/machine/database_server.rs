//! A real database server of a test's own.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::fcntl::{Flock, FlockArg};
use tempfile::TempDir;

use super::database_product::{Product, Programs};
use super::program::{run, text};

/// How long it may take to listen: also where it recovers a database, on an emulated machine.
const PATIENCE: Duration = Duration::from_secs(300);

/// The error log. Without a dot in its name it would get an ending.
const LOG: &str = "log.err";

/// A server on a socket of its own. It is killed with the value: its data are a test's.
#[derive(Debug)]
pub struct DatabaseServer {
    process: Child,
    programs: Programs,
    /// For its socket, which not every filesystem takes, and its log.
    folder: TempDir,
}

impl DatabaseServer {
    /// Starts a server on the data directory `data`, with more of its options, and waits until it listens.
    pub fn start<S: AsRef<OsStr>>(data: &Path, options: &[S]) -> Self {
        let programs = Programs::of_this_run();
        Self::spawn(Command::new(programs.server()), programs, tempfile::tempdir().unwrap(), data, options)
    }

    /// The same in a network namespace of its own, whatever the options and the data say of others, and with its own files
    /// in `scratch`, as far as that takes sockets. Needs root.
    pub fn start_alone<S: AsRef<OsStr>>(scratch: &Path, data: &Path, options: &[S]) -> Self {
        let programs = Programs::of_this_run();
        let mut alone = Command::new("unshare");
        alone.arg("--net").arg(programs.server());
        Self::spawn(alone, programs, folder_for_a_socket(scratch), data, options)
    }

    /// `command` becomes the server.
    fn spawn<S: AsRef<OsStr>>(
        mut command: Command,
        programs: Programs,
        folder: TempDir,
        data: &Path,
        options: &[S],
    ) -> Self {
        let log = File::options().create(true).append(true).open(folder.path().join(LOG)).unwrap();
        // The server of a distribution refuses to run as root unless it is told to.
        let process = command
            .args(["--no-defaults", "--user=root"])
            .args(files(programs.product, data, folder.path()))
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("a database server is needed: {error}"));
        let mut server = Self { process, programs, folder };
        server.wait_until_up();
        server
    }

    fn wait_until_up(&mut self) {
        let end = Instant::now() + PATIENCE;
        // The socket is there a moment before anybody listens on it.
        while UnixStream::connect(self.socket()).is_err() {
            let ended = self.process.try_wait().unwrap();
            assert!(ended.is_none() && Instant::now() < end, "the server does not listen:\n{}", self.log());
            sleep(Duration::from_millis(50));
        }
    }

    /// Whose server it is.
    pub fn product(&self) -> Product {
        self.programs.product
    }

    /// Shuts it down in good order, and waits for its end.
    pub fn shut_down(mut self) {
        self.sql("SHUTDOWN");
        self.process.wait().unwrap();
    }

    /// Where it listens.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    /// Its error log.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.folder.path().join(LOG)).unwrap_or_default()).into_owned()
    }

    /// The stock client, as root on its socket, which prints rows only, columns separated by tabs.
    pub fn client(&self) -> Command {
        let mut client = self.programs.client();
        client.arg("--no-defaults").arg(format!("--socket={}", self.socket().display()));
        client.args(["-uroot", "-N", "-B", "-n"]);
        if self.product() == Product::MariaDb {
            // From 11.4 on it insists on TLS.
            client.arg("--skip-ssl");
        }
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

/// The options that name a server's files. Each has a default elsewhere on the machine: in /tmp it would remove at its start
/// the temporary tables that other servers have open.
fn files(product: Product, data: &Path, folder: &Path) -> Vec<String> {
    let of_replicas = match product {
        Product::MariaDb => ("slave-load-tmpdir", ""),
        Product::MySql => ("replica-load-tmpdir", ""),
    };
    let mut own = vec![("socket", "socket"), ("pid-file", "pid"), ("log-error", LOG), ("tmpdir", ""), of_replicas];
    if product == Product::MySql {
        own.extend([("mysqlx-socket", "mysqlx"), ("secure-file-priv", "")]);
    }
    let own = own.into_iter().map(|(option, name)| (option, folder.join(name)));
    let all = [("datadir", data.to_owned())].into_iter().chain(own);
    all.map(|(option, file)| format!("--{option}={}", file.display())).collect()
}

/// A folder of ours in `scratch`, or among the temporary ones where a socket cannot be made there: not every filesystem takes
/// them, and their paths are short.
fn folder_for_a_socket(scratch: &Path) -> TempDir {
    let folder = TempDir::new_in(scratch).unwrap();
    let probe = folder.path().join("socket");
    if UnixListener::bind(&probe).is_ok() {
        fs::remove_file(&probe).unwrap();
        return folder;
    }
    tempfile::tempdir().unwrap()
}

impl Drop for DatabaseServer {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// A new data directory at `data`: a copy of one that was made once in the folder `cache`.
pub fn install(data: &Path, cache: &Path) {
    let programs = Programs::of_this_run();
    let made = cache.join(format!("{}-data", programs.name()));
    // One test at a time, of all programs that run.
    let lock = File::create(made.with_extension("lock")).unwrap();
    let _turn = Flock::lock(lock, FlockArg::LockExclusive).map_err(|(_, errno)| errno).unwrap();
    let version = programs.version();
    if !fs::read_to_string(made.join("made-by")).is_ok_and(|by| by == version) {
        fs::remove_dir_all(&made).ok();
        programs.make_data(&made);
        fs::write(made.join("made-by"), &version).unwrap();
    }
    run("cp", &["-a".as_ref(), made.as_os_str(), data.as_os_str()]);
    // The identity of a MySQL server, which no two have.
    fs::remove_file(data.join("auto.cnf")).ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_has_all_its_files_in_its_two_folders() {
        let options = |product| files(product, Path::new("/data"), Path::new("/own"));
        assert_eq!(
            options(Product::MariaDb),
            [
                "--datadir=/data",
                "--socket=/own/socket",
                "--pid-file=/own/pid",
                "--log-error=/own/log.err",
                "--tmpdir=/own/",
                "--slave-load-tmpdir=/own/",
            ]
        );
        let [.., of_replicas, x_protocol, exports] = &options(Product::MySql)[..] else { panic!() };
        assert_eq!(of_replicas, "--replica-load-tmpdir=/own/");
        assert_eq!([x_protocol, exports], ["--mysqlx-socket=/own/mysqlx", "--secure-file-priv=/own/"]);
    }

    #[test]
    fn where_a_path_is_too_long_for_a_socket_the_server_gets_a_temporary_folder() {
        let scratch = tempfile::tempdir().unwrap();
        assert!(folder_for_a_socket(scratch.path()).path().starts_with(scratch.path()));
        let long = scratch.path().join("x".repeat(100));
        fs::create_dir(&long).unwrap();
        let folder = folder_for_a_socket(&long);
        assert!(!folder.path().starts_with(&long));
        assert_eq!(fs::read_dir(&long).unwrap().count(), 0);
    }
}
