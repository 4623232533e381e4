//! The protocol of coordinator, guardian, `recover`, watchdog, agent, database and LVM as a model, and every order of their moves.
//!
//! Shared with the program: what the thaw loop asks next and what it makes of each answer (`Question`, `Heard`, on the program's own errors);
//! when a first thaw is believed; what a reader of the run log concludes that is held (`Mark::apply_to`, on `Held`); in which order a
//! recovery gives back and what a release means (`in_order`, `judged`); what a disarming means (`WatchdogFacts::of`), what the lock was
//! (`LockFacts::of`), and the grade (`grade`).
//!
//! Mirrored by hand: the order of the coordinator's steps and of a recovery's, which are asynchronous code around effects (`real.rs` holds the
//! first to the run logs that the program writes); qemu-ga, the kernel's freeze and the watchdog's script; the transport's
//! resynchronisation; when lines of the log are written and synced; the lock on the log; LVM; the session that holds the tables' lock.
//!
//! Not modelled: the origins, which show whether a thaw took effect, and what is done where they do not; markers and unfinished files,
//! which hold nobody up; another run of the same VM; a client that thaws and freezes again within the window; a freeze that takes effect after three later commands were answered. What has to be true is in `invariants.rs`, and what the
//! program does not do, and the search would find, in `counterexamples.rs`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod broken;
mod coordinator;
mod counterexamples;
mod environment;
mod grading;
mod guest;
mod invariants;
mod log;
mod moves;
mod real;
mod recovery;
mod search;
mod state;

use broken::Broken;
use guest_bridge::agent::{FreezeStatus, Heard, Next, Question};
use search::{Explored, explore};
use state::{Coordinator, Guest, State, Volumes, Window};

/// Where the session is that locks the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Session {
    /// It ends with the coordinator.
    Network,
    /// It outlives it, until it is ended or idle for too long.
    InGuest,
}

/// What is explored.
#[derive(Clone, Copy, Debug)]
pub struct Model {
    /// A watchdog is to be armed.
    pub watchdog: bool,
    /// The session that is to lock the tables; `None` without a database.
    pub lock: Option<Session>,
    /// Faults that one run may see.
    pub faults: u8,
    /// By how many later commands one that comes late is overtaken at most. The channel keeps the order; that a freeze comes after the
    /// answer to a later command is what the thaw loop looks twice for.
    pub overtaken_by: u8,
    /// What is wrong with it, on purpose.
    pub broken: Option<Broken>,
}

impl Model {
    /// Whether this is wrong with it.
    pub fn is(&self, broken: Broken) -> bool {
        self.broken == Some(broken)
    }

    /// What the thaw loop asks next.
    pub fn next(&self, question: Question, heard: Heard) -> Next {
        let is_believed = self.is(Broken::FirstStatusIsBelieved) && heard == Heard::Status(FreezeStatus::Thawed);
        if is_believed { Next::Sure } else { question.next(heard) }
    }
}

impl State {
    /// Before a run does anything.
    pub fn first(model: &Model) -> Self {
        Self {
            guest: Guest::new(),
            volumes: Volumes { made: false, attached: 0, suspended: false, orphans: false },
            locked: false,
            log: log::Log::default(),
            coordinator: Coordinator::new(),
            guardian_waits: false,
            recovery: None,
            rebooted: false,
            window: Window::default(),
            faults: model.faults,
        }
    }
}

const EVERYTHING: Model =
    Model { watchdog: true, lock: Some(Session::InGuest), faults: 2, overtaken_by: 2, broken: None };

/// More faults than there are by default: CONTRIBUTING.md says what that takes.
const FAULTS: &str = "STILLPOINT_MODEL_FAULTS";

/// Explores it, with at least so many faults.
#[track_caller]
fn explored(model: Model) -> Explored {
    let more = std::env::var(FAULTS).map_or(0, |faults| faults.parse().unwrap());
    let model = Model { faults: model.faults.max(more), ..model };
    let explored = explore(&model).unwrap_or_else(|found| panic!("{model:?}: {found}"));
    println!("{model:?}: {explored}");
    assert_eq!(explored.applications > 0, model.lock.is_some(), "backups of grade application");
    explored
}

#[test]
fn whatever_happens_to_a_run_nothing_stays_held_and_nothing_is_called_better_than_it_is() {
    let Explored { states, depth, .. } = explored(Model { faults: 3, ..EVERYTHING });
    assert!(states > 200_000 && depth > 35, "{states} states, {depth} deep");
}

/// Then guardian and `recover` are the nets.
#[test]
fn nor_without_a_watchdog() {
    let Explored { states, .. } = explored(Model { watchdog: false, ..EVERYTHING });
    assert!(states > 5_000, "{states} states");
}

#[test]
fn nor_with_a_session_on_the_network() {
    let Explored { states, .. } = explored(Model { lock: Some(Session::Network), ..EVERYTHING });
    assert!(states > 20_000, "{states} states");
}

#[test]
fn nor_without_a_database() {
    let Explored { states, .. } = explored(Model { lock: None, ..EVERYTHING });
    assert!(states > 15_000, "{states} states");
}

/// As the channel does. Then the watchdog is never disarmed in a freeze, either.
#[test]
fn nor_where_commands_keep_their_order() {
    let Explored { states, .. } = explored(Model { overtaken_by: 0, ..EVERYTHING });
    assert!(states > 20_000, "{states} states");
}
