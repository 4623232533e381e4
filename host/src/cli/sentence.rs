//! What happened in a run, each in one short sentence.

use fsprobe::Verdict;
use guest_bridge::database::lock_method::LockMethod;
use guest_bridge::watchdog::Disarmed;
use lvm::Bytes;
use tracing::Level;

use crate::run::entry::{CowVolume, DiskCopied, DiskVerdict, Fact, Mark};
use crate::show::amount::{counted, took_ms};
use crate::show::printable::printable_text;
use crate::step::Step;

/// A sentence, and how much it matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sentence {
    /// `INFO` is for everybody, `DEBUG` for whoever wants details.
    pub level: Level,
    /// What happened, safe for a terminal. More than one line only of an error.
    pub text: String,
    /// Ids and places, for whoever wants details; empty where there are none.
    pub detail: String,
    /// It is the line to look for: how long the guest stood still.
    pub stands_out: bool,
}

impl Sentence {
    /// What matters this much, in these words.
    #[must_use]
    pub fn new(level: Level, text: &str) -> Self {
        let text = text.lines().map(printable_text).collect::<Vec<_>>().join("\n");
        Self { level, text, detail: String::new(), stands_out: false }
    }

    fn info(text: &str) -> Self {
        Self::new(Level::INFO, text)
    }

    fn with(self, detail: &str) -> Self {
        Self { detail: printable_text(detail), ..self }
    }

    /// What a line of the run log says.
    #[must_use]
    pub fn of(mark: &Mark) -> Self {
        match mark {
            Mark::Begun(begun) => Self::info(&format!("backup of {}, run {}", begun.vm, begun.run))
                .with(&format!("stillpoint {}, process {}", begun.version, begun.pid)),
            Mark::Intent { step, takes } if takes.is_empty() => Self::new(Level::DEBUG, &format!("{step} begins")),
            Mark::Intent { step, takes } => {
                let takes = takes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                Self::new(Level::DEBUG, &format!("{step} may hold from now on: {takes}"))
            }
            Mark::Done { step, detail, .. } => Self::of_done(*step, detail.as_ref()),
            Mark::Failed { step, error, .. } => {
                let cause = error.strip_prefix(&format!("{step}: ")).unwrap_or(error);
                Self::new(Level::WARN, &format!("{step} failed: {cause}"))
            }
            Mark::Closed { left, exit } if left.is_empty() => {
                Self::new(Level::DEBUG, &format!("the run is over, exit code {exit}"))
            }
            Mark::Closed { left, .. } => {
                let left = left.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                Self::new(Level::ERROR, &format!("the run is over, and has left {left}"))
            }
        }
    }

    fn of_done(step: Step, fact: Option<&Fact>) -> Self {
        let Some(fact) = fact else { return Self::new(Level::DEBUG, &format!("{step} done")) };
        match fact {
            // Of logs that another stillpoint wrote.
            Fact::Format1 { .. } | Fact::Unknown => Self::new(Level::DEBUG, &format!("{step} done")),
            Fact::CowVolumes { volumes } => cow_volumes(volumes),
            Fact::GuestSynced => Self::info("the guest wrote out its dirty pages"),
            Fact::Marked { filesystems } => {
                Self::new(Level::DEBUG, &format!("marked: {} of the guest", counted(*filesystems, "filesystem")))
            }
            Fact::Unmarked => Self::new(Level::DEBUG, "the markers are removed"),
            Fact::Armed { filesystems, after_ms, in_memory } => {
                let text = format!("watchdog armed in the guest, for {}", counted(*filesystems, "filesystem"));
                let from = if *in_memory { "from memory" } else { "from the guest's disk" };
                Self::new(Level::DEBUG, &text).with(&format!("after {}, {from}", took_ms(*after_ms)))
            }
            Fact::Disarmed { did: Disarmed::InTime } => {
                Self::new(Level::DEBUG, "the watchdog in the guest is disarmed")
            }
            Fact::Disarmed { did: Disarmed::HasThawed } => {
                Self::new(Level::WARN, "the watchdog in the guest has thawed it inside the window")
            }
            Fact::Disarmed { did: Disarmed::NotThere } => Self::new(Level::WARN, "the watchdog in the guest is gone"),
            Fact::Locked { method, connection_id, coordinates, waited_ms, .. } => {
                let at = coordinates.as_ref().map(|at| {
                    let gtid = at.gtid.as_ref().map(|gtid| format!(", GTID {gtid}")).unwrap_or_default();
                    format!(", binlog {}:{}{gtid}", at.file, at.position)
                });
                let what = match method {
                    LockMethod::None => "nothing is locked, and commits go on".to_owned(),
                    LockMethod::InstanceForBackup => format!("DDL is kept away by {method}, and commits go on"),
                    _ => format!("tables locked by {method}"),
                };
                Self::info(&format!("{what}, waited {}", took_ms(*waited_ms)))
                    .with(&format!("connection {connection_id}{}", at.unwrap_or_default()))
            }
            Fact::Frozen { filesystems } => Self::info(&format!("frozen: {}", counted(*filesystems, "filesystem"))),
            Fact::Attached { disks } => Self::info(&format!("snapshot: {} at once", counted(*disks as u64, "disk"))),
            Fact::Thawed { filesystems, attempts, window_ms } => {
                let tries = if *attempts > 1 { format!(" ({attempts} attempts)") } else { String::new() };
                let count =
                    filesystems.map_or_else(|| "its count was lost".to_owned(), |count| counted(count, "filesystem"));
                let text = format!("thawed: the guest stood still for {}{tries}", took_ms(*window_ms));
                Self { stands_out: true, ..Self::info(&text).with(&count) }
            }
            Fact::StillLocked { held: true } => Self::new(Level::DEBUG, "the lock outlasted the snapshot"),
            Fact::StillLocked { held: false } => {
                Self::new(Level::WARN, "the lock on the tables was lost before the snapshot was known to be there")
            }
            Fact::Unlocked { stall_ms: 0 } => Self::info("unlocked: no writer waited for the lock"),
            Fact::Unlocked { stall_ms } => {
                Self::info(&format!("tables unlocked: writers waited for {}", took_ms(*stall_ms)))
            }
            Fact::Evidence { disks } => evidence(disks),
            Fact::Copied { disks } => copied(disks),
            Fact::Dumped { raw_bytes, stored_bytes } => {
                Self::info(&format!("the dump is whole: {} of SQL, {} stored", Bytes(*raw_bytes), Bytes(*stored_bytes)))
            }
            Fact::Removed { volumes } => {
                let names = volumes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                Self::info(&format!("removed: {}", counted(volumes.len() as u64, "snapshot"))).with(&names)
            }
            Fact::Published { files } => Self::info(&format!("published: {}", files.join(", "))),
        }
    }
}

