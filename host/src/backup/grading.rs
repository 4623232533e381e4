//! Grading: from what the disks prove, and what happened in the window, to the grade. Pure.
//!
//! Every doubt says what the image is at best while it stands, and the grade is the least of them. A count of filesystems proves
//! nothing: `application` speaks of *these* volumes, the ones that hold what the database keeps.

use fsprobe::Verdict;
use guest_bridge::places::Place;

use super::database_state::DatabaseState;
use super::evidence::Evidence;
use super::identity::{Fate, Filesystem, Identity, Looked};
use super::proof::{FreezeProof, freeze_proof};
use super::watchdog::WatchdogFacts;
use super::window::{FreezeFacts, LockFacts};
use crate::grade::{Grade, Indication};

/// All that a grade depends on.
#[derive(Clone, Copy, Debug)]
pub struct Case<'c> {
    /// What each disk's snapshot proves.
    pub disks: &'c [Evidence<'c>],
    /// What became of the freeze.
    pub freeze: &'c FreezeFacts,
    /// What the watchdog in the guest did.
    pub watchdog: &'c WatchdogFacts,
    /// What became of the lock.
    pub lock: &'c LockFacts,
    /// Which volume is which filesystem of the guest.
    pub identity: &'c Identity,
    /// What the database's own log in the image says.
    pub database: &'c DatabaseState,
}

/// A grade, and why it is not a better one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Graded {
    /// The grade.
    pub grade: Grade,
    /// A sentence for each thing that kept it from the next better grade.
    pub reasons: Vec<String>,
    /// The kind of each doubt, of those that weigh less, too.
    pub indications: Vec<Indication>,
}

/// Something that keeps an image from a better grade.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doubt {
    /// What it is at best.
    pub at_best: Grade,
    /// For machines.
    pub indication: Indication,
    /// For people.
    pub text: String,
}

impl Doubt {
    fn new(at_best: Grade, indication: Indication, text: impl Into<String>) -> Self {
        Self { at_best, indication, text: text.into() }
    }
}

/// Grades an image.
#[must_use]
pub fn grade(case: Case<'_>) -> Graded {
    let doubts = [
        damage(case.disks),
        freeze_doubts(case.freeze),
        watchdog_doubts(case.watchdog),
        volume_doubts(case.disks, case.identity),
        identity_doubts(case.identity),
        lock_doubts(case.lock),
        database_doubts(case.database),
    ];
    weigh(Grade::Application, doubts.concat())
}

/// The least that `doubts` leave of `best`.
pub(super) fn weigh(best: Grade, doubts: Vec<Doubt>) -> Graded {
    let grade = doubts.iter().map(|doubt| doubt.at_best).fold(best, Grade::min);
    let mut indications: Vec<Indication> = doubts.iter().map(|doubt| doubt.indication).collect();
    indications.sort_unstable();
    indications.dedup();
    let reasons = doubts.into_iter().filter(|doubt| doubt.at_best == grade).map(|doubt| doubt.text).collect();
    Graded { grade, reasons, indications }
}

/// Damage outweighs everything.
pub(super) fn damage(disks: &[Evidence<'_>]) -> Vec<Doubt> {
    let is_damaged = |disk: &&Evidence<'_>| disk.report.verdict == Verdict::Damaged;
    let doubt = |disk: &Evidence<'_>| {
        Doubt::new(Grade::Damaged, Indication::Damaged, format!("{}: {}", disk.origin, disk.worst_finding()))
    };
    disks.iter().filter(is_damaged).map(doubt).collect()
}

fn freeze_doubts(freeze: &FreezeFacts) -> Vec<Doubt> {
    let doubt = |indication, text: String| vec![Doubt::new(Grade::Crash, indication, text)];
    match *freeze {
        FreezeFacts::NoAgent => doubt(
            Indication::NoAgent,
            "the guest was not frozen: no agent is configured. A pause of the VM would be no better: what the guest has not \
             written yet is in its memory"
                .to_owned(),
        ),
        FreezeFacts::NotAsked => {
            doubt(Indication::QuiesceDeclined, "the guest was not frozen: no freeze was asked for".to_owned())
        }
        FreezeFacts::Counted { frozen: 0, .. } => {
            doubt(Indication::QuiesceFailed, "the agent reported a freeze of 0 filesystems".to_owned())
        }
        FreezeFacts::Counted { thawed: None, .. } => doubt(
            Indication::ThawedEarly,
            "how many filesystems were still frozen at the thaw is not known: its reply was lost".to_owned(),
        ),
        FreezeFacts::Counted { frozen, thawed: Some(thawed) } if thawed < frozen => doubt(
            Indication::ThawedEarly,
            format!(
                "the agent froze {frozen} filesystems, and only {thawed} were still frozen at the thaw: something else \
                 thawed early"
            ),
        ),
        FreezeFacts::Counted { .. } => Vec::new(),
    }
}

fn watchdog_doubts(watchdog: &WatchdogFacts) -> Vec<Doubt> {
    match watchdog {
        WatchdogFacts::Broke(text) => vec![Doubt::new(Grade::Crash, Indication::ThawedEarly, *text)],
        WatchdogFacts::None | WatchdogFacts::InTime | WatchdogFacts::NotTold => Vec::new(),
    }
}

