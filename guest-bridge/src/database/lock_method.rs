//! Which lock holds which server still.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

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
    /// MySQL's `LOCK INSTANCE FOR BACKUP`: DDL waits, and commits go on. The image's own binlog says where it stands.
    InstanceForBackup,
    /// Nothing waits. The image's own logs say where it stands.
    None,
}

/// What is wanted of a lock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LockWish {
    /// The gentlest that leaves an image as good as any. Where it is not granted in time, and an image is as good without, none.
    #[default]
    Auto,
    /// One that every commit waits for, or no backup.
    Tables,
    /// None that anybody's writes wait for.
    None,
    /// The gentlest that leaves an image as good as any, or no backup.
    Require,
}

/// How long DDL is waited for, where that is in vain at worst.
const DDL_WAIT: Duration = Duration::from_secs(3);

/// The one statement that waits for nothing but another backup.
pub(super) const WAITS_FOR_BACKUPS: &str = "BACKUP STAGE START";

/// A lock method and why it is the one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockChoice {
    /// The method.
    pub method: LockMethod,
    /// Why, in a sentence for the plan.
    pub reason: String,
    /// Whether it is gone without, where it is not granted in time.
    pub or_none: bool,
    /// Why an image is less worth where commits go on; `None` where it is as good, because its own logs say where it stands.
    pub needed_because: Option<String>,
}

impl LockChoice {
    /// How long it is waited for, where `asked` is the most.
    #[must_use]
    pub fn deadline(&self, asked: Duration) -> Duration {
        match self.method {
            // What keeps it away is DDL, which lasts; and to go without costs nothing.
            LockMethod::InstanceForBackup if self.or_none => asked.min(DDL_WAIT),
            _ => asked,
        }
    }
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
            // Keeps DDL away, and what purges binlogs.
            Self::InstanceForBackup => &["LOCK INSTANCE FOR BACKUP"],
            Self::None => &[],
        }
    }

    /// Whether every commit waits while it is held.
    #[must_use]
    pub fn stops_commits(self) -> bool {
        match self {
            Self::BackupStage | Self::PerconaBackupLocks | Self::FlushTablesWithReadLock => true,
            Self::InstanceForBackup | Self::None => false,
        }
    }

    /// What gives it back.
    pub(super) fn unlock_statements(self) -> &'static [&'static str] {
        match self {
            Self::BackupStage => &["BACKUP STAGE END"],
            Self::PerconaBackupLocks => &["UNLOCK BINLOG", "UNLOCK TABLES"],
            Self::FlushTablesWithReadLock => &["UNLOCK TABLES"],
            Self::InstanceForBackup => &["UNLOCK INSTANCE"],
            Self::None => &[],
        }
    }

    /// The lock of `server` that does what is wished.
    #[must_use]
    pub fn choose(server: &Server, wish: LockWish) -> LockChoice {
        let needed_because = needed_because(server);
        let is_proven_without = needed_because.is_none();
        let (method, reason) = match wish {
            LockWish::None if has_instance_lock(server) && server.has_backup_admin => {
                (Self::InstanceForBackup, "no lock on tables is wanted; DDL waits all the same".to_owned())
            }
            LockWish::None => (Self::None, "none is wanted".to_owned()),
            LockWish::Auto | LockWish::Require
                if is_proven_without && has_instance_lock(server) && server.has_backup_admin =>
            {
                let Server { flavour, version, .. } = server;
                (
                    Self::InstanceForBackup,
                    format!(
                        "{flavour} {version}, all tables in engines with transactions, each commit in its logs: no writer has to \
                         wait, and where the image stands its own binlog says"
                    ),
                )
            }
            LockWish::Auto | LockWish::Require | LockWish::Tables => stops_commits(server, needed_because.as_deref()),
        };
        let or_none = wish == LockWish::Auto && is_proven_without && method != Self::None;
        LockChoice { method, reason, or_none, needed_because }
    }
}

/// Came with 8.0.
fn has_instance_lock(Server { flavour, version, .. }: &Server) -> bool {
    *flavour != Flavour::MariaDb && version.major >= 8
}

