//! Run logs, of today and of the first format.

use std::path::PathBuf;

use lvm::LvName;
use serde_json::Value;
use stillpoint::run::entry::{Entry, Fact, Mark};
use stillpoint::run::held::Held;
use stillpoint::run::record::{RecordError, RunRecord};
use stillpoint::step::Step;

use crate::files::{RUN_LOGS, first, present, repository, value};
use crate::json::with_names_added;

fn record(folder: &str, name: &str) -> RunRecord {
    RunRecord::read(&repository("fixtures/formats").join(folder).join(name)).unwrap()
}

/// A log with this text, read.
fn read(text: &str) -> Result<RunRecord, RecordError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.jsonl");
    std::fs::write(&path, text).unwrap();
    RunRecord::read(&path)
}

fn cow(run: &str, number: usize, origin: &str) -> Held {
    Held::Cow { volume: format!("vg/stillpoint-{run}-{number}").parse().unwrap(), origin: origin.parse().unwrap() }
}

fn kinds(held: &[Held]) -> Vec<&'static str> {
    let kind = |held: &Held| match held {
        Held::Partial { .. } => "partial",
        Held::Cow { .. } => "cow",
        Held::Lock { .. } => "lock",
        Held::Markers { .. } => "markers",
        Held::Watchdog { .. } => "watchdog",
        Held::Frozen { .. } => "frozen",
        _ => "another",
    };
    held.iter().map(kind).collect()
}

#[test]
fn a_line_of_the_present_format_is_written_again_in_the_same_bytes() {
    for name in RUN_LOGS {
        for line in present(name).lines() {
            let entry: Entry = serde_json::from_str(line).unwrap();
            assert_eq!(serde_json::to_string(&entry).unwrap(), line, "{name}");
        }
    }
}

#[test]
fn names_may_be_added_to_any_line() {
    for name in RUN_LOGS {
        let newer: String =
            present(name).lines().map(|line| with_names_added(&value(line)).to_string() + "\n").collect();
        assert_eq!(read(&newer).unwrap(), record("present", name), "{name}");
    }
}

