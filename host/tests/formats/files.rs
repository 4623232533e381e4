//! Where the recorded documents are: `fixtures/formats/first` as the program wrote them before formats had versions of their
//! own, `fixtures/formats/present` as it writes them now. `fixtures/formats/record` makes the latter.

use std::path::{Path, PathBuf};

use serde_json::Value;

/// A folder of this repository.
pub fn repository(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(folder)
}

pub fn first(name: &str) -> String {
    text("fixtures/formats/first", name)
}

pub fn present(name: &str) -> String {
    text("fixtures/formats/present", name)
}

pub fn text(folder: &str, name: &str) -> String {
    let path = repository(folder).join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

pub const RECEIPTS: [&str; 2] = ["receipt.json", "receipt-weak.json"];
pub const RUN_LOGS: [&str; 3] = ["run-good.jsonl", "run-failed.jsonl", "run-cut-off.jsonl"];
