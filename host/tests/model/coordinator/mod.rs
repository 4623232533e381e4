//! The coordinator: the order of `backup::run` and `window::pass`, mirrored. What its thaw asks next, and what the answers come to, the
//! program itself decides. `real.rs` holds the order to the run logs that the program writes.

mod after;
mod before;
mod window;

use guest_bridge::agent::{AgentError, Question};
use stillpoint::step::Step;

use crate::Model;
use crate::log::{Bits, COW, FROZEN, LOCK, Line, WATCHDOG};
use crate::moves::Move;
use crate::state::{At, Coordinator, LockSeen, State, WatchdogSeen, Window};

pub const WHO: &str = "coordinator";

impl Coordinator {
    pub fn new() -> Self {
        Self {
            at: At::Guard,
            failed: false,
            panicked: false,
            has_watchdog: false,
            is_armed: false,
            froze: 0,
            first: None,
            believed: false,
            count: Some(0),
            gave_up: false,
            lock: LockSeen::NotAsked,
            watchdog: WatchdogSeen::None,
            again: false,
        }
    }

    /// Whether its session holds the lock, or did until somebody took it away.
    pub fn has_session(&self) -> bool {
        matches!(self.at, At::Freeze | At::Attach | At::FirstThaw | At::Thaw(_) | At::LetGo | At::CloseSession)
    }
}

/// The process has ended, and what it knew has gone with it.
pub fn end(state: &mut State) {
    state.log.forget();
    state.coordinator = Coordinator { at: At::Gone, ..Coordinator::new() };
    state.window = Window::default();
}

/// Every next move of it.
pub fn moves(model: &Model, state: State) -> Vec<Move> {
    let this = Then { model, state };
    match state.coordinator.at {
        At::Guard => this.guard(),
        At::IntendVolumes => {
            this.intend("intends to make the COW volumes", Step::CowVolumes, COW, At::MakeVolumes, Then::undo)
        }
        At::MakeVolumes => this.make_volumes(),
        At::IntendWatchdog => {
            let mut this = this;
            this.state.coordinator.has_watchdog = true;
            // Without its intent none is armed, and the run goes on.
            this.intend("intends to arm the watchdog", Step::Arm, WATCHDOG, At::Arm, |this| this.at(At::IntendFreeze))
        }
        At::Arm => this.arm(),
        At::IntendFreeze => this.intend_freeze(),
        At::IntendLock => this.intend("intends to lock", Step::Lock, LOCK, At::MakeReady, |this| {
            this.outcome(FROZEN).failed().after_window()
        }),
        At::MakeReady => this.make_ready(),
        At::Lock => this.lock(),
        At::Freeze => this.freeze(),
        At::Attach => this.attach(),
        At::FirstThaw => this.first_thaw(),
        At::Thaw(question) => this.thaw(question),
        At::LetGo => this.let_go(),
        At::CloseSession => this.close_session(),
        At::AskAgain => this.ask_again(),
        At::Disarm => this.disarm(),
        At::Copy => vec![this.at(At::Remove).does("copies")],
        At::Remove => this.remove(),
        At::Publish => this.publish(),
        At::Close => this.close(),
        At::Gone => Vec::new(),
    }
}

/// A state that the coordinator changes.
#[derive(Clone, Copy)]
struct Then<'m> {
    model: &'m Model,
    state: State,
}

impl Then<'_> {
    fn at(mut self, at: At) -> Self {
        self.state.coordinator.at = at;
        self.state.coordinator.again = false;
        self
    }

    fn failed(mut self) -> Self {
        self.state.coordinator.failed = true;
        self
    }

    /// The outcome of a step goes into the log, and says that this is not held any more. `Drop` writes none.
    fn outcome(mut self, frees: Bits) -> Self {
        if !self.state.coordinator.panicked {
            self.state.log.outcome(frees);
        }
        self
    }

    fn does(self, what: &'static str) -> Move {
        Move::new(WHO, what, self.state)
    }

    fn may_fail(&self) -> bool {
        self.state.faults > 0
    }

    fn undo(self) -> Self {
        self.failed().at(At::Remove)
    }

    /// The window is over: lines that were held back are written, unless a thaw was believed and is not sure yet.
    fn after_window(mut self) -> Self {
        if self.state.coordinator.believed {
            return self.at(At::AskAgain);
        }
        self.state.log.holds_back = false;
        self.state.log.write();
        if self.state.coordinator.has_watchdog { self.at(At::Disarm) } else { self.after_disarm() }
    }

    fn after_disarm(self) -> Self {
        if self.state.coordinator.failed { self.at(At::Remove) } else { self.at(At::Copy) }
    }

    /// Behind the thaw.
    fn unlock(self) -> Self {
        let Coordinator { panicked, lock, .. } = self.state.coordinator;
        match (self.model.lock, panicked) {
            (None, _) => self.after_window(),
            (Some(_), _) if lock != LockSeen::NotAsked => self.after_window(),
            (Some(_), true) => self.at(At::CloseSession),
            (Some(_), false) => self.at(At::LetGo),
        }
    }

    /// An intent, synced; without it the step is not begun.
    fn intend(self, what: &'static str, step: Step, takes: Bits, at: At, refused: impl Fn(Self) -> Self) -> Vec<Move> {
        let line = Line::Intent(step, takes);
        let mut intended = self;
        intended.state.log.intend(takes);
        let mut all = vec![intended.at(at).does(what).line(line)];
        if self.may_fail() {
            all.push(refused(self).does(what).fault("the log refuses it"));
            let mut torn = self;
            torn.state.log.intend_unsynced(takes);
            all.push(refused(torn).does(what).fault("the log cannot be synced").line(line));
        }
        all
    }
}

/// A panic: what `Drop` does from here on, where it does anything.
pub fn panic(model: &Model, state: State) -> Option<Move> {
    let mut this = Then { model, state }.failed();
    this.state.coordinator.panicked = true;
    this.state.coordinator.believed = false;
    let then = match state.coordinator.at {
        At::MakeVolumes | At::IntendWatchdog | At::Copy => this.at(At::Remove),
        At::Arm | At::IntendFreeze | At::IntendLock | At::MakeReady | At::Lock => this.after_window(),
        At::Freeze => this.unlock(),
        At::Attach | At::FirstThaw | At::Thaw(_) => this.at(At::Thaw(Question::Thaw)),
        At::LetGo | At::CloseSession => this.at(At::CloseSession),
        // Their guards are spent.
        At::AskAgain | At::Disarm => this.at(At::Remove),
        At::Remove | At::Publish => this.at(At::Close),
        At::Guard | At::IntendVolumes | At::Close | At::Gone => return None,
    };
    Some(then.does("panics").fault(""))
}

/// What a thaw that did not become sure is to the rest of the program.
pub fn given_up() -> AgentError {
    AgentError::MaybeFrozen { attempts: 1, waited_ms: 0, last: "it said so".into() }
}
