//! The number of a process in the guest.

use std::fmt;

/// A process of the guest, as its agent numbers it: a Linux pid, a Windows handle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pid(
    /// The number.
    pub i64,
);

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
