//! The watchdog in the guest: the last net, for when host, guardian and agent are all gone. Armed just before the window, disarmed after
//! it.

use guest_bridge::watchdog::{self, Armed, Disarmed, Programs, Token};

use super::plan::WatchdogPlan;
use crate::ask::policy::WatchdogWish;
use crate::failure::{At, Cause, Failure, Kind};
use crate::run::Run;
use crate::run::entry::Fact;
use crate::run::held::{Held, Means, release_in_drop};
use crate::step::Step;
use crate::stop::Stop;

/// The watchdog of a run. Dropping it disarms it.
#[must_use = "dropping it disarms the watchdog"]
pub struct Watchdog {
    waiting: Option<Waiting>,
    means: Means,
}

struct Waiting {
    plan: WatchdogPlan,
    token: Token,
    held: Held,
    /// The guest has said so. If not, it may wait all the same.
    is_armed: bool,
}

/// What a watchdog did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchdogFacts {
    /// There was none.
    None,
    /// It waited, and is gone.
    InTime,
    /// It thawed the guest inside the window, or nobody knows whether it did: the guest was started anew.
    Broke(&'static str),
    /// It could not be asked. What a thaw of its would have left shows in the agent's counts.
    NotTold,
}

impl WatchdogFacts {
    /// What the guest's answer to a disarming means, of a watchdog that the guest has said to be armed, or has not.
    #[must_use]
    pub fn of(disarmed: Disarmed, is_armed: bool) -> Self {
        match disarmed {
            Disarmed::InTime | Disarmed::NotThere if !is_armed => Self::None,
            Disarmed::InTime => Self::InTime,
            Disarmed::HasThawed => Self::Broke("the watchdog in the guest thawed it inside the window"),
            Disarmed::NotThere => {
                Self::Broke("the watchdog in the guest is gone: it was started anew, or its memory was cleared")
            }
        }
    }
}

impl Watchdog {
    /// Arms it, where the plan says so.
    ///
    /// # Errors
    /// Where it is required and cannot be armed; where the run was asked to stop, the log cannot be written, or the guest is found
    /// frozen by someone else.
    pub async fn arm(plan: Option<&WatchdogPlan>, means: &Means, run: &Run, stop: &Stop) -> Result<Self, Failure> {
        let mut watchdog = Self { waiting: None, means: means.clone() };
        let Some(plan) = plan else { return Ok(watchdog) };
        let mut agent = means.agent().at(Step::Arm)?;
        let token = Token::new();
        let held = Held::Watchdog { agent: plan.endpoint.clone(), token: token.clone() };
        let waiting = watchdog.waiting.insert(Waiting {
            plan: plan.clone(),
            token: token.clone(),
            held: held.clone(),
            is_armed: false,
        });
        let arming = async {
            let armed = watchdog::arm(&mut agent, &token, &plan.mountpoints, plan.after, plan.deadline).await?;
            match armed.cannot_thaw.first() {
                Some(first) => Err(cannot_thaw(&first.mountpoint, &first.reason)),
                None => Ok(armed),
            }
        };
        let fact = |armed: &Armed| {
            let in_memory = armed.programs == Programs::InMemory;
            Some(Fact::Armed {
                filesystems: armed.thaws.len() as u64,
                after_ms: crate::clock::millis(plan.after),
                in_memory,
            })
        };
        let armed = run.take(Step::Arm, vec![held], arming, fact).await;
        waiting.is_armed = armed.is_ok();
        let refused = match armed {
            Ok(_) => stop.check().at(Step::Arm).err(),
            Err(failure) if failure.cause.kind == Kind::GuestFrozen || plan.wish == WatchdogWish::Require => {
                Some(failure)
            }
            Err(failure) => {
                run.note(format!("no watchdog waits in the guest, should everything else be gone: {failure}"));
                None
            }
        };
        match refused {
            None => Ok(watchdog),
            Some(failure) => {
                watchdog.disarm(run).await;
                Err(failure)
            }
        }
    }

    /// Whether it is known to wait.
    pub fn is_armed(&self) -> bool {
        self.waiting.as_ref().is_some_and(|waiting| waiting.is_armed)
    }

    /// Leaves one that is armed: the guest may be frozen still, and nobody else may be there to thaw it. It ends by itself. One that may
    /// yet come to be armed is to be disarmed, now or by whoever reads the log.
    pub fn leave(mut self, run: &Run) -> WatchdogFacts {
        let Some(Waiting { held, .. }) = self.waiting.take() else { return WatchdogFacts::None };
        run.note("the watchdog in the guest is left to thaw it");
        // It is nobody's any more: who gives back what this run held must not disarm it.
        run.done(Step::Disarm, vec![held], None);
        WatchdogFacts::NotTold
    }

    /// Disarms it. One that stays thaws what is not frozen, once, and ends: that is said, and no reason to fail.
    pub async fn disarm(mut self, run: &Run) -> WatchdogFacts {
        let Some(Waiting { plan, token, held, is_armed }) = self.waiting.take() else { return WatchdogFacts::None };
        let disarm = async || {
            let mut agent = self.means.agent()?;
            Ok::<_, Cause>(watchdog::disarm(&mut agent, &token, plan.deadline).await?)
        };
        // What was in the way may have passed.
        let disarmed = match disarm().await {
            Err(_) => disarm().await,
            disarmed => disarmed,
        };
        match disarmed.at(Step::Disarm) {
            Ok(disarmed) => {
                run.done(Step::Disarm, vec![held], Some(Fact::Disarmed { did: disarmed }));
                WatchdogFacts::of(disarmed, is_armed)
            }
            Err(failure) => {
                run.note(format!("the watchdog in the guest was not disarmed; it ends by itself: {failure}"));
                run.failed(Step::Disarm, Vec::new(), &failure);
                WatchdogFacts::NotTold
            }
        }
    }
}

fn cannot_thaw(mountpoint: &str, reason: &str) -> Cause {
    let mountpoint = mountpoint.escape_default();
    Cause::refused(
        format!("the watchdog cannot thaw {mountpoint} in the guest: {}", reason.escape_default()),
        "install util-linux in the guest (fsfreeze), or set `watchdog` to \"auto\"",
    )
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        if let Some(waiting) = &self.waiting {
            release_in_drop(std::slice::from_ref(&waiting.held), &self.means);
        }
    }
}
