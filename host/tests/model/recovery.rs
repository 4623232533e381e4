//! A recovery, by the guardian or by `recover`: the order of `recover_taken`, mirrored. What comes first, what a release means and what the
//! thaw asks next, the program itself decides.

use guest_bridge::agent::{Next, Question, Thawed};
use stillpoint::failure::{Cause, Kind};
use stillpoint::recover::decide::{in_order, judged};
use stillpoint::run::held::Released;
use stillpoint::step::Step;

use crate::broken::Broken;
use crate::coordinator::given_up;
use crate::guest::{Answer, Called, call, command, heard};
use crate::log::{Bits, COW, FROZEN, LOCK, Line, WATCHDOG, bit, held, thing};
use crate::moves::{Cost, Move};
use crate::state::{At, Command, Recovery, RecoveryAt, Reply, State};
use crate::{Model, Session};

const GUARDIAN: &str = "guardian";
const RECOVER: &str = "recover";

fn who(by_guardian: bool) -> &'static str {
    if by_guardian { GUARDIAN } else { RECOVER }
}

/// Whoever gets the lock on the log, once the coordinator is gone. The kernel sees to it that it is one.
pub fn begins(state: State) -> Vec<Move> {
    if state.coordinator.at != At::Gone || state.recovery.is_some() {
        return Vec::new();
    }
    let begins = |by_guardian| {
        let at = RecoveryAt::Read;
        let recovery = Some(Recovery { by_guardian, at, todo: 0, left: 0, unknown: false, again: false });
        Move::new(who(by_guardian), "has the log's lock", State { recovery, ..state })
    };
    let mut all = Vec::new();
    if state.guardian_waits {
        all.push(begins(true));
    }
    if state.log.written != 0 {
        all.push(begins(false));
    }
    all
}

/// Every next move of the one that is under way.
pub fn moves(model: &Model, state: State) -> Vec<Move> {
    let Some(recovery) = state.recovery else { return Vec::new() };
    let this = Then { model, state, recovery };
    match recovery.at {
        RecoveryAt::Read => vec![this.read()],
        RecoveryAt::Resume => this.resume(),
        RecoveryAt::Release => this.release(),
        RecoveryAt::Thaw(question) => this.thaw(question),
        RecoveryAt::Close => this.close(),
    }
}

#[derive(Clone, Copy)]
struct Then<'m> {
    model: &'m Model,
    state: State,
    recovery: Recovery,
}

