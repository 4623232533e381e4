//! Evidence: what the snapshots themselves prove, read before a byte is copied.

use std::time::Duration;

use fsprobe::{Depth, Report, layout};
use image::device::Device;
use lvm::LvName;

use super::disk::{Copied, Disk, Proven};
use crate::blocking::blocking;
use crate::cow::attached::Attached;
use crate::failure::{Cause, Failure};
use crate::run::Run;
use crate::run::entry::{DiskVerdict, Fact};
use crate::step::Step;

/// Opens every snapshot and reads what it proves. Device nodes may have to be waited for: the window did not.
///
/// # Errors
/// Where a node does not appear, or a snapshot cannot be read.
pub async fn read_all(
    disks: Vec<Disk<Attached>>,
    node_deadline: Duration,
    run: &Run,
) -> Result<Vec<Disk<Proven>>, Failure> {
    let read = |disk: Disk<Attached>| disk.try_reach(|_, snapshot| read(snapshot, node_deadline));
    let reading = async { blocking(|| disks.into_iter().map(read).collect::<Result<Vec<_>, Cause>>()) };
    let verdict =
        |disk: &Disk<Proven>| DiskVerdict { origin: disk.origin().clone(), verdict: disk.stage.report.verdict };
    let fact = |disks: &Vec<Disk<Proven>>| Some(Fact::Evidence { disks: disks.iter().map(verdict).collect() });
    run.take(Step::Evidence, Vec::new(), reading, fact).await
}

fn read(snapshot: Attached, node_deadline: Duration) -> Result<Proven, Cause> {
    let device = Device::open_for_copy(&snapshot.volume.wait_for_device(node_deadline)?)?;
    // Of a snapshot that the kernel has dropped a read says no more than "I/O error".
    let full = |error| snapshot.full().map_or_else(|| Cause::from(error).on(snapshot.volume.origin()), Cause::from);
    let layout = layout(&device).map_err(full)?;
    let report = layout.check(&device, Depth::Default);
    Ok(Proven { snapshot, device, layout, report })
}

/// What one disk's snapshot proves.
#[derive(Clone, Debug)]
pub struct Evidence<'d> {
    /// The origin.
    pub origin: &'d LvName,
    /// What was read from the snapshot.
    pub report: &'d Report,
}

impl Evidence<'_> {
    /// The finding that the verdict rests on, in words.
    #[must_use]
    pub fn worst_finding(&self) -> String {
        let worst = self.report.volumes.iter().max_by_key(|volume| volume.verdict);
        worst.map_or_else(
            || "damaged".to_owned(),
            |volume| match volume.findings.iter().max_by_key(|finding| finding.severity) {
                Some(finding) => format!("volume {}: {} ({})", volume.path, finding.detail, finding.code),
                None => format!("volume {}: {:?}", volume.path, volume.verdict),
            },
        )
    }
}

impl Disk<Copied> {
    /// What its snapshot proved.
    #[must_use]
    pub fn evidence(&self) -> Evidence<'_> {
        Evidence { origin: self.origin(), report: &self.stage.report }
    }
}
