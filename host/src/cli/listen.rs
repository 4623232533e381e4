//! What happens in a run, as lines of the log.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::run::entry::Mark;
use crate::run::event::{Event, Listener};

/// Between two lines about a copy.
const INTERVAL: Duration = Duration::from_secs(5);

/// Logs every step, and now and then how far a copy is.
#[derive(Default)]
pub struct Lines {
    copy: Mutex<Option<Instant>>,
}

impl Listener for Lines {
    fn hear(&self, event: &Event) {
        match event {
            Event::Step(entry) => match &entry.mark {
                Mark::Done { step, detail, .. } => {
                    tracing::info!("{step} done {}", serde_json::to_string(detail).unwrap_or_default());
                }
                Mark::Failed { error, .. } => tracing::warn!("{error}"),
                Mark::Intent { step, .. } => tracing::debug!("{step} begins"),
                Mark::Begun(_) | Mark::Closed { .. } => {}
            },
            Event::Note { text } => tracing::warn!("{text}"),
            Event::Copy { origin, copied_bytes, total_bytes, last, .. } => {
                let mut copy = self.copy.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                if *last || copy.is_none_or(|said| said.elapsed() >= INTERVAL) {
                    *copy = Some(Instant::now());
                    tracing::info!("{origin} copied {copied_bytes} of {total_bytes} bytes");
                }
            }
            Event::Cow { .. } => {}
        }
    }
}
