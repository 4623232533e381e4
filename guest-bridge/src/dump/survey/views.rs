//! Views at which the client would stop: with one of them in the guest there is never a whole dump.

use std::time::Duration;

use super::{
    DumpSurvey,
    within::{in_schemas, names},
};
use crate::database::{Database, DatabaseError, Rows, Statement, Timed, server::Flavour};
use crate::dump::{TableName, Wanted};

/// A view that cannot be dumped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokenView {
    /// Which one.
    pub view: TableName,
    /// What the server says is wrong with it.
    pub problem: String,
}

/// Views in one round trip: through the agent each is a program.
const BATCH: usize = 25;

pub(super) async fn broken(
    session: &mut dyn Database,
    flavour: Flavour,
    wanted: &Wanted,
    deadline: Duration,
) -> Result<(Vec<BrokenView>, u64), DatabaseError> {
    let schemas = in_schemas(wanted);
    match flavour {
        // The server looks at each view to answer this.
        Flavour::MySql | Flavour::Percona => {
            let statement = format!(
                "SELECT TABLE_SCHEMA AS table_schema, TABLE_NAME AS table_name, TABLE_COMMENT AS problem FROM information_schema.TABLES \
                 WHERE TABLE_TYPE = 'VIEW' AND TABLE_COMMENT LIKE '%invalid%' AND {schemas} LIMIT {}",
                DumpSurvey::VIEWS_MAX
            );
            let rows = session.query(&statement, deadline).await?;
            let problem = |row| Statement::new(rows.get(row, "problem").unwrap_or_default()).to_string();
            let views = names(&rows).into_iter().enumerate();
            Ok((views.map(|(row, view)| BrokenView { view, problem: problem(row) }).collect(), 0))
        }
        // MariaDB's says it of some only; its CHECK TABLE, of all.
        Flavour::MariaDb => {
            let statement = format!(
                "SELECT TABLE_SCHEMA AS table_schema, TABLE_NAME AS table_name FROM information_schema.TABLES \
                 WHERE TABLE_TYPE = 'VIEW' AND {schemas} LIMIT {}",
                DumpSurvey::VIEWS_MAX * 10
            );
            let views = names(&session.query(&statement, deadline).await?);
            check_each(session, &views, deadline).await
        }
    }
}

async fn check_each(
    session: &mut dyn Database,
    views: &[TableName],
    deadline: Duration,
) -> Result<(Vec<BrokenView>, u64), DatabaseError> {
    // What is no statement in one line cannot be asked through every session.
    let askable = |view: &&TableName| !view.quoted().contains([';', '\n', '\r', '\0', char::REPLACEMENT_CHARACTER]);
    let asked: Vec<&TableName> = views.iter().filter(askable).take(DumpSurvey::VIEWS_MAX).collect();
    let mut broken = Vec::new();
    for some in asked.chunks(BATCH) {
        let batch: Vec<Timed> =
            some.iter().map(|view| Timed::new(format!("CHECK TABLE {}", view.quoted()), deadline)).collect();
        let mut answers = session.batch(&batch).await;
        for view in some {
            let problem = match answers.next() {
                Ok(rows) => problem(&rows),
                // It is gone by now, or this account may not look at it: then it may not dump it, either.
                Err(DatabaseError::Server { message, .. }) => Some(message.to_string()),
                Err(error) => return Err(error),
            };
            broken.extend(problem.map(|problem| BrokenView { view: (*view).clone(), problem }));
        }
    }
    Ok((broken, (views.len() - asked.len()) as u64))
}

fn problem(rows: &Rows) -> Option<String> {
    let is_error = |row: &usize| rows.get(*row, "Msg_type").is_some_and(|kind| kind.eq_ignore_ascii_case("error"));
    let row = (0..rows.rows.len()).find(is_error)?;
    Some(Statement::new(rows.get(row, "Msg_text").unwrap_or("it is broken")).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        call_log::CallLog,
        database::scripted::{ScriptedDatabase, expect},
    };

    const SOON: Duration = Duration::from_secs(1);
    const COLUMNS: [&str; 4] = ["Table", "Op", "Msg_type", "Msg_text"];

    #[tokio::test]
    async fn on_mariadb_each_view_is_checked_and_what_refuses_is_broken() {
        let fine = [Some("shop.a"), Some("check"), Some("status"), Some("OK")];
        let gone = [Some("shop.b"), Some("check"), Some("Error"), Some("Table 'shop.x' doesn't exist")];
        let names = [
            [Some("shop"), Some("a")],
            [Some("shop"), Some("b")],
            [Some("shop"), Some("c;d")],
            [Some("shop"), Some("e")],
        ];
        let script = [
            expect("SELECT TABLE_SCHEMA")
                .returns(&["table_schema", "table_name"], &names.each_ref().map(|row| &row[..])),
            expect("CHECK TABLE `shop`.`a`").returns(&COLUMNS, &[&fine]),
            expect("CHECK TABLE `shop`.`b`").returns(&COLUMNS, &[&gone]),
            expect("CHECK TABLE `shop`.`e`").refuses(1142, "SELECT command denied"),
        ];
        let mut session = ScriptedDatabase::new(CallLog::new(), script);
        let (broken, unchecked) = broken(&mut session, Flavour::MariaDb, &Wanted::Everything, SOON).await.unwrap();
        let said: Vec<_> = broken.iter().map(|broken| (broken.view.table.as_str(), broken.problem.as_str())).collect();
        assert_eq!(said, [("b", "Table 'shop.x' doesn't exist"), ("e", "SELECT command denied")]);
        assert_eq!(unchecked, 1, "the name with a semicolon");
    }

    #[tokio::test]
    async fn a_session_that_is_lost_is_no_broken_view() {
        let script = [
            expect("SELECT TABLE_SCHEMA").returns(&["table_schema", "table_name"], &[&[Some("shop"), Some("a")]]),
            expect("CHECK TABLE `shop`.`a`").loses_session(),
        ];
        let mut session = ScriptedDatabase::new(CallLog::new(), script);
        let lost = broken(&mut session, Flavour::MariaDb, &Wanted::Everything, SOON).await;
        assert!(matches!(lost, Err(DatabaseError::Lost { .. })));
    }
}
