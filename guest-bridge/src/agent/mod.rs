//! The QEMU guest agent (QGA): one connection, and typed commands over it.
//!
//! [`Agent`] is the seam. [`QgaTransport`] is the real peer; `ScriptedAgent` and `SimulatedGuest` (feature `scripted`)
//! stand in for it where a fault is needed that the real one does not produce on demand. The commands are functions
//! over `&mut dyn Agent`, so both peers run the same code.
//!
//! Everything that the agent says comes from inside the guest and is untrusted: lines, counts and waits are bounded.
//!
//! The protocol is specified in QEMU's `docs/interop/qemu-ga-ref` (`qga/qapi-schema.json`) and `docs/interop/qmp-spec`.

mod channel;
mod endpoint;
mod error;
mod exec;
mod file;
mod filesystems;
mod freeze;
mod info;
mod pid;
mod reply;
mod request;
#[cfg(any(test, feature = "scripted"))]
mod scripted;
mod shared;
#[cfg(any(test, feature = "scripted"))]
mod simulated;
mod thawing;
mod time;
mod transport;

use std::time::Duration;

pub use futures_util::future::BoxFuture;
use serde_json::Value;

pub use endpoint::{Endpoint, EndpointError};
pub use error::AgentError;
pub(crate) use error::guest_text;
pub use exec::{Exit, Finished, Program, exec, exec_status, run};
pub use file::{FileHandle, READ_COUNT_MAX_BYTES, file_close, file_open, file_read, read_file};
pub use filesystems::{Disk, Filesystem, PciAddress, fsinfo};
pub use freeze::{FreezeScope, Mountpoints, Thawed, freeze, freeze_status, thaw, thaw_until_sure};
pub use info::{AgentInfo, info, ping};
pub use pid::Pid;
pub use request::Request;
#[cfg(any(test, feature = "scripted"))]
pub use scripted::{Line, ScriptedAgent, expect};
pub use shared::SharedAgent;
#[cfg(any(test, feature = "scripted"))]
pub use simulated::{Fault, SimulatedGuest};
pub use thawing::{FreezeStatus, Heard, Next, Question};
pub use time::time;
pub use transport::QgaTransport;

/// A connection to a guest's agent.
pub trait Agent: Send {
    /// Sends one QGA command and returns the `return` value of its reply. A reply longer than the request allows is
    /// [`AgentError::ReplyTooLong`], and is not stored.
    ///
    /// `deadline` bounds the whole call, from connecting (where that is needed) to the last byte of the reply.
    /// A call that is dropped, times out or fails on the wire makes the next one reconnect and resynchronise, so that
    /// no reply is ever taken for the answer to another command. Whether the guest executed a command whose reply was
    /// lost is unknown.
    ///
    /// # Errors
    /// See [`AgentError`].
    fn call(&mut self, request: Request, deadline: Duration) -> BoxFuture<'_, Result<Value, AgentError>>;

    /// Closes the connection: an agent serves one client, and nobody else gets a word in while this one keeps it open. The
    /// next call opens another.
    fn release(&mut self) -> BoxFuture<'_, ()>;
}

/// Whole milliseconds, for messages.
fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
