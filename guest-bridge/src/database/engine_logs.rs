//! What a storage engine has acknowledged, and not yet written to a file.
//!
//! InnoDB writes a transaction's commit record without syncing it where there is a binlog to make up for it, and with
//! `innodb_flush_log_at_trx_commit = 0` once a second only. So under the lock too an image lacks transactions that their clients were
//! told of, until the server is asked to write its logs out.

use std::time::Duration;

use tokio::{runtime::Handle, task::JoinHandle};

use super::{
    Answers, DatabaseError, OpenSession, Timed,
    last_words::wait_here,
    server::{Flavour, Server},
};

/// Whether everything that was acknowledged was in the files when the lock was granted.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum EngineLogs {
    /// The server wrote them out under the lock.
    Flushed,
    /// Commits went on, and each is written to its logs before it is acknowledged.
    WrittenAtCommit,
    /// It did not: acknowledged transactions may be missing from the image, or be in it only as far as its binlog brings them back.
    NotFlushed {
        /// What the server answered, with its product and its setting.
        reason: String,
    },
}

const FLUSH: &str = "FLUSH LOCAL ENGINE LOGS";
pub(super) const SETTING: &str = "innodb_flush_log_at_trx_commit";

fn set(value: u8) -> String {
    format!("SET GLOBAL {SETTING} = {value}")
}

/// How the engine logs of one server are written out.
#[derive(Debug)]
pub(super) struct Flush {
    product: String,
    /// What [`SETTING`] is; `None` where the server has none.
    setting: Option<u8>,
    /// Whether it is 1 while they are written out.
    raises: bool,
}

impl Flush {
    /// For `server`, whose [`SETTING`] is `setting` now.
    pub(super) fn new(server: &Server, setting: Option<u8>) -> Self {
        let Server { flavour, version, .. } = server;
        // Measured at 0: MySQL 8.0 and 9.7 and MariaDB 11.8 write out what they have; MariaDB 10.11 does nothing until it is 1.
        let writes_at_zero = *flavour != Flavour::MariaDb || (version.major, version.minor) >= (11, 8);
        Self { product: format!("{flavour} {version}"), setting, raises: setting == Some(0) && !writes_at_zero }
    }

    /// What is in the files where commits go on.
    pub(super) fn where_commits_go_on(&self) -> EngineLogs {
        match self.setting {
            Some(1 | 2) => EngineLogs::WrittenAtCommit,
            _ => {
                EngineLogs::NotFlushed { reason: format!("{} with {}, and commits went on", self.product, self.says()) }
            }
        }
    }

    fn says(&self) -> String {
        self.setting.map_or_else(|| format!("no {SETTING}"), |value| format!("{SETTING} = {value}"))
    }

    /// Whether it takes the setting to 1.
    pub(super) fn raises(&self) -> bool {
        self.raises
    }

    /// Its statements, for the batch that takes the lock. Under the lock nobody commits: what is changed for one of them is put back
    /// by the next, so that the server does it whatever becomes of us.
    pub(super) fn statements(&self, deadline: Duration) -> impl Iterator<Item = Timed> {
        let (before, after) = if self.raises { (Some(set(1)), Some(set(0))) } else { (None, None) };
        [before, Some(FLUSH.to_owned()), after].into_iter().flatten().map(move |text| Timed::new(text, deadline))
    }

    /// What the answers to its statements say.
    pub(super) fn read(&self, answers: &mut Answers, changed: &mut Changed) -> Result<EngineLogs, DatabaseError> {
        let raised = if self.raises { answers.next().map(drop) } else { Ok(()) };
        let flushed = answers.next().map(drop);
        if self.raises {
            changed.put_back = match (&raised, answers.next()) {
                (Err(DatabaseError::Server { .. }), _) | (_, Ok(_)) => None,
                _ => Some(set(0)),
            };
        }
        match raised.and(flushed) {
            Ok(()) => Ok(EngineLogs::Flushed),
            Err(error @ DatabaseError::Server { .. }) => {
                Ok(EngineLogs::NotFlushed { reason: format!("{} with {}: {error}", self.product, self.says()) })
            }
            Err(error) => Err(error),
        }
    }

