//! Before the window.

use stillpoint::step::Step;

use super::Then;
use crate::broken::Broken;
use crate::guest::{Answer, Called, call};
use crate::log::{FROZEN, LOCK, Line};
use crate::moves::Move;
use crate::state::{At, Command, Reply};

impl Then<'_> {
    pub(super) fn guard(self) -> Vec<Move> {
        let mut guarded = self.at(At::IntendVolumes);
        guarded.state.guardian_waits = true;
        let mut all = vec![guarded.does("starts its guardian")];
        if self.may_fail() {
            all.push(self.at(At::IntendVolumes).does("starts its guardian").fault("there is none"));
        }
        all
    }

    pub(super) fn make_volumes(self) -> Vec<Move> {
        let what = "makes the COW volumes";
        let mut made = self;
        made.state.volumes.made = true;
        let next = if self.model.watchdog { At::IntendWatchdog } else { At::IntendFreeze };
        let mut all = vec![made.at(next).does(what).line(Line::Done(Step::CowVolumes, 0))];
        if self.may_fail() {
            let failed = Line::Failed(Step::CowVolumes, 0);
            all.push(made.undo().does(what).fault("fails, and they are there").line(failed));
            all.push(self.undo().does(what).fault("fails").line(failed));
        }
        all
    }

    pub(super) fn arm(self) -> Vec<Move> {
        let on = |Called { how, cost, state, answer }| {
            let this = Then { state, ..self };
            let (then, line) = match answer {
                Answer::Reply(Reply::Ran) => {
                    let mut armed = this.at(At::IntendFreeze);
                    armed.state.coordinator.is_armed = true;
                    (armed, Line::Done(Step::Arm, 0))
                }
                // Somebody else has frozen it.
                Answer::Reply(Reply::RefusedFrozen) => (this.failed().at(At::Disarm), Line::Failed(Step::Arm, 0)),
                _ => (this.at(At::IntendFreeze), Line::Failed(Step::Arm, 0)),
            };
            then.does("arms the watchdog").how(how, cost).line(line)
        };
        let mut all: Vec<Move> = call(self.model, self.state, Command::Arm).into_iter().map(on).collect();
        if self.may_fail() {
            all.push(self.failed().at(At::Disarm).does("is asked to stop").fault(""));
        }
        all
    }

    pub(super) fn intend_freeze(self) -> Vec<Move> {
        let next = if self.model.lock.is_some() { At::IntendLock } else { At::MakeReady };
        if self.model.is(Broken::IntentAfterTheFreeze) {
            return vec![self.at(next).does("intends nothing")];
        }
        self.intend("intends to freeze", Step::Freeze, FROZEN, next, |this| this.failed().after_window())
    }

    pub(super) fn make_ready(self) -> Vec<Move> {
        let what = "makes the snapshots ready";
        let next = if self.model.lock.is_some() { At::Lock } else { At::Freeze };
        let mut ready = self.at(next);
        ready.state.log.holds_back = true;
        let mut all = vec![ready.does(what)];
        if self.may_fail() {
            let refused = self.outcome(LOCK | FROZEN).failed().after_window().does(what).fault("LVM refuses");
            let lock = self.model.lock.map(|_| Line::Failed(Step::Lock, LOCK));
            let lines = lock.into_iter().chain([Line::Failed(Step::Freeze, FROZEN)]).collect();
            all.push(Move { lines, ..refused });
        }
        all
    }
}
