//! What keeps a copy from being felt by the guests of its host.

/// As backups are commonly run by hand: `nice` alone has this, too.
const NICENESS: i32 = 10;

/// Has this thread, and none else, give way to whoever else wants the processor: on Linux niceness is a thread's own (sched(7)).
pub(super) fn give_way() {
    if let Err(error) = rustix::process::nice(NICENESS) {
        tracing::debug!(%error, "the copy runs at the usual priority");
    }
}