/// The gentlest lock of this server that makes every commit wait, and why.
fn stops_commits(server: &Server, needed_because: Option<&str>) -> (LockMethod, String) {
    let Server { flavour, version, .. } = server;
    let known = (version.major, version.minor);
    match flavour {
        Flavour::MariaDb if known >= (10, 4) => (
            LockMethod::BackupStage,
            format!("MariaDB {version} has BACKUP STAGE: commits wait, running writes need not finish first"),
        ),
        Flavour::MariaDb => {
            (LockMethod::FlushTablesWithReadLock, format!("MariaDB {version} has no BACKUP STAGE (it came with 10.4)"))
        }
        Flavour::Percona if server.has_percona_backup_locks && known < (8, 0) && server.log_bin => (
            LockMethod::PerconaBackupLocks,
            format!("Percona Server {version} has backup locks: the binlog lock makes commits wait"),
        ),
        Flavour::MySql | Flavour::Percona => {
            let why = match needed_because {
                _ if !has_instance_lock(server) => "it has no gentler lock that makes commits wait".to_owned(),
                Some(why) => why.to_owned(),
                None if !server.has_backup_admin => {
                    "its LOCK INSTANCE FOR BACKUP, which no writer waits for, needs BACKUP_ADMIN".to_owned()
                }
                None => "one that commits wait for is wanted".to_owned(),
            };
            (
                LockMethod::FlushTablesWithReadLock,
                format!(
                    "{flavour} {version}: {why}. It is asked for only when nothing runs that it would wait for, with every writer \
                     behind it"
                ),
            )
        }
    }
}

/// Why an image of `server` in which commits went on may lack something, or may not be told where it stands.
fn needed_because(server: &Server) -> Option<String> {
    let Server { flavour, version, .. } = server;
    // Before, a crash in the middle of DDL leaves what no recovery mends.
    let atomic_ddl = match flavour {
        Flavour::MariaDb => (10, 6),
        Flavour::MySql | Flavour::Percona => (8, 0),
    };
    if (version.major, version.minor) < atomic_ddl {
        return Some("its DDL is not atomic".to_owned());
    }
    if !server.log_bin {
        return Some("it writes no binlog, which would say where an image stands".to_owned());
    }
    if server.galera {
        return Some("it is a node of a Galera cluster".to_owned());
    }
    match server.innodb_flush_log_at_trx_commit {
        Some(1 | 2) => {}
        Some(setting) => {
            return Some(format!("innodb_flush_log_at_trx_commit is {setting}: commits are in no file yet"));
        }
        None => return Some("its innodb_flush_log_at_trx_commit is not known".to_owned()),
    }
    match server.non_transactional_tables {
        Some(0) => None,
        Some(_) => Some("there are tables in an engine without transactions".to_owned()),
        None => Some("whether there are tables in an engine without transactions cannot be seen".to_owned()),
    }
}

impl fmt::Display for LockMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BackupStage => "BACKUP STAGE BLOCK_COMMIT",
            Self::PerconaBackupLocks => "LOCK BINLOG FOR BACKUP",
            Self::FlushTablesWithReadLock => "FLUSH TABLES WITH READ LOCK",
            Self::InstanceForBackup => "LOCK INSTANCE FOR BACKUP",
            Self::None => "no lock",
        })
    }
}

impl fmt::Display for LockWish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Tables => "tables",
            Self::None => "none",
            Self::Require => "require",
        })
    }
}

