//! The guest's side, mirrored: qemu-ga, the kernel's freeze, the watchdog's script, and the channel with its lost, late and repeated
//! replies.

use guest_bridge::agent::{AgentError, Endpoint, FreezeStatus, Heard, Question};
use guest_bridge::watchdog::Disarmed;

use crate::Model;
use crate::broken::Broken;
use crate::moves::Cost;
use crate::state::{Command, FILESYSTEMS, Guest, Reply, State, Watchdog};

impl Guest {
    /// Just started.
    pub fn new() -> Self {
        Self {
            frozen: 0,
            believes: false,
            up: true,
            late: None,
            arming: false,
            stale: None,
            watchdog: Watchdog::Absent,
        }
    }

    /// Whether a freeze is in force or on its way.
    pub fn may_freeze(&self) -> bool {
        self.frozen > 0 || matches!(self.late, Some((Command::Freeze, _)))
    }

    /// The start of a watchdog comes to its end. A token that was armed or disarmed is used up.
    pub fn arm(&mut self) -> Reply {
        match self.watchdog {
            Watchdog::Absent => {
                self.watchdog = Watchdog::Waiting;
                Reply::Ran
            }
            _ => Reply::Failed,
        }
    }

    fn disarm(&mut self, model: &Model) -> Disarmed {
        let verdict = match self.watchdog {
            Watchdog::Absent => Disarmed::NotThere,
            Watchdog::Waiting => Disarmed::InTime,
            Watchdog::Acting | Watchdog::Ended => Disarmed::HasThawed,
            Watchdog::Off(verdict) => verdict,
        };
        let is_forgotten = model.is(Broken::WatchdogWithoutToken);
        self.watchdog = if is_forgotten { Watchdog::Absent } else { Watchdog::Off(verdict) };
        verdict
    }
}

fn execute(model: &Model, state: &mut State, command: Command) -> Reply {
    let guest = &mut state.guest;
    match command {
        Command::Status if guest.believes => Reply::Status(FreezeStatus::Frozen),
        Command::Status => Reply::Status(FreezeStatus::Thawed),
        Command::Thaw => {
            let count = guest.frozen;
            (guest.frozen, guest.believes) = (0, false);
            Reply::Count(count)
        }
        _ if guest.believes => Reply::RefusedFrozen,
        Command::Freeze => {
            (guest.frozen, guest.believes) = (FILESYSTEMS, true);
            Reply::Count(FILESYSTEMS)
        }
        Command::Arm => guest.arm(),
        Command::Disarm => Reply::Disarmed(guest.disarm(model)),
        Command::EndSession => {
            state.locked = false;
            Reply::Ran
        }
    }
}

/// What was late is executed.
pub fn execute_late(model: &Model, state: &mut State) -> Option<Command> {
    let (command, _) = state.guest.late.take()?;
    execute(model, state, command);
    Some(command)
}

/// What a caller has of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Reply(Reply),
    /// No reply came, and the guest may have executed it.
    Silence,
    /// It was not sent.
    NotSent,
}

/// A way that a command can go.
pub struct Called {
    pub how: &'static str,
    pub cost: Cost,
    pub state: State,
    pub answer: Answer,
}

/// Every way that `command` can go.
pub fn call(model: &Model, before: State, command: Command) -> Vec<Called> {
    if !before.guest.up {
        let answer = Answer::NotSent;
        return vec![Called { how: "nobody listens", cost: Cost::Chance, state: before, answer }];
    }
    if before.volumes.suspended && command != Command::Status {
        let answer = Answer::Silence;
        return vec![Called { how: "hangs at a disk that is suspended", cost: Cost::Progress, state: before, answer }];
    }
    let executed = || {
        let mut state = before;
        match state.guest.late {
            Some((_, 0)) => drop(execute_late(model, &mut state)),
            Some((late, by)) => state.guest.late = Some((late, by - 1)),
            None => {}
        }
        let reply = execute(model, &mut state, command);
        (state, reply)
    };
    let mut all = Vec::new();
    let mut goes = |how, cost, state, answer| all.push(Called { how, cost, state, answer });

    let (mut state, reply) = executed();
    let read = read(model, &mut state, reply);
    goes("", Cost::Progress, state, Answer::Reply(read));
    if before.faults == 0 {
        return all;
    }
    let mut repeated = state;
    repeated.guest.stale = repeated.guest.stale.or(Some(reply));
    goes("its reply comes twice", Cost::Fault, repeated, Answer::Reply(read));
    goes("is not sent", Cost::Fault, before, Answer::NotSent);
    goes("is lost", Cost::Fault, before, Answer::Silence);
    let (mut state, reply) = executed();
    state.guest.stale = state.guest.stale.or(Some(reply));
    goes("is done, and its reply comes too late", Cost::Fault, state, Answer::Silence);
    let mut late = before;
    match command {
        Command::Status => {}
        Command::Arm if !late.guest.arming => {
            late.guest.arming = true;
            goes("is done later", Cost::Fault, late, Answer::Silence);
        }
        _ if late.guest.late.is_none() => {
            late.guest.late = Some((command, model.overtaken_by));
            goes("is done later", Cost::Fault, late, Answer::Silence);
        }
        _ => {}
    }
    // A hook runs before a freeze and after a thaw.
    let failed = if command == Command::Thaw { executed().0 } else { before };
    goes("fails", Cost::Fault, failed, Answer::Reply(Reply::Failed));
    if command == Command::Freeze && !before.guest.believes {
        let mut nothing = before;
        nothing.guest.believes = true;
        goes("freezes nothing", Cost::Fault, nothing, Answer::Reply(Reply::Count(FILESYSTEMS)));
    }
    all
}

/// Every call resynchronises where anything is left from the one before it, so that a reply that is stale is dropped.
fn read(model: &Model, state: &mut State, reply: Reply) -> Reply {
    let is_taken = model.is(Broken::NoResync) || model.is(Broken::RecoverBeforeTheResync) && state.recovery.is_some();
    match state.guest.stale.take() {
        Some(stale) if is_taken => {
            state.guest.stale = Some(reply);
            stale
        }
        _ => reply,
    }
}

/// The command that a question is.
pub fn command(question: Question) -> Command {
    match question {
        Question::Thaw => Command::Thaw,
        Question::Status | Question::StatusAgain => Command::Status,
    }
}

/// What the thaw loop of the program makes of an answer.
pub fn heard(question: Question, answer: Answer) -> Heard {
    match (question, answer) {
        (Question::Thaw, Answer::Reply(Reply::Count(count))) => Heard::of_thaw(&Ok(count.into())),
        (Question::Thaw, answer) => Heard::of_thaw(&Err(error(answer))),
        (_, Answer::Reply(Reply::Status(status))) => Heard::of_status(&Ok(status)),
        (_, answer) => Heard::of_status(&Err(error(answer))),
    }
}

/// What the transport says of an answer that is none to the question.
pub fn error(answer: Answer) -> AgentError {
    let command = || "the command".to_owned();
    match answer {
        Answer::NotSent => {
            AgentError::NoSync { endpoint: Endpoint::Unix("/run/qga".into()), command: command(), waited_ms: 0 }
        }
        Answer::Silence => AgentError::Timeout { command: command(), waited_ms: 0 },
        Answer::Reply(Reply::Failed) => {
            AgentError::Failed { command: command(), class: String::new(), desc: String::new() }
        }
        Answer::Reply(Reply::RefusedFrozen) => AgentError::Frozen { command: command(), desc: String::new() },
        Answer::Reply(_) => AgentError::Protocol { command: command(), detail: String::new() },
    }
}
