//! Reading a log of a run that died by any means, and what is none.

use std::path::{Path, PathBuf};

use stillpoint::run::record::{RecordError, RunRecord};

fn recorded(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/formats").join(name)).unwrap()
}

fn read(text: &[u8]) -> Result<RunRecord, RecordError> {
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join("x.jsonl");
    std::fs::write(&path, text).unwrap();
    RunRecord::read(&path)
}

#[test]
fn a_log_that_ends_at_any_byte_says_what_its_whole_lines_say() {
    for log in ["first/run-good.jsonl", "present/run-good.jsonl"] {
        let text = recorded(log);
        let whole = read(&text).unwrap();
        let first_line = text.iter().position(|&byte| byte == b'\n').unwrap() + 1;
        for length in 0..text.len() {
            let cut = &text[..length];
            if length < first_line {
                let error = read(cut).unwrap_err().to_string();
                assert!(error.ends_with("line 1: it has no first line"), "{length}: {error}");
                continue;
            }
            let record = read(cut).unwrap();
            let lines = cut.iter().filter(|&&byte| byte == b'\n').count();
            assert_eq!(record.begun, whole.begun, "{log} {length}");
            assert_eq!(record.entries, whole.entries[..lines - 1], "{log} {length}");
            assert_eq!(record.torn, cut.last() != Some(&b'\n'), "{log} {length}");
        }
    }
}

#[test]
fn a_torn_line_frees_nothing() {
    let text = recorded("present/run-failed.jsonl");
    let text = std::str::from_utf8(&text).unwrap();
    let closing = text.rfind(r#"{"at""#).unwrap();
    let record = read(&text.as_bytes()[..closing + 90]).unwrap();
    assert!(record.torn && !record.is_closed());
    // The files went with their guards, unsaid; who recovers looks.
    assert_eq!(record.held().len(), 7);
}

/// After a power loss a file may be as long as it was and end in zeros.
#[test]
fn zeros_behind_the_last_line_are_a_torn_line() {
    let mut text = recorded("present/run-cut-off.jsonl");
    let held = read(&text).unwrap().held();
    text.extend([0; 4096]);
    let record = read(&text).unwrap();
    assert!(record.torn);
    assert_eq!(record.held(), held);
}

#[test]
fn a_log_that_is_damaged_in_the_middle_is_refused_by_its_line() {
    let text = String::from_utf8(recorded("present/run-good.jsonl")).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let deep = format!(r#"{{"at":{}"#, "[".repeat(100_000));
    for bad in ["\0", "nonsense", "{}", "[]", "null", &lines[2][..40], &deep] {
        let damaged = [&lines[..2], &[bad], &lines[3..]].concat().join("\n") + "\n";
        let error = read(damaged.as_bytes()).unwrap_err();
        assert!(matches!(error, RecordError::Line { line: 3, .. }), "{error}");
    }
    let not_utf8 = [text.lines().next().unwrap().as_bytes(), b"\n{\"at\":\"\xff\"}\n"].concat();
    assert!(matches!(read(&not_utf8).unwrap_err(), RecordError::Line { line: 2, .. }));
}

#[test]
fn a_first_line_that_does_not_say_who_runs_is_refused() {
    let done = r#"{"at":"","elapsed_ms":0,"format":2,"mark":"done","step":"lock"}"#;
    for first in ["{}", "null", "[]", "7", "\0", r#"{"format":2}"#, r#"{"format":-1}"#, r#"{"format":2.5}"#, done] {
        let error = read(format!("{first}\n").as_bytes()).unwrap_err();
        assert!(matches!(error, RecordError::Line { line: 1, .. }), "{first}: {error}");
    }
}

#[test]
fn names_that_lvm_or_a_run_cannot_have_are_refused() {
    let text = String::from_utf8(recorded("present/run-cut-off.jsonl")).unwrap();
    for (name, bad) in [
        ("vg/stillpoint-20261121t195923z4f1a09c2d7e3-0", "vg/../../etc"),
        ("vg/stillpoint-20261121t195923z4f1a09c2d7e3-0", "-f/x"),
        (r#""run":"20261121t195923z4f1a09c2d7e3""#, r#""run":"../x""#),
    ] {
        assert!(text.contains(name));
        read(text.replacen(name, bad, 1).as_bytes()).unwrap_err();
    }
}

#[test]
fn what_is_longer_than_any_log_is_not_read_to_its_end() {
    let line = recorded("present/run-good.jsonl");
    let long = line.repeat((5 << 20) / line.len());
    assert!(matches!(read(&long).unwrap_err(), RecordError::TooLong { .. }));
    assert!(matches!(RunRecord::read(Path::new("/dev/zero")).unwrap_err(), RecordError::TooLong { .. }));
}

#[test]
fn a_log_that_is_not_there_or_a_folder_cannot_be_read() {
    for path in ["/nowhere/x.jsonl", "/proc"] {
        assert!(matches!(RunRecord::read(Path::new(path)).unwrap_err(), RecordError::Read { .. }), "{path}");
    }
}
