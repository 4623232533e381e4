//! Signals: some are a wish to stop, obeyed between steps and by long steps; all others that would end or halt the process do
//! nothing, because a guest may stand still while it is gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use nix::sys::signal::Signal;
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
    /// Listens for signals from now on. None but SIGKILL and SIGSTOP ends or halts the process any more.
    ///
    /// # Errors
    /// Where a handler cannot be installed.
    pub fn on_signals() -> std::io::Result<Self> {
        let stop = Self::default();
        for kind in WISHES {
            let stop = stop.clone();
            listen(kind as i32, move |name| {
                stop.ask(kind as i32);
                tracing::warn!("{name} received: undoing what this run holds");
            })?;
        }
        for kind in HALTS {
            listen(kind as i32, |name| {
                tracing::warn!("{name} received, and not obeyed: a run that is halted may hold a guest frozen");
            })?;
        }
        for kind in OTHERS.into_iter().map(|kind| kind as i32).chain(REAL_TIME) {
            listen(kind, |name| tracing::debug!("{name} received: it means nothing here"))?;
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

/// Whoever sends them wants the run to end: a person, the system at its shutdown, a limit of CPU time.
const WISHES: [Signal; 5] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGXCPU];
/// They would halt the process until somebody continues it: Ctrl-Z, and a write to a terminal that is another job's.
const HALTS: [Signal; 3] = [Signal::SIGTSTP, Signal::SIGTTIN, Signal::SIGTTOU];
/// They would end it. SIGXFSZ comes with an error of the write, which says more.
const OTHERS: [Signal; 9] = [
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGALRM,
    Signal::SIGVTALRM,
    Signal::SIGPROF,
    Signal::SIGIO,
    Signal::SIGPWR,
    Signal::SIGSTKFLT,
    Signal::SIGXFSZ,
];

/// Those that have no name. The C library keeps the two below for itself.
const REAL_TIME: std::ops::RangeInclusive<i32> = 34..=64;

/// Has `act` done whenever signal `number` comes, in place of what the kernel would do.
fn listen(number: i32, act: impl Fn(&str) + Send + 'static) -> std::io::Result<()> {
    let mut signals = signal(SignalKind::from_raw(number))?;
    tokio::spawn(async move {
        while signals.recv().await.is_some() {
            act(signal_name(number));
        }
    });
    Ok(())
}

fn signal_name(signal: i32) -> &'static str {
    Signal::try_from(signal).map_or("a real-time signal", Signal::as_str)
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
