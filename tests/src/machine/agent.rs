//! A real `qemu-ga` that runs on this machine.
//!
//! **It sees this machine's filesystems**: `guest-fsfreeze-freeze` would freeze them all, and this machine with them. Only
//! ever ask it to freeze a test's own [`Mount`](super::mount::Mount), by `guest-fsfreeze-freeze-list`, and be
//! [alone](super::alone::alone) before a thaw.

use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::database_product::Programs;

/// How long it may take to listen.
const PATIENCE: Duration = Duration::from_secs(60);

/// A `qemu-ga` of a test's own. It ends with the value.
#[derive(Debug)]
pub struct PrivateAgent {
    process: Child,
    folder: TempDir,
}

impl PrivateAgent {
    /// Starts it, with more of its options, and waits until it listens.
    pub fn start(options: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Programs::of_this_run().at_home("/usr/sbin/qemu-ga");
        command.args(["-m", "unix-listen", "-p"]).arg(folder.path().join("socket"));
        command.arg("-t").arg(folder.path()).arg("-f").arg(folder.path().join("pid")).args(options);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn().unwrap_or_else(|error| panic!("/usr/sbin/qemu-ga is needed: {error}"));
        let agent = Self { process, folder };
        let end = Instant::now() + PATIENCE;
        // The socket is there a moment before anybody listens on it.
        while UnixStream::connect(agent.socket()).is_err() {
            assert!(Instant::now() < end, "qemu-ga does not listen");
            sleep(Duration::from_millis(20));
        }
        agent
    }

    /// Where it listens.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for PrivateAgent {
    fn drop(&mut self) {
        // SIGKILL: a frozen agent ignores SIGTERM.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}
