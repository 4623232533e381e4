//! Programs that follow a script.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::{Invocation, Output, ProgramError, Programs};

/// Gets what is asked of a scripted program, one `program: COMMAND LINE` a call: a test's log of all its peers.
pub type Record = Box<dyn Fn(String) + Send + Sync>;

/// Answers the expected command lines in the expected order. Any deviation panics, and so does script that is left over when it is
/// dropped.
pub struct ScriptedPrograms {
    record: Record,
    script: Mutex<VecDeque<(String, Reply)>>,
}

/// What a scripted program does.
#[derive(Debug, Clone)]
pub enum Reply {
    /// Exits with 0, having written this to stdout.
    Prints(String),
    /// Exits with this code, having written this to stderr.
    Fails(i32, String),
    /// Does not end before its deadline.
    TimesOut,
    /// Is not installed.
    Missing,
}

impl ScriptedPrograms {
    /// An empty script. `record` gets what runs.
    pub fn new(record: impl Fn(String) + Send + Sync + 'static) -> Self {
        Self { record: Box::new(record), script: Mutex::default() }
    }

    /// Next, this command line has to come.
    #[must_use]
    pub fn expect(self, command: &str, reply: Reply) -> Self {
        self.script.lock().unwrap_or_else(PoisonError::into_inner).push_back((command.to_owned(), reply));
        self
    }
}

#[allow(clippy::panic)] // a test that deviates from its script has to fail
impl Programs for ScriptedPrograms {
    fn output(&self, invocation: &Invocation) -> Result<Output, ProgramError> {
        let command = invocation.to_string();
        (self.record)(format!("program: {command}"));
        let next = self.script.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let Some((expected, reply)) = next else { panic!("the script is over, and this came: {command}") };
        assert_eq!(command, expected, "another command line was expected");
        match reply {
            Reply::Prints(stdout) => Ok(Output { stdout: stdout.into_bytes(), ..Output::default() }),
            Reply::Fails(exit_code, stderr) => {
                Ok(Output { exit_code, stderr: stderr.into_bytes(), ..Output::default() })
            }
            Reply::TimesOut => {
                let (deadline, said) = (invocation.deadline(), String::new());
                Err(ProgramError::TimedOut { command, deadline, gone: true, said })
            }
            Reply::Missing => Err(ProgramError::Missing { program: invocation.program().to_owned(), package: None }),
        }
    }
}

impl Drop for ScriptedPrograms {
    fn drop(&mut self) {
        let left = self.script.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(left.is_empty() || thread::panicking(), "script left over: {left:?}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::time::Duration;

    fn settle() -> Invocation {
        Invocation::new("udevadm", Duration::from_secs(1)).arg("settle")
    }

    #[test]
    fn a_script_answers_and_records() {
        let (recorded, log) = mpsc::channel();
        let programs = ScriptedPrograms::new(move |call| recorded.send(call).unwrap())
            .expect("udevadm settle", Reply::Prints("done".into()))
            .expect("udevadm settle", Reply::Fails(1, "no".into()));
        assert_eq!(programs.run(&settle()).unwrap().stdout, b"done");
        assert!(matches!(programs.run(&settle()), Err(ProgramError::Failed { exit_code: 1, .. })));
        assert_eq!(log.try_iter().collect::<Vec<_>>(), ["program: udevadm settle", "program: udevadm settle"]);
    }

    #[test]
    #[should_panic(expected = "another command line was expected")]
    fn a_deviation_fails() {
        ScriptedPrograms::new(drop).expect("udevadm trigger", Reply::Missing).run(&settle()).ok();
    }

    #[test]
    #[should_panic(expected = "script left over")]
    fn script_left_over_fails() {
        drop(ScriptedPrograms::new(drop).expect("udevadm settle", Reply::TimesOut));
    }
}
