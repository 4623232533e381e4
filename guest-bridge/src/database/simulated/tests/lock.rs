//! Taking the lock, and giving it back.

use super::{TERMS, described, faults, statements_of_a_lock, unlock};
use crate::{
    call_log::CallLog,
    database::{
        DatabaseError, Rows,
        lock::{LockLost, TablesLock},
        scripted::Outcome,
        simulated::SimulatedMariaDb,
    },
};

#[tokio::test(start_paused = true)]
async fn whatever_statement_fails_nothing_stays_locked_or_changed() {
    for value in [0, 1] {
        let identifying = {
            let server = SimulatedMariaDb::new(CallLog::new());
            described(&server).await;
            server.statements()
        };
        for nth in identifying + 1..=identifying + 22 {
            for fault in faults() {
                let server = SimulatedMariaDb::new(CallLog::new()).with_flush_log_at_trx_commit(value);
                let description = described(&server).await;
                let server = server.fails_at_statement(nth, fault);
                if let Ok(lock) = TablesLock::take(&server.opener(), &description, &TERMS).await {
                    assert!(server.is_locked());
                    unlock(lock).await;
                }
                assert!(!server.is_locked(), "statement {nth}");
                assert_eq!(server.flush_log_at_trx_commit(), value, "statement {nth}");
            }
        }
    }
}

#[tokio::test]
async fn the_statements_of_a_lock_come_in_this_order() {
    let server = SimulatedMariaDb::new(CallLog::new());
    assert_eq!(
        statements_of_a_lock(&server).await,
        [
            "SET SESSION max_statement_time = 0",
            "SET SESSION max_execution_time = 0",
            "SET SESSION sql_select_limit = 18446744073709551615",
            "SET SESSION lock_wait_timeout = 1, SESSION wait_timeout = 1",
            "SELECT CONNECTION_ID()",
            "SELECT @@GLOBAL.innodb_flush_log_at_trx_commit",
            "SET @stillpoint_asked = NOW(6)",
            "BACKUP STAGE START",
            "BACKUP STAGE BLOCK_COMMIT",
            "SELECT TIMESTAMPDIFF(MICROSECOND, @stillpoint_asked, NOW(6))",
            "FLUSH LOCAL ENGINE LOGS",
            "SHOW MASTER STATUS",
            "SELECT @@GLOBAL.gtid_binlog_pos AS gtid",
            "SELECT CONNECTION_ID()",
            "BACKUP STAGE END",
            "close",
        ]
    );
}

#[tokio::test]
async fn the_writers_wait_for_two_round_trips_and_no_more() {
    let server = SimulatedMariaDb::new(CallLog::new());
    let description = described(&server).await;
    let before = server.round_trips();
    let lock = TablesLock::take(&server.opener(), &description, &TERMS).await.unwrap();
    // The first bounds the session, and nobody waits for it.
    assert_eq!(server.round_trips() - before, 2);
    unlock(lock).await.held.unwrap();
    assert_eq!(server.round_trips() - before, 3);
}

#[tokio::test]
async fn the_statement_that_the_lock_was_waited_for_at_is_named() {
    for (statement, code) in [("BACKUP STAGE START", 1205), ("BACKUP STAGE BLOCK_COMMIT", 1969)] {
        let server = SimulatedMariaDb::new(CallLog::new());
        let description = described(&server).await;
        let server = server.fails_at(statement, Outcome::Refuses(code, "too late".to_owned()));
        let error = TablesLock::take(&server.opener(), &description, &TERMS).await.err().unwrap();
        assert!(matches!(error, DatabaseError::LockNotGranted { .. }), "{error:?}");
        assert!(error.to_string().contains(statement), "{error}");
    }
}

#[tokio::test]
async fn a_lock_that_expired_is_not_held() {
    let server = SimulatedMariaDb::new(CallLog::new());
    let lock = TablesLock::take(&server.opener(), &described(&server).await, &TERMS).await.unwrap();
    server.expire_lock();
    assert!(matches!(unlock(lock).await.held, Err(LockLost::Session(_))));
}

#[tokio::test]
async fn a_session_that_reconnected_does_not_pass_for_a_held_lock() {
    let server = SimulatedMariaDb::new(CallLog::new());
    let lock = TablesLock::take(&server.opener(), &described(&server).await, &TERMS).await.unwrap();
    let another = Rows::of(&["CONNECTION_ID()"], &[&[Some("77")]]);
    server.clone().fails_at("SELECT CONNECTION_ID()", Outcome::Returns(another));
    assert!(matches!(unlock(lock).await.held, Err(LockLost::Reconnected { now: 77, .. })));
}
