//! Whether the account may do what a backup asks of it: found out before anything is locked or made.

use std::time::Duration;

use super::{
    Database, DatabaseError, Timed, bounds,
    engine_logs::Flush,
    grants::{Grants, Holds, SHOW_GRANTS},
    lock_method::{LockMethod, LockWish},
    server::{self, Flavour, Server},
};

const WHO_AM_I: &str = "SELECT CURRENT_USER()";

/// Error 1227, `ER_SPECIFIC_ACCESS_DENIED_ERROR`.
const ACCESS_DENIED: u16 = 1227;

/// Something that an account may not, and that a backup can do without.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// In a sentence.
    pub text: String,
    /// The backup will be of grade `filesystem` at best for it.
    pub weakens: bool,
}

/// Proves that the account of `session` may lock `server` by `method` and see where its binlog stands: the latter by asking, without a lock. Gives
/// what it may not and a backup can do without.
///
/// # Errors
/// [`DatabaseError::MayNot`] with what is missing; else those of the session.
pub async fn prove(
    session: &mut dyn Database,
    server: &Server,
    method: LockMethod,
    deadline: Duration,
) -> Result<Vec<Remark>, DatabaseError> {
    let mut batch: Vec<_> = bounds::unbounded(deadline).collect();
    batch.extend([Timed::new(WHO_AM_I, deadline), Timed::new(SHOW_GRANTS, deadline)]);
    batch.extend(server::where_the_binlog_stands(server, deadline));
    let mut answers = session.batch(&batch).await;
    bounds::read_unbounded(&mut answers)?;
    let account = answers.next()?.rows.pop().and_then(|mut row| row.pop()).flatten().unwrap_or_default();
    let grants = match answers.next() {
        Ok(rows) => Grants::read(&rows),
        // A server that checks no privileges.
        Err(DatabaseError::Server { .. }) => Grants::default(),
        Err(error) => return Err(error),
    };

    let mut missing = Vec::new();
    if method.stops_commits() && grants.hold(lock_privileges(server, method)) == Holds::No {
        missing.push("RELOAD");
    }
    match server::read_coordinates(server, &mut answers) {
        Ok(_) => {}
        Err(DatabaseError::Server { code: ACCESS_DENIED, .. }) => missing.push(binlog_privilege(server)),
        Err(error) => return Err(error),
    }
    if !missing.is_empty() {
        return Err(DatabaseError::MayNot {
            account: quoted(&account),
            missing: missing.join(" and "),
            grant: format!("GRANT {} ON *.* TO {}", all_privileges(server).join(", "), quoted(&account)),
        });
    }
    Ok(remarks(server, method, &grants, &quoted(&account)))
}

fn remarks(server: &Server, method: LockMethod, grants: &Grants, account: &str) -> Vec<Remark> {
    let mut remarks = Vec::new();
    let mut remark = |weakens, text: String| remarks.push(Remark { text, weakens });
    if grants.hold(&["PROCESS"]) == Holds::No {
        let text = "the database account has no PROCESS: who keeps the lock from being granted could not be named";
        remark(false, text.to_owned());
    }
    if method == LockMethod::FlushTablesWithReadLock
        && grants.hold(&["BACKUP_ADMIN"]) == Holds::No
        && may_go_without(server)
    {
        remark(
            false,
            format!(
                "every writer waits for the lock, and need not: on the server, GRANT BACKUP_ADMIN ON *.* TO {account} lets commits go on"
            ),
        );
    }
    if method.stops_commits() && grants.hold(&["RELOAD"]) == Holds::No {
        let text = "the database account has no RELOAD: the engines' logs cannot be written out, and the grade will be \
                    `filesystem`";
        remark(true, text.to_owned());
    }
    if method.stops_commits()
        && Flush::new(server, server.innodb_flush_log_at_trx_commit).raises()
        && grants.hold(&["SUPER"]) == Holds::No
    {
        remark(
            true,
            format!(
                "innodb_flush_log_at_trx_commit is 0, {} {} writes its log out only where it is 1, and the database account \
             has no SUPER to set it for a moment: the grade will be `filesystem`",
                server.flavour, server.version
            ),
        );
    }
    if server.replicates.is_none() {
        remark(
            false,
            format!(
                "the database account may not see whether the server is a replica, and how far it is with its source: it has no \
             {replication}; on the server: GRANT {replication} ON *.* TO {account}",
                replication = replication_privilege(server)
            ),
        );
    }
    if let Some(mode) =
        server.slave_parallel_mode.as_deref().filter(|mode| matches!(*mode, "optimistic" | "aggressive"))
        && may_replicate(server)
    {
        remark(
            false,
            format!(
                "the server applies what it replicates with slave_parallel_mode = {mode}: the server's own recovery, also that of \
             an image, is reported to leave a replica that has applied a transaction twice or not at all (MDEV-36025); compare \
             one that is made from it with its source before you rely on it"
            ),
        );
    }
    remarks
}

