//! What a session may take, and what it is not to be cut short by.

use std::time::Duration;

use super::{Answers, DatabaseError, Timed};

/// Administrators bound how long statements may run, and how many rows they return: ours have deadlines of their own. MariaDB knows
/// the first, MySQL the second, and all the third.
const UNBOUNDED: [&str; 3] = [
    "SET SESSION max_statement_time = 0",
    "SET SESSION max_execution_time = 0",
    "SET SESSION sql_select_limit = 18446744073709551615",
];

/// Takes the server's own bounds off a session.
pub(crate) fn unbounded(deadline: Duration) -> impl Iterator<Item = Timed> {
    UNBOUNDED.into_iter().map(move |statement| Timed::new(statement, deadline))
}

/// Their answers. A server that does not know one of them is none the worse.
pub(crate) fn read_unbounded(answers: &mut Answers) -> Result<(), DatabaseError> {
    for _ in UNBOUNDED {
        match answers.next() {
            Ok(_) | Err(DatabaseError::Server { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// How long the session may wait for a lock, and how long it may be idle. The defaults are a day and eight hours.
pub(super) fn bounded(lock_wait: Duration, idle: Duration, deadline: Duration) -> Timed {
    let (lock_wait_s, idle_s) = (whole_seconds(lock_wait), whole_seconds(idle));
    let statement = format!("SET SESSION lock_wait_timeout = {lock_wait_s}, SESSION wait_timeout = {idle_s}");
    Timed::new(statement, deadline)
}

/// Both variables count seconds, and 0 would mean the shortest possible, not "none".
fn whole_seconds(duration: Duration) -> u64 {
    (duration.as_secs() + u64::from(duration.subsec_nanos() > 0)).clamp(1, 31_536_000)
}
