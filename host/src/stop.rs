//! SIGINT, SIGTERM and SIGHUP as a wish to stop, obeyed between steps and by long steps.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

use crate::failure::{Cause, Kind};

/// The run was asked to stop.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("stopped by {}", signal_name(*.0))]
pub struct Stopped(pub i32);

impl From<Stopped> for Cause {
    fn from(stopped: Stopped) -> Self {
        Self::of(Kind::Stopped, None, stopped)
    }
}

/// Whether the run was asked to stop, and by which signal.
///
/// A signal never interrupts a step that holds something: it is looked at between steps, so that the ordinary way back
/// thaws, unlocks and removes.
#[derive(Clone, Default)]
pub struct Stop {
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    signal: AtomicI32,
    asked: Notify,
}

impl Stop {
    /// Listens for the three signals from now on. They no longer end the process.
    ///
    /// # Errors
    /// Where a handler cannot be installed.
    pub fn on_signals() -> std::io::Result<Self> {
        let stop = Self::default();
        for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()] {
            let mut signals = signal(kind)?;
            let stop = stop.clone();
            tokio::spawn(async move {
                while signals.recv().await.is_some() {
                    stop.ask(kind.as_raw_value());
                    tracing::warn!("{} received: undoing what this run holds", signal_name(kind.as_raw_value()));
                }
            });
        }
        Ok(stop)
    }

    /// Asks to stop. The first signal is the one that is reported.
    pub fn ask(&self, signal: i32) {
        let _first = self.state.signal.compare_exchange(0, signal, Ordering::SeqCst, Ordering::SeqCst);
        self.state.asked.notify_waiters();
    }

    /// # Errors
    /// [`Stopped`] where a signal came.
    pub fn check(&self) -> Result<(), Stopped> {
        match self.state.signal.load(Ordering::SeqCst) {
            0 => Ok(()),
            signal => Err(Stopped(signal)),
        }
    }

    /// Runs `work`, and drops it where a signal comes first. Only for work that holds nothing when dropped.
    ///
    /// # Errors
    /// [`Stopped`] where a signal came first.
    pub async fn or<T>(&self, work: impl Future<Output = T>) -> Result<T, Stopped> {
        self.check()?;
        tokio::select! {
            result = work => Ok(result),
            () = self.asked() => Err(self.check().err().unwrap_or(Stopped(0))),
        }
    }

    /// Ends with the first signal, at once where it has come already.
    pub async fn asked(&self) {
        let asked = self.state.asked.notified();
        tokio::pin!(asked);
        asked.as_mut().enable();
        if self.check().is_ok() {
            asked.await;
        }
    }
}

fn signal_name(signal: i32) -> &'static str {
    nix::sys::signal::Signal::try_from(signal).map_or("a signal", nix::sys::signal::Signal::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::exit::Exit;
    use crate::failure::table::row;

    #[test]
    fn a_run_that_was_stopped_has_failed_and_names_the_signal() {
        let cause = Cause::from(Stopped(15));
        assert_eq!((cause.kind, row(cause.kind, false).exit), (Kind::Stopped, Exit::Failed));
        assert_eq!(cause.to_string(), "stopped by SIGTERM");
    }
}
