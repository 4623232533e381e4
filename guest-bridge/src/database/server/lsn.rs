//! Where InnoDB's redo log stands: what tells where an image is, of a server that writes no binlog.

use std::time::Duration;

use super::{Server, variables::Variables};
use crate::database::{Answers, DatabaseError, Timed};

const LSN: &str = "SHOW GLOBAL STATUS WHERE Variable_name IN ('Innodb_lsn_current', 'Innodb_redo_log_current_lsn')";

/// InnoDB's log sequence numbers around the snapshot. Uncommitted changes are logged under the lock too, so they need not be the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LsnBounds {
    /// Once the lock was granted, just before the logs were written out: in bytes of the log.
    pub lock: u64,
    /// Just before the unlock; `None` where it is not known.
    pub unlock: Option<u64>,
}

/// What asks where the redo log of `server` stands; nothing where there is a binlog. MariaDB has always told it, MySQL since 8.0.30.
pub(in crate::database) fn where_the_log_stands(server: &Server, deadline: Duration) -> Option<Timed> {
    (!server.log_bin).then(|| Timed::new(LSN, deadline))
}

/// The answer to [`where_the_log_stands`]; `None` where the server does not tell.
pub(in crate::database) fn read_lsn(answers: &mut Answers) -> Result<Option<u64>, DatabaseError> {
    match answers.next() {
        Ok(rows) => {
            let status = Variables(&rows);
            Ok(status.number("Innodb_lsn_current").or_else(|| status.number("Innodb_redo_log_current_lsn")))
        }
        Err(DatabaseError::Server { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
