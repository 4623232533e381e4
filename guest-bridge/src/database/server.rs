//! Which server is it, where does it keep its data, and what does it write.

use std::{fmt, path::PathBuf, time::Duration};

use super::{
    Answers, Database, DatabaseError, Rows, Statement, Timed, bounds,
    grants::{Grants, SHOW_GRANTS},
};

/// Who forked it. Read from a file, one that is not known is an error: what holds for these need not hold for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Flavour {
    /// MariaDB Server.
    MariaDb,
    /// Oracle's MySQL, and whatever does not say that it is something else.
    MySql,
    /// Percona Server for MySQL.
    Percona,
}

impl fmt::Display for Flavour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MariaDb => "MariaDB",
            Self::MySql => "MySQL",
            Self::Percona => "Percona Server",
        })
    }
}

/// A release number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Version {
    /// 10 of 10.11.19.
    pub major: u16,
    /// 11 of 10.11.19.
    pub minor: u16,
    /// 19 of 10.11.19.
    pub patch: u16,
}

impl Version {
    /// Reads the numbers at the front of `@@version`, such as `10.11.19-MariaDB-0+deb12u1-log`. Old MariaDB servers put `5.5.5-`
    /// before it, for the sake of old replicas.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix("5.5.5-").unwrap_or(text);
        let numbers = text.split(|char: char| !char.is_ascii_digit() && char != '.').next()?;
        let mut numbers = numbers.split('.').map(|number| number.parse::<u16>().ok());
        Some(Self { major: numbers.next()??, minor: numbers.next()??, patch: numbers.next().flatten().unwrap_or(0) })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// A database server, as it describes itself.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Server {
    /// Who forked it.
    pub flavour: Flavour,
    /// Its release.
    pub version: Version,
    /// `@@version` and `@@version_comment`, as it says them.
    pub version_text: String,
    /// `@@hostname`: of the guest, as the server sees it.
    pub hostname: String,
    /// `@@datadir`, a path in the guest.
    pub datadir: PathBuf,
    /// Other directories of the guest that hold data and may lie on other disks: binlog, redo log, undo logs, InnoDB system tablespace.
    pub other_data_directories: Vec<PathBuf>,
    /// Whether it writes a binlog; without one there are no coordinates.
    pub log_bin: bool,
    /// `@@gtid_mode` on MySQL, such as `ON`; MariaDB always has GTIDs.
    pub gtid_mode: Option<String>,
    /// `@@read_only` or `@@super_read_only`.
    pub read_only: bool,
    /// A Galera node (`@@wsrep_on`).
    pub galera: bool,
    /// `@@have_backup_locks`, of Percona Server up to 5.7.
    pub has_percona_backup_locks: bool,
    /// Tables outside the system schemas in an engine without transactions (MyISAM, Aria, …), counted up to
    /// 1000. `None` where counting failed, or where the account need not see every table: a server shows
    /// each only to whom has a right on it. They need no replay, but nothing replays them either.
    pub non_transactional_tables: Option<u64>,
    /// `@@innodb_flush_log_at_trx_commit`: 1 where a commit waits for the disk, 2 where it waits for the file, 0 where it waits for
    /// nothing. `None` in receipts before 0.2.
    #[serde(default)]
    pub innodb_flush_log_at_trx_commit: Option<u8>,
    /// `@@sync_binlog`: after how many commits the binlog is synced; 0 leaves that to the system. `None` in receipts before 0.2.
    #[serde(default)]
    pub sync_binlog: Option<u64>,
    /// `@@innodb_doublewrite`, such as `ON`: without it a page that a crash tore is lost. `None` in receipts before 0.2.
    #[serde(default)]
    pub innodb_doublewrite: Option<String>,
}

impl Server {
    /// Where the counting of non-transactional tables ends.
    pub const NON_TRANSACTIONAL_CAP: u64 = 1000;
}

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

/// By name, because no two flavours have all of them, and `SELECT @@absent` is an error.
const VARIABLES: &str = "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('version', 'version_comment', 'hostname', 'datadir', \
     'log_bin', 'log_bin_basename', 'innodb_data_home_dir', 'innodb_log_group_home_dir', 'innodb_undo_directory', \
     'gtid_mode', 'read_only', 'super_read_only', 'wsrep_on', 'have_backup_locks', 'innodb_flush_log_at_trx_commit', \
     'sync_binlog', 'innodb_doublewrite')";