    /// What may have to be put back once its statements are sent.
    pub(super) fn changes(&self, open: &OpenSession, deadline: Duration) -> Changed {
        Changed { open: open.clone(), deadline, put_back: self.raises.then(|| set(0)) }
    }
}

/// A global setting that may not be what it was. The net below the batch, which puts it back itself: for a session that was killed
/// between the two statements.
pub(super) struct Changed {
    open: OpenSession,
    deadline: Duration,
    /// The statement that puts it back, until it is known to be.
    put_back: Option<String>,
}

impl Changed {
    /// Nothing, so far.
    pub(super) fn nothing(open: &OpenSession) -> Self {
        Self { open: open.clone(), deadline: Duration::ZERO, put_back: None }
    }

    /// Puts it back from a session of its own, where that is needed.
    pub(super) async fn settle(&mut self) -> Result<(), DatabaseError> {
        let Some(statement) = self.put_back.clone() else { return Ok(()) };
        let settled = execute(self.open.clone(), statement.clone(), self.deadline).await;
        self.put_back = None;
        settled.map_err(|source| DatabaseError::NotPutBack { statement, source: Box::new(source) })
    }
}

async fn execute(open: OpenSession, statement: String, deadline: Duration) -> Result<(), DatabaseError> {
    let mut session = open(deadline).await?;
    let answer = session.query(&statement, deadline).await;
    session.close().await;
    answer.map(drop)
}

impl Drop for Changed {
    /// After a panic, or where nobody waits for the lock any more.
    fn drop(&mut self) {
        let Some(statement) = self.put_back.take() else { return };
        let (open, deadline) = (self.open.clone(), self.deadline);
        let settle = async move {
            if let Err(error) = execute(open, statement.clone(), deadline).await {
                tracing::error!(%error, "a setting of the database was not put back: `{statement}` does it");
            }
        };
        if let Ok(runtime) = Handle::try_current() {
            let settling: JoinHandle<()> = runtime.spawn(settle);
            // The session, its statement, and its end.
            wait_here(settling, deadline.saturating_mul(3));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::server::Version;

    #[test]
    fn the_setting_is_raised_only_where_it_is_0_and_the_server_writes_nothing_at_0() {
        let mut server = crate::database::server::tests::server();
        for (flavour, major, minor, setting, raises) in [
            (Flavour::MariaDb, 10, 11, Some(0), true),
            (Flavour::MariaDb, 10, 11, Some(1), false),
            (Flavour::MariaDb, 10, 11, Some(2), false),
            (Flavour::MariaDb, 10, 11, None, false),
            (Flavour::MariaDb, 11, 4, Some(0), true),
            (Flavour::MariaDb, 11, 8, Some(0), false),
            (Flavour::MySql, 8, 0, Some(0), false),
            (Flavour::Percona, 8, 4, Some(0), false),
        ] {
            (server.flavour, server.version) = (flavour, Version { major, minor, patch: 1 });
            let sent: Vec<_> = Flush::new(&server, setting).statements(Duration::ZERO).map(|it| it.statement).collect();
            let raised = [
                "SET GLOBAL innodb_flush_log_at_trx_commit = 1",
                "FLUSH LOCAL ENGINE LOGS",
                "SET GLOBAL innodb_flush_log_at_trx_commit = 0",
            ];
            assert_eq!(sent, if raises { &raised[..] } else { &raised[1..2] }, "{flavour} {major}.{minor} {setting:?}");
        }
    }

    #[test]
    fn engine_logs_are_read_as_they_were_written() {
        let refused = EngineLogs::NotFlushed { reason: "refused".to_owned() };
        for (logs, json) in [
            (EngineLogs::Flushed, r#"{"state":"flushed"}"#),
            (EngineLogs::WrittenAtCommit, r#"{"state":"written-at-commit"}"#),
            (refused, r#"{"state":"not-flushed","reason":"refused"}"#),
        ] {
            assert_eq!(serde_json::to_string(&logs).unwrap(), json);
            assert_eq!(serde_json::from_str::<EngineLogs>(json).unwrap(), logs);
        }
    }
}
