//! `stillpoint check`.

use fsprobe::{Depth, Ext4Summary, Finding, Report, Verdict, VolumePiece, VolumeReport};
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
        text.extend(identity_line(volume));
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
        place(volume),
        Bytes(volume.size_bytes).to_string(),
        word(&volume.verdict)
    )
}

/// A number only where all of the volume follows it.
fn place(volume: &VolumeReport) -> String {
    let stripes = |piece: &VolumePiece| piece.stripes.as_ref().map_or(1, |stripes| stripes.offsets_bytes.len());
    match (volume.pieces.iter().map(stripes).sum::<usize>(), volume.offset_bytes) {
        (0, Some(offset)) => offset.to_string(),
        (0, None) => "elsewhere".to_owned(),
        (pieces, _) => format!("in {pieces} pieces"),
    }
}

/// What people know the volume by.
fn identity_line(volume: &VolumeReport) -> Option<String> {
    let names = [
        ("label", &volume.label),
        ("UUID", &volume.uuid),
        ("partition", &volume.partition_name),
        ("PARTUUID", &volume.partition_uuid),
    ];
    let known: Vec<_> = names
        .into_iter()
        .filter_map(|(what, name)| Some(format!("{what} {}", printable_text(name.as_deref()?))))
        .collect();
    (!known.is_empty()).then(|| format!("  {}\n", known.join(", ")))
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

    /// As `--json` prints it: what is not there is not known.
    fn volume(fields: serde_json::Value) -> VolumeReport {
        let mut json = serde_json::json!({
            "path": "0/vg/lv", "offset_bytes": 4096, "size_bytes": 8192, "kind": "ext4", "verdict": "consistent",
            "findings": [], "ext4": null
        });
        let serde_json::Value::Object(fields) = fields else { panic!("{fields}") };
        json.as_object_mut().unwrap().extend(fields);
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn a_volume_in_pieces_has_no_number_that_someone_could_read_it_by() {
        let piece = |at: u64| serde_json::json!({"volume_offset_bytes": 0, "offset_bytes": at, "size_bytes": 4096});
        assert_eq!(place(&volume(serde_json::json!({}))), "4096");
        assert_eq!(place(&volume(serde_json::json!({"offset_bytes": null}))), "elsewhere");
        assert_eq!(place(&volume(serde_json::json!({"pieces": [piece(4096), piece(65536)]}))), "in 2 pieces");
        let mut striped = piece(0);
        striped["stripes"] = serde_json::json!({"stripe_size_bytes": 4096, "offsets_bytes": [0, 8192, 16384]});
        assert_eq!(place(&volume(serde_json::json!({"pieces": [striped]}))), "in 3 pieces");
    }

    #[test]
    fn a_volume_is_named_by_what_is_known_of_it() {
        assert_eq!(identity_line(&volume(serde_json::json!({}))), None);
        let named = volume(serde_json::json!({
            "label": "root", "uuid": "ab-cd", "partition_name": "the\nroot", "partition_uuid": "ef-01"
        }));
        assert_eq!(identity_line(&named).unwrap(), "  label root, UUID ab-cd, partition the\\nroot, PARTUUID ef-01\n");
    }

    #[test]
    fn orphans_are_said_and_explained_where_there_are_any() {
        let of = |orphans| orphans_line(&Ext4Summary { orphans, ..Ext4Summary::default() });
        assert_eq!(of(0), None);
        assert_eq!(of(2).unwrap(), "  orphans: 2 (deleted or cut short while open; a mount releases them)\n");
    }
}
