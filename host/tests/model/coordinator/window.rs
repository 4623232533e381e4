//! The window, from the lock to the unlock.

use guest_bridge::agent::{Next, Question};
use stillpoint::step::Step;

use super::Then;
use crate::Session;
use crate::broken::Broken;
use crate::guest::{Answer, Called, call, command, error, heard};
use crate::log::{FROZEN, LOCK, Line};
use crate::moves::{Cost, Move};
use crate::state::{At, Command, FILESYSTEMS, LockSeen, Reply};

impl Then<'_> {
    pub(super) fn lock(self) -> Vec<Move> {
        let what = "locks the tables";
        let mut locked = self;
        locked.state.locked = true;
        let mut all = vec![locked.at(At::Freeze).does(what).line(Line::Done(Step::Lock, 0))];
        if self.may_fail() {
            let refused = |this: Self, how| {
                let refused = this.outcome(LOCK | FROZEN).failed().after_window().does(what).fault(how);
                refused.line(Line::Failed(Step::Lock, LOCK)).line(Line::Failed(Step::Freeze, FROZEN))
            };
            all.push(refused(self, "it is not granted"));
            if self.model.lock == Some(Session::InGuest) {
                // The session is closed through the agent, or ends by its expiry.
                all.push(refused(locked, "its reply is lost, and the session with it"));
            }
        }
        all
    }

    pub(super) fn freeze(self) -> Vec<Move> {
        let what = "freezes";
        let failed = Line::Failed(Step::Freeze, 0);
        let on = |Called { how, cost, state, answer }| {
            let mut this = Then { state, ..self };
            if self.model.is(Broken::IntentAfterTheFreeze) {
                this.state.log.intend(FROZEN);
            }
            match answer {
                Answer::Reply(Reply::Count(count)) => {
                    this.state.coordinator.froze = count;
                    this.at(At::Attach).does(what).how(how, cost).line(Line::Done(Step::Freeze, 0))
                }
                // As the guard does: what was not sent, or refused before it was done, needs no thaw.
                answer if !error(answer).may_have_executed() => {
                    let not_frozen = this.outcome(FROZEN).failed().unlock().does(what).how(how, cost);
                    not_frozen.line(failed).line(Line::Failed(Step::Freeze, FROZEN))
                }
                _ => this.failed().at(At::FirstThaw).does(what).how(how, cost).line(failed),
            }
        };
        let mut all: Vec<Move> = call(self.model, self.state, Command::Freeze).into_iter().map(on).collect();
        if self.may_fail() {
            let stopped = self.outcome(FROZEN).failed().unlock().does("is asked to stop").fault("");
            all.push(stopped.line(Line::Failed(Step::Freeze, FROZEN)));
        }
        all
    }

    pub(super) fn attach(self) -> Vec<Move> {
        let what = "attaches a snapshot";
        let mut attached = self;
        attached.state.volumes.attached += 1;
        let mut all = vec![if attached.state.volumes.attached < FILESYSTEMS {
            attached.does(what)
        } else if self.model.is(Broken::UnlockBeforeThaw) && self.model.lock.is_some() {
            attached.at(At::LetGo).does(what).line(Line::Done(Step::Snapshot, 0))
        } else {
            attached.behind_the_snapshot().does(what).line(Line::Done(Step::Snapshot, 0))
        }];
        if self.may_fail() {
            let failed = Line::Failed(Step::Snapshot, 0);
            all.push(self.failed().behind_the_snapshot().does(what).fault("fails").line(failed));
            all.push(attached.failed().behind_the_snapshot().does(what).fault("fails, and it is there").line(failed));
            let mut hangs = self;
            hangs.state.volumes.suspended = true;
            let how = "fails, and its origin cannot be resumed";
            all.push(hangs.failed().behind_the_snapshot().does(what).fault(how).line(failed));
        }
        all
    }

    pub(super) fn behind_the_snapshot(self) -> Self {
        let thawing = self.at(At::FirstThaw);
        if self.model.is(Broken::OutcomeBeforeTheThaw) {
            let mut thawing = thawing;
            thawing.state.log.holds_back = false;
            return thawing.outcome(FROZEN);
        }
        thawing
    }

    pub(super) fn first_thaw(self) -> Vec<Move> {
        let on = |Called { how, cost, state, answer }| {
            let mut this = Then { state, ..self };
            let heard = heard(Question::Thaw, answer);
            this.state.coordinator.first = Some(heard);
            if heard.releases(self.state.coordinator.froze.into()) {
                this.state.coordinator.believed = true;
                this.thawed().how(how, cost)
            } else {
                this.at(At::Thaw(Question::Thaw)).does("thaws").how(how, cost)
            }
        };
        call(self.model, self.state, Command::Thaw).into_iter().map(on).collect()
    }

    pub(super) fn thaw(self, question: Question) -> Vec<Move> {
        let mut all = Vec::new();
        for Called { how, cost, state, answer } in call(self.model, self.state, command(question)) {
            let mut this = Then { state, ..self };
            let heard = heard(question, answer);
            if question == Question::Thaw {
                let count = &mut this.state.coordinator.count;
                *count = heard.add_to(*count);
            }
            let what = if question == Question::Thaw { "thaws" } else { "asks for the status" };
            match self.model.next(question, heard) {
                Next::Sure => all.push(this.thawed().how(how, cost)),
                Next::Ask(next) => all.push(this.at(At::Thaw(next)).does(what).how(how, cost)),
                Next::StartOver => {
                    let hangs = state.volumes.suspended;
                    if !hangs {
                        all.push(this.at(At::Thaw(Question::Thaw)).does(what).how(how, cost));
                    }
                    let mut given_up = this.failed();
                    given_up.state.coordinator.gave_up = true;
                    // The deadline may pass at any attempt that fails.
                    let cost = if cost == Cost::Progress && !hangs { Cost::Chance } else { cost };
                    let given_up = given_up.unlock().does("gives up to thaw").how(how, cost);
                    all.push(given_up.line(Line::Failed(Step::Thaw, 0)));
                }
            }
        }
        all
    }

    /// Nobody waits for it. The log on the disk still says that the guest may be frozen.
    pub(super) fn ask_again(self) -> Vec<Move> {
        let what = "asks for the status once more";
        let mut all = Vec::new();
        for Called { how, cost, state, answer } in call(self.model, self.state, Command::Status) {
            let mut this = Then { state, ..self };
            this.state.coordinator.believed = false;
            let heard = heard(Question::StatusAgain, answer);
            if self.model.next(Question::StatusAgain, heard) == Next::Sure {
                all.push(this.after_window().does(what).how(how, cost));
                continue;
            }
            let again = this.at(At::Thaw(Question::Thaw));
            let mut intended = again;
            intended.state.log.intend(FROZEN);
            all.push(intended.does(what).how(how, cost).line(Line::Intent(Step::Thaw, FROZEN)));
        }
        all
    }

    pub(super) fn thawed(self) -> Move {
        self.outcome(FROZEN).unlock().does("has thawed").line(Line::Done(Step::Thaw, FROZEN))
    }

    pub(super) fn let_go(self) -> Vec<Move> {
        let what = "asks whether it still holds the lock, and unlocks";
        let done = |mut this: Self, lock| {
            this.state.coordinator.lock = lock;
            let next = if self.model.is(Broken::UnlockBeforeThaw) && this.state.coordinator.first.is_none() {
                At::FirstThaw
            } else {
                At::CloseSession
            };
            let done = this.at(next).does(what).line(Line::Done(Step::StillLocked, 0));
            Move { unlocks: true, ..done }
        };
        let mut unlocked = self;
        unlocked.state.locked = false;
        let holds = self.state.locked || self.model.is(Broken::LockIsNotAskedFor);
        let mut all = vec![done(unlocked, if holds { LockSeen::Held } else { LockSeen::Lost })];
        if self.may_fail() {
            all.push(done(unlocked, LockSeen::Lost).fault("its reply is lost"));
            all.push(done(self, LockSeen::Lost).fault("the session is gone"));
        }
        all
    }

    pub(super) fn close_session(self) -> Vec<Move> {
        let what = "closes its session";
        let done = |this: Self| {
            let done = this.outcome(LOCK).after_window().does(what).line(Line::Done(Step::Unlock, LOCK));
            Move { unlocks: true, ..done }
        };
        let mut unlocked = self;
        unlocked.state.locked = false;
        let mut all = vec![done(unlocked)];
        if self.may_fail() && self.model.lock == Some(Session::InGuest) {
            all.push(done(self).fault("it is left to its expiry"));
        }
        all
    }
}
