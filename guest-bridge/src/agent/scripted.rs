//! An agent that follows a script: for the exact order of commands, and for replies that no real agent gives.
#![allow(clippy::panic, reason = "a deviation from the script is a failed test")]

use std::{collections::VecDeque, io, thread, time::Duration};

use serde_json::Value;
use tokio::time::sleep;

use super::{Agent, AgentError, BoxFuture, Request, millis, reply};
use crate::call_log::CallLog;

/// One command that is expected, and what comes of it. Begin with [`expect`].
pub struct Line {
    command: String,
    arguments: Option<ArgumentCheck>,
    delay: Duration,
    outcome: Outcome,
}

type ArgumentCheck = Box<dyn Fn(&Value) -> bool + Send>;

enum Outcome {
    Returns(Value),
    Refuses { class: String, desc: String },
    Hangs,
    LosesConnection,
}

/// The next command is this one, and returns an empty object.
pub fn expect(command: &str) -> Line {
    let outcome = Outcome::Returns(Value::Object(serde_json::Map::new()));
    Line { command: command.to_owned(), arguments: None, delay: Duration::ZERO, outcome }
}

impl Line {
    /// Its arguments satisfy `check`.
    pub fn with(self, check: impl Fn(&Value) -> bool + Send + 'static) -> Self {
        Self { arguments: Some(Box::new(check)), ..self }
    }

    /// The reply's `return` value.
    pub fn returns(self, value: impl Into<Value>) -> Self {
        Self { outcome: Outcome::Returns(value.into()), ..self }
    }

    /// The agent answers with an error. What it means is read from class and words, as for a real agent's.
    pub fn refuses(self, class: &str, desc: &str) -> Self {
        Self { outcome: Outcome::Refuses { class: class.to_owned(), desc: desc.to_owned() }, ..self }
    }

    /// No reply comes before the deadline.
    pub fn hangs(self) -> Self {
        Self { outcome: Outcome::Hangs, ..self }
    }

    /// The connection breaks before the reply.
    pub fn loses_connection(self) -> Self {
        Self { outcome: Outcome::LosesConnection, ..self }
    }

    /// The outcome comes after `delay`; past the deadline, it is a timeout.
    pub fn after(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }
}

/// An [`Agent`] that accepts exactly the commands of its script, in their order.
///
/// # Panics
/// On a command that is not the next of the script, and, when dropped, on script that is left over.
pub struct ScriptedAgent {
    script: VecDeque<Line>,
    log: CallLog,
}

impl ScriptedAgent {
    /// An agent that records each command in `log`, as `agent: COMMAND`, and the end of a connection as `agent: released`.
    pub fn new(log: CallLog, script: impl IntoIterator<Item = Line>) -> Self {
        Self { script: script.into_iter().collect(), log }
    }

    async fn play(&mut self, request: Request, deadline: Duration) -> Result<Value, AgentError> {
        let Request { command, arguments, .. } = request;
        self.log.record(format!("agent: {command}"));
        let Some(line) = self.script.pop_front() else {
            panic!("the agent's script has ended, and {command} {arguments} came");
        };
        assert_eq!(line.command, command, "the agent's script expects another command");
        if line.arguments.is_some_and(|check| !check(&arguments)) {
            panic!("the agent's script expects other arguments of {command} than {arguments}");
        }
        if line.delay >= deadline || matches!(line.outcome, Outcome::Hangs) {
            sleep(deadline).await;
            return Err(AgentError::Timeout { command: command.to_owned(), waited_ms: millis(deadline) });
        }
        sleep(line.delay).await;
        match line.outcome {
            Outcome::Returns(value) => Ok(value),
            Outcome::Refuses { class, desc } => Err(reply::refusal(command, &class, &desc)),
            Outcome::Hangs | Outcome::LosesConnection => {
                let source = io::Error::new(io::ErrorKind::UnexpectedEof, "the script says so");
                Err(AgentError::Lost { command: command.to_owned(), source })
            }
        }
    }
}

impl Agent for ScriptedAgent {
    fn call(&mut self, request: Request, deadline: Duration) -> BoxFuture<'_, Result<Value, AgentError>> {
        Box::pin(self.play(request, deadline))
    }

    fn release(&mut self) -> BoxFuture<'_, ()> {
        self.log.record("agent: released");
        Box::pin(std::future::ready(()))
    }
}

