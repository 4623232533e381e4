//! `stillpoint check`.

use std::path::{Path, PathBuf};

use fsprobe::{Depth, Finding, Report, Verdict, VolumeReport};

use super::args::CheckArgs;
use super::render;
use crate::artifact::open_disk;
use crate::exit::Exit;
use crate::failure::{At, Failure};
use crate::lvm::{Bytes, LvName};
use crate::step::Step;

pub(super) fn run(args: &CheckArgs) -> Exit {
    match check(args) {
        Ok((report, hints)) => {
            if args.json {
                render::json(&report);
            } else {
                render::text(&(describe(&report) + &hints));
            }
            match report.verdict {
                Verdict::Consistent => Exit::Done,
                Verdict::Replay | Verdict::Unknown => Exit::Weaker,
                Verdict::Damaged => Exit::Damaged,
            }
        }
        Err(failure) => {
            render::failure("check", &failure, args.json);
            failure.exit()
        }
    }
}

/// The report, and the mount lines where they were asked for.
fn check(args: &CheckArgs) -> Result<(Report, String), Failure> {
    let path = device_path(&args.target);
    let disk = open_disk(&path).at(Step::Check)?;
    let layout = fsprobe::layout(&*disk).at(Step::Check)?;
    let depth = if args.deep { Depth::Deep } else { Depth::Default };
    let report = Report { target: args.target.display().to_string(), ..layout.check(&*disk, depth) };
    let hints = if args.mount_hints { mount_hints(&path, &layout) } else { String::new() };
    Ok((report, hints))
}

/// A path as it is; `vg/lv` is a device where no such file exists.
pub(super) fn device_path(target: &Path) -> PathBuf {
    match target.to_str().and_then(|text| text.parse::<LvName>().ok()) {
        Some(lv) if !target.exists() => Path::new("/dev").join(lv.vg()).join(lv.lv()),
        _ => target.to_owned(),
    }
}

fn describe(report: &Report) -> String {
    let mut text = format!(
        "{}: {}, sectors of {} bytes, table: {}\n",
        report.target.escape_debug(),
        Bytes(report.size_bytes),
        report.sector_size_bytes,
        word(&report.table)
    );
    text.extend(report.findings.iter().map(finding_line));
    text += &format!("{:<14} {:<9} {:>16} {:>12}  VERDICT\n", "VOLUME", "KIND", "OFFSET (BYTES)", "SIZE");
    for volume in &report.volumes {
        text += &volume_line(volume);
        text.extend(volume.findings.iter().map(finding_line));
    }
    text + &format!("verdict: {}\n", word(&report.verdict))
}

fn volume_line(volume: &VolumeReport) -> String {
    format!(
        "{:<14} {:<9} {:>16} {:>12}  {}\n",
        volume.path.escape_debug().to_string(),
        volume.kind.as_str(),
        volume.offset_bytes.map_or("elsewhere".to_owned(), |offset| offset.to_string()),
        Bytes(volume.size_bytes).to_string(),
        word(&volume.verdict)
    )
}

fn finding_line(finding: &Finding) -> String {
    format!(
        "  {}: {}: {} ({})\n",
        word(&finding.severity),
        finding.place.escape_debug(),
        finding.detail.escape_debug(),
        finding.code
    )
}

fn mount_hints(target: &Path, layout: &fsprobe::Disk) -> String {
    let target = target.to_string_lossy();
    let mut text = String::new();
    for volume in &layout.volumes {
        let Some(hint) = fsprobe::mount_hint(&target, volume) else { continue };
        text += &format!("\n# volume {}: {}\n{}\n", volume.path.escape_debug(), hint.warning, hint.commands.join("\n"));
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
