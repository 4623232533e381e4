//! What is sent over the wire, and what comes of it, on this server.

mod engine_logs;
mod given_up;
mod lock;
mod standing;

use std::time::Duration;

use super::SimulatedMariaDb;
use crate::database::{
    engine_logs::EngineLogs,
    lock::{LetGo, LockTerms, TablesLock},
    scripted::Outcome,
    server::{Server, identify},
};

const SOON: Duration = Duration::from_millis(200);
const TERMS: LockTerms = LockTerms { lock_deadline: SOON, expiry: SOON, statement_deadline: SOON };

async fn described(server: &SimulatedMariaDb) -> Server {
    identify(&mut *server.opener()(SOON).await.unwrap(), SOON).await.unwrap()
}

async fn unlock(mut lock: TablesLock) -> LetGo {
    let ended = lock.let_go(SOON).await;
    lock.close().await;
    ended
}

fn faults() -> [Outcome; 3] {
    [Outcome::Refuses(1205, "late".to_owned()), Outcome::Hangs, Outcome::LosesSession]
}

/// What is sent once `server` is known.
async fn statements_of_a_lock(server: &SimulatedMariaDb) -> Vec<String> {
    let description = described(server).await;
    let before = server.log.entries().len();
    let lock = TablesLock::take(&server.opener(), &description, &TERMS).await.unwrap();
    assert_eq!(*lock.engine_logs(), EngineLogs::Flushed);
    assert_eq!(lock.coordinates().map(|it| (it.position, it.gtid.as_deref())), Some((1423, Some("0-1-7"))));
    unlock(lock).await.held.unwrap();
    server.log.entries()[before..].iter().map(|entry| entry.replace("database: ", "")).collect()
}
