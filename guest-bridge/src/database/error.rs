//! What can go wrong with a database session.

use std::{borrow::Cow, time::Duration};

use super::{
    Statement, hint,
    holder::Holder,
    lock_method::{LockMethod, WAITS_FOR_BACKUPS},
};
use crate::agent::AgentError;

/// Why a session could not be opened, or a statement not be carried out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatabaseError {
    /// The credentials could not be read, or may not be used.
    #[error("database credentials from {origin}: {problem}")]
    Credentials {
        /// The file or the environment variables.
        origin: String,
        /// What is wrong with them; never their value.
        problem: String,
    },
    /// The certificates by which the server's has to be signed could not be read.
    #[error("certificates for the database from {}: {problem}", path.display())]
    Certificates {
        /// The file.
        path: std::path::PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// Nothing that speaks the protocol answers.
    #[error("no database server at {address}: {problem}")]
    Unreachable {
        /// Socket path, `host:port`, or "the guest agent".
        address: String,
        /// What the connection attempt said.
        problem: String,
    },
    /// The server answers and lets nobody in, or not like this.
    #[error("the database server at {address} turned the connection away: {problem}")]
    TurnedAway {
        /// Socket path, `host:port`, or "the guest agent".
        address: String,
        /// The server's error number; `None` where it asks for what is not known here.
        code: Option<u16>,
        /// Its words, or what it asks for.
        problem: String,
    },
    /// The account lacks a privilege that a backup cannot do without. Nothing was locked to find that out.
    #[error("the database account {account} may not do what a backup needs: it has no {missing}")]
    MayNot {
        /// The account, as the server names it.
        account: String,
        /// The privileges.
        missing: String,
        /// The statement that gives them.
        grant: String,
    },
    /// The server answers and refuses this user.
    #[error("the database server at {address} refuses user {user}: {message}")]
    AccessDenied {
        /// Socket path, `host:port`, or "the guest agent".
        address: String,
        /// The account that was tried.
        user: String,
        /// The server's words.
        message: Statement,
    },
    /// The server answered a statement with an error. The session goes on.
    #[error("the database server refused `{statement}`: error {code}: {message}")]
    Server {
        /// The statement.
        statement: Statement,
        /// The server's error number, such as 1205.
        code: u16,
        /// The server's words.
        message: Statement,
    },
    /// The reply did not come in time. The session is closed.
    #[error("`{statement}` was not answered within {} ms; the session was closed", deadline.as_millis())]
    TimedOut {
        /// The statement, or what was being done.
        statement: Statement,
        /// The time that was allowed.
        deadline: Duration,
    },
    /// The connection ended before the reply. The server has freed this session's locks.
    #[error("the database session was lost at `{statement}`: {problem}")]
    Lost {
        /// The statement.
        statement: Statement,
        /// What the wire said.
        problem: String,
    },
    /// An earlier call did not run to its end, and ended the session.
    #[error("`{statement}` was not sent: the session was closed when an earlier statement was given up")]
    Closed {
        /// The statement.
        statement: Statement,
    },
    /// The reply is not what this statement returns.
    #[error("unexpected reply to `{statement}`: {detail}")]
    UnexpectedReply {
        /// The statement.
        statement: Statement,
        /// What is odd about it.
        detail: String,
    },
    /// This way to the database does not exist in this guest.
    #[error("no database session through the guest agent: {problem}")]
    Unsupported {
        /// What is missing, and what would help.
        problem: String,
    },
    /// The guest agent failed on the way to the database.
    #[error("`{statement}` failed on its way through the guest agent: {source}")]
    Agent {
        /// The statement, or what was being done.
        statement: Statement,
        /// What the agent said.
        source: AgentError,
    },
    /// A setting of the whole server was changed for the lock, and is not what it was.
    #[error("a setting of the database may not be what it was: `{statement}` puts it back, and failed: {source}")]
    NotPutBack {
        /// What puts it back.
        statement: String,
        /// Why it did not.
        source: Box<DatabaseError>,
    },
    /// The lock was not granted in time, and nothing is locked.
    #[error("the database did not grant `{statement}` within {} ms{}", deadline.as_millis(), held_by(statement, holders, diagnosis_failed.as_deref()))]
    LockNotGranted {
        /// The lock that was asked for.
        method: LockMethod,
        /// The statement that it was waited for at.
        statement: Statement,
        /// The time that was allowed.
        deadline: Duration,
        /// Who may have held it, the most likely first.
        holders: Vec<Holder>,
        /// Why that could not be found out.
        diagnosis_failed: Option<Box<DatabaseError>>,
    },
    /// The lock was not asked for: it would have waited, and every writer behind it.
    #[error(
        "`{method}` was not asked for, because for {} ms something ran that it would have waited for, and every writer behind it{}",
        deadline.as_millis(), suspects(holders, None)
    )]
    InTheWay {
        /// The lock.
        method: LockMethod,
        /// How long the way was waited to be clear.
        deadline: Duration,
        /// What ran at the end, the most likely first.
        holders: Vec<Holder>,
    },
}

fn held_by(statement: &Statement, holders: &[Holder], diagnosis_failed: Option<&DatabaseError>) -> String {
    let other = match statement.as_str() == WAITS_FOR_BACKUPS {
        true => "; another backup holds it (mariadb-backup, mydumper, or another run of this)",
        false => "",
    };
    other.to_owned() + &suspects(holders, diagnosis_failed)
}

fn suspects(holders: &[Holder], diagnosis_failed: Option<&DatabaseError>) -> String {
    match (holders, diagnosis_failed) {
        ([], Some(error)) => format!("; who held it could not be found out: {error}"),
        ([], None) => "; nobody was seen holding it afterwards".to_owned(),
        (holders, _) => holders.iter().map(|holder| format!("; {holder}")).collect(),
    }
}

impl DatabaseError {
    /// What a person can do about it, where that is known.
    pub fn hint(&self) -> Option<Cow<'static, str>> {
        let hint = match self {
            Self::Certificates { .. } => {
                "the file has the certificate of who signed the server's, PEM: often ca.pem of its data directory"
            }
            Self::Credentials { .. } => "the file has a section [client] with user and password, and mode 0600",
            Self::Unreachable { problem, .. } => hint::unreachable(problem),
            Self::TurnedAway { code, problem, .. } => hint::turned_away(*code, problem),
            Self::AccessDenied { address, message, .. } => hint::denied(address, message.as_str()),
            Self::MayNot { grant, .. } => return Some(Cow::Owned(format!("on the server: {grant}"))),
            Self::LockNotGranted { statement, holders, .. } => hint::not_granted(statement.as_str(), holders),
            Self::InTheWay { method, holders, .. } => hint::not_granted(&method.to_string(), holders),
            Self::TimedOut { .. } | Self::Lost { .. } | Self::Closed { .. } => {
                "the server freed this session's locks when the session ended; see its error log"
            }
            Self::NotPutBack { .. } => "send that statement to the server; a restart of it puts the setting back, too",
            Self::Agent { source, .. } => return source.hint().map(Cow::Borrowed),
            Self::Server { .. } | Self::UnexpectedReply { .. } | Self::Unsupported { .. } => return None,
        };
        Some(Cow::Borrowed(hint))
    }
}
