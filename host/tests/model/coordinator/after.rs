//! Behind the window.

use stillpoint::step::Step;

use super::{Then, end};
use crate::broken::Broken;
use crate::grading::grade;
use crate::guest::{Answer, Called, call};
use crate::log::{COW, Line, WATCHDOG};
use crate::moves::Move;
use crate::state::{At, Command, Reply, Volumes, WatchdogSeen};

impl Then<'_> {
    /// Where the thaw gave up, a watchdog that is armed is left to thaw: it ends by itself.
    pub(super) fn disarm(mut self) -> Vec<Move> {
        if self.state.coordinator.gave_up && self.state.coordinator.is_armed {
            self.state.coordinator.watchdog = WatchdogSeen::NotTold;
            let left = self.outcome(WATCHDOG).after_disarm().does("leaves the watchdog armed");
            return vec![left.line(Line::Done(Step::Disarm, WATCHDOG))];
        }
        let what = "disarms the watchdog";
        let on = |Called { how, cost, state, answer }| {
            let mut this = Then { state, ..self };
            match answer {
                Answer::Reply(Reply::Disarmed(verdict)) => {
                    let is_armed = this.state.coordinator.is_armed;
                    this.state.coordinator.watchdog = WatchdogSeen::Disarmed { verdict, is_armed };
                    let done = this.outcome(WATCHDOG).after_disarm().does(what).how(how, cost);
                    done.line(Line::Done(Step::Disarm, WATCHDOG))
                }
                _ if !this.state.coordinator.again => {
                    this.state.coordinator.again = true;
                    this.does(what).how(how, cost)
                }
                _ => {
                    this.state.coordinator.watchdog = WatchdogSeen::NotTold;
                    this.after_disarm().does(what).how(how, cost).line(Line::Failed(Step::Disarm, 0))
                }
            }
        };
        call(self.model, self.state, Command::Disarm).into_iter().map(on).collect()
    }

    pub(super) fn remove(self) -> Vec<Move> {
        let what = "removes the COW volumes";
        let next = |this: Self| if this.state.coordinator.failed { this.at(At::Close) } else { this.at(At::Publish) };
        let mut removed = self;
        removed.state.volumes = Volumes { made: false, attached: 0, suspended: false, orphans: false };
        let line = Line::Done(Step::Remove, COW);
        let mut all = vec![next(removed.outcome(COW)).does(what).line(line)];
        if !self.may_fail() {
            return all;
        }
        all.push(self.not_removed().does(what).fault("fails"));
        if self.state.volumes.suspended {
            // Not known to the log any more, nobody would look for the origin.
            let how = "its origin cannot be resumed after it";
            removed.state.volumes.suspended = true;
            all.push(if self.model.is(Broken::OriginsAreForgotten) {
                next(removed.outcome(COW)).does(what).fault(how).line(line)
            } else {
                removed.not_removed().does(what).fault(how)
            });
        }
        for failed in &mut all[1..] {
            let is_last = self.state.coordinator.again && failed.lines.is_empty();
            failed.lines.extend(is_last.then_some(Line::Failed(Step::Remove, 0)));
        }
        all
    }

    /// It is tried twice.
    pub(super) fn not_removed(mut self) -> Self {
        if !self.state.coordinator.again {
            self.state.coordinator.again = true;
            return self;
        }
        if self.state.coordinator.failed { self.at(At::Close) } else { self.at(At::Publish) }
    }

    pub(super) fn publish(self) -> Vec<Move> {
        let published = Some(grade(self.model, &self.state));
        vec![Move { published, ..self.at(At::Close).does("publishes") }]
    }

    pub(super) fn close(self) -> Vec<Move> {
        let what = "ends";
        let left = self.state.log.told;
        let mut ended = self;
        end(&mut ended.state);
        if self.state.coordinator.panicked {
            return vec![ended.does(what)];
        }
        let mut closed = ended;
        closed.state.log.close(left);
        let mut all = vec![closed.does(what).line(Line::Closed(left))];
        if self.may_fail() {
            all.push(ended.does(what).fault("the log refuses it"));
        }
        all
    }
}
