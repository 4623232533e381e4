//! Whether what is on a disk is sound, and how to look into it otherwise.

use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use fsprobe::{Depth, Disk, Extent, Finding, Kind as Content, MountHint, Report, Volume, mount_hint, shell_path};
use image::artifact::{is_packed, open_disk};

use super::disk::device_path;
use super::held_still::Witness;
use crate::documents::check::FORMAT;
pub use crate::documents::check::{Checked, Hint};
use crate::failure::{At, Cause, Failure, Kind};
use crate::show::printable::printable_text;
use crate::step::Step;

/// Looks at what `target` names, and where asked says how to mount each volume.
///
/// # Errors
/// Where it cannot be opened, or holds no disk that can be read.
pub fn check(target: &Path, depth: Depth, with_mount_hints: bool) -> Result<Checked, Failure> {
    let path = device_path(target);
    if path != target && !path.exists() {
        let (target, path) = (printable_text(&target.display().to_string()), path.display());
        let what = format!("there is no file {target}, and no logical volume of that name ({path})");
        return Err(Cause::plain(Kind::NoSuchDisk, what)).at(Step::Check);
    }
    let before = std::fs::metadata(&path).ok();
    let disk = open_disk(&path).at(Step::Check)?;
    let witness = Witness::new(&*disk);
    let layout = fsprobe::layout(&witness).at(Step::Check)?;
    let mut report = Report { target: target.display().to_string(), ..layout.check(&witness, depth) };
    let written = written_meanwhile(before.as_ref(), std::fs::metadata(&path).ok().as_ref());
    for finding in witness.changed().map(|changed| changed_meanwhile(&layout, changed)).into_iter().chain(written) {
        report.verdict = report.verdict.max(finding.severity.verdict());
        report.findings.push(finding);
    }
    let mount_hints = with_mount_hints.then(|| mount_hints(&path, &layout));
    Ok(Checked { format: FORMAT, report, mount_hints })
}

const MEANWHILE: &str = "what is said here may mix two states of it; check a snapshot, or a copy that is done";

/// What was read is not what is there now.
fn changed_meanwhile(layout: &Disk, Extent { offset_bytes, size_bytes }: Extent) -> Finding {
    let volumes = layout.volumes.iter().rev().filter_map(|volume| Some((volume, volume.contiguous()?)));
    let within = volumes
        .map(|(volume, extent)| (&volume.path, extent))
        .find(|(_, extent)| (extent.offset_bytes..extent.end_bytes()).contains(&offset_bytes));
    let place = within.map_or_else(
        || format!("disk, byte {offset_bytes}"),
        |(path, extent)| format!("volume {path}, byte {} of it", offset_bytes - extent.offset_bytes),
    );
    let detail = format!("the {size_bytes} bytes there changed while they were looked at: it is in use; {MEANWHILE}");
    Finding::unknown("changed-while-read", place, detail)
}

/// The file grew, shrank or was written to. A block device does not tell.
fn written_meanwhile(before: Option<&Metadata>, after: Option<&Metadata>) -> Option<Finding> {
    let (before, after) = (before.filter(|before| before.is_file())?, after?);
    let what = if before.len() != after.len() {
        format!("it had {} bytes, and now has {}", before.len(), after.len())
    } else if before.modified().ok() != after.modified().ok() {
        "somebody writes to it".into()
    } else {
        return None;
    };
    Some(Finding::unknown("written-while-read", "target", format!("{what}; {MEANWHILE}")))
}

/// A line for each volume; of an artifact, those for the image that it unpacks to.
fn mount_hints(target: &Path, layout: &Disk) -> Vec<Hint> {
    let packed = is_packed(target);
    let target = target.as_os_str().as_bytes();
    let unpacked = match target.strip_suffix(b".zst") {
        Some(name) if packed => name.to_vec(),
        _ if packed => [target, b".raw"].concat(),
        _ => target.to_vec(),
    };
    let hint = |volume: &Volume| match mount_hint(&unpacked, volume) {
        Some(MountHint { mut commands, warning }) => {
            if packed {
                commands.insert(0, format!("zstd -d {} -o {}", shell_path(target), shell_path(&unpacked)));
            }
            Hint { volume: volume.path.clone(), warning: warning.into(), commands }
        }
        None if volume.kind == Content::Empty => {
            Hint { volume: volume.path.clone(), warning: "nothing was found in it".into(), commands: Vec::new() }
        }
        None => Hint {
            volume: volume.path.clone(),
            warning: "no line: it is not all on this disk, or in too many pieces".into(),
            commands: Vec::new(),
        },
    };
    layout.volumes.iter().map(hint).collect()
}
