//! What is stale, in words.

use lvm::Bytes;

use crate::documents::clean::{Clean, CleanOutcome, HoldingProcess, NotLookedAt, OnTop, RunLife, Stale, StaleKind};
use crate::show::printable::printable_text;

/// A paragraph for each finding, and what was not looked at.
pub fn clean(clean: &Clean) -> String {
    let mut paragraphs: Vec<Vec<String>> = clean.findings.iter().map(stale).collect();
    paragraphs.extend(clean.not_looked_at.iter().map(not_looked_at));
    if clean.findings.is_empty() {
        let nothing = match &*clean.not_looked_at {
            [] => "Nothing stale was found.",
            _ => "Nothing stale was found in what could be looked at.",
        };
        paragraphs.insert(0, vec![nothing.to_owned()]);
    }
    let text = |lines: &Vec<String>| lines.iter().map(|line| printable_text(line) + "\n").collect::<String>();
    paragraphs.iter().map(text).collect::<Vec<_>>().join("\n")
}

fn stale(finding: &Stale) -> Vec<String> {
    let mut lines = vec![format!("{}: {}", finding.name, what(finding))];
    lines.extend(finding.on_top.iter().map(|on_top| row("on it", &on_top_words(on_top))));
    match &finding.outcome {
        None => {
            lines.extend(finding.in_the_way.iter().map(|what| row("IN THE WAY", what)));
            lines.extend(finding.refused.iter().map(|why| row("left alone", why)));
            let commands = finding.order.iter().map(|command| words(command));
            lines.extend(
                commands.enumerate().map(|(index, command)| row(if index == 0 { "order" } else { "" }, &command)),
            );
        }
        Some(CleanOutcome::Gone) => lines.push(row("gone", "with all that lay on it")),
        Some(CleanOutcome::Left { why, hint }) => {
            lines.push(row("LEFT", why));
            lines.push(row("hint", hint));
        }
    }
    lines
}

fn row(name: &str, value: &str) -> String {
    format!("  {name:<10}  {value}")
}

fn what(finding: &Stale) -> String {
    let of = finding.origin.as_ref().map(|origin| format!(" of {origin}")).unwrap_or_default();
    let mut text = match finding.what {
        StaleKind::Snapshot => format!("a snapshot{of}"),
        StaleKind::InvalidSnapshot => format!("a full (invalid) snapshot{of}, good for nothing"),
        StaleKind::ThinSnapshot => format!("a thin snapshot{of}, which may be wanted"),
        StaleKind::RunVolume => "a COW volume".to_owned(),
        StaleKind::MappedVolume => "a volume with something mapped from it".to_owned(),
        StaleKind::LeftoverNodes => "device-mapper nodes of a volume that LVM does not have".to_owned(),
    };
    match (finding.cow_used_bytes, finding.cow_total_bytes, finding.size_bytes) {
        (Some(used), Some(total), _) => text += &format!(", {} of {} COW in use", Bytes(used), Bytes(total)),
        (_, _, Some(size)) => text += &format!(", {}", Bytes(size)),
        _ => {}
    }
    text.extend(finding.made_at.iter().map(|at| format!(", made {at}")));
    if let Some(run) = &finding.run {
        let life = match run.state {
            RunLife::Alive => "which is alive",
            RunLife::Dead => "which died",
            RunLife::Unknown => "whose log is not here",
        };
        text += &format!(", of run {} of stillpoint, {life}", run.run);
    }
    text
}

fn on_top_words(on_top: &OnTop) -> String {
    match on_top {
        OnTop::Mapping { name, on } => format!("{name}, a mapping from {on}"),
        OnTop::Loop { name, on } => format!("{name}, a loop device over {on}"),
        OnTop::Partition { name, on } => format!("{name}, a partition of {on}"),
        OnTop::Device { name, on } => format!("{name}, a device on {on}"),
        OnTop::Mount { mountpoint, fs_type, on, within: None } => {
            format!("{on} is mounted on {mountpoint} ({fs_type})")
        }
        OnTop::Mount { mountpoint, fs_type, on, within: Some(within) } => {
            format!("{on} is mounted on {mountpoint} ({fs_type}), as {} sees it", process(within))
        }
        OnTop::Process { process: it, on } => format!("{} holds {on}", process(it)),
    }
}

fn process(HoldingProcess { pid, command, since }: &HoldingProcess) -> String {
    let since = since.as_ref().map(|since| format!(", since {since}")).unwrap_or_default();
    format!("{command} (pid {pid}{since})")
}

/// A command as a person types it.
fn words(command: &[String]) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=+,./:@%".contains(c);
    let word = |argument: &String| match argument {
        plainly if !plainly.is_empty() && plainly.chars().all(plain) => plainly.clone(),
        other => format!("'{}'", other.replace('\'', r"'\''")),
    };
    command.iter().map(word).collect::<Vec<_>>().join(" ")
}

