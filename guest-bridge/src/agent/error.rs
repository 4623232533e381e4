//! What can go wrong between the host and a guest's agent.

use std::{fmt, io};

use super::{Endpoint, Pid};

/// What connect(2) says of a vsock whose context id no VM has.
const ENODEV: i32 = 19;
/// Text of the guest's in an error is cut here.
const GUEST_TEXT_MAX_CHARS: usize = 500;

/// Why an agent command has no result.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The channel could not be opened: nothing was sent.
    #[error("cannot connect to the guest agent at {endpoint}: {source}")]
    Connect {
        /// Where it should listen.
        endpoint: Endpoint,
        /// What the kernel said.
        source: io::Error,
    },
    /// The channel opened, and `guest-sync-delimited` was not answered. The command itself was not sent.
    #[error(
        "connected to {endpoint}, but the guest agent did not answer guest-sync-delimited within {waited_ms} ms; \
         {command} was not sent"
    )]
    NoSync {
        /// Where the channel is.
        endpoint: Endpoint,
        /// The command that was to follow.
        command: String,
        /// How long the answer was waited for.
        waited_ms: u64,
    },
    /// The channel opened, and broke before `guest-sync-delimited` was answered. The command itself was not sent.
    #[error(
        "the connection to {endpoint} broke before the guest agent answered guest-sync-delimited: {source}; \
         {command} was not sent"
    )]
    SyncLost {
        /// Where the channel is.
        endpoint: Endpoint,
        /// The command that was to follow.
        command: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// The peer greets like QMP, QEMU's own control socket.
    #[error("{endpoint} is a QMP socket, not the socket of a guest agent; {command} was not sent")]
    QmpSocket {
        /// The wrong socket.
        endpoint: Endpoint,
        /// The command that was to follow.
        command: String,
    },
    /// The command was sent and not answered in time. The guest may still execute it.
    #[error("{command} was sent to the guest agent and not answered within {waited_ms} ms")]
    Timeout {
        /// The command.
        command: String,
        /// How long the reply was waited for.
        waited_ms: u64,
    },
    /// The connection broke after the command was, at least in part, sent. The guest may have executed it.
    #[error("the connection to the guest agent broke during {command}: {source}")]
    Lost {
        /// The command.
        command: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// The peer's answer is no answer of an agent.
    #[error("the guest agent's answer to {command} makes no sense: {detail}")]
    Protocol {
        /// The command.
        command: String,
        /// What was wrong, with the beginning of what came.
        detail: String,
    },
    /// A reply exceeds the limit of the transport.
    #[error("the guest agent's answer to {command} is longer than {limit_bytes} bytes")]
    ReplyTooLong {
        /// The command.
        command: String,
        /// The limit.
        limit_bytes: usize,
    },
    /// The agent does not offer the command: too old, or blocked by its configuration.
    #[error("the guest agent does not offer {command}: {desc}")]
    Unavailable {
        /// The command.
        command: String,
        /// The agent's words.
        desc: String,
    },
    /// The agent refuses the command because it believes its filesystems frozen.
    #[error("the guest agent refuses {command} while filesystems are frozen: {desc}")]
    Frozen {
        /// The command.
        command: String,
        /// The agent's words.
        desc: String,
    },
    /// The agent executed the command, and it failed there.
    #[error("{command} failed in the guest: {desc} ({class})")]
    Failed {
        /// The command.
        command: String,
        /// QAPI's error class, mostly `GenericError`.
        class: String,
        /// The agent's words.
        desc: String,
    },
    /// A program in the guest did not end in time. It still runs there.
    #[error("{program} still runs in the guest, as process {pid}, after {waited_ms} ms")]
    StillRunning {
        /// Path of the program.
        program: String,
        /// Its process in the guest.
        pid: Pid,
        /// How long its end was waited for.
        waited_ms: u64,
    },
    /// How a program in the guest ended could not be learned.
    #[error("lost sight of {program} in the guest, process {pid}: {source}")]
    LostProgram {
        /// Path of the program.
        program: String,
        /// Its process in the guest.
        pid: Pid,
        /// Why its status is unknown.
        source: Box<AgentError>,
    },
    /// A program in the guest printed more than the agent captures (16 MiB a stream).
    #[error("{program} in the guest printed more to {stream} than the agent keeps")]
    OutputTruncated {
        /// Path of the program, or its process.
        program: String,
        /// `stdout` or `stderr`.
        stream: &'static str,
    },
    /// A file in the guest exceeds the caller's bound.
    #[error("{path} in the guest is longer than {limit_bytes} bytes")]
    FileTooLong {
        /// Path in the guest.
        path: String,
        /// The caller's bound.
        limit_bytes: usize,
    },
    /// The guest could not be brought to say that it is thawed, and to stay so.
    #[error(
        "the guest may still be frozen: {attempts} attempts to thaw it in {waited_ms} ms, the last ended with: {last}"
    )]
    MaybeFrozen {
        /// How often thaw was tried.
        attempts: u32,
        /// Since the first attempt.
        waited_ms: u64,
        /// How the last attempt ended.
        last: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Nobody listens at the agent's socket any more, and the caller knows that its VM is gone: there is nothing to thaw.
    #[error("the VM is gone: {source}")]
    VmGone {
        /// How the last attempt to reach the agent ended.
        source: Box<AgentError>,
    },
}