fn cow_volumes(volumes: &[CowVolume]) -> Sentence {
    let size = Bytes(volumes.iter().map(|volume| volume.size_bytes).sum());
    let each = volumes.iter().map(|volume| format!("{} for {}", volume.cow, volume.origin)).collect::<Vec<_>>();
    let together = if volumes.len() > 1 { " together" } else { "" };
    let text = format!("made: {} of {size}{together}", counted(volumes.len() as u64, "COW volume"));
    Sentence::info(&text).with(&each.join(", "))
}

fn evidence(disks: &[DiskVerdict]) -> Sentence {
    let word = |verdict| match verdict {
        Verdict::Consistent => "consistent",
        Verdict::Unknown => "not to be judged",
        Verdict::Replay => "sound after a journal replay",
        Verdict::Damaged => "DAMAGED",
    };
    let each = disks.iter().map(|disk| format!("{} {}", disk.origin, word(disk.verdict))).collect::<Vec<_>>();
    let level = if disks.iter().any(|disk| disk.verdict == Verdict::Damaged) { Level::WARN } else { Level::INFO };
    Sentence::new(level, &format!("on the snapshots: {}", each.join(", ")))
}

fn copied(disks: &[DiskCopied]) -> Sentence {
    let sum = |pick: fn(&DiskCopied) -> u64| Bytes(disks.iter().map(pick).sum());
    let each = disks.iter().map(|disk| {
        format!("{}: {} stored, COW peak {}", disk.origin, Bytes(disk.stored_bytes), Bytes(disk.cow_peak_bytes))
    });
    let text = format!(
        "all copied: {} of {}, stored in {}",
        sum(|disk| disk.allocated_bytes),
        counted(disks.len() as u64, "disk"),
        sum(|disk| disk.stored_bytes)
    );
    Sentence::info(&text).with(&each.collect::<Vec<_>>().join(", "))
}

/// What a person is told of a step that goes on for a while, as long as it does; `None` of those that are over at once.
#[must_use]
pub fn meanwhile(step: Step) -> Option<&'static str> {
    match step {
        Step::CowVolumes => Some("making the COW volumes"),
        Step::GuestSync => Some("the guest writes out its dirty pages"),
        Step::Lock => Some("waiting for the tables"),
        Step::Evidence => Some("reading what the snapshots prove"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done(fact: Fact) -> Sentence {
        Sentence::of(&Mark::Done { step: Step::Thaw, frees: Vec::new(), detail: Some(fact) })
    }

    #[test]
    fn only_the_window_stands_out() {
        let thawed = done(Fact::Thawed { filesystems: Some(2), attempts: 1, window_ms: 310 });
        assert_eq!((&*thawed.text, thawed.stands_out), ("thawed: the guest stood still for 0.31 s", true));
        assert!(!done(Fact::Frozen { filesystems: 2 }).stands_out);
    }

    #[test]
    fn a_thaw_that_had_to_be_repeated_says_so() {
        let thawed = done(Fact::Thawed { filesystems: None, attempts: 3, window_ms: 21_000 });
        assert_eq!(thawed.text, "thawed: the guest stood still for 21.0 s (3 attempts)");
        assert_eq!(thawed.detail, "its count was lost");
    }

    #[test]
    fn a_failed_step_is_named_once_and_its_guest_cannot_forge_a_line() {
        let failed = |error: &str| {
            Sentence::of(&Mark::Failed { step: Step::Freeze, frees: Vec::new(), error: error.to_owned() })
        };
        assert_eq!(failed("freeze: no answer").text, "freeze failed: no answer");
        assert_eq!(failed("freeze: a\u{1b}[2J\r").text, "freeze failed: a\\u{1b}[2J\\r");
    }

    #[test]
    fn a_lost_lock_and_damage_are_warnings() {
        assert_eq!(done(Fact::StillLocked { held: false }).level, Level::WARN);
        let disk = |verdict| DiskVerdict { origin: "vg/data".parse().unwrap(), verdict };
        let seen = done(Fact::Evidence { disks: vec![disk(Verdict::Consistent), disk(Verdict::Damaged)] });
        assert_eq!(seen.level, Level::WARN);
        assert_eq!(seen.text, "on the snapshots: vg/data consistent, vg/data DAMAGED");
    }
}
