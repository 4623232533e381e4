//! What was recovered, in words.

use crate::documents::recovery::{LeftBehind, RecoveredRun, Recovery, RunState};
use crate::show::printable::printable_text;

/// A paragraph for each run; `all`: those that hold nothing were asked for, too.
pub fn recovery(recovery: &Recovery, all: bool) -> String {
    let text: String = recovery.runs.iter().map(run).collect();
    match (&*text, all) {
        ("", true) => "There is no run log.\n".to_owned(),
        ("", false) => "No run has left anything.\n".to_owned(),
        _ => text,
    }
}

fn run(RecoveredRun { log, run, vm, state }: &RecoveredRun) -> String {
    let name = match (run, vm) {
        (Some(run), Some(vm)) => format!("run {run} of {vm}"),
        _ => format!("the run of {log}"),
    };
    let mut lines = Vec::new();
    match state {
        RunState::Alive => lines.push(format!("{name} is alive, or is being recovered: it is not touched")),
        RunState::Nothing => lines.push(format!("{name} holds nothing")),
        RunState::Unreadable { why } => {
            lines.push(format!("{name}: its log cannot be read, and says nothing of what it holds: {why}"));
            lines.push(
                "  A PERSON IS NEEDED: look whether its guest answers, and for volumes named stillpoint-*".to_owned(),
            );
        }
        RunState::Dead { freed, by_itself, waits, left } => {
            lines.push(format!("{name} died"));
            lines.extend(freed.iter().map(|what| format!("  given back  {what}")));
            lines.extend(by_itself.iter().map(|what| format!("  frees itself  {what}")));
            lines.extend(waits.iter().map(|what| format!("  waits for the VM to run again  {what}")));
            for LeftBehind { what, why, hint } in left {
                lines.push(format!("  LEFT  {what}: {why}"));
                lines.push(format!("        hint: {hint}"));
            }
            if !left.is_empty() {
                lines.push("  A PERSON IS NEEDED NOW (exit code 6)".to_owned());
            }
        }
    }
    lines.iter().map(|line| printable_text(line) + "\n").collect()
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::documents::recovery::FORMAT;

    fn of(state: RunState) -> RecoveredRun {
        RecoveredRun {
            log: "/var/lib/stillpoint/runs/20261121t195923z4f1a09c2d7e3.jsonl".to_owned(),
            run: Some("20261121t195923z4f1a09c2d7e3".to_owned()),
            vm: Some("db1".to_owned()),
            state,
        }
    }

    #[test]
    fn each_run_says_what_was_given_back_and_what_is_left() {
        let left = LeftBehind {
            what: "the COW volume vg/stillpoint-20261121t195923z4f1a09c2d7e3-0 of vg/db1".to_owned(),
            why: "it is held by /mnt (mount)".to_owned(),
            hint: "umount it".to_owned(),
        };
        let freed = vec!["the guest's filesystems, frozen through unix:/run/qga".to_owned()];
        let by_itself =
            vec!["the database's lock (BACKUP STAGE BLOCK_COMMIT), within 70 s of the run's end".to_owned()];
        let waits = vec!["the files .stillpoint-1 at the roots of the guest's filesystems".to_owned()];
        let unreadable =
            RecoveredRun { run: None, vm: None, ..of(RunState::Unreadable { why: "line 3: no JSON".to_owned() }) };
        let runs =
            vec![of(RunState::Alive), of(RunState::Dead { freed, by_itself, waits, left: vec![left] }), unreadable];
        assert_snapshot!("recovery", recovery(&Recovery { format: FORMAT, runs }, false));
    }

    #[test]
    fn that_nothing_was_left_is_said() {
        let none = Recovery { format: FORMAT, runs: Vec::new() };
        assert_eq!(recovery(&none, false), "No run has left anything.\n");
        assert_eq!(recovery(&none, true), "There is no run log.\n");
    }
}
