//! `stillpoint guardian`, which `backup` starts for itself: it waits for the end of a run, and gives back what the run did not.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::args::GuardianArgs;
use crate::failure::exit::Exit;
use crate::recover::{self, State};
use crate::run::guardian::ready_mark;

pub(super) async fn run(args: &GuardianArgs) -> Exit {
    // Whoever started us waits for the end of our output.
    let detached = detach();
    let _stop = super::stop_on_signals();
    let mark = Mark(ready_mark(&args.log));
    if let Err(error) = detached {
        tracing::error!(%error, "the guardian is not detached");
        return Exit::Failed;
    }
    let ready = || drop(File::create(&mark.0));
    let found = recover::recover_when_it_dies(&args.log, ready, &super::recover::reach()).await;
    match found.state {
        state if state.needs_person() => Exit::NeedsPerson,
        State::Alive | State::Nothing | State::Dead { .. } | State::Unreadable(_) => Exit::Done,
    }
}

/// A session of our own, and nobody's terminal or pipe.
fn detach() -> std::io::Result<()> {
    // Fails where we lead one already.
    rustix::process::setsid().ok();
    let null = File::options().read(true).write(true).open(Path::new("/dev/null"))?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    rustix::stdio::dup2_stderr(&null)?;
    Ok(())
}

/// Says that a guardian waits; gone with it.
struct Mark(PathBuf);

impl Drop for Mark {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.0));
    }
}
