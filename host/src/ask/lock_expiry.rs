//! When a lock that nobody gives back ends by itself.

use std::time::Duration;

use crate::ask::policy::Policy;

/// Longer than this, an abandoned lock is worth a word before the backup rather than after.
const LONG: Duration = Duration::from_secs(120);

/// How long the lock's session may be idle before the server closes it, which frees the lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockExpiry {
    /// The server's `wait_timeout` for the session.
    pub after: Duration,
    /// Of what it is made.
    pub reason: String,
    /// What it means, where it is long.
    pub note: Option<String>,
}

/// The lock outlasts everything that its session is idle for: the freeze, the attach of every disk, the first thaw, and
/// the statement that asks whether it was held. Each is reckoned at its deadline, so that no window in which all of them
/// keep theirs loses it.
///
/// An attach that overruns its deadline is ended, and the backup with it: what the host takes to end it needs no lock. A
/// thaw that has to be repeated may outlast the lock, which is noticed and graded: better than writers that wait for
/// minutes more. A host that dies in the window leaves them waiting for this long.
#[must_use]
pub fn lock_expiry(policy: &Policy, disks: usize) -> LockExpiry {
    let (freeze, attach) = (policy.freeze.value, policy.attach.value);
    let (thaw, statement) = (policy.first_thaw.value.min(policy.thaw.value), policy.statement.value);
    let attaches = attach.saturating_mul(u32::try_from(disks).unwrap_or(u32::MAX));
    let after = [freeze, attaches, thaw, statement].into_iter().fold(Duration::ZERO, Duration::saturating_add);
    let s = |time: Duration| format!("{} s", time.as_secs_f64());
    let reason = format!(
        "{} to freeze, {disks} x {} to attach, {} to thaw, {} for a statement",
        s(freeze),
        s(attach),
        s(thaw),
        s(statement)
    );
    let note = (after > LONG).then(|| {
        format!(
            "if this host dies in the window, the database's writers wait up to {} ({reason}); a shorter \
             attach_deadline_s or freeze_deadline_s shortens that",
            s(after)
        )
    });
    LockExpiry { after, reason, note }
}