impl Drop for ScriptedAgent {
    fn drop(&mut self) {
        // A second panic while the first unwinds would abort, and hide it.
        if !thread::panicking() {
            let left: Vec<&str> = self.script.iter().map(|line| line.command.as_str()).collect();
            assert!(left.is_empty(), "the agent's script was not played to its end: {left:?} never came");
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::agent::{FreezeScope, Mountpoints, freeze, ping, run, thaw, thaw_until_sure};
    use crate::agent::{Program, read_file};

    const SOON: Duration = Duration::from_secs(5);

    #[tokio::test(start_paused = true)]
    #[should_panic(expected = "expects another command")]
    async fn another_command_than_the_scripted_fails_the_test() {
        let mut agent = ScriptedAgent::new(CallLog::new(), [expect("guest-info")]);
        ping(&mut agent, SOON).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    #[should_panic(expected = "other arguments of guest-exec")]
    async fn other_arguments_than_the_scripted_fail_the_test() {
        let line = expect("guest-exec").with(|arguments| arguments["path"] == "/bin/sync");
        let mut agent = ScriptedAgent::new(CallLog::new(), [line]);
        run(&mut agent, &Program::new("/bin/true", [""; 0]), SOON).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    #[should_panic(expected = "script has ended")]
    async fn a_command_beyond_the_script_fails_the_test() {
        ping(&mut ScriptedAgent::new(CallLog::new(), []), SOON).await.unwrap();
    }

    #[test]
    #[should_panic(expected = "[\"guest-ping\"] never came")]
    fn script_left_over_fails_the_test() {
        drop(ScriptedAgent::new(CallLog::new(), [expect("guest-ping")]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_list_to_freeze_is_always_sent_and_never_empty() {
        let listed = expect("guest-fsfreeze-freeze-list").with(|a| a["mountpoints"] == json!(["/a", "/b"])).returns(2);
        let mut agent = ScriptedAgent::new(CallLog::new(), [listed]);
        let scope = FreezeScope::Mountpoints(Mountpoints::new(vec!["/a".into(), "/b".into()]).unwrap());
        assert_eq!(freeze(&mut agent, &scope, SOON).await.unwrap(), 2);
        assert_eq!(Mountpoints::new(vec![]), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_negative_count_is_no_count() {
        let mut agent = ScriptedAgent::new(CallLog::new(), [expect("guest-fsfreeze-thaw").returns(-1)]);
        assert!(matches!(thaw(&mut agent, SOON).await, Err(AgentError::Protocol { .. })));
    }

    #[tokio::test(start_paused = true)]
    async fn a_thaw_is_repeated_until_two_looks_agree() {
        let mut agent = ScriptedAgent::new(
            CallLog::new(),
            [
                expect("guest-fsfreeze-thaw").returns(0),
                expect("guest-fsfreeze-status").returns("thawed"),
                expect("guest-fsfreeze-status").returns("frozen"),
                expect("guest-fsfreeze-thaw").returns(2),
                expect("guest-fsfreeze-status").returns("thawed"),
                expect("guest-fsfreeze-status").returns("thawed"),
            ],
        );
        let thawed = thaw_until_sure(&mut agent, SOON, &mut || false).await.unwrap();
        assert_eq!((thawed.count, thawed.attempts), (Some(2), 2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_reply_to_a_thaw_leaves_no_count_to_compare() {
        let mut agent = ScriptedAgent::new(
            CallLog::new(),
            [
                expect("guest-fsfreeze-thaw").loses_connection(),
                expect("guest-fsfreeze-thaw").returns(0),
                expect("guest-fsfreeze-status").returns("thawed"),
                expect("guest-fsfreeze-status").returns("thawed"),
            ],
        );
        let thawed = thaw_until_sure(&mut agent, SOON, &mut || false).await.unwrap();
        assert_eq!((thawed.count, thawed.attempts), (None, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_thaw_hook_that_fails_is_a_complaint_and_no_frozen_guest() {
        let mut agent = ScriptedAgent::new(
            CallLog::new(),
            [
                expect("guest-fsfreeze-thaw").refuses("GenericError", "fsfreeze hook has failed with status 1"),
                expect("guest-fsfreeze-status").returns("thawed"),
                expect("guest-fsfreeze-status").returns("thawed"),
            ],
        );
        let thawed = thaw_until_sure(&mut agent, SOON, &mut || false).await.unwrap();
        assert_eq!((thawed.count, thawed.attempts), (None, 1));
        assert!(thawed.complaint.unwrap().to_string().contains("hook has failed"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_program_whose_status_is_lost_is_named_with_its_process() {
        let mut agent = ScriptedAgent::new(
            CallLog::new(),
            [expect("guest-exec").returns(json!({"pid": 77})), expect("guest-exec-status").loses_connection()],
        );
        let error = run(&mut agent, &Program::new("/bin/sync", [""; 0]), SOON).await.unwrap_err();
        assert!(error.to_string().contains("/bin/sync in the guest, process 77"), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn output_that_the_agent_cut_is_an_error() {
        let cut = json!({"exited": true, "exitcode": 0, "out-data": "aGk=", "out-truncated": true});
        let mut agent = ScriptedAgent::new(
            CallLog::new(),
            [expect("guest-exec").returns(json!({"pid": 77})), expect("guest-exec-status").returns(cut)],
        );
        let error = run(&mut agent, &Program::new("/bin/cat", ["/big"]), SOON).await.unwrap_err();
        assert!(matches!(error, AgentError::OutputTruncated { stream: "stdout", .. }), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_secret_that_is_no_base64_does_not_reach_the_error() {
        let odd = json!({"exited": true, "exitcode": 0, "out-data": "top secret!"});
        let mut agent = ScriptedAgent::new(
            CallLog::new(),
            [expect("guest-exec").returns(json!({"pid": 77})), expect("guest-exec-status").returns(odd)],
        );
        let error = run(&mut agent, &Program::new("/bin/cat", ["/my.cnf"]), SOON).await.unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_without_end_is_cut_off_and_closed() {
        let read = || expect("guest-file-read").returns(json!({"buf-b64": "AAAAAAAA", "count": 6, "eof": false}));
        let mut agent = ScriptedAgent::new(
            CallLog::new(),
            [expect("guest-file-open").returns(1000), read(), read(), expect("guest-file-close")],
        );
        let error = read_file(&mut agent, "/etc/fstab", 10, SOON).await.unwrap_err();
        assert!(matches!(error, AgentError::FileTooLong { limit_bytes: 10, .. }), "{error}");
    }
}
