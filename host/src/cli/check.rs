//! `stillpoint check`.

use std::path::{Path, PathBuf};

use fsprobe::{Depth, Report, Verdict};

use super::args::CheckArgs;
use super::render;
use crate::artifact::open_disk;
use crate::exit::Exit;
use crate::failure::{At, Failure};
use crate::lvm::LvName;
use crate::step::Step;

pub(super) fn run(args: &CheckArgs) -> Exit {
    match check(args) {
        Ok(report) => {
            if args.json {
                render::json(&report);
            } else {
                render::text(&describe(&report));
            }
            match report.verdict {
                Verdict::Consistent => Exit::Done,
                Verdict::Replay | Verdict::Unknown => Exit::Weaker,
                Verdict::Damaged => Exit::Damaged,
            }
        }
        Err(failure) => {
            render::failure(&failure, args.json);
            failure.exit()
        }
    }
}

fn check(args: &CheckArgs) -> Result<Report, Failure> {
    let disk = open_disk(&device_path(&args.target)).at(Step::Evidence)?;
    let depth = if args.deep { Depth::Deep } else { Depth::Default };
    if args.mount_hints {
        let layout = fsprobe::layout(&*disk).at(Step::Evidence)?;
        let hints =
            layout.volumes.iter().filter_map(|volume| fsprobe::mount_hint(&args.target.to_string_lossy(), volume));
        for hint in hints {
            render::note(&format!("{}\n# {}\n", hint.commands.join("\n"), hint.warning));
        }
    }
    let report = fsprobe::check(&*disk, depth).at(Step::Evidence)?;
    Ok(Report { target: args.target.display().to_string(), ..report })
}

/// A path as it is; `vg/lv` is a device where no such file exists.
fn device_path(target: &Path) -> PathBuf {
    match target.to_str().and_then(|text| text.parse::<LvName>().ok()) {
        Some(lv) if !target.exists() => Path::new("/dev").join(lv.vg()).join(lv.lv()),
        _ => target.to_owned(),
    }
}

fn describe(report: &Report) -> String {
    let mut lines = Vec::new();
    for volume in &report.volumes {
        lines.push(format!(
            "{:<12} {:<10} {:>20} {:>20}  {:?}",
            volume.path,
            volume.kind.as_str(),
            volume.offset_bytes.unwrap_or(0),
            volume.size_bytes,
            volume.verdict
        ));
        lines.extend(
            volume.findings.iter().map(|finding| format!("  {}: {} ({})", finding.place, finding.detail, finding.code)),
        );
    }
    lines.push(format!("verdict: {:?}", report.verdict).to_lowercase());
    lines.join("\n") + "\n"
}
