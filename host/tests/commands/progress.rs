//! `--progress json` where a run does not even begin.

use serde_json::Value;

use crate::started::stillpoint;

#[test]
fn with_progress_json_a_failure_is_a_document_on_stderr_and_nothing_else_is() {
    let nothing_to_do = ["backup", "--config", "/dev/null", "--progress", "json"];
    let output = stillpoint().args(nothing_to_do).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    let failure: Value = serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"));
    assert_eq!((&failure["event"], &failure["error"]["kind"]), (&"failure".into(), &"usage".into()));
    assert_eq!((output.status.code(), &*output.stdout), (Some(2), &b""[..]));
}
