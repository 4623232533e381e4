//! What a run says of itself, in the order in which it happens.

use std::os::unix::fs::symlink;
use std::sync::{Arc, Mutex};

use stillpoint::clock::Clock;
use stillpoint::failure::exit::Exit;
use stillpoint::failure::{Cause, Failure};
use stillpoint::run::Run;
use stillpoint::run::entry::{Entry, Mark};
use stillpoint::run::event::{Event, Listener, Listeners};
use stillpoint::run::held::Held;
use stillpoint::run::record::RunRecord;
use stillpoint::step::Step;

use crate::{begin, cow, frozen, lines};

fn refused(step: Step) -> Failure {
    Failure::new(step, Cause::refused("no", "look"))
}

#[tokio::test]
async fn an_intent_is_on_the_disk_when_its_step_begins_and_the_outcome_is_not() {
    let state_dir = tempfile::tempdir().unwrap();
    let (run, log) = begin(state_dir.path());
    let work = async {
        assert_eq!(RunRecord::read(&log).unwrap().held(), [cow()]);
        Ok::<_, Cause>(lines(&log))
    };
    let during = run.take(Step::CowVolumes, vec![cow()], work, |_| None).await.unwrap();
    assert_eq!(during, ["begun", "intent cow-volumes"]);
    assert_eq!(lines(&log), ["begun", "intent cow-volumes", "done cow-volumes"]);
}

#[tokio::test]
async fn what_a_step_took_is_held_until_another_says_that_it_is_free() {
    let state_dir = tempfile::tempdir().unwrap();
    let (run, log) = begin(state_dir.path());
    let held = || RunRecord::read(&log).unwrap().held();
    let fails = async { Err::<(), _>(Cause::refused("no", "look")) };
    run.take(Step::CowVolumes, vec![cow()], fails, |()| None).await.unwrap_err();
    assert_eq!(held(), [cow()], "a step that failed may have taken what it was to take");
    run.release(Step::Remove, vec![cow()], async { Ok::<_, Cause>(()) }, |()| None).await.unwrap();
    assert_eq!(held(), []);
}

#[tokio::test]
async fn a_step_that_takes_all_or_nothing_holds_nothing_where_it_fails() {
    let state_dir = tempfile::tempdir().unwrap();
    let (run, log) = begin(state_dir.path());
    run.intend(Step::Lock, vec![frozen()]).unwrap();
    let fails = async { Err::<(), _>(Cause::refused("no", "look")) };
    run.take_or_nothing(Step::Lock, vec![frozen()], fails, |()| None).await.unwrap_err();
    assert_eq!(RunRecord::read(&log).unwrap().held(), []);
}

#[test]
fn a_run_that_is_closed_holds_what_it_left_and_nothing_else() {
    let state_dir = tempfile::tempdir().unwrap();
    let (run, log) = begin(state_dir.path());
    run.intend(Step::CowVolumes, vec![cow(), frozen()]).unwrap();
    run.failed(Step::Freeze, vec![frozen()], &refused(Step::Freeze));
    run.close(Exit::NeedsPerson);
    let record = RunRecord::read(&log).unwrap();
    assert!(record.is_closed());
    assert_eq!(record.held(), [cow()]);
    let last = record.entries.last().unwrap();
    assert_eq!(last.mark, Mark::Closed { exit: 6, left: vec![cow()] });
}

#[test]
fn an_unfinished_file_is_left_only_where_it_can_be_there() {
    let state_dir = tempfile::tempdir().unwrap();
    let (run, log) = begin(state_dir.path());
    let path = |name: &str| state_dir.path().join(name);
    std::fs::write(path("there"), "").unwrap();
    symlink("nowhere", path("dangling")).unwrap();
    // What cannot be looked at may be there.
    symlink("loop", path("loop")).unwrap();
    let partial = |name: &str| Held::Partial { path: path(name) };
    let all = ["there", "gone", "dangling", "there/beneath-a-file", "loop/x"].map(partial);
    run.intend(Step::Output, all.to_vec()).unwrap();
    run.close(Exit::Failed);
    assert_eq!(RunRecord::read(&log).unwrap().held(), ["there", "dangling", "loop/x"].map(partial));
}

/// The state folder's disk may be gone, and a guest frozen.
#[test]
fn an_outcome_that_cannot_be_written_stops_nobody() {
    let state_dir = tempfile::tempdir().unwrap();
    let (run, _) = begin(state_dir.path());
    std::fs::remove_dir_all(state_dir.path()).unwrap();
    run.done(Step::Thaw, vec![frozen()], None);
    run.close(Exit::Done);
}

#[derive(Default)]
struct Heard(Mutex<Vec<Entry>>);

impl Listener for Heard {
    fn hear(&self, event: &Event) {
        if let Event::Step(entry) = event {
            self.0.lock().unwrap().push(entry.clone());
        }
    }
}

#[test]
fn whoever_listens_hears_every_line_also_while_lines_are_held_back() {
    let state_dir = tempfile::tempdir().unwrap();
    let heard = Arc::new(Heard::default());
    let listeners = Listeners::default().with(heard.clone());
    let run = Run::begin(state_dir.path(), "db1", Clock::system(), listeners).unwrap();
    let log = state_dir.path().join(format!("runs/{}.jsonl", run.id()));
    run.intend(Step::Freeze, vec![frozen()]).unwrap();
    let held_back = run.hold_back();
    run.done(Step::Freeze, Vec::new(), None);
    assert_eq!(heard.0.lock().unwrap().len(), 3);
    assert_eq!(lines(&log).len(), 2);
    run.done(Step::Thaw, vec![frozen()], None);
    drop(held_back);
    run.close(Exit::Done);
    let heard = heard.0.lock().unwrap();
    assert_eq!(RunRecord::read(&log).unwrap().entries, heard[1..]);
    assert!(matches!(heard[0].mark, Mark::Begun(_)));
}