/// Only the system schemas are named: everything else belongs to users. `TABLES` needs no table opened for its ENGINE, but one
/// directory read each; LIMIT inside bounds the count.
const NON_TRANSACTIONAL: &str = "SELECT COUNT(*) FROM (SELECT 1 FROM information_schema.TABLES \
     WHERE TABLE_TYPE = 'BASE TABLE' AND TABLE_SCHEMA NOT IN ('mysql', 'sys', 'information_schema', 'performance_schema') \
     AND ENGINE IN ('MyISAM', 'Aria', 'MRG_MyISAM', 'ARCHIVE', 'CSV') LIMIT 1000) AS bounded";

/// Asks the server who it is.
///
/// # Errors
/// Those of the session, and [`DatabaseError::UnexpectedReply`] where the version cannot be read.
pub async fn identify(session: &mut dyn Database, deadline: Duration) -> Result<Server, DatabaseError> {
    let mut batch: Vec<_> = bounds::unbounded(deadline).collect();
    batch.extend([VARIABLES, SHOW_GRANTS, NON_TRANSACTIONAL].map(|statement| Timed::new(statement, deadline)));
    let mut answers = session.batch(&batch).await;
    bounds::read_unbounded(&mut answers)?;
    let mut server = describe(&answers.next()?)?;
    let (grants, count) = (answers.next(), answers.next());
    // The count is a remark in the plan: a server that refuses it is still backed up.
    server.non_transactional_tables = match (grants, count) {
        (Ok(grants), Ok(count)) if Grants::read(&grants).show_all_tables() => Some(count.number(NON_TRANSACTIONAL)?),
        (Err(DatabaseError::Server { .. }) | Ok(_), Err(DatabaseError::Server { .. }) | Ok(_)) => None,
        (Err(error), _) | (_, Err(error)) => return Err(error),
    };
    Ok(server)
}

fn describe(variables: &Rows) -> Result<Server, DatabaseError> {
    let value = |wanted: &str| {
        let row = (0..variables.rows.len())
            .find(|row| variables.get(*row, "Variable_name").is_some_and(|name| name.eq_ignore_ascii_case(wanted)))?;
        variables.get(row, "Value").filter(|value| !value.is_empty())
    };
    let is_on = |wanted: &str| value(wanted).is_some_and(|value| matches!(value, "ON" | "1" | "YES"));
    let odd = |detail: String| DatabaseError::UnexpectedReply { statement: Statement::new(VARIABLES), detail };

    let version_text = value("version").ok_or_else(|| odd("no version among the variables".to_owned()))?;
    let version =
        Version::parse(version_text).ok_or_else(|| odd(format!("`{}` is no version", Statement::new(version_text))))?;
    let comment = value("version_comment").unwrap_or_default();
    let says = |word: &str| [version_text, comment].iter().any(|text| text.to_ascii_lowercase().contains(word));
    let flavour = match () {
        () if says("mariadb") => Flavour::MariaDb,
        () if says("percona") => Flavour::Percona,
        () => Flavour::MySql,
    };
    let datadir = PathBuf::from(value("datadir").ok_or_else(|| odd("no datadir among the variables".to_owned()))?);
    let other_data_directories = [
        value("log_bin_basename").and_then(|path| PathBuf::from(path).parent().map(PathBuf::from)),
        value("innodb_data_home_dir").map(PathBuf::from),
        value("innodb_log_group_home_dir").map(PathBuf::from),
        value("innodb_undo_directory").map(PathBuf::from),
    ]
    .into_iter()
    .flatten()
    // Relative paths start at the datadir; `./` is it.
    .map(|path| datadir.join(path.strip_prefix("./").unwrap_or(&path)))
    .filter(|path| *path != datadir)
    .fold(Vec::new(), |mut paths, path| {
        if !paths.contains(&path) {
            paths.push(path);
        }
        paths
    });

    Ok(Server {
        flavour,
        version,
        version_text: format!("{version_text} {comment}").trim_end().to_owned(),
        hostname: value("hostname").unwrap_or_default().to_owned(),
        datadir,
        other_data_directories,
        log_bin: is_on("log_bin"),
        gtid_mode: value("gtid_mode").map(str::to_owned),
        read_only: is_on("read_only") || is_on("super_read_only"),
        galera: is_on("wsrep_on"),
        has_percona_backup_locks: is_on("have_backup_locks"),
        non_transactional_tables: None,
        innodb_flush_log_at_trx_commit: value("innodb_flush_log_at_trx_commit").and_then(|value| value.parse().ok()),
        sync_binlog: value("sync_binlog").and_then(|value| value.parse().ok()),
        innodb_doublewrite: value("innodb_doublewrite").map(str::to_owned),
    })
}

