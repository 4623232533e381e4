//! The name of a watchdog.

use crate::random_name::random_name;

random_name! {
    /// The name of the watchdog of one run: `stillpoint-watchdog.` and 32 random hexadecimal digits. It is good for one
    /// [`arm`](super::arm), and tells it from every other.
    Token, "stillpoint-watchdog.", "a watchdog"
}
