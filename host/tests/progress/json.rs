//! `--progress json`.

use serde_json::Value;
use stillpoint::cli::voice::Progress;
use stillpoint::run::event::Event;
use tracing::Level;

use crate::played::{PIPE, Played, documents};

fn told(level: Level) -> Vec<Value> {
    let text = Played::whole(Progress::Json, PIPE, level, 80).text();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn count(documents: &[Value], event: &str) -> usize {
    documents.iter().filter(|document| document["event"] == event).count()
}

#[test]
fn every_event_is_a_document_a_line_and_reads_back() {
    let (told, heard) = (told(Level::INFO), documents());
    for event in ["step", "note", "copy", "cow"] {
        assert_eq!(count(&told, event), count(&heard, event), "{event}");
    }
    assert_eq!(told.len(), heard.len());
    for (told, heard) in told.iter().zip(&heard) {
        assert!(told["at"].is_string(), "{told}");
        let read = |document: &Value| serde_json::from_value::<Event>(document.clone()).unwrap();
        assert_eq!(read(told), read(heard));
    }
}

#[test]
fn quiet_leaves_warnings() {
    let told = told(Level::WARN);
    assert_eq!((told.len(), count(&told, "note")), (1, 1), "{told:?}");
}

#[test]
fn the_documents_of_the_manual_are_what_is_said() {
    let manual = include_str!("../../../docs/progress.md");
    let examples: Vec<Value> =
        manual.lines().filter(|line| line.starts_with('{')).map(|line| serde_json::from_str(line).unwrap()).collect();
    let told = documents();
    for example in examples.iter().filter(|example| example["event"] != "log") {
        let event: Event = serde_json::from_value(example.clone()).unwrap();
        let mut written = serde_json::to_value(&event).unwrap();
        written["at"] = example["at"].clone();
        assert_eq!(&written, example);
    }
    for fact in told.iter().filter_map(|document| document["detail"]["fact"].as_str()) {
        assert!(manual.contains(&format!("| `{fact}` |")), "{fact} is not in the manual");
    }
}
