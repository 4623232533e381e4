//! A panic, said like everything else: the standard hook writes to stderr itself, and one between freeze and thaw would
//! wait for a stopped terminal before the guards thaw.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::{self, PanicHookInfo};

use tracing::Level;

use super::Voice;
use crate::cli::sentence::Sentence;

/// From now on `voice` says what panics.
pub fn say_panics(voice: &'static Voice) {
    panic::set_hook(Box::new(|info| voice.say(&Sentence::new(Level::ERROR, &described(info)), &[])));
}

fn described(info: &PanicHookInfo<'_>) -> String {
    let backtrace = Backtrace::capture();
    let trace = match backtrace.status() {
        BacktraceStatus::Captured => format!("\n{backtrace}"),
        _ => String::new(),
    };
    info.to_string() + &trace
}