/// Also where the account may not see it.
fn may_replicate(server: &Server) -> bool {
    server.replicates.as_ref().is_none_or(|replicates| !replicates.channels.is_empty())
}

/// Each of them suffices for a lock that makes commits wait.
fn lock_privileges(server: &Server, method: LockMethod) -> &'static [&'static str] {
    match method {
        LockMethod::FlushTablesWithReadLock if server.flavour != Flavour::MariaDb => &["RELOAD", "FLUSH_TABLES"],
        _ => &["RELOAD"],
    }
}

/// Whether the account alone keeps its writers waiting.
fn may_go_without(server: &Server) -> bool {
    let entitled = Server { has_backup_admin: true, ..server.clone() };
    LockMethod::choose(&entitled, LockWish::Auto).method == LockMethod::InstanceForBackup
}

fn binlog_privilege(server: &Server) -> &'static str {
    match server.flavour {
        Flavour::MariaDb if (server.version.major, server.version.minor) >= (10, 5) => "BINLOG MONITOR",
        Flavour::MariaDb | Flavour::MySql | Flavour::Percona => "REPLICATION CLIENT",
    }
}

/// All that a backup asks for, so that one statement is enough.
fn all_privileges(server: &Server) -> Vec<&'static str> {
    let mut all = vec!["RELOAD", "PROCESS", binlog_privilege(server)];
    if server.flavour != Flavour::MariaDb && server.version.major >= 8 {
        all.push("BACKUP_ADMIN");
    }
    if may_replicate(server) && !all.contains(&replication_privilege(server)) {
        all.push(replication_privilege(server));
    }
    all
}

fn replication_privilege(server: &Server) -> &'static str {
    match server.flavour {
        Flavour::MariaDb if (server.version.major, server.version.minor) >= (10, 5) => "SLAVE MONITOR",
        Flavour::MariaDb | Flavour::MySql | Flavour::Percona => "REPLICATION CLIENT",
    }
}

