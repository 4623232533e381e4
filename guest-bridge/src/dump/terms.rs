//! How long a dump may take for what.

use std::time::Duration;

/// The deadlines of a dump. One over the whole of it is [`lifetime`](Self::lifetime).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DumpTerms {
    /// What starting the client may take, and ending it.
    pub start: Duration,
    /// Within what time the next piece has to be there: a client that waits for a lock, or for a disk that hangs, is given up then.
    pub progress: Duration,
    /// After what time without a reader the guest ends the dump by itself, so that no dead host leaves it for ever. Longer than the target
    /// may take to write a piece. Counted from one read to the next, so [`progress`](Self::progress) is added to it.
    ///
    /// MariaDB's server gives a client up that has not taken anything for `net_write_timeout` (built in: 60 s), whatever this says; MySQL's
    /// client raises that to a day.
    pub idle: Duration,
    /// How long the dump may live in the guest in any case.
    pub lifetime: Duration,
}

impl DumpTerms {
    /// As the script counts them.
    pub(super) fn idle_s(&self) -> String {
        whole_seconds(self.idle.saturating_add(self.progress))
    }

    pub(super) fn lifetime_s(&self) -> String {
        whole_seconds(self.lifetime)
    }
}

/// Rounded up. A shell counts in 32 bits in places.
fn whole_seconds(duration: Duration) -> String {
    duration.as_secs().saturating_add(1).min(1 << 30).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guest_waits_longer_than_the_host() {
        let second = Duration::from_secs(1);
        let terms = DumpTerms { start: second, progress: 10 * second, idle: 20 * second, lifetime: Duration::MAX };
        assert_eq!(terms.idle_s(), "31");
        assert_eq!(terms.lifetime_s(), "1073741824");
    }
}
