//! `stillpoint check`.

use fsprobe::{Depth, Ext4Summary, Finding, Report, Verdict, VolumeReport};
use lvm::Bytes;

use super::args::{CheckArgs, about};
use super::render;
use crate::failure::exit::Exit;
use crate::inspect::check::{Hint, check};
use crate::show::printable::printable_text;

pub(super) fn run(args: &CheckArgs) -> Exit {
    let depth = if args.deep { Depth::Deep } else { Depth::Default };
    match check(&args.target, depth, args.mount_hints) {
        Ok(checked) => {
            let exit = match checked.report.verdict {
                Verdict::Consistent => Exit::Done,
                Verdict::Replay | Verdict::Unknown => Exit::Weaker,
                Verdict::Damaged => Exit::Damaged,
            };
            if args.json {
                render::json(&checked, exit)
            } else {
                let hints = describe_hints(checked.mount_hints.as_deref());
                render::text(&(describe(&checked.report) + &hints), exit)
            }
        }
        Err(failure) => render::failure(&about("check", &args.target), &failure, args.json),
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
