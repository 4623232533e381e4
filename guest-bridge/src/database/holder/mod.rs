//! Who keeps a lock from being granted.

mod find;

use std::fmt;

use super::Statement;
pub(in crate::database) use find::in_the_way;
pub use find::{MAX_HOLDERS, before_a_lock, find};

/// A session that may be what a lock waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The server's id of the session: what `KILL` takes.
    pub thread_id: u64,
    /// Account, with the host it came from.
    pub user: String,
    /// How long its statement runs, or its transaction is open, or it has been idle, in seconds.
    pub seconds: u64,
    /// What it is doing.
    pub statement: Statement,
    /// Whether that is nothing at all.
    pub is_idle: bool,
    /// Why it is suspected: the lock it holds, its open transaction, or just its running statement.
    pub reason: String,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { thread_id, user, seconds, statement, reason, is_idle: _ } = self;
        write!(f, "thread {thread_id} of {user}, {seconds} s ({reason}): {statement}")
    }
}
