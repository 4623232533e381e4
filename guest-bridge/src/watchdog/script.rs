//! The script, run by the guest's agent, and what it prints.

use std::time::Duration;

use super::WatchdogError;
use crate::agent::{Agent, Exit, Finished, Program, guest_text, run};

/// Given to the guest's `sh -c`.
pub(super) const SCRIPT: &str = include_str!("watchdog.sh");

/// Where filesystems in memory are, by the Filesystem Hierarchy Standard and Linux's `shm_open(3)`.
const PLACES: &str = "/run /dev/shm";

/// The last line of an answer that is whole.
const END: &str = "end";
/// A thousand mountpoints have room.
const ANSWER_MAX_BYTES: usize = 1 << 20;

/// The script's exit codes.
const IMPOSSIBLE: Exit = Exit::Code(5);
const USED_UP: Exit = Exit::Code(8);

/// Has the script do `verb`, and gives the lines of its answer.
pub(super) async fn ask(
    agent: &mut dyn Agent,
    verb: &str,
    words: &[&str],
    deadline: Duration,
) -> Result<Vec<String>, WatchdogError> {
    let program = Program::new("/bin/sh", ["-c", SCRIPT, "stillpoint", verb, PLACES].iter().chain(words).copied());
    // The watchdog runs the same text.
    let program = if verb == "arm" { program.with_input(SCRIPT) } else { program };
    answer(&run(agent, &program, deadline).await?)
}

fn answer(finished: &Finished) -> Result<Vec<String>, WatchdogError> {
    let stderr = || guest_text(String::from_utf8_lossy(&finished.stderr).lines().next().unwrap_or_default());
    match finished.exit {
        Exit::Code(0) => {}
        IMPOSSIBLE => return Err(WatchdogError::Impossible { reason: stderr() }),
        USED_UP => return Err(WatchdogError::UsedUp),
        exit => return Err(WatchdogError::Script { exit, stderr: stderr() }),
    }
    if finished.stdout.len() > ANSWER_MAX_BYTES {
        return Err(WatchdogError::Unexpected { detail: format!("it is longer than {ANSWER_MAX_BYTES} bytes") });
    }
    let text = String::from_utf8_lossy(&finished.stdout);
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    match lines.pop() {
        Some(last) if last == END && text.ends_with('\n') => Ok(lines),
        _ => Err(WatchdogError::answer("it has no end", &text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finished(code: i64, stdout: &str, stderr: &str) -> Finished {
        Finished { exit: Exit::Code(code), stdout: stdout.into(), stderr: stderr.into() }
    }

    #[test]
    fn an_answer_that_was_cut_off_is_none() {
        assert_eq!(answer(&finished(0, "in-time\nend\n", "")).unwrap(), ["in-time"]);
        for cut in ["", "in-time\n", "in-time\nend", "in-time\nend\nx\n"] {
            assert!(matches!(answer(&finished(0, cut, "")), Err(WatchdogError::Unexpected { .. })), "{cut:?}");
        }
    }

    #[test]
    fn what_a_guest_lacks_is_told_in_its_words_and_in_one_line() {
        let error = answer(&finished(5, "", "there is no\x1b fsfreeze\n")).unwrap_err();
        assert_eq!(error.to_string(), "the guest cannot have a watchdog: there is no\\u{1b} fsfreeze");
        assert!(error.hint().unwrap().contains("util-linux"));
        assert!(matches!(answer(&finished(8, "", "")), Err(WatchdogError::UsedUp)));
        assert!(matches!(answer(&finished(9, "end\n", "x")), Err(WatchdogError::Script { .. })));
    }
}
