//! The way into the guest: the script, run by its agent.

use std::time::Duration;

use super::{DumpError, DumpName};
use crate::agent::{Agent, AgentError, Exit, Finished, Program, SharedAgent, guest_text, run};

const SCRIPT: &str = include_str!("dump.sh");

/// How often [`end`] looks for a dump whose start may be under way, every 50 ms.
const STARTING_PATIENCE: u32 = 40;

/// How the script ends when all is well.
pub(super) const DONE: Exit = Exit::Code(0);
const GONE: Exit = Exit::Code(3);
const NO_PLACE: Exit = Exit::Code(5);
const PROGRAM_MISSING: Exit = Exit::Code(6);
const OTHER_PRODUCT: Exit = Exit::Code(7);
const NO_PORT: Exit = Exit::Code(8);

pub(super) async fn script(
    agent: &mut dyn Agent,
    arguments: &[&str],
    input: String,
    deadline: Duration,
) -> Result<Finished, AgentError> {
    let arguments = ["-c", SCRIPT, "stillpoint"].iter().chain(arguments).copied();
    run(agent, &Program::new("/bin/sh", arguments).with_input(input), deadline).await
}

/// Ends the dump `name` and removes all that there is of it in the guest. Where there is nothing, nothing is done: it can be called as often
/// as wanted, also while the dump's start is under way.
///
/// # Errors
/// [`DumpError::Agent`] and [`DumpError::StillThere`]: something may be left, which ends by itself later.
pub async fn end(agent: &mut dyn Agent, name: &DumpName, deadline: Duration) -> Result<(), DumpError> {
    end_after(agent, name, STARTING_PATIENCE, deadline).await
}

/// The same; a dump that is not there is looked for `patience` times more.
pub(super) async fn end_after(
    agent: &mut dyn Agent,
    name: &DumpName,
    patience: u32,
    deadline: Duration,
) -> Result<(), DumpError> {
    let arguments = ["end", name.as_str(), &patience.to_string()];
    let finished = script(agent, &arguments, String::new(), deadline)
        .await
        .map_err(|source| DumpError::Agent { doing: "ending a dump", source })?;
    match finished.success() {
        true => Ok(()),
        false => Err(DumpError::StillThere { problem: format!("{}: {}", finished.exit, said(&finished.stderr)) }),
    }
}

/// How a start that is refused is told.
pub(super) fn refused(finished: &Finished) -> DumpError {
    let said = said(&finished.stderr);
    match finished.exit {
        NO_PLACE | PROGRAM_MISSING | OTHER_PRODUCT | NO_PORT => DumpError::Impossible { problem: said },
        exit => DumpError::Unexpected { doing: "starting a dump", detail: format!("{exit}: {said}") },
    }
}

fn said(stderr: &[u8]) -> String {
    guest_text(String::from_utf8_lossy(stderr).trim())
}

/// How much is read in one go, in blocks of 64 KiB. The agent keeps it in memory, and its text in base64.
pub(super) const PIECE_BLOCKS: usize = 64;
pub(super) const PIECE_MAX_BYTES: usize = PIECE_BLOCKS * (64 << 10);

/// What came of the dump, and what the script said beside it.
pub(super) struct Piece {
    pub(super) bytes: Vec<u8>,
    /// Empty until the client has ended.
    pub(super) said: Vec<u8>,
}

pub(super) const READING: &str = "reading a dump";

/// Runs the script for a dump that was started, and gives what it printed.
pub(super) async fn ask(
    agent: &SharedAgent,
    words: &[&str],
    received_bytes: u64,
    deadline: Duration,
) -> Result<Piece, DumpError> {
    match script(&mut agent.clone(), words, String::new(), deadline).await {
        Ok(Finished { exit: DONE, stdout: bytes, stderr: said }) => Ok(Piece { bytes, said }),
        Ok(Finished { exit: GONE, .. }) => Err(DumpError::Gone { received_bytes }),
        Ok(Finished { exit, stderr, .. }) => {
            Err(DumpError::Unexpected { doing: READING, detail: format!("{exit}: {}", said(&stderr)) })
        }
        Err(AgentError::StillRunning { waited_ms, .. }) => Err(DumpError::NoProgress { waited_ms, received_bytes }),
        Err(source) => Err(DumpError::Agent { doing: READING, source }),
    }
}
