//! What a failure looks like: the lines for a person, and the document for a script.

use serde::Serialize;

use super::exit::Exit;
use super::{Cause, Failure, Kind};
use crate::step::Step;

/// What `--json` prints in place of a result.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Document<'f> {
    /// The failure.
    pub error: ErrorDocument<'f>,
}

/// A failure, with the code that the command exits with.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ErrorDocument<'f> {
    /// The command, and what it was about.
    pub what: &'f str,
    /// The first thing that failed.
    #[serde(flatten)]
    pub first: CauseDocument<'f>,
    /// What failed while the run undid what it held.
    pub clean_up: Vec<CauseDocument<'f>>,
    /// The exit code.
    pub exit: u8,
}

/// One thing that failed.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CauseDocument<'f> {
    /// The step that failed.
    pub step: Step,
    /// The kind of the cause.
    pub kind: Kind,
    /// What happened.
    pub cause: String,
    /// What helps.
    pub hint: &'f str,
}

impl<'f> CauseDocument<'f> {
    fn new(step: Step, cause: &'f Cause) -> Self {
        Self { step, kind: cause.kind, cause: cause.to_string(), hint: cause.hint() }
    }
}

impl Failure {
    /// The failure of `what` (a command and what it is about) as a document.
    #[must_use]
    pub fn document<'f>(&'f self, what: &'f str) -> Document<'f> {
        Document {
            error: ErrorDocument {
                what,
                first: CauseDocument::new(self.step, &self.cause),
                clean_up: self.clean_up.iter().map(|(step, cause)| CauseDocument::new(*step, cause)).collect(),
                exit: self.exit().code(),
            },
        }
    }

    /// The failure of `what` in words: the cause, what could not be undone, and what helps; each said once.
    #[must_use]
    pub fn describe(&self, what: &str) -> String {
        let at = if self.step.says_more_than(what) { format!(" at {}", self.step) } else { String::new() };
        let mut lines = vec![format!("stillpoint: {what} failed{at}: {}", self.cause)];
        lines.extend(self.clean_up.iter().map(|(step, cause)| format!("and then {step} failed: {cause}")));
        let mut hints: Vec<&str> = Vec::new();
        for cause in std::iter::once(&self.cause).chain(self.clean_up.iter().map(|(_, cause)| cause)) {
            if !hints.contains(&cause.hint()) {
                hints.push(cause.hint());
            }
        }
        lines.extend(hints.iter().map(|hint| format!("hint: {hint}")));
        if self.exit() == Exit::NeedsPerson {
            lines.push("A PERSON IS NEEDED NOW (exit code 6)".to_owned());
        }
        lines.join("\n") + "\n"
    }
}

impl Step {
    /// Whether it says more than the command that failed in it: `check` fails in its step `check`, or before that.
    fn says_more_than(self, what: &str) -> bool {
        let command = what.split(' ').next().unwrap_or_default();
        !matches!(self, Self::Job | Self::Check | Self::Files | Self::Unknown) && command != self.to_string()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn full() -> Failure {
        Failure::new(
            Step::Copy,
            Cause::new(Kind::TargetFull, "the target is full after 7 bytes", "free some").on("vg/db"),
        )
    }

    fn left() -> Failure {
        Failure::new(Step::Remove, Cause::new(Kind::VolumesLeft, "cannot remove vg/x", "lvremove it"))
    }

    #[test]
    fn a_person_reads_the_vm_the_step_the_disk_and_the_numbers_and_then_what_helps() {
        assert_eq!(
            full().describe("backup of db1"),
            "stillpoint: backup of db1 failed at copy: vg/db: the target is full after 7 bytes\nhint: free some\n"
        );
    }

    #[test]
    fn a_failed_clean_up_hides_nothing_and_is_not_hidden() {
        assert_eq!(
            full().and(left()).and(left()).describe("backup of db1"),
            "stillpoint: backup of db1 failed at copy: vg/db: the target is full after 7 bytes\n\
             and then remove failed: cannot remove vg/x\n\
             and then remove failed: cannot remove vg/x\n\
             hint: free some\n\
             hint: lvremove it\n\
             A PERSON IS NEEDED NOW (exit code 6)\n"
        );
    }

    #[test]
    fn no_step_is_said_twice() {
        let failed = |step, what| Failure::new(step, Cause::refused("no", "look")).describe(what);
        assert_eq!(failed(Step::Check, "check of disk.img"), "stillpoint: check of disk.img failed: no\nhint: look\n");
        assert_eq!(failed(Step::Files, "ls of disk.img"), "stillpoint: ls of disk.img failed: no\nhint: look\n");
        assert_eq!(failed(Step::Job, "backup"), "stillpoint: backup failed: no\nhint: look\n");
        assert_eq!(failed(Step::Plan, "plan of db1"), "stillpoint: plan of db1 failed: no\nhint: look\n");
        assert_eq!(failed(Step::Plan, "backup of db1"), "stillpoint: backup of db1 failed at plan: no\nhint: look\n");
    }

    #[test]
    fn a_script_reads_the_kinds_of_all_that_failed_and_the_exit_code() {
        let failure = full().and(left());
        assert_eq!(
            serde_json::to_value(failure.document("backup of db1")).unwrap(),
            json!({ "error": {
                "what": "backup of db1", "step": "copy", "kind": "target-full",
                "cause": "vg/db: the target is full after 7 bytes", "hint": "free some", "exit": 6,
                "clean_up": [{
                    "step": "remove", "kind": "volumes-left", "cause": "cannot remove vg/x", "hint": "lvremove it",
                }],
            }})
        );
    }
}
