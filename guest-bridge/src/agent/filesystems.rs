//! The guest's mounted filesystems, and the disks that they are on.

use std::time::Duration;

use qapi::qga::guest_get_fsinfo;
use serde::Deserialize;

use super::{Agent, AgentError, request::ask};

/// Room for thousands of mounts: one on a plain disk takes 260 bytes.
const REPLY_MAX_BYTES: usize = 4 << 20;

/// A mounted filesystem of the guest.
///
/// Not qapi's type: its bus types are a closed enum, so that one disk on a bus that a newer agent knows would hide
/// every filesystem.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Filesystem {
    /// The block device's name in the guest, for example `vda1` or `dm-0`.
    pub name: String,
    /// Where it is mounted in the guest.
    pub mountpoint: String,
    /// The kernel's name of the filesystem type, for example `ext4`.
    #[serde(rename = "type")]
    pub fs_type: String,
    /// The disks that it lies on; empty where the agent cannot tell.
    #[serde(rename = "disk", default)]
    pub disks: Vec<Disk>,
    /// Size in bytes, from agents since 2.11.
    #[serde(rename = "total-bytes", default)]
    pub total_bytes: Option<u64>,
    /// Used bytes, from agents since 2.11.
    #[serde(rename = "used-bytes", default)]
    pub used_bytes: Option<u64>,
}

/// A disk of the guest, as the guest's kernel addresses it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Disk {
    /// Device node in the guest, for example `/dev/vda`, from agents since 3.1.
    #[serde(default)]
    pub dev: Option<String>,
    /// The serial number that the hypervisor gave it, from agents since 3.1.
    #[serde(default)]
    pub serial: Option<String>,
    /// `virtio`, `scsi`, `sata`, … or a bus that is not known here.
    #[serde(rename = "bus-type", default)]
    pub bus_type: Option<String>,
    /// SCSI bus.
    #[serde(default)]
    pub bus: Option<i64>,
    /// SCSI target.
    #[serde(default)]
    pub target: Option<i64>,
    /// SCSI unit.
    #[serde(default)]
    pub unit: Option<i64>,
    /// PCI address of the controller.
    #[serde(rename = "pci-controller", default)]
    pub pci_controller: Option<PciAddress>,
}

/// A PCI address; the agent writes -1 for what it does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct PciAddress {
    /// Domain.
    pub domain: i64,
    /// Bus.
    pub bus: i64,
    /// Slot.
    pub slot: i64,
    /// Function.
    pub function: i64,
}

/// `guest-get-fsinfo`.
///
/// # Errors
/// See [`AgentError`].
pub async fn fsinfo(agent: &mut dyn Agent, deadline: Duration) -> Result<Vec<Filesystem>, AgentError> {
    ask(agent, &guest_get_fsinfo {}, REPLY_MAX_BYTES, deadline).await
}