fn volume_doubts(disks: &[Evidence<'_>], identity: &Identity) -> Vec<Doubt> {
    let mut doubts = Vec::new();
    let mut is_any_proven = false;
    for disk in disks {
        for volume in &disk.report.volumes {
            let (indication, why) = match freeze_proof(volume, identity.standing(disk.origin, &volume.path)) {
                None => continue,
                Some(FreezeProof::Proven) => {
                    is_any_proven = true;
                    continue;
                }
                Some(FreezeProof::Refuted(why)) => (Indication::QuiesceFailed, why),
                Some(FreezeProof::Unprovable(why)) => (Indication::QuiesceNotProven, why),
            };
            doubts.push(Doubt::new(Grade::Crash, indication, format!("{} volume {}: {why}", disk.origin, volume.path)));
        }
    }
    if doubts.is_empty() && !is_any_proven {
        let text = "no filesystem on these disks can prove a freeze";
        doubts.push(Doubt::new(Grade::Crash, Indication::QuiesceNotProven, text));
    }
    doubts
}

fn identity_doubts(identity: &Identity) -> Vec<Doubt> {
    let looked = match identity {
        Identity::LookedFor(looked) => looked,
        Identity::Unknown { why } => {
            let text =
                format!("that these are the guest's filesystems, with its database in them, is not proven: {why}");
            return vec![Doubt::new(Grade::Filesystem, Indication::IdentityNotProven, text)];
        }
    };
    let mut doubts: Vec<Doubt> = looked.filesystems.iter().filter_map(missing).collect();
    let has_fate = |wanted: fn(&Fate) -> bool| looked.filesystems.iter().any(|one| wanted(&one.fate));
    let is_some_here = has_fate(|fate| matches!(fate, Fate::Found(_) | Fate::Unseen(_) | Fate::Refused(_)));
    if !is_some_here && has_fate(|fate| *fate == Fate::Missing) {
        let text = "none of the guest's filesystems is on these disks: are they another VM's?";
        doubts.push(Doubt::new(Grade::Crash, Indication::IdentityNotProven, text));
    }
    doubts.extend(looked.database.iter().filter_map(|place| not_in_image(place, looked)));
    doubts.extend(looked.database_unseen.iter().map(|why| {
        let text = format!("whether all that the database keeps is in this backup is not proven: {why}");
        Doubt::new(Grade::Filesystem, Indication::IdentityNotProven, text)
    }));
    doubts
}

/// A filesystem of the guest that the admin has not left out, and that was not found.
fn missing(Filesystem { mount, fate }: &Filesystem) -> Option<Doubt> {
    let name = format!("{} ({}) of the guest", mount.mountpoint.escape_default(), mount.fs_type.escape_default());
    match fate {
        Fate::Found(_) | Fate::LeftOut | Fate::Exempt(_) => None,
        Fate::Missing => Some(Doubt::new(
            Grade::Filesystem,
            Indication::FilesystemNotInImage,
            format!(
                "{name} is on no volume of these disks: its disk is missing from the job, or is to be left out by \
                     `ignore_mounts`"
            ),
        )),
        Fate::Unseen(why) | Fate::Refused(why) => Some(Doubt::new(
            Grade::Filesystem,
            Indication::IdentityNotProven,
            format!("which volume is {name} is not proven: {why}"),
        )),
    }
}

/// Something of the database that is on no volume that was found.
fn not_in_image(place: &Place, looked: &Looked) -> Option<Doubt> {
    let path = place.path.display().to_string();
    let path = path.escape_default();
    let why = match &place.on {
        Err(why) => format!("where it lies is not known: {}", why.escape_default()),
        Ok(on) => {
            let fate = looked.of_device(on.device).map(|filesystem| &filesystem.fate);
            let mount = format!("{} ({})", on.mountpoint.escape_default(), on.fs_type.escape_default());
            match fate {
                Some(Fate::Found(_)) => return None,
                Some(Fate::Missing) => format!("it lies on {mount}, which is on no volume of these disks"),
                Some(Fate::LeftOut) => format!("it lies on {mount}, which is left out of the job"),
                Some(Fate::Unseen(why) | Fate::Refused(why)) => {
                    format!("it lies on {mount}, of which no volume is proven to be it: {why}")
                }
                Some(Fate::Exempt(why)) => format!("it lies on {mount}, of which no volume is proven to be it: {why}"),
                None => format!("it lies on {mount}, which is on no disk"),
            }
        }
    };
    let text = format!("the database's {path} is not proven to be in this backup: {why}");
    Some(Doubt::new(Grade::Filesystem, Indication::DatabaseNotInImage, text))
}

fn lock_doubts(lock: &LockFacts) -> Vec<Doubt> {
    let (indication, text) = match lock {
        LockFacts::HeldThrough => return Vec::new(),
        LockFacts::EngineLogsNotFlushed { reason } => (
            Indication::EngineLogsNotFlushed,
            format!(
                "transactions that were acknowledged may be missing: the engines' logs were not written out. {reason}"
            ),
        ),
        LockFacts::CommitsWentOn { needed_because: None } => return Vec::new(),
        LockFacts::CommitsWentOn { needed_because: Some(why) } => {
            (Indication::LockDeclined, format!("no lock was wanted that the database's commits wait for, and {why}"))
        }
        LockFacts::NotAsked => (Indication::NoDatabase, "no database was locked: none is configured".to_owned()),
        LockFacts::Lost { reason } => {
            (Indication::LockLost, format!("the database lock was lost inside the window: {reason}"))
        }
    };
    vec![Doubt::new(Grade::Filesystem, indication, text)]
}

fn database_doubts(database: &DatabaseState) -> Vec<Doubt> {
    match database {
        DatabaseState::NotAsked | DatabaseState::Proven(_) => Vec::new(),
        DatabaseState::NotProven { indication, reason } => {
            vec![Doubt::new(Grade::Filesystem, *indication, reason.clone())]
        }
    }
}

#[cfg(test)]
mod tests;
