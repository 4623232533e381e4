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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ask::asked::Asked;
    use crate::ask::config::PolicyConfig;
    use crate::ask::policy::Tables;

    fn expiry(defaults: &PolicyConfig, disks: usize) -> LockExpiry {
        lock_expiry(&Policy::new(&Asked::default(), Tables { vm: None, defaults }, true).unwrap(), disks)
    }

    #[test]
    fn the_lock_outlasts_a_window_in_which_everything_takes_until_its_deadline() {
        let defaults = PolicyConfig {
            freeze_deadline_s: Some(1),
            attach_deadline_s: Some(20),
            first_thaw_deadline_s: Some(3),
            statement_deadline_s: Some(4),
            ..PolicyConfig::default()
        };
        let LockExpiry { after, reason, note } = expiry(&defaults, 2);
        assert_eq!(after, Duration::from_secs(1 + 2 * 20 + 3 + 4));
        assert_eq!(reason, "1 s to freeze, 2 x 20 s to attach, 3 s to thaw, 4 s for a statement");
        assert_eq!(note, None);
    }

    #[test]
    fn a_first_thaw_is_not_waited_for_longer_than_for_all_of_them() {
        let defaults =
            PolicyConfig { first_thaw_deadline_s: Some(60), thaw_deadline_s: Some(10), ..PolicyConfig::default() };
        assert_eq!(expiry(&defaults, 1).after, Duration::from_secs(20 + 30 + 10 + 15));
    }

    #[test]
    fn a_long_expiry_is_said_with_what_shortens_it() {
        let note = |disks| expiry(&PolicyConfig::default(), disks).note;
        assert_eq!(note(2), None);
        let three = note(3).unwrap();
        assert!(three.contains("wait up to 130 s") && three.contains("attach_deadline_s"), "{three}");
    }

    #[test]
    fn more_disks_than_can_be_counted_are_no_overflow() {
        assert!(expiry(&PolicyConfig::default(), usize::MAX).after > Duration::from_secs(u32::MAX.into()));
    }
}
