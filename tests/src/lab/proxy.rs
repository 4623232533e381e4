//! An agent with a fault that the real one does not show on demand.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
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

/// The guest's agent, behind one before whose freeze something is done in the guest: between the lock and the freeze, that is.
#[derive(Debug)]
pub struct AgentWithAnEvent {
    folder: TempDir,
}

impl AgentWithAnEvent {
    /// Starts it. `event` runs before each freeze is passed on.
    pub fn start(event: impl Fn() + Send + 'static) -> Self {
        let folder = TempDir::new().unwrap();
        let listener = UnixListener::bind(folder.path().join("agent")).unwrap();
        thread::spawn(move || {
            for client in listener.incoming() {
                pass_on(&client.unwrap(), |command, agent, _| {
                    if command.contains("\"guest-fsfreeze-freeze\"") {
                        event();
                    }
                    (&mut &*agent).write_all(command.as_bytes()).unwrap();
                });
            }
        });
        Self { folder }
    }

    /// Where it listens.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("agent")
    }
}

/// The guest's agent, behind one that answers the first thaw by itself, and until the second that the guest is thawed: none of it true.
#[derive(Debug)]
pub struct AgentThatThawsTheSecondTime {
    folder: TempDir,
}

impl AgentThatThawsTheSecondTime {
    /// Starts it.
    pub fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let listener = UnixListener::bind(folder.path().join("agent")).unwrap();
        let thaws = AtomicUsize::new(0);
        thread::spawn(move || {
            for client in listener.incoming() {
                pass_on(&client.unwrap(), |command, agent, client| {
                    let is_first =
                        command.contains("\"guest-fsfreeze-thaw\"") && thaws.fetch_add(1, Ordering::Relaxed) == 0;
                    let is_asked = command.contains("\"guest-fsfreeze-status\"") && thaws.load(Ordering::Relaxed) == 1;
                    if is_first {
                        (&mut &*client).write_all(b"{\"return\": 2}\n").unwrap();
                    } else if is_asked {
                        (&mut &*client).write_all(b"{\"return\": \"thawed\"}\n").unwrap();
                    } else {
                        (&mut &*agent).write_all(command.as_bytes()).unwrap();
                    }
                });
            }
        });
        Self { folder }
    }

    /// Where it listens.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("agent")
    }
}

fn serve(client: &UnixStream) {
    pass_on(client, |command, agent, client| {
        if command.contains("\"guest-fsfreeze-freeze\"") || command.contains("\"guest-fsfreeze-thaw\"") {
            (&mut &*client).write_all(b"{\"return\": 2}\n").unwrap();
        } else {
            (&mut &*agent).write_all(command.as_bytes()).unwrap();
        }
    });
}

/// Connects `client` with the real agent, and lets `command` see, and send on, each command.
fn pass_on(client: &UnixStream, on_command: impl Fn(&str, &UnixStream, &UnixStream)) {
    let agent = UnixStream::connect(Path::new(AGENT_SOCKET)).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            std::io::copy(&mut &agent, &mut &*client).ok();
            client.shutdown(Shutdown::Both).ok();
        });
        let mut commands = BufReader::new(client);
        let mut command = Vec::new();
        while (&mut commands).take(MAX_COMMAND_BYTES).read_until(b'\n', &mut command).is_ok_and(|length| length > 0) {
            // The 0xFF before a sync is no text, and must reach the agent.
            match std::str::from_utf8(&command) {
                Ok(text) => on_command(text, &agent, client),
                Err(_) => (&mut &agent).write_all(&command).unwrap(),
            }
            command.clear();
        }
        agent.shutdown(Shutdown::Both).ok();
    });
}
