//! A port of a dump's own, plugged into the running VM and taken out again: the guest sees it as `/dev/virtio-ports/NAME`.
//!
//! It needs a `virtio-serial` bus, as the guest agent's channel has one.

use std::{
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::net::UnixStream;

use super::DumpName;
use crate::qmp::{Qmp, QmpError};

/// `sun_path` of unix(7), with its NUL.
const SOCKET_PATH_MAX_BYTES: usize = 107;

/// Why there is no port, or it is there still.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PortError {
    /// QEMU refused, or was not to be reached.
    #[error("{doing}: {source}")]
    Qmp {
        /// What was being done.
        doing: &'static str,
        /// What QEMU said.
        source: QmpError,
    },
    /// A socket cannot be at that path.
    #[error("no socket can be made at {}: {reason}", path.display())]
    Socket {
        /// The path.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

impl PortError {
    /// What a person can do about it, where that is known.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Qmp { source: QmpError::Refused { desc, .. }, .. } => match desc {
                _ if desc.contains("bus") => {
                    Some("the VM has no virtio-serial bus: the channel of its guest agent may be an ISA port")
                }
                _ if desc.contains("busy") || desc.contains("in use") => {
                    Some("its guest has not given it up yet: try again")
                }
                _ if desc.contains("uplicate") || desc.contains("already") => {
                    Some("a dump of this name has a port already: end that first")
                }
                _ => None,
            },
            Self::Qmp { source, .. } => source.hint(),
            Self::Socket { .. } => Some("choose a shorter folder for it"),
        }
    }
}

/// A port that is plugged in. [`unplug`] takes it out, by the dump's name.
#[derive(Debug)]
pub struct Port {
    /// This end of it. **It has no end of file** when the guest closes its own: the stream has to carry its end.
    pub stream: UnixStream,
}

impl Port {
    /// Where the guest finds it.
    pub fn path_in_guest(name: &DumpName) -> String {
        format!("/dev/virtio-ports/{name}")
    }

    /// Plugs a port in whose other end is a socket at `socket`, which QEMU makes. What was plugged in is taken out where a later step fails;
    /// where this future is dropped or QEMU does not answer, [`unplug`] has to follow.
    ///
    /// # Errors
    /// See [`PortError`].
    pub async fn plug(qmp: &mut Qmp, name: &DumpName, socket: &Path, deadline: Duration) -> Result<Self, PortError> {
        let refuse = |reason: &str| PortError::Socket { path: socket.to_owned(), reason: reason.to_owned() };
        let path = socket.to_str().ok_or_else(|| refuse("its path is not UTF-8"))?;
        if socket.as_os_str().as_bytes().len() > SOCKET_PATH_MAX_BYTES || !socket.is_absolute() {
            return Err(refuse("its path is longer than 107 bytes, or not absolute"));
        }
        let id = name.as_str();
        let backend = json!({ "type": "socket", "data": {
            "addr": { "type": "unix", "data": { "path": path } }, "server": true, "wait": false,
        } });
        let added = qmp.execute("chardev-add", json!({ "id": id, "backend": backend }), deadline).await;
        added.map_err(|source| PortError::Qmp { doing: "making the socket of a port", source })?;
        let plugged = Self::plug_device(qmp, id, socket, deadline).await;
        if plugged.is_err() {
            // What comes first is told.
            unplug(qmp, name, socket, deadline).await.ok();
        }
        plugged
    }

    async fn plug_device(qmp: &mut Qmp, id: &str, socket: &Path, deadline: Duration) -> Result<Self, PortError> {
        // Before the guest sees it: what it writes has somebody to go to.
        let stream = UnixStream::connect(socket)
            .await
            .map_err(|error| PortError::Socket { path: socket.to_owned(), reason: error.to_string() })?;
        let device = json!({ "driver": "virtserialport", "id": id, "name": id, "chardev": id });
        match qmp.execute("device_add", device, deadline).await {
            Ok(_) => Ok(Self { stream }),
            Err(source) => Err(PortError::Qmp { doing: "plugging a port into the VM", source }),
        }
    }
}

/// Takes the port of dump `name` out of the VM and removes its socket. Where there is none, nothing is done: it can be called as often as
/// wanted.
///
/// # Errors
/// [`PortError::Qmp`]: it may be there still. A guest that hangs does not give it up.
pub async fn unplug(qmp: &mut Qmp, name: &DumpName, socket: &Path, deadline: Duration) -> Result<(), PortError> {
    let failed = |source| PortError::Qmp { doing: "taking a port out of the VM", source };
    let id = name.as_str();
    match qmp.execute("device_del", json!({ "id": id }), deadline).await {
        Ok(_) => {
            let is_it = |data: &Value| data.get("device").and_then(Value::as_str) == Some(id);
            qmp.event("DEVICE_DELETED", is_it, deadline).await.map_err(failed)?;
        }
        Err(QmpError::Refused { class, .. }) if class == "DeviceNotFound" => {}
        Err(source) => return Err(failed(source)),
    }
    // "Busy" as long as the device is there.
    match qmp.execute("chardev-remove", json!({ "id": id }), deadline).await {
        Ok(_) => {}
        Err(QmpError::Refused { desc, .. }) if desc.contains("not found") => {}
        Err(source) => return Err(failed(source)),
    }
    std::fs::remove_file(socket).ok();
    Ok(())
}

/// Waits until the guest has opened its end, or closed it.
///
/// # Errors
/// [`PortError::Qmp`].
pub async fn until_open(qmp: &mut Qmp, name: &DumpName, open: bool, deadline: Duration) -> Result<(), PortError> {
    let is_it = |data: &Value| {
        data.get("id").and_then(Value::as_str) == Some(name.as_str())
            && data.get("open").and_then(Value::as_bool) == Some(open)
    };
    let seen = qmp.event("VSERPORT_CHANGE", is_it, deadline).await;
    seen.map(drop).map_err(|source| PortError::Qmp { doing: "waiting for the guest at a port", source })
}
