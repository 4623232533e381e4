//! An agent with a fault that the real one does not show on demand.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread;

use tempfile::TempDir;

use super::guest::AGENT_SOCKET;

/// Longest command that a client may send.
const MAX_COMMAND_BYTES: u64 = 1 << 20;

/// The guest's agent, behind one that answers freeze and thaw by itself: two filesystems each, and none of it true.
#[derive(Debug)]
pub struct AgentThatFreezesNothing {
    folder: TempDir,
}

impl AgentThatFreezesNothing {
    /// Starts it. It serves one client after the other, as qemu-ga does, until the test's process ends.
    pub fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let listener = UnixListener::bind(folder.path().join("agent")).unwrap();
        thread::spawn(move || listener.incoming().for_each(|client| serve(&client.unwrap())));
        Self { folder }
    }

    /// Where it listens.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("agent")
    }
}

fn serve(client: &UnixStream) {
    let agent = UnixStream::connect(Path::new(AGENT_SOCKET)).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            std::io::copy(&mut &agent, &mut &*client).ok();
            client.shutdown(Shutdown::Both).ok();
        });
        let mut commands = BufReader::new(client);
        let mut command = Vec::new();
        while (&mut commands).take(MAX_COMMAND_BYTES).read_until(b'\n', &mut command).is_ok_and(|length| length > 0) {
            let text = String::from_utf8_lossy(&command);
            if text.contains("\"guest-fsfreeze-freeze\"") || text.contains("\"guest-fsfreeze-thaw\"") {
                (&mut &*client).write_all(b"{\"return\": 2}\n").unwrap();
            } else {
                (&mut &agent).write_all(&command).unwrap();
            }
            command.clear();
        }
        agent.shutdown(Shutdown::Both).ok();
    });
}
