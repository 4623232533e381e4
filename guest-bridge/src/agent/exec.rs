//! Programs in the guest.

use std::{fmt, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use qapi::qga::{GuestExec, GuestExecCaptureOutput, guest_exec, guest_exec_status};
use serde::Deserialize;
use tokio::time::{Instant, sleep};

use super::request::{SHORT_REPLY_MAX_BYTES, ask, base64_reply_max_bytes};
use super::{Agent, AgentError, Pid, millis};

/// The first pause between two looks at a running program; each next one is twice as long.
const POLL_FIRST: Duration = Duration::from_millis(5);
/// The longest pause.
const POLL_MAX: Duration = Duration::from_millis(500);
/// A status call waits this long at most, also when more of the deadline is left.
const STATUS_CALL: Duration = Duration::from_secs(10);

/// What the agent keeps of each stream of a program, `GUEST_EXEC_MAX_OUTPUT` in QEMU's `qga/commands.c`.
const STREAM_MAX_BYTES: usize = 16 << 20;
/// Of both streams.
const STATUS_REPLY_MAX_BYTES: usize = base64_reply_max_bytes(2 * STREAM_MAX_BYTES);

/// A program to start in the guest: an argument vector, never a shell line.
#[derive(Clone, Default)]
pub struct Program {
    /// What to execute; found through the agent's `PATH` where it is no absolute path.
    pub path: String,
    /// Its arguments, without the program's own name.
    pub args: Vec<String>,
    /// Its standard input; this, not `args`, is where a secret belongs.
    pub input: Vec<u8>,
    /// Whether to keep what it prints. A program that is not captured can detach a child without delaying its own end.
    pub capture: bool,
}

impl Program {
    /// `path` with `args`, without input, captured.
    pub fn new(path: impl Into<String>, args: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let args = args.into_iter().map(Into::into).collect();
        Self { path: path.into(), args, input: Vec::new(), capture: true }
    }

    /// The same with this standard input.
    pub fn with_input(self, input: impl Into<Vec<u8>>) -> Self {
        Self { input: input.into(), ..self }
    }

    /// The same with its output thrown away.
    pub fn without_capture(self) -> Self {
        Self { capture: false, ..self }
    }
}

/// Shows how much input there is, not what: it may be a secret.
impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program")
            .field("path", &self.path)
            .field("args", &self.args)
            .field("input_bytes", &self.input.len())
            .field("capture", &self.capture)
            .finish()
    }
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It returned this code.
    Code(i64),
    /// This signal ended it (on Windows: this exception).
    Signal(i64),
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
        }
    }
}

/// A program that has ended, with all that it printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// How it ended.
    pub exit: Exit,
    /// Its standard output; empty where it was not captured.
    pub stdout: Vec<u8>,
    /// Its standard error; empty where it was not captured.
    pub stderr: Vec<u8>,
}

impl Finished {
    /// Whether it returned 0.
    pub fn success(&self) -> bool {
        self.exit == Exit::Code(0)
    }
}

/// `guest-exec`: starts a program and does not wait for it.
///
/// # Errors
/// See [`AgentError`]; the agent says "no such file" in its own words, as [`AgentError::Failed`].
pub async fn exec(agent: &mut dyn Agent, program: &Program, deadline: Duration) -> Result<Pid, AgentError> {
    let command = guest_exec {
        path: program.path.clone(),
        arg: Some(program.args.clone()),
        env: None,
        input_data: (!program.input.is_empty()).then(|| program.input.clone()),
        capture_output: Some(GuestExecCaptureOutput::flag(program.capture)),
    };
    let GuestExec { pid } = ask(agent, &command, SHORT_REPLY_MAX_BYTES, deadline).await?;
    Ok(Pid(pid))
}

/// `guest-exec-status`: `None` while the program runs.
///
/// The agent forgets a program once it has told its end: after `Some`, asking again is an error.
///
/// # Errors
/// See [`AgentError`]; [`AgentError::OutputTruncated`] if the agent dropped a part of what the program printed.
pub async fn exec_status(agent: &mut dyn Agent, pid: Pid, deadline: Duration) -> Result<Option<Finished>, AgentError> {
    let command = guest_exec_status { pid: pid.0 };
    let status: Status = ask(agent, &command, STATUS_REPLY_MAX_BYTES, deadline).await?;
    status.finished(pid)
}

/// Starts a program, waits for its end, and returns what it printed (16 MiB a stream at most).
///
/// # Errors
/// See [`AgentError`]. Once the program runs, errors say its process: [`AgentError::StillRunning`] at the deadline,
/// [`AgentError::LostProgram`] where its status could not be asked.
pub async fn run(agent: &mut dyn Agent, program: &Program, deadline: Duration) -> Result<Finished, AgentError> {
    let start = Instant::now();
    let pid = exec(agent, program, deadline).await?;
    let mut pause = POLL_FIRST;
    loop {
        let left = deadline.saturating_sub(start.elapsed());
        if left.is_zero() {
            let waited_ms = millis(start.elapsed());
            return Err(AgentError::StillRunning { program: program.path.clone(), pid, waited_ms });
        }
        sleep(pause.min(left)).await;
        pause = (pause * 2).min(POLL_MAX);
        // The last look may be past the deadline by what the pause took: give it time to be answered.
        match exec_status(agent, pid, left.clamp(POLL_MAX, STATUS_CALL)).await {
            Ok(Some(finished)) => return Ok(finished),
            Ok(None) => {}
            Err(AgentError::OutputTruncated { stream, .. }) => {
                return Err(AgentError::OutputTruncated { program: program.path.clone(), stream });
            }
            Err(source) => {
                return Err(AgentError::LostProgram { program: program.path.clone(), pid, source: Box::new(source) });
            }
        }
    }
}

/// Not qapi's type: its errors repeat the whole output where that is no base64.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Status {
    exited: bool,
    exitcode: Option<i64>,
    signal: Option<i64>,
    out_data: Option<String>,
    err_data: Option<String>,
    #[serde(default)]
    out_truncated: bool,
    #[serde(default)]
    err_truncated: bool,
}

impl Status {
    fn finished(self, pid: Pid) -> Result<Option<Finished>, AgentError> {
        if !self.exited {
            return Ok(None);
        }
        let exit = match (self.exitcode, self.signal) {
            (_, Some(signal)) => Exit::Signal(signal),
            (Some(code), None) => Exit::Code(code),
            (None, None) => {
                return Err(AgentError::unexpected("guest-exec-status", "exited with neither code nor signal"));
            }
        };
        for (truncated, stream) in [(self.out_truncated, "stdout"), (self.err_truncated, "stderr")] {
            if truncated {
                return Err(AgentError::OutputTruncated { program: format!("process {pid}"), stream });
            }
        }
        let (stdout, stderr) = (decode(self.out_data, "out-data")?, decode(self.err_data, "err-data")?);
        Ok(Some(Finished { exit, stdout, stderr }))
    }
}

fn decode(data: Option<String>, field: &str) -> Result<Vec<u8>, AgentError> {
    BASE64_STANDARD
        .decode(data.unwrap_or_default())
        .map_err(|error| AgentError::unexpected("guest-exec-status", format!("{field} is no base64: {error}")))
}
