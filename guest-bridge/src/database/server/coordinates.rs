//! Where the binlog of a server stands.

use std::time::Duration;

use super::{Flavour, Server};
use crate::database::{Answers, DatabaseError, Statement, Timed};

/// Where the binlog stood.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Coordinates {
    /// Name of the binlog file.
    pub file: String,
    /// Offset in it, in bytes: where the next event will be written.
    pub position: u64,
    /// MariaDB's `@@gtid_binlog_pos`, MySQL's executed GTID set; `None` where the server keeps none.
    pub gtid: Option<String>,
}

/// What asks where the binlog of `server` stands; nothing where it writes none. Who may ask it has `BINLOG MONITOR`, elsewhere
/// `REPLICATION CLIENT`.
pub(in crate::database) fn where_the_binlog_stands(server: &Server, deadline: Duration) -> impl Iterator<Item = Timed> {
    // MySQL 8.4 knows the new name only, MariaDB the old one, and MariaDB does not put the GTIDs into the row.
    let statements: &[&str] = match server.flavour {
        _ if !server.log_bin => &[],
        Flavour::MariaDb => &["SHOW MASTER STATUS", "SELECT @@GLOBAL.gtid_binlog_pos AS gtid"],
        Flavour::MySql | Flavour::Percona if (server.version.major, server.version.minor) >= (8, 2) => {
            &["SHOW BINARY LOG STATUS"]
        }
        Flavour::MySql | Flavour::Percona => &["SHOW MASTER STATUS"],
    };
    statements.iter().map(move |statement| Timed::new(*statement, deadline))
}

/// The answers to [`where_the_binlog_stands`].
pub(in crate::database) fn read_coordinates(
    server: &Server,
    answers: &mut Answers,
) -> Result<Option<Coordinates>, DatabaseError> {
    if !server.log_bin {
        return Ok(None);
    }
    let rows = answers.next()?;
    let (file, position) = rows
        .get(0, "File")
        .zip(rows.get(0, "Position").and_then(|text| text.parse().ok()))
        .ok_or_else(|| DatabaseError::UnexpectedReply {
            statement: Statement::new("where the binlog stands"),
            detail: "a binlog is on, but no File and Position came".to_owned(),
        })?;
    let gtid = match server.flavour {
        Flavour::MariaDb => answers.next()?.get(0, "gtid").map(str::to_owned),
        // A long set is broken into lines.
        Flavour::MySql | Flavour::Percona => rows.get(0, "Executed_Gtid_Set").map(|set| set.replace(['\n', '\r'], "")),
    };
    Ok(Some(Coordinates { file: file.to_owned(), position, gtid: gtid.filter(|gtid| !gtid.is_empty()) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coordinates_are_written_in_the_same_bytes_as_ever() {
        let coordinates =
            Coordinates { file: "binlog.000004".to_owned(), position: 325, gtid: Some("0-1-7".to_owned()) };
        let json = r#"{"file":"binlog.000004","position":325,"gtid":"0-1-7"}"#;
        assert_eq!(serde_json::to_string(&coordinates).unwrap(), json);
        assert_eq!(serde_json::from_str::<Coordinates>(json).unwrap(), coordinates);
    }
}
