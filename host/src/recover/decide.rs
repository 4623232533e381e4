//! What a recovery decides. Pure: the test `model` tries it in every state that a run can leave.

use crate::failure::{Cause, Kind};
use crate::run::held::{Held, Released};

/// In which order what a dead run held is given back: a guest that stands still waits for nothing, and runs no program before. Then last
/// taken first.
pub fn in_order(held: Vec<Held>) -> impl Iterator<Item = Held> {
    let (frozen, others): (Vec<_>, Vec<_>) = held.into_iter().partition(|one| matches!(one, Held::Frozen { .. }));
    frozen.into_iter().chain(others.into_iter().rev())
}

/// What a release means where the host was started anew since, or was not: a freeze, a lock and a watchdog end with their host.
///
/// # Errors
/// Why it may still be held.
pub fn judged(one: &Held, released: Result<Released, Cause>, rebooted: bool) -> Result<Released, Cause> {
    match (one, released) {
        (Held::Lock { .. } | Held::Watchdog { .. } | Held::Dump { .. }, _) if rebooted => Ok(Released::Gone),
        (Held::Frozen { .. }, Err(why)) if rebooted && why.kind == Kind::GuestMayBeFrozen => Ok(Released::Gone),
        (_, released) => released,
    }
}
