//! What has to be said to a guest when a value is dropped, after a panic too.

use std::{sync::mpsc, time::Duration};

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::{JoinHandle, block_in_place};

/// Waits for `ending` where nothing can be awaited, for `patience` at most. The only thread of a runtime does not wait: it is the one
/// that does the work.
pub(crate) fn wait_here(ending: JoinHandle<()>, patience: Duration) {
    let Ok(runtime) = Handle::try_current() else { return };
    if runtime.runtime_flavor() == RuntimeFlavor::MultiThread {
        let (unended, ended) = mpsc::channel::<()>();
        runtime.spawn(async move {
            ending.await.ok();
            drop(unended);
        });
        // Nothing is ever sent. A runtime that shuts down drops its tasks, and the wait is over, too.
        block_in_place(|| ended.recv_timeout(patience)).ok();
    }
}
