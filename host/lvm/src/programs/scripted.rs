//! Programs that follow a script.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use super::{Invocation, Later, Output, ProgramError, Programs, Started};

/// Gets what is asked of a scripted program, one `program: COMMAND LINE` a call: a test's log of all its peers.
pub type Record = Box<dyn Fn(String) + Send + Sync>;

/// Answers the expected command lines in the expected order. Any deviation panics, and so does script that is left over when it is
/// dropped. A program that is started has its turn when it is waited for.
pub struct ScriptedPrograms(Arc<Script>);

struct Script {
    record: Record,
    left: Mutex<VecDeque<(String, Reply)>>,
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
    /// An empty script. `record` gets what runs; of a program that is started also that, and that it was ended before its turn.
    pub fn new(record: impl Fn(String) + Send + Sync + 'static) -> Self {
        Self(Arc::new(Script { record: Box::new(record), left: Mutex::default() }))
    }

    /// Next, this command line has to come.
    #[must_use]
    pub fn expect(self, command: &str, reply: Reply) -> Self {
        self.0.left.lock().unwrap_or_else(PoisonError::into_inner).push_back((command.to_owned(), reply));
        self
    }
}

impl Script {
    #[allow(clippy::panic)] // a test that deviates from its script has to fail
    fn next(&self, invocation: &Invocation) -> Result<Output, ProgramError> {
        let command = invocation.to_string();
        (self.record)(format!("program: {command}"));
        let next = self.left.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
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

impl Programs for ScriptedPrograms {
    fn output(&self, invocation: &Invocation) -> Result<Output, ProgramError> {
        self.0.next(invocation)
    }

    fn start(&self, invocation: &Invocation) -> Result<Box<dyn Started>, ProgramError> {
        (self.0.record)(format!("program: {invocation} (waits at the lock)"));
        let (acting, ended) = (Arc::clone(&self.0), Arc::clone(&self.0));
        let (acted, unacted) = (invocation.clone(), format!("program: {invocation} (ended at the lock)"));
        Ok(Box::new(Later::new(invocation, move || acting.next(&acted), move || (ended.record)(unacted))))
    }
}

impl Drop for ScriptedPrograms {
    fn drop(&mut self) {
        let left = self.0.left.lock().unwrap_or_else(PoisonError::into_inner);
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

    #[test]
    fn a_started_program_has_its_turn_when_it_is_waited_for() {
        let (recorded, log) = mpsc::channel();
        let programs = ScriptedPrograms::new(move |call| recorded.send(call).unwrap())
            .expect("lvs vg", Reply::Prints("first".into()))
            .expect("udevadm settle", Reply::TimesOut);
        let (mut waited_for, dropped) = (programs.start(&settle()).unwrap(), programs.start(&settle()).unwrap());
        assert!(!waited_for.has_ended(Duration::ZERO).unwrap(), "a look is no wait");
        programs.run(&Invocation::new("lvs", Duration::from_secs(1)).arg("vg")).unwrap();
        assert!(!waited_for.has_ended(Duration::from_secs(1)).unwrap(), "it does not end in time");
        assert!(matches!(waited_for.end(), Err(ProgramError::TimedOut { .. })));
        drop(dropped);
        let [waits, ended] = ["waits", "ended"].map(|does| format!("program: udevadm settle ({does} at the lock)"));
        assert_eq!(
            log.try_iter().collect::<Vec<_>>(),
            [&*waits, &*waits, "program: lvs vg", "program: udevadm settle", &*ended]
        );
    }
}
