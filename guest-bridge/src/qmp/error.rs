//! What can go wrong with QEMU's control socket.

use std::{io, path::PathBuf};

/// Why a QMP command has no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QmpError {
    /// The socket could not be opened.
    #[error("cannot connect to QEMU's control socket {}: {source}", path.display())]
    Connect {
        /// Where it should listen.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The socket opened, and nothing greets.
    #[error("QEMU's control socket {} opened, and did not greet within {waited_ms} ms", path.display())]
    NoGreeting {
        /// Where it listens.
        path: PathBuf,
        /// How long the greeting was waited for.
        waited_ms: u64,
    },
    /// What listens there is something else.
    #[error("{} is no control socket of QEMU: {detail}", path.display())]
    NotQmp {
        /// Where it listens.
        path: PathBuf,
        /// What it said.
        detail: String,
    },
    /// No answer came in time. QEMU may still do it.
    #[error("QEMU did not answer {waits_for} within {waited_ms} ms")]
    Timeout {
        /// The command, or the event.
        waits_for: String,
        /// How long it was waited for.
        waited_ms: u64,
    },
    /// The connection broke: QEMU may have ended.
    #[error("the connection to QEMU broke at {waits_for}: {source}")]
    Lost {
        /// The command, or the event.
        waits_for: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// QEMU answered with an error.
    #[error("QEMU refused {command}: {desc} ({class})")]
    Refused {
        /// The command.
        command: String,
        /// The class of the error, mostly `GenericError`.
        class: String,
        /// QEMU's words.
        desc: String,
    },
    /// A line that is no answer.
    #[error("QEMU's answer to {waits_for} makes no sense: {detail}")]
    Unexpected {
        /// The command, or the event.
        waits_for: String,
        /// What came.
        detail: String,
    },
}

impl QmpError {
    /// What a person can do about it, where that is known.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Connect { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                Some("the socket belongs to another user: run as root")
            }
            Self::Connect { .. } => {
                Some("is the VM running, and was it started with -qmp unix:PATH,server=on,wait=off?")
            }
            Self::NoGreeting { .. } => Some(
                "QEMU serves one client at a socket, and another (libvirt, Proxmox) holds this one: start the VM with one more -qmp",
            ),
            Self::NotQmp { .. } => Some("the agent's socket, or a monitor for people (-monitor), is another one"),
            _ => None,
        }
    }
}
