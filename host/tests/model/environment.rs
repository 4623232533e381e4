//! What happens to all of them: deaths, restarts, other clients, and time.

use crate::coordinator;
use crate::guest::execute_late;
use crate::moves::Move;
use crate::state::{At, Command, FILESYSTEMS, Guest, State, Volumes, Watchdog};
use crate::{Model, Session};

/// Everything that can happen to them.
pub fn moves(model: &Model, state: State) -> Vec<Move> {
    let mut all = by_itself(model, state);
    if state.faults > 0 {
        all.extend(deaths(state));
        all.extend(coordinator::panic(model, state));
        all.extend(mischief(state));
    }
    all
}

/// What comes sooner or later.
fn by_itself(model: &Model, state: State) -> Vec<Move> {
    let mut all = Vec::new();
    let guest = state.guest;
    let with = |who, what, guest| Move::new(who, what, State { guest, ..state });
    if !guest.up {
        all.push(with("agent", "is started again", Guest { up: true, ..guest }));
    }
    if !state.volumes.suspended {
        let mut late = state;
        match execute_late(model, &mut late) {
            Some(Command::Freeze) => all.push(Move::new("guest", "freezes late", late)),
            Some(_) => all.push(Move::new("guest", "executes a command late", late)),
            None => {}
        }
    }
    if guest.arming {
        let mut armed = Guest { arming: false, ..guest };
        armed.arm();
        all.push(with("guest", "comes to arm the watchdog", armed));
    }
    let is_gone = state.coordinator.at == At::Gone;
    if guest.watchdog == Watchdog::Waiting && is_gone {
        all.push(with("watchdog", "wakes", Guest { watchdog: Watchdog::Acting, ..guest }));
    }
    // It hangs with its disk.
    if guest.watchdog == Watchdog::Acting && !state.volumes.suspended {
        if guest.frozen > 0 {
            all.push(with("watchdog", "thaws a filesystem", Guest { frozen: guest.frozen - 1, ..guest }));
        }
        if guest.frozen == 0 {
            all.push(with("watchdog", "ends", Guest { watchdog: Watchdog::Ended, ..guest }));
        }
    }
    if state.locked && !state.coordinator.has_session() {
        let what = match model.lock {
            Some(Session::InGuest) => "frees a lock whose session is idle for too long",
            _ => "frees a lock whose session is gone",
        };
        all.push(Move::new("database", what, State { locked: false, ..state }));
    }
    if state.volumes.orphans {
        let mut volumes = state.volumes;
        volumes.attached += 1;
        volumes.orphans = volumes.attached < FILESYSTEMS;
        all.push(Move::new("lvconvert", "outlives the coordinator, and attaches", State { volumes, ..state }));
    }
    all
}

fn deaths(state: State) -> Vec<Move> {
    let mut all = Vec::new();
    let at = state.coordinator.at;
    if at != At::Gone {
        let mut dead = state;
        coordinator::end(&mut dead);
        let is_ready = matches!(at, At::Lock | At::Freeze | At::Attach);
        dead.volumes.orphans = is_ready && dead.volumes.made && dead.volumes.attached < FILESYSTEMS;
        all.push(Move::new("coordinator", "is killed", dead).fault(""));
        if at == At::Attach {
            let mut suspended = dead;
            suspended.volumes = Volumes { suspended: true, orphans: false, ..dead.volumes };
            all.push(Move::new("coordinator", "is killed", suspended).fault("with LVM, in the middle of an attach"));
        }
    }
    if state.guardian_waits && !state.recovery.is_some_and(|recovery| recovery.by_guardian) {
        all.push(Move::new("guardian", "is killed", State { guardian_waits: false, ..state }).fault(""));
    }
    if let Some(recovery) = state.recovery {
        let guardian_waits = state.guardian_waits && !recovery.by_guardian;
        let who = if recovery.by_guardian { "guardian" } else { "recover" };
        let dead = State { recovery: None, guardian_waits, ..state };
        all.push(Move::new(who, "is killed", dead).fault("at its work"));
    }
    if !state.rebooted {
        let mut rebooted = state;
        coordinator::end(&mut rebooted);
        rebooted.guest = Guest::new();
        rebooted.locked = false;
        rebooted.volumes = Volumes { suspended: false, orphans: false, ..state.volumes };
        rebooted.guardian_waits = false;
        rebooted.recovery = None;
        rebooted.rebooted = true;
        all.push(Move::new("host", "is started anew", rebooted).fault(""));
        if rebooted.log.written != rebooted.log.synced {
            rebooted.log.written = rebooted.log.synced;
            all.push(Move::new("host", "is started anew", rebooted).fault("and loses what was not synced"));
        }
    }
    all
}

/// What others do.
fn mischief(state: State) -> Vec<Move> {
    let mut all = Vec::new();
    let guest = state.guest;
    let mut with = |who, what, guest| all.push(Move::new(who, what, State { guest, ..state }).fault(""));
    if guest.up {
        with("agent", "is stopped", Guest { up: false, stale: None, ..guest });
    }
    if guest.late.is_some() {
        with("agent", "is started anew, and drops what it had not done", Guest { late: None, stale: None, ..guest });
    }
    if guest.believes {
        with("another client", "thaws", Guest { frozen: 0, believes: false, ..guest });
    }
    if guest.frozen > 0 {
        with("somebody in the guest", "thaws a filesystem", Guest { frozen: guest.frozen - 1, ..guest });
    }
    if guest.watchdog == Watchdog::Waiting && state.coordinator.at != At::Gone {
        with("watchdog", "wakes too early", Guest { watchdog: Watchdog::Acting, ..guest });
    }
    let rebooted = State { guest: Guest::new(), locked: false, ..state };
    all.push(Move::new("guest", "is started anew", rebooted).fault(""));
    if state.locked && state.coordinator.has_session() {
        all.push(
            Move::new("database", "ends the session that holds the lock", State { locked: false, ..state }).fault(""),
        );
    }
    all
}
