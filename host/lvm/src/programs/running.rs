//! A program of this machine that runs: waiting for it, and ending it.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::capture::Capture;
use super::{Invocation, Output, ProgramError, Started};

/// How long a program may take to end itself after SIGTERM. LVM blocks signals while it holds the lock of a VG, and so never stops
/// between suspending and resuming a device; SIGKILL would.
const TERM_GRACE: Duration = Duration::from_secs(3);
/// How long the kernel may take to end it after SIGKILL.
const KILL_GRACE: Duration = Duration::from_secs(2);
/// How long the pipes may stay open after the program has ended, held by a process that it left behind.
const PIPE_GRACE: Duration = Duration::from_secs(1);
/// The longest sleep between two looks at the program; the first are shorter.
const POLL: Duration = Duration::from_millis(5);

/// A child in a process group of its own, and what it has written.
pub(super) struct Running {
    command: String,
    child: Child,
    stdout: Capture,
    stderr: Capture,
    since: Instant,
    /// The last time that somebody gave it to end.
    limit: Duration,
    /// It was asked to end while it ran.
    asked: bool,
    /// It ended, or the kernel does not let go of it: nothing more can be done to it.
    over: bool,
}

impl Running {
    pub fn new(invocation: &Invocation, mut child: Child) -> Self {
        let (stdout, stderr) = (Capture::of(child.stdout.take()), Capture::of(child.stderr.take()));
        let (command, limit) = (invocation.to_string(), invocation.deadline());
        Self { command, child, stdout, stderr, since: Instant::now(), limit, asked: false, over: false }
    }

    fn cannot_wait(&self, cause: io::Error) -> ProgramError {
        ProgramError::Start { command: self.command.clone(), cause }
    }

    fn outcome(&mut self, status: Option<ExitStatus>, timed_out: bool) -> Result<Output, ProgramError> {
        let closed_by = Instant::now() + PIPE_GRACE;
        let output = Output {
            exit_code: status.and_then(|status| status.code()).unwrap_or(-1),
            stdout: self.stdout.take(closed_by),
            stderr: self.stderr.take(closed_by),
        };
        let (command, said) = (self.command.clone(), output.last_words());
        tracing::debug!(command, exit_code = output.exit_code, ms = self.since.elapsed().as_millis(), "ran");
        if timed_out {
            return Err(ProgramError::TimedOut { command, deadline: self.limit, gone: status.is_some(), said });
        }
        match status.and_then(|status| status.signal()) {
            Some(signal) => Err(ProgramError::Signalled { command, signal, said }),
            None => Ok(output),
        }
    }
}

impl Started for Running {
    fn pid(&self) -> Option<u32> {
        Some(self.child.id())
    }

    fn has_ended(&mut self, within: Duration) -> Result<bool, ProgramError> {
        if !within.is_zero() {
            self.limit = within;
        }
        let waited = wait(&mut self.child, within).map_err(|cause| self.cannot_wait(cause))?;
        Ok(waited.is_some())
    }

    fn ask_to_end(&mut self) {
        if let (Ok(None), Some(group)) = (self.child.try_wait(), group(&self.child)) {
            // Fails only if no process of the group is left.
            killpg(group, Signal::SIGTERM).ok();
            self.asked = true;
        }
    }

    fn end(mut self: Box<Self>) -> Result<Output, ProgramError> {
        self.over = true;
        let ended = self.child.try_wait().map_err(|cause| self.cannot_wait(cause))?;
        let timed_out = ended.is_none_or(|status| self.asked && !status.success());
        let status = match ended {
            Some(status) => Some(status),
            None => end(&mut self.child).map_err(|cause| self.cannot_wait(cause))?,
        };
        self.outcome(status, timed_out)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.over || !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        tracing::debug!(command = self.command, "nobody waits for it any more; ending it");
        if let Err(error) = end(&mut self.child) {
            tracing::warn!(command = self.command, %error, "cannot wait for its end");
        }
    }
}

/// Waits until the child ends or the time is over. A look every few milliseconds, because neither std nor nix can wait for a child
/// with a limit, and a helper thread that waits would race with the signals that we send.
fn wait(child: &mut Child, limit: Duration) -> io::Result<Option<ExitStatus>> {
    let start = Instant::now();
    let mut pause = Duration::from_micros(200);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        let left = limit.saturating_sub(start.elapsed());
        if left.is_zero() {
            return Ok(None);
        }
        thread::sleep(pause.min(left));
        pause = (pause * 2).min(POLL);
    }
}

