//! `stillpoint check`.

use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use fsprobe::{
    Depth, Disk, Ext4Summary, Extent, Finding, Kind, MountHint, Report, Verdict, Volume, VolumeReport, mount_hint,
    shell_path,
};
use serde::Serialize;

use super::args::{CheckArgs, about};
use super::render;
use crate::artifact::{is_packed, open_disk};
use crate::exit::Exit;
use crate::failure::{At, Failure};
use crate::files::printable_text;
use crate::lvm::{Bytes, LvName};
use crate::step::Step;
use crate::witness::Witness;

/// What `--json` prints.
#[derive(Serialize)]
struct Checked {
    #[serde(flatten)]
    report: Report,
    /// With `--mount-hints`.
    #[serde(skip_serializing_if = "Option::is_none")]
    mount_hints: Option<Vec<Hint>>,
}

/// How to look into one volume.
#[derive(Serialize)]
struct Hint {
    /// The volume's path.
    volume: String,
    /// What would write, or why there are no commands.
    warning: &'static str,
    commands: Vec<String>,
}

pub(super) fn run(args: &CheckArgs) -> Exit {
    match check(args) {
        Ok(checked) => {
            if args.json {
                render::json(&checked);
            } else {
                render::text(&(describe(&checked.report) + &describe_hints(checked.mount_hints.as_deref())));
            }
            match checked.report.verdict {
                Verdict::Consistent => Exit::Done,
                Verdict::Replay | Verdict::Unknown => Exit::Weaker,
                Verdict::Damaged => Exit::Damaged,
            }
        }
        Err(failure) => {
            render::failure(&about("check", &args.target), &failure, args.json);
            failure.exit()
        }
    }
}

/// The report, and the mount lines where they were asked for.
fn check(args: &CheckArgs) -> Result<Checked, Failure> {
    let path = device_path(&args.target);
    let before = std::fs::metadata(&path).ok();
    let disk = open_disk(&path).at(Step::Check)?;
    let witness = Witness::new(&*disk);
    let layout = fsprobe::layout(&witness).at(Step::Check)?;
    let depth = if args.deep { Depth::Deep } else { Depth::Default };
    let mut report = Report { target: args.target.display().to_string(), ..layout.check(&witness, depth) };
    let written = written_meanwhile(before.as_ref(), std::fs::metadata(&path).ok().as_ref());
    for finding in witness.changed().map(|changed| changed_meanwhile(&layout, changed)).into_iter().chain(written) {
        report.verdict = report.verdict.max(finding.severity.verdict());
        report.findings.push(finding);
    }
    let mount_hints = args.mount_hints.then(|| mount_hints(&path, &layout));
    Ok(Checked { report, mount_hints })
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

/// A path as it is; `vg/lv` is a device where no such file exists.
pub(super) fn device_path(target: &Path) -> PathBuf {
    match target.to_str().and_then(|text| text.parse::<LvName>().ok()) {
        Some(lv) if !target.exists() => Path::new("/dev").join(lv.vg()).join(lv.lv()),
        _ => target.to_owned(),
    }
}

/// A longer path moves what is behind it.
const MAX_PATH_WIDTH: usize = 40;

fn describe(report: &Report) -> String {
    let mut text = format!(
        "{}: {}, sectors of {} bytes, table: {}\n",
        printable_text(&report.target),
        Bytes(report.size_bytes),
        report.sector_size_bytes,
        word(&report.table)
    );
    text.extend(report.findings.iter().map(finding_line));
    let width =
        report.volumes.iter().map(|volume| volume.path.chars().count()).fold(14, usize::max).min(MAX_PATH_WIDTH);
    text += &format!("{:<width$} {:<11} {:>16} {:>12}  VERDICT\n", "VOLUME", "KIND", "OFFSET (BYTES)", "SIZE");
    for volume in &report.volumes {
        text += &volume_line(volume, width);
        text.extend(volume.ext4.as_ref().and_then(orphans_line));
        text.extend(volume.findings.iter().map(finding_line));
    }
    text + &format!("verdict: {}\n", word(&report.verdict))
}

fn volume_line(volume: &VolumeReport, width: usize) -> String {
    format!(
        "{:<width$} {:<11} {:>16} {:>12}  {}\n",
        printable_text(&volume.path),
        volume.kind.as_str(),
        volume.offset_bytes.map_or("elsewhere".to_owned(), |offset| offset.to_string()),
        Bytes(volume.size_bytes).to_string(),
        word(&volume.verdict)
    )
}

/// Who knows what e2fsck would say of them is not alarmed.
fn orphans_line(ext4: &Ext4Summary) -> Option<String> {
    let count = ext4.orphans;
    (count > 0).then(|| format!("  orphans: {count} (deleted or cut short while open; a mount releases them)\n"))
}

fn finding_line(finding: &Finding) -> String {
    format!(
        "  {}: {}: {} ({})\n",
        word(&finding.severity),
        printable_text(&finding.place),
        printable_text(&finding.detail),
        finding.code
    )
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
            Hint { volume: volume.path.clone(), warning, commands }
        }
        None if volume.kind == Kind::Empty => {
            Hint { volume: volume.path.clone(), warning: "there is nothing in it", commands: Vec::new() }
        }
        None => Hint {
            volume: volume.path.clone(),
            warning: "no line: it is not all on this disk, or in too many pieces",
            commands: Vec::new(),
        },
    };
    layout.volumes.iter().map(hint).collect()
}

fn describe_hints(hints: Option<&[Hint]>) -> String {
    let mut text = String::new();
    for Hint { volume, warning, commands } in hints.unwrap_or_default() {
        text += &format!("\n# volume {}: {warning}\n", printable_text(volume));
        text.extend(commands.iter().map(|command| format!("{command}\n")));
    }
    text
}

/// The word that `--json` uses, too.
fn word(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => "?".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_one_line_with_its_quotes_as_they_are() {
        let finding = Finding::damage("code", "byte 512", "it has no \"EFI PART\"\n\u{1b}[2J");
        assert_eq!(finding_line(&finding), "  damage: byte 512: it has no \"EFI PART\"\\n\\u{1b}[2J (code)\n");
    }

    #[test]
    fn orphans_are_said_and_explained_where_there_are_any() {
        let of = |orphans| orphans_line(&Ext4Summary { orphans, ..Ext4Summary::default() });
        assert_eq!(of(0), None);
        assert_eq!(of(2).unwrap(), "  orphans: 2 (deleted or cut short while open; a mount releases them)\n");
    }
}
