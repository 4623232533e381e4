//! The doctor: what on host and guest would keep a backup from its grade, and what to do about each. It changes nothing; only the test of a
//! freeze, where that is asked for, freezes and thaws.
//!
//! Host, guest and database are asked once ([`seen`]). Each check then judges what came, by itself: that one has nothing to go by ends no
//! other, and is a finding of its own.

mod account;
mod agent;
mod busy;
mod clock;
mod cluster;
mod commands;
mod database;
mod disks;
mod durability;
mod filesystems;
pub mod finding;
mod folders;
pub mod freeze_test;
mod host_lvm;
mod loops;
mod nets;
mod report;
mod room;
mod runs;
pub mod seen;
mod snapshots;
mod state_dir;
mod target;

use crate::ask::connect::World;
use crate::ask::job::Job;
use crate::backup::placement;
use crate::backup::plan::disk_plans;
use crate::failure::exit::Exit;
use crate::failure::{At, Failure};
use crate::grade::Grade;
use crate::run::event::Listeners;
use crate::step::Step;
use crate::stop::Stop;
use finding::{Check, Finding, Weight};
use freeze_test::FreezeTest;
use seen::Seen;

/// What was found.
#[derive(Debug)]
pub struct Examination {
    /// The VM's name.
    pub vm: String,
    /// The weakest grade that counts as success.
    pub require: Grade,
    /// The VM is off.
    pub is_off: bool,
    /// Worst first.
    pub findings: Vec<Finding>,
    /// The freeze that was tried; `None` where none was.
    pub freeze_test: Option<FreezeTest>,
}

/// Looks at all that a backup of `job` depends on. Where `try_freeze` says so the guest is frozen and thawed once, and `try_freeze` is told
/// of it.
///
/// # Errors
/// Only where a signal came.
pub async fn examine(
    job: &Job,
    world: &World,
    try_freeze: Option<Listeners>,
    stop: &Stop,
) -> Result<Examination, Failure> {
    let seen = Seen::take(job, world, stop).await.at(Step::Survey)?;
    let mut findings = judge(job, &seen);
    let mut freeze_test = None;
    if let Some(listeners) = try_freeze {
        match in_the_way(&findings, &seen) {
            Some(why) => findings.push(Finding::unseen(Check::FreezeTest, Weight::Note, why)),
            None => {
                let tested = freeze_test::run(job, &seen.survey, world, listeners, stop).await;
                findings.extend(freeze_test::findings(job, &tested));
                freeze_test = tested.ok();
            }
        }
    }
    let require = job.policy.require.value;
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.rank(require)));
    Ok(Examination { vm: job.vm.clone(), require, is_off: seen.survey.is_off, findings, freeze_test })
}

/// What each check says.
fn judge(job: &Job, seen: &Seen) -> Vec<Finding> {
    let disks = disk_plans(&job.policy, &seen.survey.disks);
    let places = seen.survey.places.as_ref();
    let placed = places.map(|places| placement::placed(places, &job.ignore_mounts.value, &disks)).unwrap_or_default();
    [
        agent::check(job, seen),
        commands::check(job, seen),
        filesystems::check(job, seen, &placed, &disks),
        loops::check(seen),
        database::check(job, seen),
        account::check(seen),
        durability::check(seen),
        busy::check(job, seen),
        cluster::check(seen),
        disks::check(seen, &placed),
        room::check(job, seen, &disks),
        snapshots::check(seen),
        host_lvm::check(seen),
        runs::check(seen),
        target::check(job, seen),
        state_dir::check(seen),
        clock::check(seen),
        nets::check(job, seen),
        vec![beyond(job, seen)].into_iter().flatten().collect(),
    ]
    .concat()
}

/// A VM that runs cannot be `clean`.
fn beyond(job: &Job, seen: &Seen) -> Option<Finding> {
    let wants_off = job.policy.require.value == Grade::Clean && !seen.survey.is_off;
    wants_off.then(|| {
        Finding::at_best(Check::Agent, Grade::Application, "the VM runs, and `clean` is the grade of one that is off")
            .remedy("shut it down, or ask for `application` with --require")
    })
}

/// Why a freeze is not tried: one would fail, or not end.
fn in_the_way(findings: &[Finding], seen: &Seen) -> Option<String> {
    if seen.survey.is_off {
        return Some("the VM is off".to_owned());
    }
    let is_of_freeze = |check| matches!(check, Check::Agent | Check::Commands | Check::Frozen | Check::Loops);
    let stops = |finding: &&Finding| finding.weight >= Weight::Stops && is_of_freeze(finding.check);
    findings.iter().find(stops).map(|finding| format!("a freeze is not tried where {}", finding.what))
}

impl Examination {
    /// The best grade that a backup could have; `None` where it would fail.
    #[must_use]
    pub fn at_best(&self) -> Option<Grade> {
        let best = if self.is_off { Grade::Clean } else { Grade::Application };
        self.findings.iter().try_fold(best, |best, finding| match finding.weight {
            Weight::Fine | Weight::Note => Some(best),
            Weight::AtBest(grade) => Some(best.min(grade)),
            Weight::Stops | Weight::NeedsPerson => None,
        })
    }

    /// The exit code that says what was found.
    #[must_use]
    pub fn exit(&self) -> Exit {
        let worst = self.findings.iter().map(|finding| finding.weight).max();
        match (worst, self.at_best()) {
            (Some(Weight::NeedsPerson), _) => Exit::NeedsPerson,
            (_, None) => Exit::Failed,
            (_, Some(grade)) if grade < self.require => Exit::Weaker,
            _ => Exit::Done,
        }
    }
}

#[cfg(test)]
mod tests;
