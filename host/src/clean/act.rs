//! Taking the steps, each after a look whether it still takes away what was listed.

use std::thread;
use std::time::Duration;

use lvm::LvmError;

use super::Reach;
use super::find::find;
use super::finding::{Finding, Step};
use super::look::look;
use super::recheck::{Still, still};
use crate::failure::exit::Exit;
use crate::failure::{Cause, Kind};
use crate::stop::Stop;

/// How often, and how long in between, it is looked whether a loop device is gone: one that udev probes goes when that is over.
const LOOKS: u32 = 50;
const BETWEEN: Duration = Duration::from_millis(100);

/// A finding, and what became of it.
#[derive(Debug)]
pub struct Done {
    /// The finding, as it was listed.
    pub finding: Finding,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a finding.
#[derive(Debug)]
pub enum Outcome {
    /// It is gone, and all that lay on it.
    Gone,
    /// It is there, or some of it.
    Left {
        /// Why.
        why: String,
        /// What helps.
        hint: String,
        /// A guest's disk may be suspended.
        needs_person: bool,
    },
}

impl Outcome {
    /// The exit code that says so.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Gone => Exit::Done,
            Self::Left { needs_person: false, .. } => Exit::Failed,
            Self::Left { needs_person: true, .. } => Exit::NeedsPerson,
        }
    }
}

/// Takes each finding down, one after the other. What is in the way of one keeps no other from it; a suspended origin, or a
/// signal, does.
#[must_use]
pub fn carry_out(chosen: &[Finding], reach: &Reach, stop: &Stop) -> Vec<Done> {
    let mut done: Vec<Done> = Vec::new();
    for finding in chosen {
        let after_that = done.iter().any(|one| one.outcome.exit() == Exit::NeedsPerson);
        let outcome = if after_that {
            left(&Cause::refused("something has to be put right before", "see above"))
        } else {
            take_down(finding, reach, stop).map_or_else(|cause| explained(finding, &cause, reach), |()| Outcome::Gone)
        };
        done.push(Done { finding: finding.clone(), outcome });
    }
    done
}

fn take_down(listed: &Finding, reach: &Reach, stop: &Stop) -> Result<(), Cause> {
    stop.check()?;
    let Some(now) = again(listed, reach)? else { return Ok(()) };
    let is_same = now.refusal == listed.refusal
        && now.steps.len() == listed.steps.len()
        && now.steps.iter().zip(&listed.steps).all(|(now, then)| now.is_same_as(then));
    if !is_same {
        return Err(Cause::refused(
            "it is not what was listed any more, and nothing was done",
            "`stillpoint clean` lists it anew",
        ));
    }
    if let Some(first) = now.in_the_way.first() {
        return Err(Cause::new(Kind::Refused, "it is held, and nothing was done", first));
    }
    for step in &listed.steps {
        stop.check()?;
        match still(step, reach)? {
            Still::Gone => {}
            Still::Same => take(step, reach)?,
            Still::Changed(what) => return Err(Cause::refused(what, "`stillpoint clean` lists it anew")),
        }
    }
    Ok(())
}

/// The finding as it is now.
fn again(listed: &Finding, reach: &Reach) -> Result<Option<Finding>, LvmError> {
    let found = find(&look(reach)?);
    Ok(found.into_iter().find(|finding| finding.uuid == listed.uuid && finding.name == listed.name))
}

fn take(step: &Step, reach: &Reach) -> Result<(), Cause> {
    tracing::info!("{}", step.command());
    match step {
        Step::Umount { mountpoint, .. } => run(step, reach, &mountpoint.to_string_lossy())?,
        Step::Unmap { device, .. } => run(step, reach, &format!("/dev/mapper/{}", device.name))?,
        Step::Detach { name, .. } => {
            run(step, reach, &format!("/dev/{name}"))?;
            // Of one that somebody has open, the kernel says yes and waits for its end.
            for _ in 0..LOOKS {
                if still(step, reach)? != Still::Same {
                    return Ok(());
                }
                thread::sleep(BETWEEN);
            }
            return Err(Cause::refused(
                format!("somebody has {name} open: it goes when that ends"),
                "`fuser -v /dev/loop*`",
            ));
        }
        Step::Remove { name, lv_uuid } => reach.lvm.remove_snapshot(name, lv_uuid)?,
    }
    Ok(())
}

/// Runs the command of a step that takes `what` away.
fn run(step: &Step, reach: &Reach, what: &str) -> Result<(), Cause> {
    let failed = |error| {
        let cause = Cause::from(LvmError::from(error));
        let hint = format!("`fuser -vm {what}` and `lsblk` show who uses it; a container or an overlay may, too");
        Cause::new(cause.kind, cause.to_string(), hint)
    };
    reach.programs.run(&step.command()).map(drop).map_err(failed)
}

/// What failed, with who is seen to hold it now.
fn explained(listed: &Finding, cause: &Cause, reach: &Reach) -> Outcome {
    let held = again(listed, reach).ok().flatten().map(|now| now.in_the_way).unwrap_or_default();
    match (left(cause), &*held) {
        (Outcome::Left { why, needs_person: false, .. }, [_, ..]) => {
            Outcome::Left { why, hint: held.join("; "), needs_person: false }
        }
        (outcome, _) => outcome,
    }
}

fn left(cause: &Cause) -> Outcome {
    let needs_person = cause.kind == Kind::OriginSuspended;
    Outcome::Left { why: cause.to_string(), hint: cause.hint().to_owned(), needs_person }
}
