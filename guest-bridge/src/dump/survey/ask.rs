//! Asking for it, through any session.

use std::time::Duration;

use super::{
    DumpSurvey, privileges, tablespaces, views,
    within::{in_schemas, names},
};
use crate::database::{
    Answers, Database, DatabaseError, Rows, Timed, bounds,
    grants::{Grants, SHOW_GRANTS},
    server::{Flavour, Server},
};
use crate::dump::Wanted;

const WHO_AM_I: &str = "SELECT CURRENT_USER()";

/// Whose rows are not in a snapshot of InnoDB's. `MEMORY` too: its rows are dumped.
const NON_TRANSACTIONAL: &str =
    "ENGINE IN ('MyISAM', 'Aria', 'MRG_MyISAM', 'ARCHIVE', 'CSV', 'MEMORY') AND TABLE_TYPE <> 'VIEW'";

/// By name: no two products have all of them.
const VARIABLES: &str = "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('sql_select_limit', 'net_write_timeout')";
/// What it is where nobody has set it.
const NO_LIMIT: u64 = u64::MAX;

/// The ranges of who registers them: <https://dev.mysql.com/doc/refman/8.4/en/create-spatial-reference-system.html>.
const SPATIAL: &str = "SELECT COUNT(*) AS n FROM information_schema.ST_SPATIAL_REFERENCE_SYSTEMS WHERE SRS_ID NOT BETWEEN 0 AND 32767 \
     AND SRS_ID NOT BETWEEN 60000000 AND 69999999 AND SRS_ID NOT BETWEEN 2000000000 AND 2147483647";

/// Looks at what a dump of `wanted` would meet. Sizes and engines of all its tables are asked for, which takes the server a while where there
/// are many; nothing is locked.
///
/// # Errors
/// Those of the session. What the account may not see is said in what is returned.
pub async fn survey(
    session: &mut dyn Database,
    server: &Server,
    wanted: &Wanted,
    deadline: Duration,
) -> Result<DumpSurvey, DatabaseError> {
    let schemas = in_schemas(wanted);
    let mut batch: Vec<Timed> = bounds::unbounded(deadline).collect();
    let is_mariadb = server.flavour == Flavour::MariaDb;
    let mut statements = vec![
        VARIABLES.to_owned(),
        WHO_AM_I.to_owned(),
        SHOW_GRANTS.to_owned(),
        format!(
            "SELECT TABLE_SCHEMA AS table_schema, TABLE_NAME AS table_name FROM information_schema.TABLES \
             WHERE {NON_TRANSACTIONAL} AND {schemas} ORDER BY TABLE_SCHEMA, TABLE_NAME LIMIT {}",
            DumpSurvey::NAMES_MAX
        ),
        format!("SELECT COUNT(*) AS n FROM information_schema.TABLES WHERE {NON_TRANSACTIONAL} AND {schemas}"),
        format!("SELECT SUM(DATA_LENGTH) AS n FROM information_schema.TABLES WHERE {schemas}"),
    ];
    match is_mariadb {
        true => statements.push(format!(
            "SELECT COUNT(*) AS n FROM information_schema.TABLES WHERE TABLE_TYPE = 'SYSTEM VERSIONED' AND {schemas}"
        )),
        false => statements.extend([tablespaces::TABLESPACES.to_owned(), SPATIAL.to_owned()]),
    }
    batch.extend(statements.into_iter().map(|statement| Timed::new(statement, deadline)));
    let mut answers = session.batch(&batch).await;
    bounds::read_unbounded(&mut answers)?;

    let mut found = DumpSurvey::default();
    let variables = answers.next()?;
    found.row_limit = variable(&variables, "sql_select_limit").filter(|limit| *limit != NO_LIMIT);
    found.net_write_timeout_s = variable(&variables, "net_write_timeout").filter(|_| is_mariadb);
    let account = answers.next()?.rows.pop().and_then(|mut row| row.pop()).flatten().unwrap_or_default();
    let grants = match answers.next() {
        Ok(rows) => Grants::read(&rows),
        // A server that checks no privileges.
        Err(DatabaseError::Server { .. }) => Grants::default(),
        Err(error) => return Err(error),
    };
    (found.missing_privileges, found.grant) = privileges::missing(server, wanted, &grants, &account);
    found.non_transactional = names(&answers.next()?);
    found.non_transactional_count = number(answers.next()?).unwrap_or(found.non_transactional.len() as u64);
    found.estimated_bytes = number(answers.next()?);
    match is_mariadb {
        true => found.versioned_tables = number(answers.next()?).unwrap_or(0),
        false => read_mysqls(&mut found, &mut answers)?,
    }
    (found.broken_views, found.unchecked_views) = views::broken(session, server.flavour, wanted, deadline).await?;
    Ok(found)
}

/// Before 8.0 these have other names or are not there, and PROCESS is needed to see them.
fn read_mysqls(found: &mut DumpSurvey, answers: &mut Answers) -> Result<(), DatabaseError> {
    match answers.next() {
        Ok(rows) => found.create_tablespaces = tablespaces::create(&rows),
        Err(DatabaseError::Server { .. }) => found.tablespaces_unseen = true,
        Err(error) => return Err(error),
    }
    match answers.next() {
        Ok(rows) => found.spatial_reference_systems = number(rows).unwrap_or(0),
        Err(DatabaseError::Server { .. }) => {}
        Err(error) => return Err(error),
    }
    Ok(())
}

fn variable(variables: &Rows, name: &str) -> Option<u64> {
    let is_it = |row: &usize| variables.get(*row, "Variable_name").is_some_and(|it| it.eq_ignore_ascii_case(name));
    let row = (0..variables.rows.len()).find(is_it)?;
    variables.get(row, "Value")?.parse().ok()
}

/// `None` is SQL's NULL, too: the sum of nothing. MySQL's sum is a decimal.
fn number(rows: Rows) -> Option<u64> {
    rows.get(0, "n")?.split('.').next()?.parse().ok()
}
