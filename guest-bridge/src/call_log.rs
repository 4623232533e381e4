//! One log for all scripted peers of a test, so that the order *between* them can be asserted.

use std::sync::{Arc, Mutex, PoisonError};

/// What was asked of the peers, in the order in which it arrived. Clones write to the same log.
#[derive(Clone, Debug, Default)]
pub struct CallLog(Arc<Mutex<Vec<String>>>);

impl CallLog {
    /// An empty log.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends one entry, such as `database: UNLOCK TABLES`.
    pub fn record(&self, entry: impl Into<String>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(entry.into());
    }

    /// Everything recorded so far.
    pub fn entries(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