/// `user@host` as a GRANT has it.
pub(crate) fn quoted(account: &str) -> String {
    let quote = |word: &str| format!("'{}'", word.replace('\\', "\\\\").replace('\'', "\\'"));
    match account.rsplit_once('@') {
        Some((user, host)) => format!("{}@{}", quote(user), quote(host)),
        None => quote(account),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        call_log::CallLog,
        database::{
            Rows,
            scripted::{ScriptedDatabase, expect},
            server::{Channel, Replicates, Version, tests::server},
        },
    };

    const SOON: Duration = Duration::from_secs(1);

    fn mysql() -> Server {
        Server { flavour: Flavour::MySql, version: Version { major: 8, minor: 4, patch: 3 }, ..server() }
    }

    fn replicates() -> Option<Replicates> {
        let channel = Channel {
            name: String::new(),
            source: "db1:3306".to_owned(),
            source_log_file: None,
            source_log_position: None,
            gtid: None,
        };
        Some(Replicates { channels: vec![channel], ..Replicates::default() })
    }

    fn may_set() -> [crate::database::scripted::Line; 3] {
        [
            expect("SET SESSION max_statement_time = 0"),
            expect("SET SESSION max_execution_time = 0").refuses(1193, "Unknown system variable"),
            expect("SET SESSION sql_select_limit"),
        ]
    }

    fn texts(remarks: Vec<Remark>) -> Vec<String> {
        remarks.into_iter().map(|remark| remark.text).collect()
    }

    /// What is said of an account with `grants` that the server answers so where its binlog stands.
    async fn said(server: &Server, grants: &str, sees_binlog: bool) -> Result<Vec<String>, DatabaseError> {
        let account = [Some("back'up@10.0.0.%")];
        let status = if server.flavour == Flavour::MariaDb { "SHOW MASTER STATUS" } else { "SHOW BINARY LOG STATUS" };
        let status = match sees_binlog {
            true => expect(status).returns(&["File", "Position"], &[&[Some("b.000001"), Some("4")]]),
            false => expect(status).refuses(1227, "Access denied"),
        };
        let mut script: Vec<_> = may_set().into();
        script.extend([
            expect("SELECT CURRENT_USER()").returns(&["CURRENT_USER()"], &[&account]),
            expect("SHOW GRANTS").returns(&["Grants"], &[&[Some(grants)]]),
            status,
        ]);
        if server.flavour == Flavour::MariaDb {
            script.push(expect("SELECT @@GLOBAL.gtid_binlog_pos"));
        }
        let method = LockMethod::choose(server, LockWish::Auto).method;
        prove(&mut ScriptedDatabase::new(CallLog::new(), script), server, method, SOON).await.map(texts)
    }

    #[tokio::test]
    async fn an_account_with_all_it_needs_is_not_spoken_of() {
        let grants = "GRANT RELOAD, PROCESS, BINLOG MONITOR ON *.* TO `a`@`b`";
        assert_eq!(said(&server(), grants, true).await.unwrap(), [""; 0]);
        let grants = "GRANT RELOAD, PROCESS, REPLICATION CLIENT ON *.* TO `a`@`b`";
        assert_eq!(said(&mysql(), grants, true).await.unwrap(), [""; 0]);
    }

    #[tokio::test]
    async fn what_is_missing_is_named_with_the_grant_of_that_product() {
        let cases = [
            (server(), "GRANT RELOAD ON *.* TO `a`@`b`", false, "BINLOG MONITOR"),
            (mysql(), "GRANT RELOAD ON *.* TO `a`@`b`", false, "REPLICATION CLIENT"),
            (server(), "GRANT USAGE ON *.* TO `a`@`b`", true, "RELOAD"),
            (server(), "GRANT SELECT ON *.* TO `a`@`b`", false, "RELOAD and BINLOG MONITOR"),
        ];
        for (server, grants, sees_binlog, wanted) in cases {
            let error = said(&server, grants, sees_binlog).await.unwrap_err();
            let DatabaseError::MayNot { missing, .. } = &error else { panic!("{error:?}") };
            assert_eq!(missing, wanted);
            let monitor = match server.flavour {
                Flavour::MariaDb => "BINLOG MONITOR",
                Flavour::MySql | Flavour::Percona => "REPLICATION CLIENT, BACKUP_ADMIN",
            };
            let line = format!("GRANT RELOAD, PROCESS, {monitor} ON *.* TO 'back\\'up'@'10.0.0.%'");
            assert!(error.hint().unwrap().contains(&line), "{:?}", error.hint());
        }
    }

    #[tokio::test]
    async fn the_grant_is_enough_for_a_replica_and_for_what_may_be_one() {
        let old = Version { major: 10, minor: 4, patch: 8 };
        let cases = [
            (
                Server { replicates: replicates(), ..server() },
                "GRANT RELOAD, PROCESS, BINLOG MONITOR, SLAVE MONITOR ON",
            ),
            (Server { replicates: None, ..server() }, "GRANT RELOAD, PROCESS, BINLOG MONITOR, SLAVE MONITOR ON"),
            (
                Server { replicates: Some(Replicates::default()), ..server() },
                "GRANT RELOAD, PROCESS, BINLOG MONITOR ON",
            ),
            (
                Server { replicates: replicates(), version: old, ..server() },
                "GRANT RELOAD, PROCESS, REPLICATION CLIENT ON",
            ),
            (
                Server { replicates: replicates(), ..mysql() },
                "GRANT RELOAD, PROCESS, REPLICATION CLIENT, BACKUP_ADMIN ON",
            ),
        ];
        for (server, wanted) in cases {
            let error = said(&server, "GRANT USAGE ON *.* TO `a`@`b`", true).await.unwrap_err();
            assert!(error.hint().unwrap().contains(wanted), "{:?}", error.hint());
        }
    }

    #[tokio::test]
    async fn what_a_backup_can_do_without_is_a_remark() {
        let remarks = said(&mysql(), "GRANT FLUSH_TABLES, REPLICATION CLIENT ON *.* TO `a`@`b`", true).await.unwrap();
        assert!(remarks[0].contains("PROCESS") && remarks[1].contains("RELOAD"), "{remarks:?}");
        let lazy = Server { innodb_flush_log_at_trx_commit: Some(0), ..server() };
        let grants = "GRANT RELOAD, PROCESS, BINLOG MONITOR ON *.* TO `a`@`b`";
        assert!(said(&lazy, grants, true).await.unwrap()[0].contains("SUPER"));
        assert_eq!(said(&lazy, "GRANT ALL PRIVILEGES ON *.* TO `a`@`b`", true).await.unwrap(), [""; 0]);
    }

    #[test]
    fn a_remark_weakens_where_the_engines_logs_would_not_be_written_out() {
        let weakens = |server: &Server, privileges: &str| {
            let line = format!("GRANT {privileges} ON *.* TO `a`@`b`");
            let grants = Grants::read(&Rows { columns: vec!["Grants".to_owned()], rows: vec![vec![Some(line)]] });
            let method = LockMethod::choose(server, LockWish::Auto).method;
            remarks(server, method, &grants, "'a'@'b'").iter().map(|remark| remark.weakens).collect::<Vec<_>>()
        };
        let lazy = Server { innodb_flush_log_at_trx_commit: Some(0), ..server() };
        assert_eq!(weakens(&mysql(), "FLUSH_TABLES"), [false, true], "PROCESS, RELOAD");
        assert_eq!(weakens(&lazy, "RELOAD, PROCESS"), [true], "SUPER");
    }

    #[tokio::test]
    async fn who_could_let_commits_go_on_is_told_the_grant_for_it() {
        let all_innodb = Server { non_transactional_tables: Some(0), ..mysql() };
        let grants = "GRANT RELOAD, PROCESS, REPLICATION CLIENT, SELECT ON *.* TO `a`@`b`";
        let remarks = said(&all_innodb, grants, true).await.unwrap();
        assert!(remarks[0].contains("GRANT BACKUP_ADMIN ON *.* TO 'back\\'up'@'10.0.0.%'"), "{remarks:?}");
        let entitled = Server { has_backup_admin: true, ..all_innodb };
        let grants = "GRANT BACKUP_ADMIN, PROCESS, REPLICATION CLIENT, SELECT ON *.* TO `a`@`b`";
        assert_eq!(said(&entitled, grants, true).await.unwrap(), [""; 0], "it needs no RELOAD");
    }

    #[tokio::test]
    async fn a_replica_that_cannot_be_seen_is_a_remark_with_the_grant_that_shows_it() {
        let unseen = Server { replicates: None, ..server() };
        let grants = "GRANT RELOAD, PROCESS, BINLOG MONITOR ON *.* TO `a`@`b`";
        let said = said(&unseen, grants, true).await.unwrap();
        assert!(said[0].contains("GRANT SLAVE MONITOR ON *.* TO 'back\\'up'@'10.0.0.%'"), "{said:?}");
    }

    #[tokio::test]
    async fn a_replica_that_applies_in_parallel_on_trial_is_a_remark() {
        let grants = "GRANT RELOAD, PROCESS, BINLOG MONITOR ON *.* TO `a`@`b`";
        let with = |mode: &str, is_replica: bool| {
            let replicates = if is_replica { replicates() } else { Some(Replicates::default()) };
            Server { slave_parallel_mode: Some(mode.to_owned()), replicates, ..server() }
        };
        for mode in ["optimistic", "aggressive"] {
            assert!(said(&with(mode, true), grants, true).await.unwrap()[0].contains("MDEV-36025"), "{mode}");
            assert_eq!(said(&with(mode, false), grants, true).await.unwrap(), [""; 0]);
        }
        assert_eq!(said(&with("conservative", true), grants, true).await.unwrap(), [""; 0]);
    }

    #[tokio::test]
    async fn a_server_that_checks_no_privileges_is_not_refused() {
        let mut script: Vec<_> = may_set().into();
        script.extend([
            expect("SELECT CURRENT_USER()").returns(&["CURRENT_USER()"], &[&[Some("root@")]]),
            expect("SHOW GRANTS").refuses(1290, "The server is running with --skip-grant-tables"),
        ]);
        let server = Server { log_bin: false, ..server() };
        let session = &mut ScriptedDatabase::new(CallLog::new(), script);
        let said = prove(session, &server, LockMethod::BackupStage, SOON).await.unwrap();
        assert_eq!(said, []);
    }
}
