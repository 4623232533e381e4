//! The way into the guest: the script, run by its agent.

use std::time::Duration;

use super::answer::{ClientError, otherwise_formed};
use crate::agent::{AgentError, Exit, Finished, Program, SharedAgent, run};
use crate::database::{Credentials, DatabaseError, Statement, net};

const SCRIPT: &str = include_str!("session.sh");

/// What errors call the place where the server is.
const ADDRESS: &str = "the guest's own socket, through the guest agent";

/// Killing, ending the client, and removing its directory.
pub(super) const CLOSE_DEADLINE: Duration = Duration::from_secs(15);

/// How the script ends when all is well.
pub(super) const ANSWERED: Exit = Exit::Code(0);
const CLIENT_ENDED: Exit = Exit::Code(3);
pub(super) const NO_ANSWER: Exit = Exit::Code(4);
const NO_PLACE: Exit = Exit::Code(5);
const PROGRAM_MISSING: Exit = Exit::Code(6);

/// How to open a session, and to end one.
#[derive(Clone)]
pub(super) struct Way {
    pub(super) agent: SharedAgent,
    pub(super) credentials: Option<Credentials>,
    pub(super) socket: Option<String>,
}

impl Way {
    pub(super) fn option_file(&self) -> String {
        self.credentials.as_ref().map(Credentials::to_option_file).unwrap_or_default()
    }

    pub(super) async fn script(
        &self,
        arguments: &[&str],
        input: String,
        doing: Statement,
        deadline: Duration,
    ) -> Result<Finished, DatabaseError> {
        let arguments = ["-c", SCRIPT, "stillpoint"].iter().chain(arguments).copied();
        let program = Program::new("/bin/sh", arguments).with_input(input);
        run(&mut self.agent.clone(), &program, deadline).await.map_err(|error| match error {
            AgentError::StillRunning { .. } | AgentError::Timeout { .. } => {
                DatabaseError::TimedOut { statement: doing, deadline }
            }
            AgentError::Unavailable { .. } => DatabaseError::Unsupported { problem: error.to_string() },
            source => DatabaseError::Agent { statement: doing, source },
        })
    }

    /// Ends the client; with a connection id also what the server still does for it.
    pub(super) async fn close(self, name: String, patience: u32, connection_id: Option<u64>) {
        let (patience, id) = (patience.to_string(), connection_id.map(|id| id.to_string()));
        let mut arguments = vec!["close", &name, &patience];
        let mut input = String::new();
        if let Some(id) = &id {
            arguments.extend([id.as_str(), self.socket.as_deref().unwrap_or_default()]);
            input = self.option_file();
        }
        let doing = Statement::new("ending the database client in the guest");
        if let Err(error) = self.script(&arguments, input, doing, CLOSE_DEADLINE).await {
            // The server's wait_timeout comes after it, and the client's own lifetime.
            tracing::warn!(%error, session = name, "the database client in the guest may still run");
        }
    }

    pub(super) fn refused(
        &self,
        exit: Exit,
        said: &str,
        stderr: &str,
        error: Option<ClientError<'_>>,
        deadline: Duration,
    ) -> DatabaseError {
        let address = ADDRESS.to_owned();
        match (exit, error) {
            (NO_PLACE | PROGRAM_MISSING, _) => {
                DatabaseError::Unsupported { problem: Statement::new(stderr).to_string() }
            }
            (_, Some(error)) if net::is_refusal(error.code) => DatabaseError::AccessDenied {
                address,
                user: self.credentials.as_ref().map_or("root", Credentials::user).to_owned(),
                message: Statement::new(error.message),
            },
            (_, Some(error)) if !(2000..3000).contains(&error.code) => DatabaseError::TurnedAway {
                address,
                code: Some(error.code),
                problem: Statement::new(error.line).to_string(),
            },
            (NO_ANSWER, None) => {
                let form = otherwise_formed(said);
                DatabaseError::Unreachable {
                    address,
                    problem: format!("no answer within {} ms{form}", deadline.as_millis()),
                }
            }
            (_, Some(error)) => DatabaseError::Unreachable { address, problem: Statement::new(error.line).to_string() },
            (exit, None) => DatabaseError::Unreachable {
                address,
                problem: format!(
                    "{}: {}",
                    if exit == CLIENT_ENDED { "the client ended".to_owned() } else { exit.to_string() },
                    Statement::new(stderr)
                ),
            },
        }
    }
}
