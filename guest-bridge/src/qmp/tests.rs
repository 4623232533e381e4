//! Against a peer that says by the script what QEMU would, and what it would not.

use std::{path::PathBuf, time::Duration};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::UnixListener,
};

use super::{Qmp, QmpError};

const SOON: Duration = Duration::from_secs(10);
const GREETING: &str = r#"{"QMP": {"version": {}, "capabilities": []}}"#;

/// Greets, and answers each command with the next of `answers`, in which `ID` is that of the command. `_` for nothing.
fn peer(greeting: &'static str, answers: &'static [&'static str]) -> (PathBuf, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("qmp");
    let listener = UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let (reads, mut writes) = stream.into_split();
        writes.write_all(format!("{greeting}\r\n").as_bytes()).await.ok();
        let mut lines = BufReader::new(reads).lines();
        for answer in [r#"{"return": {}, "id": ID}"#].iter().chain(answers) {
            let Ok(Some(line)) = lines.next_line().await else { return };
            let id = serde_json::from_str::<Value>(&line).unwrap()["id"].to_string();
            writes.write_all(format!("{}\r\n", answer.replace("ID", &id)).as_bytes()).await.ok();
        }
        // Open until the client has gone.
        lines.next_line().await.ok();
    });
    (path, folder)
}

async fn execute(answers: &'static [&'static str]) -> Result<Value, QmpError> {
    execute_within(answers, SOON).await
}

async fn execute_within(answers: &'static [&'static str], deadline: Duration) -> Result<Value, QmpError> {
    let (path, _folder) = peer(GREETING, answers);
    let mut qmp = Qmp::connect(&path, SOON).await.unwrap();
    qmp.execute("query-status", json!({}), deadline).await
}

#[tokio::test]
async fn an_answer_is_found_among_events_and_answers_to_others() {
    let answer =
        "{\"event\": \"RESUME\", \"timestamp\": {}}\n{\"return\": 1, \"id\": 77}\n{\"return\": {\"a\": 2}, \"id\": ID}";
    let answers: &'static [&'static str] = Box::leak(Box::new([&*answer.to_owned().leak()]));
    assert_eq!(execute(answers).await.unwrap(), json!({"a": 2}));
}

#[tokio::test]
async fn a_refusal_is_told_in_qemus_words() {
    let error = execute(&[r#"{"error": {"class": "GenericError", "desc": "Chardev 'c1' is busy"}, "id": ID}"#]).await;
    assert!(matches!(error, Err(QmpError::Refused { desc, .. }) if desc == "Chardev 'c1' is busy"));
}

#[tokio::test]
async fn what_is_no_answer_is_not_taken_for_one() {
    assert!(matches!(execute(&["what"]).await, Err(QmpError::Unexpected { .. })));
    assert!(matches!(execute(&[r#"{"id": ID}"#]).await, Err(QmpError::Unexpected { .. })));
    assert!(matches!(
        execute_within(&[r#"{"return": {}}"#], Duration::from_millis(100)).await,
        Err(QmpError::Timeout { .. })
    ));
}

#[tokio::test]
async fn a_line_without_an_end_is_bounded() {
    let long: &'static str = "x".repeat(2 << 20).leak();
    let answers: &'static [&'static str] = Box::leak(Box::new([long]));
    assert!(
        matches!(execute(answers).await, Err(QmpError::Lost { source, .. }) if source.to_string().contains("longer"))
    );
}

#[tokio::test]
async fn a_peer_that_is_not_qemu_or_serves_another_is_named() {
    let (path, _folder) = peer("220 mail ready", &[]);
    assert!(matches!(Qmp::connect(&path, SOON).await, Err(QmpError::NotQmp { .. })));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("qmp");
    let _listener = UnixListener::bind(&path).unwrap();
    let error = Qmp::connect(&path, Duration::from_millis(100)).await.err().unwrap();
    assert!(matches!(error, QmpError::NoGreeting { .. }) && error.hint().unwrap().contains("libvirt"));
    let error = Qmp::connect(&folder.path().join("none"), SOON).await.err().unwrap();
    assert!(matches!(error, QmpError::Connect { .. }));
}

#[tokio::test]
async fn an_event_is_found_also_where_it_came_first() {
    let both = "{\"event\": \"DEVICE_DELETED\", \"data\": {\"device\": \"p1\"}}\n{\"return\": {}, \"id\": ID}";
    let answers: &'static [&'static str] = Box::leak(Box::new([&*both.to_owned().leak()]));
    let (path, _folder) = peer(GREETING, answers);
    let mut qmp = Qmp::connect(&path, SOON).await.unwrap();
    qmp.execute("device_del", json!({"id": "p1"}), SOON).await.unwrap();
    let of = |device: &'static str| move |data: &Value| data["device"] == device;
    let late = qmp.event("DEVICE_DELETED", of("p2"), Duration::from_millis(50)).await;
    assert!(matches!(late, Err(QmpError::Timeout { .. })));
    qmp.event("DEVICE_DELETED", of("p1"), SOON).await.unwrap();
}
