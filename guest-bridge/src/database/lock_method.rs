//! Which lock holds which server still.

use std::fmt;

use super::server::{Flavour, Server};

/// The statements that hold a server's writers still across a storage snapshot. Read from a file, one that is not known is an error:
/// none of these can stand for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum LockMethod {
    /// MariaDB's `BACKUP STAGE START` and `BACKUP STAGE BLOCK_COMMIT`.
    BackupStage,
    /// Percona Server's `LOCK TABLES FOR BACKUP` and `LOCK BINLOG FOR BACKUP`.
    PerconaBackupLocks,
    /// `FLUSH TABLES WITH READ LOCK`.
    FlushTablesWithReadLock,
}

/// The one statement that waits for nothing but another backup.
pub(super) const WAITS_FOR_BACKUPS: &str = "BACKUP STAGE START";

/// A lock method and why it is the one.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct LockChoice {
    /// The method.
    pub method: LockMethod,
    /// Why, in a sentence for the plan.
    pub reason: String,
}

impl LockMethod {
    /// What takes it.
    pub(super) fn lock_statements(self) -> &'static [&'static str] {
        match self {
            // START waits for other backups; BLOCK_COMMIT passes through FLUSH and BLOCK_DDL by itself. From here commits, writes to
            // non-transactional tables and DDL wait; uncommitted InnoDB writes go on, and InnoDB's recovery rolls them back in a copy.
            Self::BackupStage => &[WAITS_FOR_BACKUPS, "BACKUP STAGE BLOCK_COMMIT"],
            // The first stops non-transactional writes and DDL, the second everything that would write to the binlog: commits.
            Self::PerconaBackupLocks => &["LOCK TABLES FOR BACKUP", "LOCK BINLOG FOR BACKUP"],
            // Waits for every running statement, and new writers queue behind it: hence the deadline.
            Self::FlushTablesWithReadLock => &["FLUSH TABLES WITH READ LOCK"],
        }
    }

    /// What gives it back.
    pub(super) fn unlock_statements(self) -> &'static [&'static str] {
        match self {
            Self::BackupStage => &["BACKUP STAGE END"],
            Self::PerconaBackupLocks => &["UNLOCK BINLOG", "UNLOCK TABLES"],
            Self::FlushTablesWithReadLock => &["UNLOCK TABLES"],
        }
    }

    /// The gentlest lock of this server that makes every commit wait.
    pub fn choose(server: &Server) -> LockChoice {
        let Server { flavour, version, .. } = server;
        let known = (version.major, version.minor);
        match flavour {
            Flavour::MariaDb if known >= (10, 4) => LockChoice {
                method: Self::BackupStage,
                reason: format!(
                    "MariaDB {version} has BACKUP STAGE: commits wait, running writes need not finish first"
                ),
            },
            Flavour::MariaDb => LockChoice {
                method: Self::FlushTablesWithReadLock,
                reason: format!("MariaDB {version} has no BACKUP STAGE (it came with 10.4)"),
            },
            Flavour::Percona if server.has_percona_backup_locks && known < (8, 0) && server.log_bin => LockChoice {
                method: Self::PerconaBackupLocks,
                reason: format!("Percona Server {version} has backup locks: the binlog lock makes commits wait"),
            },
            Flavour::Percona => LockChoice {
                method: Self::FlushTablesWithReadLock,
                reason: format!(
                    "LOCK TABLES FOR BACKUP lets InnoDB commits pass, and Percona Server {version} {}",
                    if known < (8, 0) {
                        "writes no binlog whose lock would stop them"
                    } else {
                        "has no LOCK BINLOG FOR BACKUP"
                    },
                ),
            },
            Flavour::MySql => LockChoice {
                method: Self::FlushTablesWithReadLock,
                reason: format!(
                    "MySQL {version} has no gentler write barrier: LOCK INSTANCE FOR BACKUP lets writes pass. It is asked for only \
                     when nothing runs that it would wait for, with every writer behind it"
                ),
            },
        }
    }
}

impl fmt::Display for LockMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BackupStage => "BACKUP STAGE BLOCK_COMMIT",
            Self::PerconaBackupLocks => "LOCK BINLOG FOR BACKUP",
            Self::FlushTablesWithReadLock => "FLUSH TABLES WITH READ LOCK",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Receipts hold it: a name is not renamed.
    #[test]
    fn a_method_is_written_in_the_same_bytes_as_ever() {
        for (method, word) in [
            (LockMethod::BackupStage, "backup-stage"),
            (LockMethod::PerconaBackupLocks, "percona-backup-locks"),
            (LockMethod::FlushTablesWithReadLock, "flush-tables-with-read-lock"),
        ] {
            assert_eq!(serde_json::to_value(method).unwrap(), word);
            assert_eq!(serde_json::from_value::<LockMethod>(word.into()).unwrap(), method);
        }
    }

    #[test]
    fn a_choice_is_read_as_it_was_written() {
        let choice = LockChoice { method: LockMethod::BackupStage, reason: "it is the gentlest".to_owned() };
        let json = r#"{"method":"backup-stage","reason":"it is the gentlest"}"#;
        assert_eq!(serde_json::to_string(&choice).unwrap(), json);
        assert_eq!(serde_json::from_str::<LockChoice>(json).unwrap(), choice);
    }

    #[test]
    fn a_method_that_is_not_known_is_no_other() {
        serde_json::from_value::<LockMethod>("clone-donor".into()).unwrap_err();
    }
}
