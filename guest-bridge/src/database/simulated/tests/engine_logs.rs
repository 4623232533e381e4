//! The engines' logs, under the lock.

use super::{TERMS, described, faults, statements_of_a_lock, unlock};
use crate::{
    call_log::CallLog,
    database::{
        DatabaseError, engine_logs::EngineLogs, lock::TablesLock, scripted::Outcome, simulated::SimulatedMariaDb,
    },
};

#[tokio::test]
async fn a_log_that_is_not_flushed_at_0_is_flushed_at_1_and_the_setting_is_0_again_before_the_unlock() {
    let server = SimulatedMariaDb::new(CallLog::new()).with_flush_log_at_trx_commit(0);
    let statements = statements_of_a_lock(&server).await;
    let lock = statements.iter().position(|it| it == "BACKUP STAGE BLOCK_COMMIT").unwrap();
    assert_eq!(
        statements[lock + 2..lock + 6],
        [
            "SET GLOBAL innodb_flush_log_at_trx_commit = 1",
            "FLUSH LOCAL ENGINE LOGS",
            "SET GLOBAL innodb_flush_log_at_trx_commit = 0",
            "SHOW MASTER STATUS",
        ]
    );
    assert_eq!(server.flush_log_at_trx_commit(), 0);
}

#[tokio::test]
async fn engine_logs_that_the_server_refuses_to_flush_are_a_reason_and_no_failure() {
    let refused = || Outcome::Refuses(1227, "Access denied; you need RELOAD".to_owned());
    for (value, statement) in [
        (1, "FLUSH LOCAL ENGINE LOGS"),
        (0, "FLUSH LOCAL ENGINE LOGS"),
        (0, "SET GLOBAL innodb_flush_log_at_trx_commit = 1"),
    ] {
        let server = SimulatedMariaDb::new(CallLog::new()).with_flush_log_at_trx_commit(value);
        let description = described(&server).await;
        let server = server.fails_at(statement, refused());
        let lock = TablesLock::take(&server.opener(), &description, &TERMS).await.unwrap();
        let EngineLogs::NotFlushed { reason } = lock.engine_logs() else { panic!("{statement}") };
        for word in ["MariaDB 10.11.19", &format!("innodb_flush_log_at_trx_commit = {value}"), statement, "RELOAD"] {
            assert!(reason.contains(word), "{reason}");
        }
        assert!(lock.coordinates().is_some());
        unlock(lock).await.held.unwrap();
        assert_eq!(server.flush_log_at_trx_commit(), value);
    }
}

#[tokio::test]
async fn a_setting_that_cannot_be_put_back_is_said_with_the_statement_that_does_it() {
    for (first, second) in [(faults()[0].clone(), faults()[1].clone()), (faults()[2].clone(), faults()[0].clone())] {
        let server = SimulatedMariaDb::new(CallLog::new()).with_flush_log_at_trx_commit(0);
        let description = described(&server).await;
        let put_back = "SET GLOBAL innodb_flush_log_at_trx_commit = 0";
        let server = server.fails_at(put_back, first).fails_at(put_back, second);
        let error = TablesLock::take(&server.opener(), &description, &TERMS).await.err().unwrap();
        assert!(matches!(&error, DatabaseError::NotPutBack { statement, .. } if statement == put_back), "{error:?}");
        assert!(error.to_string().contains(put_back), "{error}");
        assert!(!server.is_locked());
    }
}

#[tokio::test]
async fn engine_logs_that_take_too_long_are_no_lock_that_was_not_granted() {
    let server = SimulatedMariaDb::new(CallLog::new());
    let description = described(&server).await;
    let server = server.fails_at("FLUSH LOCAL", Outcome::Hangs);
    let error = TablesLock::take(&server.opener(), &description, &TERMS).await.err().unwrap();
    assert!(
        matches!(&error, DatabaseError::TimedOut { statement, .. } if statement.to_string().contains("FLUSH LOCAL"))
    );
}