impl Then<'_> {
    fn does(self, what: &'static str) -> Move {
        let state = State { recovery: Some(self.recovery), ..self.state };
        Move::new(who(self.recovery.by_guardian), what, state)
    }

    fn at(mut self, at: RecoveryAt) -> Self {
        self.recovery.at = at;
        self
    }

    fn may_fail(&self) -> bool {
        self.state.faults > 0
    }

    fn read(mut self) -> Move {
        self.recovery.todo = self.state.log.written;
        if self.model.is(Broken::RecoverForgetsTheFreeze) {
            self.recovery.todo &= !FROZEN;
        }
        let at = match self.recovery.todo {
            0 => RecoveryAt::Close,
            todo if todo & COW != 0 => RecoveryAt::Resume,
            _ => RecoveryAt::Release,
        };
        self.at(at).does("reads what the run may hold")
    }

    fn resume(self) -> Vec<Move> {
        let what = "resumes origins that are suspended";
        let mut resumed = self.at(RecoveryAt::Release);
        resumed.state.volumes.suspended = false;
        let mut all = vec![resumed.does(what)];
        if self.may_fail() && self.state.volumes.suspended {
            let mut unknown = self.at(RecoveryAt::Release);
            unknown.recovery.unknown = !self.model.is(Broken::OriginsAreForgotten);
            all.push(unknown.does(what).fault("fails"));
        }
        all
    }

    fn release(self) -> Vec<Move> {
        let Some(first) = in_order(held(self.recovery.todo)).next() else {
            return vec![self.at(RecoveryAt::Close).does("has tried everything")];
        };
        match bit(&first) {
            FROZEN => self.thaw(Question::Thaw),
            COW => {
                let what = "removes the COW volumes";
                let mut removed = self;
                if self.recovery.unknown {
                    removed.state.volumes.suspended = false;
                }
                let volumes = &mut removed.state.volumes;
                (volumes.made, volumes.attached, volumes.orphans) = (false, 0, false);
                let mut all = removed.settled(COW, Ok(Released::Gone), what, "", Cost::Progress);
                if self.may_fail() {
                    all.extend(self.settled(COW, Err(left()), what, "fails", Cost::Fault));
                }
                all
            }
            LOCK if self.model.lock == Some(Session::InGuest) => {
                self.asks(LOCK, Command::EndSession, "ends the session")
            }
            LOCK => self.settled(LOCK, by_itself(), "leaves the lock to its expiry", "", Cost::Progress),
            _ => self.asks(WATCHDOG, Command::Disarm, "disarms the watchdog"),
        }
    }

    fn asks(self, one: Bits, command: Command, what: &'static str) -> Vec<Move> {
        let mut all = Vec::new();
        for Called { how, cost, state, answer } in call(self.model, self.state, command) {
            let released = match (one, answer) {
                (LOCK, Answer::Reply(Reply::Ran)) | (WATCHDOG, Answer::Reply(Reply::Disarmed(_))) => Ok(Released::Gone),
                (LOCK, _) => by_itself(),
                _ => Err(left()),
            };
            let mut settled = Then { state, ..self }.settled(one, released, what, how, cost);
            settled.iter_mut().for_each(|settled| settled.unlocks = one == LOCK);
            all.extend(settled);
        }
        all
    }

    fn thaw(self, question: Question) -> Vec<Move> {
        let what = if question == Question::Thaw { "thaws" } else { "asks for the status" };
        let mut all = Vec::new();
        for Called { how, cost, state, answer } in call(self.model, self.state, command(question)) {
            let this = Then { state, ..self };
            match self.model.next(question, heard(question, answer)) {
                Next::Sure => {
                    let thawed = Thawed { count: None, attempts: 1, complaint: None };
                    all.extend(this.settled(FROZEN, Ok(Released::Thawed(thawed)), "has thawed", how, cost));
                }
                Next::Ask(next) => all.push(this.at(RecoveryAt::Thaw(next)).does(what).how(how, cost)),
                Next::StartOver => {
                    let hangs = state.volumes.suspended;
                    if !hangs {
                        all.push(this.at(RecoveryAt::Thaw(Question::Thaw)).does(what).how(how, cost));
                    }
                    let cost = if cost == Cost::Progress && !hangs { Cost::Chance } else { cost };
                    all.extend(this.settled(FROZEN, Err(given_up().into()), "gives up to thaw", how, cost));
                }
            }
        }
        all
    }

    /// One thing was released, or not.
    fn settled(
        mut self,
        one: Bits,
        released: Result<Released, Cause>,
        what: &'static str,
        how: &'static str,
        cost: Cost,
    ) -> Vec<Move> {
        self.recovery.at = RecoveryAt::Release;
        if released.is_err() && !self.recovery.again && !self.state.rebooted {
            self.recovery.again = true;
            return vec![self.does(what).how(how, cost)];
        }
        self.recovery.again = false;
        self.recovery.todo &= !one;
        if judged(thing(one), released, self.state.rebooted).is_err() {
            self.recovery.left |= one;
            return vec![self.does(what).how(how, cost)];
        }
        let mut written = self;
        written.state.log.recovered(one);
        let mut all = vec![written.does(what).how(how, cost).line(Line::Done(Step::Recover, one))];
        if self.may_fail() && cost == Cost::Progress {
            all.push(self.does(what).fault("the log refuses to be told"));
        }
        all
    }

    fn close(self) -> Vec<Move> {
        let mut ended = self.state;
        ended.recovery = None;
        if self.recovery.by_guardian {
            ended.guardian_waits = false;
        }
        let mut closed = ended;
        closed.log.close(self.recovery.left);
        let who = who(self.recovery.by_guardian);
        let mut all = vec![Move::new(who, "ends", closed).line(Line::Closed(self.recovery.left))];
        if self.may_fail() {
            all.push(Move::new(who, "ends", ended).fault("the log refuses it"));
        }
        all
    }
}

fn by_itself() -> Result<Released, Cause> {
    Ok(Released::ByItself(std::time::Duration::from_secs(70)))
}

fn left() -> Cause {
    Cause::plain(Kind::GuestProgram, "it did not work")
}
