//! Asking a server who it is.

use std::{path::PathBuf, time::Duration};

use super::{
    Flavour, Server, Version, data_paths, read_galera, read_replicates, variables::Variables, where_galera_stands,
    where_replication_stands,
};
use crate::database::{
    Database, DatabaseError, Rows, Statement, Timed, bounds,
    grants::{Grants, Holds, SHOW_GRANTS},
};

/// By name, because no two flavours have all of them, and `SELECT @@absent` is an error.
const VARIABLES: &str = "'version', 'version_comment', 'hostname', 'datadir', 'log_bin', 'gtid_mode', 'read_only', \
     'super_read_only', 'wsrep_on', 'have_backup_locks', 'innodb_flush_log_at_trx_commit', 'sync_binlog', \
     'innodb_doublewrite', 'server_uuid', 'group_replication_group_name', 'slave_parallel_mode', 'slave_parallel_threads'";

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
    let variables = variables();
    batch.extend([&variables, SHOW_GRANTS, NON_TRANSACTIONAL].map(|statement| Timed::new(statement, deadline)));
    let mut answers = session.batch(&batch).await;
    bounds::read_unbounded(&mut answers)?;
    let mut server = describe(&answers.next()?)?;
    let (grants, count) = (answers.next(), answers.next());
    // The count is a remark in the plan: a server that refuses it is still backed up.
    let grants = grants.map(|rows| Grants::read(&rows));
    server.has_backup_admin = server.flavour != Flavour::MariaDb
        && grants.as_ref().is_ok_and(|grants| grants.hold(&["BACKUP_ADMIN"]) == Holds::Yes);
    server.non_transactional_tables = match (grants, count) {
        (Ok(grants), Ok(count)) if grants.show_all_tables() => Some(count.number(NON_TRANSACTIONAL)?),
        (Err(DatabaseError::Server { .. }) | Ok(_), Err(DatabaseError::Server { .. }) | Ok(_)) => None,
        (Err(error), _) | (_, Err(error)) => return Err(error),
    };
    ask_as_what_it_is(session, &mut server, deadline).await?;
    Ok(server)
}

/// What each product is asked in its own words.
async fn ask_as_what_it_is(
    session: &mut dyn Database,
    server: &mut Server,
    deadline: Duration,
) -> Result<(), DatabaseError> {
    let mut batch = vec![data_paths::of_tables(server, deadline)];
    batch.extend(where_replication_stands(server, deadline));
    batch.extend(where_galera_stands(server, deadline));
    let mut answers = session.batch(&batch).await;
    let (directories, all) = data_paths::read_tables(server, answers.next())?;
    server.other_data_directories.extend(directories);
    server.other_data_directories =
        data_paths::deduplicated(&server.datadir, std::mem::take(&mut server.other_data_directories));
    server.table_directories_seen = Some(all);
    server.replicates = read_replicates(server, &mut answers)?;
    if server.galera {
        server.wsrep_cluster = read_galera(&mut answers)?.map(|state| state.cluster_uuid);
    }
    Ok(())
}

fn variables() -> String {
    format!("SHOW GLOBAL VARIABLES WHERE Variable_name IN ({VARIABLES}, {})", data_paths::VARIABLES)
}

fn describe(variables: &Rows) -> Result<Server, DatabaseError> {
    let variables = Variables(variables);
    let odd =
        |detail: String| DatabaseError::UnexpectedReply { statement: Statement::new("SHOW GLOBAL VARIABLES"), detail };

    let version_text = variables.get("version").ok_or_else(|| odd("no version among the variables".to_owned()))?;
    let version =
        Version::parse(version_text).ok_or_else(|| odd(format!("`{}` is no version", Statement::new(version_text))))?;
    let comment = variables.get("version_comment").unwrap_or_default();
    let says = |word: &str| [version_text, comment].iter().any(|text| text.to_ascii_lowercase().contains(word));
    let flavour = match () {
        () if says("mariadb") => Flavour::MariaDb,
        () if says("percona") => Flavour::Percona,
        () => Flavour::MySql,
    };
    let datadir = variables.get("datadir").ok_or_else(|| odd("no datadir among the variables".to_owned()))?;
    let datadir = PathBuf::from(datadir);
    let applies_in_parallel = variables.number("slave_parallel_threads").is_some_and(|threads| threads > 0);

    Ok(Server {
        flavour,
        version,
        version_text: format!("{version_text} {comment}").trim_end().to_owned(),
        hostname: variables.owned("hostname").unwrap_or_default(),
        other_data_directories: data_paths::of_variables(&datadir, &variables),
        datadir,
        log_bin: variables.is_on("log_bin"),
        gtid_mode: variables.owned("gtid_mode"),
        read_only: variables.is_on("read_only") || variables.is_on("super_read_only"),
        galera: variables.is_on("wsrep_on"),
        has_percona_backup_locks: variables.is_on("have_backup_locks"),
        has_backup_admin: false,
        non_transactional_tables: None,
        innodb_flush_log_at_trx_commit: variables
            .number("innodb_flush_log_at_trx_commit")
            .and_then(|value| value.try_into().ok()),
        sync_binlog: variables.number("sync_binlog"),
        innodb_doublewrite: variables.owned("innodb_doublewrite"),
        server_uuid: variables.owned("server_uuid"),
        log_bin_basename: variables.get("log_bin_basename").map(PathBuf::from),
        log_bin_index: variables.get("log_bin_index").map(PathBuf::from),
        table_directories_seen: None,
        slave_parallel_mode: variables.owned("slave_parallel_mode").filter(|_| applies_in_parallel),
        replicates: None,
        wsrep_cluster: None,
        replication_group: variables.owned("group_replication_group_name").filter(|name| !name.is_empty()),
    })
}