#[test]
fn a_newer_programs_steps_and_facts_are_unknown_and_keep_nothing_from_being_read() {
    let newer = present("run-good.jsonl")
        .replace(r#""step":"evidence""#, r#""step":"verify""#)
        .replace(r#""fact":"copied""#, r#""fact":"streamed""#);
    let read = read(&newer).unwrap();
    let unknown = |entry: &&Entry| matches!(entry.mark, Mark::Done { step: Step::Unknown, .. });
    assert_eq!(read.entries.iter().filter(unknown).count(), 1);
    let streamed = |entry: &&Entry| matches!(entry.mark, Mark::Done { detail: Some(Fact::Unknown), .. });
    assert_eq!(read.entries.iter().filter(streamed).count(), 1);
}

#[test]
fn what_a_newer_program_holds_is_not_passed_over() {
    let newer = present("run-cut-off.jsonl").replace(r#""held":"frozen""#, r#""held":"port""#);
    let error = read(&newer).unwrap_err().to_string();
    assert!(error.contains("port"), "{error}");
}

#[test]
fn a_log_of_a_newer_format_is_refused_by_name() {
    for (format, why) in [(0, "there is no format 0"), (3, "format 3 is newer than this program")] {
        let newer = present("run-good.jsonl").replace(r#""format":2"#, &format!(r#""format":{format}"#));
        let error = read(&newer).unwrap_err().to_string();
        assert!(error.ends_with(why), "{error}");
    }
}

#[test]
fn a_run_that_ended_well_holds_nothing() {
    for folder in ["first", "present"] {
        let record = record(folder, "run-good.jsonl");
        assert_eq!(record.held(), [], "{folder}");
        assert!(!record.torn, "{folder}");
    }
    assert!(record("present", "run-good.jsonl").is_closed());
}

#[test]
fn a_run_that_ended_and_could_not_give_back_a_volume_holds_that() {
    let record = record("present", "run-failed.jsonl");
    assert!(record.is_closed());
    let run = record.begun.run.to_string();
    assert_eq!(record.held(), [cow(&run, 1, "vg/data")]);
}

#[test]
fn a_run_that_was_cut_off_in_the_window_holds_all_that_it_took() {
    let mut present = kinds(&record("present", "run-cut-off.jsonl").held());
    let mut first = kinds(&record("first", "run-cut-off.jsonl").held());
    // The intents of lock and freeze are written at once, and were not, once.
    present.sort_unstable();
    first.sort_unstable();
    // Each file has two names until it is complete.
    let files = ["partial"; 6];
    assert_eq!(present, [&["cow", "cow", "frozen", "lock", "markers"][..], &files, &["watchdog"]].concat());
    // It wrote no markers, and armed nothing.
    assert_eq!(first, ["cow", "cow", "frozen", "lock", "partial", "partial", "partial"]);
    assert!(!record("present", "run-cut-off.jsonl").is_closed());
}

/// The first format had no closing line, and did not say what was removed of what: it may be there.
#[test]
fn a_run_of_the_first_format_that_failed_may_hold_its_volumes_and_files() {
    let record = record("first", "run-failed.jsonl");
    assert!(!record.is_closed());
    let (held, run) = (record.held(), record.begun.run.to_string());
    assert_eq!(kinds(&held), ["partial", "partial", "partial", "cow", "cow"]);
    assert_eq!(held[3..], [cow(&run, 0, "vg/root"), cow(&run, 1, "vg/data")]);
    assert_eq!(held[2], Held::Partial { path: PathBuf::from("/srv/backup/.b.json.partial-817ca8aeae9ce8a2") });
}

#[test]
fn nothing_that_a_log_of_the_first_format_says_is_lost() {
    for name in RUN_LOGS {
        let record = record("first", name);
        let lines: Vec<Value> = first(name).lines().map(value).collect();
        let (head, lines) = lines.split_first().unwrap();
        let begun = &record.begun;
        assert_eq!(begun.format, 1);
        assert_eq!((begun.run.to_string().as_str(), begun.vm.as_str()), (text(&head["run"]), text(&head["vm"])));
        assert_eq!((u64::from(begun.pid), begun.boot_id.as_str()), (number(&head["pid"]), text(&head["boot_id"])));
        assert_eq!(begun.version, text(&head["version"]));
        assert_eq!(record.entries.len(), lines.len(), "{name}");
        for (entry, line) in record.entries.iter().zip(lines) {
            assert_eq!((entry.at.as_str(), entry.elapsed_ms), (text(&line["at"]), number(&line["elapsed_ms"])));
            let (step, says) = match &entry.mark {
                Mark::Intent { step, takes } => (step, assert_takes(takes, &line["detail"], "intent")),
                Mark::Done { step, detail: Some(Fact::Format1 { detail }), .. } => {
                    assert_eq!(*detail, line["detail"]);
                    (step, "done")
                }
                Mark::Done { step, detail: None, .. } => {
                    assert_eq!(line["detail"], Value::Null);
                    (step, "done")
                }
                Mark::Failed { step, error, .. } => {
                    assert_eq!(error, text(&line["error"]));
                    (step, "failed")
                }
                other => panic!("the first format has no {other:?}"),
            };
            assert_eq!((step.to_string().as_str(), says), (text(&line["step"]), text(&line["mark"])), "{name}");
        }
    }
}

/// All that an intent of the first format names is held from it on.
fn assert_takes<'m>(takes: &[Held], detail: &Value, mark: &'m str) -> &'m str {
    let names = |name: &str| detail[name].as_array().into_iter().flatten().map(|one| text(one).to_owned());
    let partials = takes.iter().filter_map(|held| match held {
        Held::Partial { path } => Some(path.to_str().unwrap().to_owned()),
        _ => None,
    });
    assert!(partials.eq(names("partial")), "{detail}");
    let origins = takes.iter().filter_map(|held| match held {
        Held::Cow { origin, .. } => Some(LvName::to_string(origin)),
        _ => None,
    });
    assert!(origins.eq(names("origins")), "{detail}");
    for held in takes {
        match held {
            Held::Lock { method, expiry_ms, .. } => {
                assert_eq!(
                    (serde_json::to_value(method).unwrap(), *expiry_ms),
                    (detail["method"].clone(), number(&detail["expiry_ms"]))
                );
            }
            Held::Frozen { agent } => assert_eq!(agent, text(&detail["agent"])),
            _ => {}
        }
    }
    mark
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap()
}
