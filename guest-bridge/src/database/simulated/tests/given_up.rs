//! A lock that is given up while it is taken.

use std::time::Duration;

use super::{SOON, TERMS, described};
use crate::{
    call_log::CallLog,
    database::{
        lock::{LockTerms, TablesLock},
        lock_method::{LockMethod, LockWish},
        scripted::Outcome,
        simulated::SimulatedMariaDb,
    },
};

#[tokio::test]
async fn a_lock_that_is_given_up_while_it_is_waited_for_has_closed_its_session() {
    let log = CallLog::new();
    let server = SimulatedMariaDb::new(log.clone());
    let description = described(&server).await;
    let server = server.fails_at("BACKUP STAGE BLOCK_COMMIT", Outcome::Hangs);
    let asked = async {
        while !log.entries().iter().any(|entry| entry.contains("BLOCK_COMMIT")) {
            tokio::task::yield_now().await;
        }
    };
    let patient = LockTerms { lock_deadline: Duration::from_secs(3600), ..TERMS };
    let choice = LockMethod::choose(&description, LockWish::Auto);
    assert!(TablesLock::take_unless(&server.opener(), &choice, &description, &patient, asked).await.unwrap().is_none());
    assert_eq!(log.entries().last().map(String::as_str), Some("database: close"));
    assert!(!server.is_locked());
}

#[tokio::test]
async fn a_lock_that_is_given_up_leaves_the_setting_as_it_was() {
    let log = CallLog::new();
    let server = SimulatedMariaDb::new(log.clone()).with_flush_log_at_trx_commit(0);
    let description = described(&server).await;
    let server = server.fails_at("FLUSH LOCAL", Outcome::Hangs);
    let asked = async {
        while !log.entries().iter().any(|entry| entry.contains("FLUSH LOCAL")) {
            tokio::task::yield_now().await;
        }
    };
    let patient = LockTerms { statement_deadline: Duration::from_secs(3600), ..TERMS };
    let choice = LockMethod::choose(&description, LockWish::Auto);
    let taken = TablesLock::take_unless(&server.opener(), &choice, &description, &patient, asked).await.unwrap();
    assert!(taken.is_none());
    assert_eq!((server.is_locked(), server.flush_log_at_trx_commit()), (false, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_nobody_waits_for_any_more_leaves_the_setting_as_it_was() {
    let server = SimulatedMariaDb::new(CallLog::new()).with_flush_log_at_trx_commit(0);
    let description = described(&server).await;
    let server = server.fails_at("FLUSH LOCAL", Outcome::Hangs);
    let patient = LockTerms { statement_deadline: Duration::from_secs(3600), ..TERMS };
    let open = server.opener();
    let taking = TablesLock::take(&open, &description, &patient);
    assert!(tokio::time::timeout(SOON, taking).await.is_err());
    assert_eq!((server.is_locked(), server.flush_log_at_trx_commit()), (false, 0));
}
