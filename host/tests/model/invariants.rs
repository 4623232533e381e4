//! What has to be true, whatever happens.

use stillpoint::grade::Grade;

use crate::Model;
use crate::log::{Bits, COW, FROZEN, LOCK, WATCHDOG};
use crate::moves::Move;
use crate::state::{At, FILESYSTEMS, State, Watchdog};

/// What a move does to the truth of the window.
pub fn observe(model: &Model, before: &State, after: &mut State) {
    if after.coordinator.at == At::Gone {
        return;
    }
    let stands_still = after.guest.frozen == FILESYSTEMS && (after.locked || model.lock.is_none());
    let attached = after.volumes.attached;
    let attaches = attached > before.volumes.attached;
    if attaches && attached == 1 {
        after.window.shows_freeze = after.guest.frozen == FILESYSTEMS;
    }
    if !stands_still && (attaches || (1..FILESYSTEMS).contains(&attached)) {
        after.window.broken = true;
    }
}

/// What a move must not do.
pub fn broken_by(model: &Model, before: &State, done: &Move) -> Option<&'static str> {
    let after = &done.state;
    if taken(after) & !taken(before) & !before.log.synced != 0 {
        return Some("something was taken, and no intent to take it was on the disk");
    }
    let gave_up = before.coordinator.gave_up || before.recovery.is_some_and(|recovery| recovery.left & FROZEN != 0);
    if done.unlocks && before.locked && !after.locked && before.guest.may_freeze() && !gave_up {
        return Some("the tables were unlocked, and the guest may be frozen");
    }
    let disarms = matches!((before.guest.watchdog, after.guest.watchdog), (Watchdog::Waiting, Watchdog::Off(_)));
    if disarms && model.overtaken_by == 0 && after.guest.may_freeze() {
        return Some("the watchdog was disarmed, and the guest may be frozen");
    }
    if done.published == Some(Grade::Application) && before.window.broken {
        return Some("a backup was called `application`, and its window was broken");
    }
    None
}

/// What is there, whatever the log says.
fn taken(state: &State) -> Bits {
    let bit = |is_there, bit| if is_there { bit } else { 0 };
    bit(state.volumes.made, COW)
        | bit(state.guest.watchdog == Watchdog::Waiting, WATCHDOG)
        | bit(state.guest.frozen > 0, FROZEN)
        | bit(state.locked, LOCK)
}

/// Nobody has anything to do any more: so everything has to be as if there had been no run.
pub fn is_at_rest(state: &State) -> bool {
    taken(state) == 0 && state.log.written == 0 && !state.guest.believes && !state.volumes.suspended
}
