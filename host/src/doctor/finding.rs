//! What a check found, and what it weighs.

use std::fmt;

use crate::failure::Cause;
use crate::failure::exit::Exit;
use crate::failure::table::row;
use crate::grade::Grade;

/// One thing that was found, or could not be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which check found it.
    pub check: Check,
    /// What it means for a backup.
    pub weight: Weight,
    /// Whether it was seen. Of what was not, the weight says what a backup has to assume.
    pub looked_at: bool,
    /// What was found, in a sentence.
    pub what: String,
    /// What follows, with the numbers; empty where `what` says it.
    pub why: String,
    /// What to do about it; empty where there is nothing to do.
    pub remedy: String,
}

/// What something means for a backup, lightest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// It is as it should be.
    Fine,
    /// A person should know, and the grade does not depend on it.
    Note,
    /// The backup is at best of this grade.
    AtBest(Grade),
    /// A backup would fail.
    Stops,
    /// The guest stands still now.
    NeedsPerson,
}

/// The checks, by the names that are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Check {
    /// Whether the agent answers, and whether the guest is on at all.
    Agent,
    /// The commands that it offers.
    Commands,
    /// Whether the guest is frozen now.
    Frozen,
    /// The job's disks.
    Disks,
    /// The guest's filesystems, and the database's directories.
    Filesystems,
    /// Filesystems in files of others.
    Loops,
    /// The database server, and its lock.
    Database,
    /// What its account may not.
    Account,
    /// What it promises of a commit.
    Durability,
    /// Who would keep the lock waiting now.
    Busy,
    /// Others that it has to do with: a cluster, a source.
    Cluster,
    /// This host's LVM.
    Lvm,
    /// Room for the COW volumes.
    Room,
    /// Snapshots that the origins have.
    Snapshots,
    /// Runs that died.
    Runs,
    /// Where artifacts go.
    Target,
    /// Where run logs are kept.
    StateDir,
    /// The clocks of host and guest.
    Clock,
    /// The watchdog in the guest.
    Watchdog,
    /// The guardian of a run.
    Guardian,
    /// A freeze and a thaw that were tried.
    FreezeTest,
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Agent => "agent",
            Self::Commands => "commands",
            Self::Frozen => "frozen",
            Self::Disks => "disks",
            Self::Filesystems => "filesystems",
            Self::Loops => "loops",
            Self::Database => "database",
            Self::Account => "account",
            Self::Durability => "durability",
            Self::Busy => "busy",
            Self::Cluster => "cluster",
            Self::Lvm => "lvm",
            Self::Room => "room",
            Self::Snapshots => "snapshots",
            Self::Runs => "runs",
            Self::Target => "target",
            Self::StateDir => "state-dir",
            Self::Clock => "clock",
            Self::Watchdog => "watchdog",
            Self::Guardian => "guardian",
            Self::FreezeTest => "freeze-test",
        })
    }
}

impl Finding {
    /// Something that was seen.
    pub fn new(check: Check, weight: Weight, what: impl Into<String>) -> Self {
        Self { check, weight, looked_at: true, what: what.into(), why: String::new(), remedy: String::new() }
    }

    /// It is as it should be.
    pub fn fine(check: Check, what: impl Into<String>) -> Self {
        Self::new(check, Weight::Fine, what)
    }

    /// A person should know it.
    pub fn note(check: Check, what: impl Into<String>) -> Self {
        Self::new(check, Weight::Note, what)
    }

    /// The backup is at best of `grade` for it.
    pub fn at_best(check: Check, grade: Grade, what: impl Into<String>) -> Self {
        Self::new(check, Weight::AtBest(grade), what)
    }

    /// A backup would fail for it.
    pub fn stops(check: Check, what: impl Into<String>) -> Self {
        Self::new(check, Weight::Stops, what)
    }

    /// A backup would die of `cause`.
    pub fn failed(check: Check, cause: &Cause) -> Self {
        let needs_person = row(cause.kind, false).exit == Exit::NeedsPerson;
        let weight = if needs_person { Weight::NeedsPerson } else { Weight::Stops };
        Self::new(check, weight, cause.to_string()).remedy(cause.hint())
    }

    /// Something that nobody could look at. `weight` is what a backup has to assume: never [`Weight::Fine`].
    pub fn unseen(check: Check, weight: Weight, why: impl fmt::Display) -> Self {
        let weight = weight.max(Weight::Note);
        Self { looked_at: false, ..Self::new(check, weight, format!("not looked at: {why}")) }
    }

    /// The same with what follows from it.
    #[must_use]
    pub fn because(self, why: impl Into<String>) -> Self {
        Self { why: why.into(), ..self }
    }

    /// The same with what to do about it.
    #[must_use]
    pub fn remedy(self, remedy: impl Into<String>) -> Self {
        Self { remedy: remedy.into(), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Kind;

    #[test]
    fn a_cause_that_needs_a_person_weighs_more_than_one_that_only_stops() {
        let of = |kind| Finding::failed(Check::Frozen, &Cause::plain(kind, "it is")).weight;
        assert_eq!((of(Kind::GuestFrozen), of(Kind::AgentSilent)), (Weight::NeedsPerson, Weight::Stops));
        assert!(Weight::NeedsPerson > Weight::Stops && Weight::Stops > Weight::AtBest(Grade::Clean));
    }

    #[test]
    fn what_was_not_looked_at_is_never_fine() {
        let unseen = Finding::unseen(Check::Clock, Weight::Fine, "nobody answers");
        assert_eq!((unseen.weight, unseen.looked_at), (Weight::Note, false));
        assert_eq!(unseen.what, "not looked at: nobody answers");
    }
}
