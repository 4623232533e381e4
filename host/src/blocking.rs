//! Work that blocks its thread, called from async code.

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::block_in_place;

/// Runs `work` where it stands: it may borrow, and a signal's task goes on beside it.
///
/// On a runtime of one thread, where tests let the time stand still, it is simply called.
pub fn blocking<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|handle| handle.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => block_in_place(work),
        _ => work(),
    }
}
