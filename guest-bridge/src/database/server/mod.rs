//! Which server is it, where does it keep its data, and what does it write.

mod coordinates;
mod data_paths;
mod galera;
mod identify;
mod lsn;
mod product;
mod replication;
mod variables;

use std::path::PathBuf;

pub use coordinates::Coordinates;
pub(super) use coordinates::{read_coordinates, where_the_binlog_stands};
pub use galera::{GaleraState, wait_for_synced};
pub(super) use galera::{read_galera, where_galera_stands};
pub use identify::identify;
pub use lsn::LsnBounds;
pub(super) use lsn::{read_lsn, where_the_log_stands};
pub use product::{Flavour, Version};
pub use replication::{Channel, Replicates};
pub(super) use replication::{read_replicates, where_replication_stands};

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
    /// Other directories of the guest that hold data and may lie on other disks: binlogs, relay logs, logs and files of the engines,
    /// tables with a `DATA DIRECTORY`. Each once.
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
    /// Whether the account surely has MySQL's `BACKUP_ADMIN`. `false` on MariaDB, which has none, and in receipts before 0.2.
    #[serde(default)]
    pub has_backup_admin: bool,
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
    /// MySQL's `@@server_uuid`. `None` in receipts before 0.2.
    #[serde(default)]
    pub server_uuid: Option<String>,
    /// `@@log_bin_basename`, a path in the guest without the number of the file. `None` in receipts before 0.2.
    #[serde(default)]
    pub log_bin_basename: Option<PathBuf>,
    /// `@@log_bin_index`, a path in the guest. `None` in receipts before 0.2.
    #[serde(default)]
    pub log_bin_index: Option<PathBuf>,
    /// Whether `other_data_directories` has those of all InnoDB tables outside the datadir (`DATA DIRECTORY`): the account needs
    /// `PROCESS` to see them. `None` in receipts before 0.2.
    #[serde(default)]
    pub table_directories_seen: Option<bool>,
    /// MariaDB's `@@slave_parallel_mode`, where `slave_parallel_threads` is not 0. `None` in receipts before 0.2.
    #[serde(default)]
    pub slave_parallel_mode: Option<String>,
    /// From whom it replicates. `None` where the account may not know, and in receipts before 0.2.
    #[serde(default)]
    pub replicates: Option<Replicates>,
    /// `wsrep_cluster_state_uuid` of a Galera node. `None` in receipts before 0.2.
    #[serde(default)]
    pub wsrep_cluster: Option<String>,
    /// MySQL's `@@group_replication_group_name`, of a server that is set up as a member of a group. `None` in receipts before 0.2.
    #[serde(default)]
    pub replication_group: Option<String>,
}

impl Server {
    /// Where the counting of non-transactional tables ends.
    pub const NON_TRANSACTIONAL_CAP: u64 = 1000;
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn server() -> Server {
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
            has_backup_admin: false,
            non_transactional_tables: Some(3),
            innodb_flush_log_at_trx_commit: Some(1),
            sync_binlog: Some(0),
            innodb_doublewrite: Some("ON".to_owned()),
            server_uuid: None,
            log_bin_basename: Some("/srv/binlog/binlog".into()),
            log_bin_index: Some("/srv/binlog/binlog.index".into()),
            table_directories_seen: Some(true),
            slave_parallel_mode: None,
            replicates: Some(Replicates::default()),
            wsrep_cluster: None,
            replication_group: None,
        }
    }

    /// Receipts hold it: a name is not renamed.
    #[test]
    fn a_server_is_written_in_the_same_bytes_as_ever() {
        let json = concat!(
            r#"{"flavour":"maria-db","version":{"major":10,"minor":11,"patch":19},"#,
            r#""version_text":"10.11.19-MariaDB Debian 12","hostname":"db1","datadir":"/var/lib/mysql/","#,
            r#""other_data_directories":["/srv/binlog"],"log_bin":true,"gtid_mode":null,"read_only":false,"#,
            r#""galera":false,"has_percona_backup_locks":false,"has_backup_admin":false,"non_transactional_tables":3,"#,
            r#""innodb_flush_log_at_trx_commit":1,"sync_binlog":0,"innodb_doublewrite":"ON","server_uuid":null,"#,
            r#""log_bin_basename":"/srv/binlog/binlog","log_bin_index":"/srv/binlog/binlog.index","#,
            r#""table_directories_seen":true,"slave_parallel_mode":null,"#,
            r#""replicates":{"channels":[],"gtid_slave_pos":null,"gtid_current_pos":null},"wsrep_cluster":null,"replication_group":null}"#,
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
    fn a_server_of_an_older_receipt_says_nothing_of_what_was_not_asked_then() {
        let mut json = serde_json::to_value(server()).unwrap();
        let fields = json.as_object_mut().unwrap();
        let later = [
            "has_backup_admin",
            "innodb_flush_log_at_trx_commit",
            "sync_binlog",
            "innodb_doublewrite",
            "server_uuid",
            "log_bin_basename",
            "log_bin_index",
            "table_directories_seen",
            "slave_parallel_mode",
            "replicates",
            "wsrep_cluster",
            "replication_group",
        ];
        for later in later {
            fields.remove(later).unwrap();
        }
        let read: Server = serde_json::from_value(json).unwrap();
        let known = Server {
            innodb_flush_log_at_trx_commit: None,
            sync_binlog: None,
            innodb_doublewrite: None,
            log_bin_basename: None,
            log_bin_index: None,
            table_directories_seen: None,
            replicates: None,
            ..server()
        };
        assert_eq!(read, known);
    }
}