impl AgentError {
    /// A reply of the wrong shape. serde's message carries values of the guest, so it is cut and escaped.
    pub(super) fn unexpected(command: &str, error: impl fmt::Display) -> Self {
        Self::Protocol { command: command.to_owned(), detail: guest_text(&error.to_string()) }
    }

    /// Whether the guest may have executed the command although no reply came: the caller has to assume that it did.
    pub fn may_have_executed(&self) -> bool {
        match self {
            Self::Timeout { .. } | Self::Lost { .. } | Self::Protocol { .. } | Self::ReplyTooLong { .. } => true,
            Self::Failed { .. } | Self::OutputTruncated { .. } | Self::MaybeFrozen { .. } => true,
            Self::StillRunning { .. } | Self::LostProgram { .. } | Self::FileTooLong { .. } | Self::VmGone { .. } => {
                true
            }
            Self::Connect { .. } | Self::NoSync { .. } | Self::SyncLost { .. } | Self::QmpSocket { .. } => false,
            Self::Unavailable { .. } | Self::Frozen { .. } => false,
        }
    }

    /// Whether nobody listens where the agent was: its VM has ended, or was moved away. One that is too busy to answer does listen.
    pub fn is_nobody(&self) -> bool {
        let Self::Connect { source, .. } = self else { return false };
        matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
            || source.raw_os_error() == Some(ENODEV)
    }

    /// What a person can do about it, where that is known.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Connect { source, .. } => match source.kind() {
                io::ErrorKind::NotFound => {
                    Some("no such socket: is the VM running, and does its definition have an agent channel there?")
                }
                io::ErrorKind::ConnectionRefused => {
                    Some("nobody listens there: the socket may be left over from a VM that has ended")
                }
                io::ErrorKind::PermissionDenied => Some("the socket belongs to another user: run as root"),
                io::ErrorKind::WouldBlock => Some(
                    "too many clients wait there: the agent serves one at a time, and another (libvirt, Proxmox, qm agent) \
                     holds its channel",
                ),
                _ => None,
            },
            Self::NoSync { .. } => Some(
                "either qemu-ga does not run in the guest (systemctl status qemu-guest-agent), or the VM is paused (virsh \
                 domstate, qm status), or another client may be holding the agent's channel (libvirt, Proxmox, qm agent): \
                 the agent serves one at a time",
            ),
            Self::QmpSocket { .. } => {
                Some("the agent's socket is the one of the channel org.qemu.guest_agent.0, not that of -qmp or -mon")
            }
            Self::Timeout { .. } => Some("the guest may be overloaded or paused, or stuck in I/O"),
            Self::Unavailable { .. } => Some(
                "RHEL and its relatives block guest-exec and guest-file-*: see FILTER_RPC_ARGS (RHEL 9.4 on), BLOCK_RPCS (9.2, \
                 9.3) or BLACKLIST_RPC (before) in the guest's /etc/sysconfig/qemu-ga (openSUSE: \
                 /usr/etc/sysconfig/qemu-ga), and block-rpcs and allow-rpcs in /etc/qemu/qemu-ga.conf",
            ),
            Self::Frozen { .. } => Some("an earlier freeze was not thawed: send guest-fsfreeze-thaw to the agent"),
            Self::MaybeFrozen { .. } => Some(
                "on the guest's console run `fsfreeze -u MOUNTPOINT` for each filesystem; if no login is possible, \
                 reset the VM",
            ),
            _ => None,
        }
    }
}

/// Text of the guest's, safe to print: one line, no control characters, bounded.
pub(crate) fn guest_text(text: &str) -> String {
    let mut safe: String = text.chars().take(GUEST_TEXT_MAX_CHARS).flat_map(printable).collect();
    if text.chars().nth(GUEST_TEXT_MAX_CHARS).is_some() {
        safe.push('…');
    }
    safe
}

fn printable(c: char) -> impl Iterator<Item = char> {
    let (plain, escaped) = if c.is_control() { (None, Some(c.escape_default())) } else { (Some(c), None) };
    plain.into_iter().chain(escaped.into_iter().flatten())
}
