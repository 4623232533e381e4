//! What happens in a run, told as it happens. Bars, log lines and `--progress json` are listeners; the run itself draws nothing.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::entry::Entry;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// A step began or ended: the line of the run log.
    Step(Entry),
    /// How far the copy of a disk is. Several times a second.
    Copy {
        /// The origin.
        origin: String,
        /// Allocated bytes copied.
        copied_bytes: u64,
        /// Allocated bytes there are.
        total_bytes: u64,
        /// Allocated bytes a second, lately.
        bytes_per_s: f64,
        /// Seconds left at that speed; `None` while nothing moves.
        left_s: Option<f64>,
        /// The last time for this disk: its copy has ended, well or not.
        last: bool,
    },
    /// How full the fullest COW is, of those that are still needed. With each [`Event::Copy`]; it is looked at about once a second.
    Cow {
        /// The origin whose copy it has to outlast.
        origin: String,
        /// From 0 to 100; `None` before the first look.
        percent: Option<f64>,
    },
    /// How far a dump is, of which nobody knows how long it will be. Several times a second.
    Dump {
        /// Bytes of SQL that have come.
        received_bytes: u64,
        /// Bytes a second, lately.
        bytes_per_s: f64,
    },
    /// Something that a person should know.
    Note {
        /// In a sentence.
        text: String,
    },
}

/// Hears of everything that happens. It must not wait for anything: between freeze and thaw a guest would wait with it.
pub trait Listener: Send + Sync {
    /// `event` has just happened.
    fn hear(&self, event: &Event);
}

/// All who listen.
#[derive(Clone, Default)]
pub struct Listeners(Vec<Arc<dyn Listener>>);

impl Listeners {
    /// One more.
    #[must_use]
    pub fn with(mut self, listener: Arc<dyn Listener>) -> Self {
        self.0.push(listener);
        self
    }

    /// Tells them all.
    pub fn tell(&self, event: &Event) {
        self.0.iter().for_each(|listener| listener.hear(event));
    }
}

impl std::fmt::Debug for Listeners {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} listeners", self.0.len())
    }
}