/// What asks where the binlog of `server` stands; nothing where it writes none. Who may ask it has `BINLOG MONITOR`, elsewhere
/// `REPLICATION CLIENT`.
pub(super) fn where_the_binlog_stands(server: &Server, deadline: Duration) -> impl Iterator<Item = Timed> {
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
pub(super) fn read_coordinates(server: &Server, answers: &mut Answers) -> Result<Option<Coordinates>, DatabaseError> {
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
pub(super) mod tests {
    use super::*;

    pub(in crate::database) fn server() -> Server {
        Server {
            flavour: Flavour::MariaDb,
            version: Version { major: 10, minor: 11, patch: 19 },
            version_text: "10.11.19-MariaDB Debian 12".to_owned(),
            hostname: "db1".to_owned(),
            datadir: "/var/lib/mysql/".into(),
            other_data_directories: vec!["/srv/binlog".into()],
            log_bin: true,
            gtid_mode: None,
            read_only: false,
            galera: false,
            has_percona_backup_locks: false,
            non_transactional_tables: Some(3),
            innodb_flush_log_at_trx_commit: Some(1),
            sync_binlog: Some(0),
            innodb_doublewrite: Some("ON".to_owned()),
        }
    }

    /// Receipts hold it: a name is not renamed.
    #[test]
    fn a_server_is_written_in_the_same_bytes_as_ever() {
        let json = concat!(
            r#"{"flavour":"maria-db","version":{"major":10,"minor":11,"patch":19},"#,
            r#""version_text":"10.11.19-MariaDB Debian 12","hostname":"db1","datadir":"/var/lib/mysql/","#,
            r#""other_data_directories":["/srv/binlog"],"log_bin":true,"gtid_mode":null,"read_only":false,"#,
            r#""galera":false,"has_percona_backup_locks":false,"non_transactional_tables":3,"#,
            r#""innodb_flush_log_at_trx_commit":1,"sync_binlog":0,"innodb_doublewrite":"ON"}"#,
        );
        assert_eq!(serde_json::to_string(&server()).unwrap(), json);
        assert_eq!(serde_json::from_str::<Server>(json).unwrap(), server());
        for (flavour, word) in
            [(Flavour::MariaDb, "maria-db"), (Flavour::MySql, "my-sql"), (Flavour::Percona, "percona")]
        {
            assert_eq!(serde_json::to_value(flavour).unwrap(), word);
        }
    }

    #[test]
    fn a_server_of_an_older_receipt_says_nothing_of_its_logs() {
        let mut json = serde_json::to_value(server()).unwrap();
        let fields = json.as_object_mut().unwrap();
        for later in ["innodb_flush_log_at_trx_commit", "sync_binlog", "innodb_doublewrite"] {
            fields.remove(later).unwrap();
        }
        let read: Server = serde_json::from_value(json).unwrap();
        assert_eq!(
            (read.innodb_flush_log_at_trx_commit, read.sync_binlog, read.innodb_doublewrite),
            (None, None, None)
        );
    }

    #[test]
    fn coordinates_are_written_in_the_same_bytes_as_ever() {
        let coordinates =
            Coordinates { file: "binlog.000004".to_owned(), position: 325, gtid: Some("0-1-7".to_owned()) };
        let json = r#"{"file":"binlog.000004","position":325,"gtid":"0-1-7"}"#;
        assert_eq!(serde_json::to_string(&coordinates).unwrap(), json);
        assert_eq!(serde_json::from_str::<Coordinates>(json).unwrap(), coordinates);
    }
}