fn not_looked_at(NotLookedAt { vg, device, why }: &NotLookedAt) -> Vec<String> {
    let what = match (vg, device) {
        (Some(vg), _) => format!("volume group {vg}, which may have more"),
        (None, Some(device)) => format!("what lies on {device}"),
        (None, None) => "LVM's volume groups, which may have more".to_owned(),
    };
    vec![format!("NOT LOOKED AT: {what}: {why}")]
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::documents::clean::{FORMAT, RunOfVolume};

    fn process() -> HoldingProcess {
        let since = Some("2026-11-21T20:01:02Z".to_owned());
        HoldingProcess { pid: 4242, command: "rsync".to_owned(), since }
    }

    fn snapshot() -> Stale {
        let command = |words: &str| words.split(' ').map(str::to_owned).collect();
        Stale {
            name: "onapp-1/backup-7".to_owned(),
            what: StaleKind::Snapshot,
            uuid: "LVM-x".to_owned(),
            origin: Some("onapp-1/debian".to_owned()),
            size_bytes: Some(20 << 30),
            cow_used_bytes: Some(12 << 30),
            cow_total_bytes: Some(20 << 30),
            made_at: Some("2026-11-21T19:59:23Z".to_owned()),
            run: None,
            on_top: vec![
                OnTop::Mapping { name: "onapp--1-backup--7X1".to_owned(), on: "onapp--1-backup--7".to_owned() },
                OnTop::Mount {
                    mountpoint: "/mnt/a b".to_owned(),
                    fs_type: "ext4".to_owned(),
                    on: "onapp--1-backup--7X1".to_owned(),
                    within: None,
                },
                OnTop::Process { process: process(), on: "/mnt/a b".to_owned() },
            ],
            order: vec![
                vec!["umount".to_owned(), "--no-canonicalize".to_owned(), "/mnt/a b".to_owned()],
                command("dmsetup remove --retry onapp--1-backup--7X1"),
                command("lvremove --yes --select lv_uuid=x onapp-1/backup-7"),
            ],
            refused: None,
            in_the_way: vec!["rsync (pid 4242) works in /mnt/a b: end it, or let it leave that folder".to_owned()],
            outcome: None,
        }
    }

    #[test]
    fn each_finding_says_what_it_is_who_holds_it_and_how_it_is_taken_down() {
        let run = RunOfVolume { run: "r1".to_owned(), state: RunLife::Dead };
        let full = Stale {
            name: "vg/stillpoint-r1-0".to_owned(),
            what: StaleKind::InvalidSnapshot,
            cow_used_bytes: None,
            cow_total_bytes: None,
            run: Some(run),
            on_top: Vec::new(),
            order: Vec::new(),
            refused: Some("it is of run r1 of stillpoint, which died: `stillpoint recover` gives it back".to_owned()),
            in_the_way: Vec::new(),
            ..snapshot()
        };
        let stuck =
            NotLookedAt { vg: Some("guests".to_owned()), device: None, why: "`lvs` did not end within 20s".to_owned() };
        let found = Clean { format: FORMAT, findings: vec![snapshot(), full], not_looked_at: vec![stuck] };
        assert_snapshot!("clean", clean(&found));
    }

    #[test]
    fn what_became_of_each_is_said() {
        let gone = Stale { outcome: Some(CleanOutcome::Gone), on_top: Vec::new(), ..snapshot() };
        let (why, hint) = ("it is held, and nothing was done".to_owned(), "rsync (pid 4242) has it open".to_owned());
        let left = Stale { outcome: Some(CleanOutcome::Left { why, hint }), ..snapshot() };
        let done = Clean { format: FORMAT, findings: vec![gone, left], not_looked_at: Vec::new() };
        assert_snapshot!("clean_done", clean(&done));
    }

    #[test]
    fn that_nothing_was_found_is_said_of_what_was_looked_at() {
        let none = Clean { format: FORMAT, findings: Vec::new(), not_looked_at: Vec::new() };
        assert_eq!(clean(&none), "Nothing stale was found.\n");
        let all = NotLookedAt { vg: None, device: None, why: "no answer".to_owned() };
        let stuck = NotLookedAt { device: Some("stuck".to_owned()), why: "it is suspended".to_owned(), ..all.clone() };
        let some = Clean { not_looked_at: vec![all, stuck], ..none };
        assert_eq!(
            clean(&some),
            "Nothing stale was found in what could be looked at.\n\n\
             NOT LOOKED AT: LVM's volume groups, which may have more: no answer\n\n\
             NOT LOOKED AT: what lies on stuck: it is suspended\n"
        );
    }
}