impl FromStr for LockWish {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "tables" => Ok(Self::Tables),
            "none" => Ok(Self::None),
            "require" => Ok(Self::Require),
            _ => Err(format!("`{}` says nothing of a lock: auto, tables, none or require", text.escape_default())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::server::{Version, tests::server};

    /// Receipts hold it: a name is not renamed.
    #[test]
    fn a_method_is_written_in_the_same_bytes_as_ever() {
        for (method, word) in [
            (LockMethod::BackupStage, "backup-stage"),
            (LockMethod::PerconaBackupLocks, "percona-backup-locks"),
            (LockMethod::FlushTablesWithReadLock, "flush-tables-with-read-lock"),
            (LockMethod::InstanceForBackup, "instance-for-backup"),
            (LockMethod::None, "none"),
        ] {
            assert_eq!(serde_json::to_value(method).unwrap(), word);
            assert_eq!(serde_json::from_value::<LockMethod>(word.into()).unwrap(), method);
        }
    }

    fn mysql() -> Server {
        let version = Version { major: 9, minor: 7, patch: 4 };
        Server {
            flavour: Flavour::MySql,
            version,
            non_transactional_tables: Some(0),
            has_backup_admin: true,
            ..server()
        }
    }

    fn chosen(server: &Server, wish: LockWish) -> (LockMethod, bool) {
        let LockChoice { method, or_none, .. } = LockMethod::choose(server, wish);
        (method, or_none)
    }

    #[test]
    fn on_mysql_nobodys_writes_wait_where_the_images_own_logs_say_all() {
        use LockMethod::{FlushTablesWithReadLock, InstanceForBackup, None};
        assert_eq!(chosen(&mysql(), LockWish::Auto), (InstanceForBackup, true));
        assert_eq!(chosen(&mysql(), LockWish::Require), (InstanceForBackup, false));
        assert_eq!(chosen(&mysql(), LockWish::Tables), (FlushTablesWithReadLock, false));
        assert_eq!(chosen(&mysql(), LockWish::None), (InstanceForBackup, false));
        let may_not = Server { has_backup_admin: false, ..mysql() };
        assert_eq!(chosen(&may_not, LockWish::Auto), (FlushTablesWithReadLock, true));
        assert_eq!(chosen(&may_not, LockWish::None), (None, false));
    }

    #[test]
    fn what_no_log_of_the_image_would_tell_needs_a_lock_that_commits_wait_for() {
        let version = Version { major: 5, minor: 7, patch: 44 };
        for (server, why) in [
            (Server { non_transactional_tables: Some(1), ..mysql() }, "engine without transactions"),
            (Server { non_transactional_tables: Option::None, ..mysql() }, "cannot be seen"),
            (Server { innodb_flush_log_at_trx_commit: Some(0), ..mysql() }, "innodb_flush_log_at_trx_commit is 0"),
            (Server { innodb_flush_log_at_trx_commit: Option::None, ..mysql() }, "is not known"),
            (Server { log_bin: false, ..mysql() }, "no binlog"),
            (Server { version, ..mysql() }, "not atomic"),
        ] {
            let choice = LockMethod::choose(&server, LockWish::Auto);
            assert_eq!((choice.method, choice.or_none), (LockMethod::FlushTablesWithReadLock, false), "{why}");
            assert!(choice.needed_because.unwrap().contains(why));
        }
    }

    #[test]
    fn mariadb_keeps_its_backup_stage_and_goes_without_only_where_its_image_is_as_good() {
        let mariadb = Server { non_transactional_tables: Some(0), ..server() };
        assert_eq!(chosen(&mariadb, LockWish::Auto), (LockMethod::BackupStage, true));
        assert_eq!(chosen(&mariadb, LockWish::Require), (LockMethod::BackupStage, false));
        assert_eq!(chosen(&server(), LockWish::Auto), (LockMethod::BackupStage, false), "it has MyISAM");
        assert_eq!(chosen(&mariadb, LockWish::None), (LockMethod::None, false));
    }

    #[test]
    fn what_can_be_gone_without_is_not_waited_for_long() {
        let deadline =
            |server: &Server, wish, s| LockMethod::choose(server, wish).deadline(Duration::from_secs(s)).as_secs();
        assert_eq!((deadline(&mysql(), LockWish::Auto, 30), deadline(&mysql(), LockWish::Auto, 2)), (3, 2));
        assert_eq!(deadline(&mysql(), LockWish::Require, 30), 30);
        assert_eq!(deadline(&server(), LockWish::Auto, 30), 30);
    }

    #[test]
    fn a_wish_is_read_as_it_is_shown() {
        for wish in [LockWish::Auto, LockWish::Tables, LockWish::None, LockWish::Require] {
            assert_eq!(wish.to_string().parse(), Ok(wish));
        }
        "some".parse::<LockWish>().unwrap_err();
    }

    #[test]
    fn a_method_that_is_not_known_is_no_other() {
        serde_json::from_value::<LockMethod>("clone-donor".into()).unwrap_err();
    }
}
