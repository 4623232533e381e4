//! What the packages below say by `tracing`, as sentences.

use std::fmt::{Debug, Write};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::Voice;
use crate::cli::sentence::Sentence;

/// Passes on what is said.
pub struct Passed(pub Voice);

impl<S: Subscriber> Layer<S> for Passed {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let mut said = Said::default();
        event.record(&mut said);
        self.0.say(&Sentence::new(*event.metadata().level(), &said.sentence()), &said.fields);
    }
}

#[derive(Default)]
struct Said {
    message: String,
    fields: Vec<(String, String)>,
}

impl Said {
    /// The message, its cause after a colon, and whatever else there is.
    fn sentence(&self) -> String {
        let mut text = self.message.clone();
        let (errors, others): (Vec<_>, Vec<_>) = self.fields.iter().partition(|(name, _)| name == "error");
        errors.iter().for_each(|(_, error)| text += &format!(": {error}"));
        let others: Vec<String> = others.iter().map(|(name, value)| format!("{name} {value}")).collect();
        if others.is_empty() { text } else { format!("{text} ({})", others.join(", ")) }
    }
}

impl Visit for Said {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        match field.name() {
            // A String takes whatever is written to it.
            "message" => drop(write!(self.message, "{value:?}")),
            // Where in the source of a package that has no tracing of its own.
            name if name.starts_with("log.") => {}
            name => self.fields.push((name.to_owned(), format!("{value:?}"))),
        }
    }
}
