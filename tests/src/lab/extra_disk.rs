//! One more disk of the guest, plugged in while it runs.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde_json::{Value, json};

use super::guest::{Guest, until};
use super::volume::OwnVolume;
use crate::machine::program::run;

/// QEMU's own socket.
const QMP_SOCKET: &str = "/run/lab/qmp.sock";

/// How QEMU writes to a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cache {
    /// `cache=none`: past the page cache of this host.
    None,
    /// `cache=writeback`: into it, and to the disk when the guest flushes.
    Writeback,
}

/// A volume of the lab's group that the guest has as a disk, mounted. It is unplugged with the value.
#[derive(Debug)]
pub struct ExtraDisk<'g> {
    guest: &'g Guest,
    mountpoint: String,
    /// Dropped after QEMU has let go of it.
    volume: OwnVolume,
}

impl<'g> ExtraDisk<'g> {
    /// Makes the volume `vg/NAME` of `size`, plugs it in, and mounts it at `mountpoint` after `mkfs` (a program and its options) has
    /// made a filesystem of the whole of it, here on the host.
    pub fn plug(guest: &'g Guest, name: &str, size: &str, mkfs: &[&str], mountpoint: &str) -> Self {
        Self::plug_through(Cache::None, guest, name, size, mkfs, mountpoint)
    }

    /// The same, QEMU writing to it through `cache`.
    pub fn plug_through(
        cache: Cache,
        guest: &'g Guest,
        name: &str,
        size: &str,
        mkfs: &[&str],
        mountpoint: &str,
    ) -> Self {
        let volume = OwnVolume::make(name, size);
        let device = volume.device();
        run(mkfs[0], &[&mkfs[1..], &[device.as_str()]].concat());
        let disk = Self { guest, mountpoint: mountpoint.to_owned(), volume };
        let id = disk.id();
        let direct = json!({"direct": cache == Cache::None});
        let node = json!({"driver": "raw", "node-name": id, "cache": direct,
            "file": {"driver": "host_device", "filename": device, "cache": direct}});
        qmp("blockdev-add", &node);
        qmp("device_add", &json!({"driver": "virtio-blk-pci", "id": id, "drive": id, "serial": id}));
        guest.sh(&format!(
            "until [ -e /dev/disk/by-id/virtio-{id} ]; do sleep 0.1; done; mkdir -p {mountpoint}; \
             mount /dev/disk/by-id/virtio-{id} {mountpoint}"
        ));
        disk
    }
}

impl ExtraDisk<'_> {
    /// Its volume, `vg/NAME`.
    pub fn volume(&self) -> &str {
        self.volume.name()
    }

    /// As QEMU and the guest call it: NAME.
    fn id(&self) -> &str {
        let (_, name) = self.volume().split_once('/').unwrap();
        name
    }
}

impl Drop for ExtraDisk<'_> {
    fn drop(&mut self) {
        let mountpoint = &self.mountpoint;
        self.guest.run("/bin/sh", &["-c", &format!("umount {mountpoint}")], Duration::from_secs(60)).ok();
        qmp("device_del", &json!({ "id": self.id() }));
        // The guest gives it up when it comes to it.
        until("QEMU lets go of the disk", || try_qmp("blockdev-del", &json!({ "node-name": self.id() })).is_ok());
    }
}

fn qmp(command: &str, arguments: &Value) -> Value {
    try_qmp(command, arguments).unwrap_or_else(|error| panic!("{command} {arguments}: {error}"))
}

fn try_qmp(command: &str, arguments: &Value) -> Result<Value, String> {
    let stream = UnixStream::connect(QMP_SOCKET).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut replies = BufReader::new(&stream);
    let mut line = String::new();
    replies.read_line(&mut line).unwrap();
    let mut outcome = Ok(Value::Null);
    for request in [json!({"execute": "qmp_capabilities"}), json!({"execute": command, "arguments": arguments})] {
        (&stream).write_all(format!("{request}\n").as_bytes()).unwrap();
        outcome = loop {
            line.clear();
            replies.read_line(&mut line).unwrap();
            let mut reply: Value = serde_json::from_str(&line).unwrap();
            match reply.get("error") {
                // Events come in between.
                None if reply.get("return").is_none() => {}
                None => break Ok(reply["return"].take()),
                Some(error) => break Err(error.to_string()),
            }
        };
    }
    outcome
}
