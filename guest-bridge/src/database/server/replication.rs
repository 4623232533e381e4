//! From whom a server replicates, and how far it is.

use std::time::Duration;

use super::{Flavour, Server};
use crate::database::{Answers, DatabaseError, Rows, Timed};

/// From whom a server replicates.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Replicates {
    /// One a source. A server that is no replica has none.
    pub channels: Vec<Channel>,
    /// MariaDB's `@@gtid_slave_pos`: the last transactions that it has applied.
    pub gtid_slave_pos: Option<String>,
    /// MariaDB's `@@gtid_current_pos`: those, and what it wrote itself.
    pub gtid_current_pos: Option<String>,
}

/// How far a server is with what comes from one source.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Channel {
    /// The name of the channel (MariaDB: connection); the first has an empty one.
    pub name: String,
    /// The source, as `host:port`.
    pub source: String,
    /// The binlog file of the source that it has applied up to. `None` where it has applied none yet.
    pub source_log_file: Option<String>,
    /// The offset in that, in bytes.
    pub source_log_position: Option<u64>,
    /// MariaDB's `Gtid_Slave_Pos`, MySQL's `Executed_Gtid_Set`; `None` where there are none.
    pub gtid: Option<String>,
}

const GTIDS: &str = "SELECT @@GLOBAL.gtid_slave_pos AS gtid_slave_pos, @@GLOBAL.gtid_current_pos AS gtid_current_pos";

/// What asks `server` from whom it replicates. Who may ask has `SLAVE MONITOR` (MariaDB since 10.5), elsewhere `REPLICATION CLIENT`.
pub(in crate::database) fn where_replication_stands(
    server: &Server,
    deadline: Duration,
) -> impl Iterator<Item = Timed> + use<> {
    let version = (server.version.major, server.version.minor, server.version.patch);
    let statements: &[&str] = match server.flavour {
        Flavour::MariaDb => &["SHOW ALL SLAVES STATUS", GTIDS],
        // MySQL 8.4 knows the new name only.
        Flavour::MySql | Flavour::Percona if version >= (8, 0, 22) => &["SHOW REPLICA STATUS"],
        Flavour::MySql | Flavour::Percona => &["SHOW SLAVE STATUS"],
    };
    statements.iter().map(move |statement| Timed::new(*statement, deadline))
}

/// The answers to [`where_replication_stands`]; `None` where the server refuses them.
pub(in crate::database) fn read_replicates(
    server: &Server,
    answers: &mut Answers,
) -> Result<Option<Replicates>, DatabaseError> {
    let channels = answered(answers.next())?.map(|rows| channels(&rows));
    let gtids = match server.flavour {
        Flavour::MariaDb => answered(answers.next())?.unwrap_or_default(),
        Flavour::MySql | Flavour::Percona => Rows::default(),
    };
    let gtid = |column| gtids.get(0, column).filter(|gtid| !gtid.is_empty()).map(one_line);
    Ok(channels.map(|channels| Replicates {
        channels,
        gtid_slave_pos: gtid("gtid_slave_pos"),
        gtid_current_pos: gtid("gtid_current_pos"),
    }))
}

fn answered(answer: Result<Rows, DatabaseError>) -> Result<Option<Rows>, DatabaseError> {
    match answer {
        Ok(rows) => Ok(Some(rows)),
        Err(DatabaseError::Server { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn channels(rows: &Rows) -> Vec<Channel> {
    let channel = |row: usize| {
        // What MySQL calls by a new name, and what MariaDB and older ones say.
        let get = |names: &[&str]| names.iter().find_map(|name| rows.get(row, name)).filter(|value| !value.is_empty());
        let host = get(&["Source_Host", "Master_Host"]).unwrap_or("?");
        let port = get(&["Source_Port", "Master_Port"]).unwrap_or("?");
        let position = get(&["Exec_Source_Log_Pos", "Exec_Master_Log_Pos"]);
        let file = get(&["Relay_Source_Log_File", "Relay_Master_Log_File"]);
        Channel {
            name: get(&["Connection_name", "Channel_Name"]).unwrap_or_default().to_owned(),
            source: format!("{host}:{port}"),
            source_log_file: file.map(str::to_owned),
            source_log_position: file.and(position).and_then(|position| position.parse().ok()),
            gtid: get(&["Gtid_Slave_Pos", "Executed_Gtid_Set"]).map(one_line),
        }
    };
    (0..rows.rows.len()).map(channel).collect()
}

/// A long set is broken into lines.
fn one_line(gtid: &str) -> String {
    gtid.replace(['\n', '\r'], "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::server::{Version, tests::server};

    fn asked(flavour: Flavour, major: u16, minor: u16, patch: u16) -> Vec<String> {
        let server = Server { flavour, version: Version { major, minor, patch }, ..server() };
        where_replication_stands(&server, Duration::ZERO).map(|timed| timed.statement).collect()
    }

    #[test]
    fn each_product_is_asked_in_its_own_words() {
        assert_eq!(asked(Flavour::MariaDb, 10, 11, 0)[0], "SHOW ALL SLAVES STATUS");
        assert_eq!(asked(Flavour::MySql, 8, 0, 22), ["SHOW REPLICA STATUS"]);
        assert_eq!(asked(Flavour::MySql, 8, 0, 21), ["SHOW SLAVE STATUS"]);
        assert_eq!(asked(Flavour::Percona, 8, 4, 0), ["SHOW REPLICA STATUS"]);
    }

    #[test]
    fn a_channel_is_read_by_its_old_and_its_new_names() {
        let expected = |name: &str, gtid: &str| Channel {
            name: name.to_owned(),
            source: "db1:3306".to_owned(),
            source_log_file: Some("binlog.000004".to_owned()),
            source_log_position: Some(325),
            gtid: Some(gtid.to_owned()),
        };
        let values = ["db1", "3306", "binlog.000004", "325"].map(Some);
        let [host, port, file, position] = values;
        let old = Rows::of(
            &[
                "Connection_name",
                "Master_Host",
                "Master_Port",
                "Relay_Master_Log_File",
                "Exec_Master_Log_Pos",
                "Gtid_Slave_Pos",
            ],
            &[&[Some("east"), host, port, file, position, Some("0-1-7")]],
        );
        assert_eq!(channels(&old), [expected("east", "0-1-7")]);
        let new = Rows::of(
            &[
                "Source_Host",
                "Source_Port",
                "Relay_Source_Log_File",
                "Exec_Source_Log_Pos",
                "Executed_Gtid_Set",
                "Channel_Name",
            ],
            &[&[host, port, file, position, Some("aa:1-5,\nbb:1"), Some("")]],
        );
        assert_eq!(channels(&new), [expected("", "aa:1-5,bb:1")]);
    }

    #[test]
    fn a_replica_that_has_not_begun_stands_nowhere() {
        let columns = ["Master_Host", "Master_Port", "Relay_Master_Log_File", "Exec_Master_Log_Pos"];
        let rows = Rows::of(&columns, &[&[Some("db1"), Some("3306"), Some(""), Some("0")]]);
        assert_eq!((&channels(&rows)[0].source_log_file, channels(&rows)[0].source_log_position), (&None, None));
    }
}
