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

/// The lock outlasts everything that its session is idle for: the window, the first thaw, and the statement that asks whether it was
/// held. Each is reckoned at its deadline, so that no window in which all of them keep theirs loses it.
///
/// Snapshots that overrun the window are given up, and the backup with them: what the host takes to end it needs no lock. A
/// thaw that has to be repeated may outlast the lock, which is noticed and graded: better than writers that wait for
/// minutes more. A host that dies in the window leaves them waiting for this long.
#[must_use]
pub fn lock_expiry(policy: &Policy) -> LockExpiry {
    let (thaw, statement) = (policy.first_thaw.value.min(policy.thaw.value), policy.statement.value);
    let window = policy.window.value;
    let after = window.saturating_add(thaw).saturating_add(statement);
    let s = |time: Duration| format!("{} s", time.as_secs_f64());
    let reason = format!("{} of window, {} to thaw, {} for a statement", s(window), s(thaw), s(statement));
    let note = (after > LONG).then(|| {
        format!(
            "if this host dies in the window, the database's writers wait up to {} ({reason}); a shorter window_deadline_s \
             shortens that",
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

    fn expiry(defaults: &PolicyConfig) -> LockExpiry {
        lock_expiry(&Policy::new(&Asked::default(), Tables { vm: None, defaults }, true).unwrap())
    }

    #[test]
    fn the_lock_outlasts_a_window_in_which_everything_takes_until_its_deadline() {
        let defaults = PolicyConfig {
            window_deadline_s: Some(41),
            first_thaw_deadline_s: Some(3),
            statement_deadline_s: Some(4),
            ..PolicyConfig::default()
        };
        let LockExpiry { after, reason, note } = expiry(&defaults);
        assert_eq!(after, Duration::from_secs(41 + 3 + 4));
        assert_eq!(reason, "41 s of window, 3 s to thaw, 4 s for a statement");
        assert_eq!(note, None);
    }

    #[test]
    fn a_first_thaw_is_not_waited_for_longer_than_for_all_of_them() {
        let defaults =
            PolicyConfig { first_thaw_deadline_s: Some(60), thaw_deadline_s: Some(10), ..PolicyConfig::default() };
        assert_eq!(expiry(&defaults).after, Duration::from_secs(10 + 10 + 15));
    }

    #[test]
    fn a_long_expiry_is_said_with_what_shortens_it() {
        assert_eq!(expiry(&PolicyConfig::default()).note, None);
        let long = expiry(&PolicyConfig { window_deadline_s: Some(120), ..PolicyConfig::default() }).note.unwrap();
        assert!(long.contains("wait up to 140 s") && long.contains("window_deadline_s"), "{long}");
    }
}
