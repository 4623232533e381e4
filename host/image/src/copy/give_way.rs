//! What keeps a copy from being felt by the guests of its host.

/// As backups are commonly run by hand: `nice` alone has this, too.
const NICENESS: i32 = 10;

/// Has this thread, and none else, give way to whoever else wants the processor: on Linux niceness is a thread's own (sched(7)).
pub(super) fn give_way() {
    nice(NICENESS);
}

/// Has this thread want the processor as much as anybody, after it gave way: a copy whose snapshot would not last.
pub(super) fn insist() {
    nice(-NICENESS);
}

fn nice(by: i32) {
    if let Err(error) = rustix::process::nice(by) {
        tracing::debug!(by, %error, "the copy's priority stays as it is");
    }
}
