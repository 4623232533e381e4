//! A watchdog in the guest: a process there that thaws its filesystems by itself where host, coordinator and agent are all gone.
//!
//! It is [armed](arm) before the freeze, thaws after a time, and is [disarmed](disarm) after the thaw. Each is one `guest-exec` of a fixed script
//! (`watchdog.sh`), so neither can be asked in a freeze, or where `guest-exec` is blocked.
//!
//! Whether there can be one is [probed](probe) without making any.
//!
//! All that a watchdog has is in a folder in memory that is named by its [`Token`]. Disarming renames that folder, the watchdog empties a file
//! by its old name before it thaws: so it is always decided which came first, and one that was disarmed never thaws the window of
//! another run. It ends in any case, a minute after it thawed first.

mod armed;
mod disarmed;
mod error;
mod probe;
mod script;
#[cfg(any(test, feature = "scripted"))]
mod simulated;
mod token;

pub use armed::{Armed, CannotThaw, Programs, arm};
pub use disarmed::{Disarmed, disarm};
pub use error::WatchdogError;
pub use probe::{Possible, probe};
#[cfg(any(test, feature = "scripted"))]
pub(crate) use simulated::SimulatedWatchdogs;
pub use token::Token;