/// Ends the child and everything that it started; `None` if the kernel does not let go of it.
fn end(child: &mut Child) -> io::Result<Option<ExitStatus>> {
    let Some(group) = group(child) else { return Ok(None) };
    for (signal, grace) in [(Signal::SIGTERM, TERM_GRACE), (Signal::SIGKILL, KILL_GRACE)] {
        // Fails only if no process of the group is left, which the wait finds out.
        killpg(group, signal).ok();
        if let Some(status) = wait(child, grace)? {
            killpg(group, Signal::SIGKILL).ok();
            return Ok(Some(status));
        }
    }
    Ok(None)
}

/// The process group that it leads.
fn group(child: &Child) -> Option<Pid> {
    i32::try_from(child.id()).ok().map(Pid::from_raw)
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, PipeReader, PipeWriter, Write};
    use std::os::fd::AsRawFd;

    use super::*;
    use crate::programs::{HostPrograms, Programs};

    const LONG: Duration = Duration::from_secs(60);

    /// A script, and a pipe of which the script has both ends, by path, as `$1` and `$2`.
    fn start(script: &str) -> (Box<dyn Started>, PipeReader, PipeWriter) {
        let (reader, writer) = io::pipe().unwrap();
        let path = |fd: i32| format!("/proc/{}/fd/{fd}", std::process::id());
        let (from, to) = (path(reader.as_raw_fd()), path(writer.as_raw_fd()));
        let started = HostPrograms.start(&Invocation::new("sh", LONG).args(["-c", script, "sh", &from, &to])).unwrap();
        (started, reader, writer)
    }

    /// A script that says when it is ready to be ended.
    fn start_ready(script: &str) -> Box<dyn Started> {
        let (started, reader, _writer) = start(script);
        let mut line = String::new();
        io::BufReader::new(reader).read_line(&mut line).unwrap();
        started
    }

    #[test]
    fn a_started_program_runs_while_nobody_waits_for_it() {
        let started = start_ready("echo here >$2; exit 3");
        assert_eq!(started.wait(LONG).unwrap().exit_code, 3);
    }

    #[test]
    fn a_look_at_a_program_does_not_end_it() {
        let (mut started, _reader, mut writer) = start("read line <$1; echo $line");
        assert!(!started.has_ended(Duration::ZERO).unwrap());
        writeln!(writer, "go on").unwrap();
        assert!(started.has_ended(LONG).unwrap());
        assert_eq!(started.end().unwrap().stdout, b"go on\n");
    }

    #[test]
    fn a_program_that_is_ended_early_says_what_it_said() {
        let script = "trap 'echo giving up >&2; exit 5' TERM; echo ready >$2; while :; do sleep 0.01; done";
        let error = start_ready(script).end().unwrap_err();
        assert!(matches!(error, ProgramError::TimedOut { gone: true, .. }), "{error}");
        assert!(error.to_string().ends_with("giving up"), "{error}");
    }

    #[test]
    fn a_program_that_was_asked_to_end_has_passed_its_deadline_unless_it_did_its_work() {
        for (exit, done) in [("exit 7", false), ("exit 0", true), ("trap - TERM; kill $$", false)] {
            let script = format!("trap '{exit}' TERM; echo ready >$2; while :; do sleep 0.01; done");
            let mut started = start_ready(&script);
            started.ask_to_end();
            assert!(started.has_ended(LONG).unwrap());
            let outcome = started.end();
            let passed = matches!(outcome, Err(ProgramError::TimedOut { gone: true, .. }));
            assert_eq!((outcome.is_ok(), passed), (done, !done), "{exit}: {outcome:?}");
        }
    }

    #[test]
    fn a_dropped_program_is_ended_with_all_that_it_started() {
        let (started, reader, writer) = start("exec 9>$2; echo ready >&9; sleep 60 & wait");
        let mut reader = io::BufReader::new(reader);
        reader.read_line(&mut String::new()).unwrap();
        drop((started, writer));
        // The grandchild would hold the pipe for a minute; end of file says that it is gone.
        assert_eq!(io::read_to_string(reader).unwrap(), "");
    }
}
