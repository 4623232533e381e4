//! The run logs that the program itself writes, on a simulated host, guest and database: the model has to be able to write each of them.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use guest_bridge::agent::{Fault as AgentFault, SharedAgent, SimulatedGuest};
use guest_bridge::call_log::CallLog;
use guest_bridge::database::scripted::Outcome as Answer;
use guest_bridge::database::simulated::SimulatedMariaDb;
use lvm::simulated::{Fault as LvmFault, SimulatedLvm};
use lvm::{Bytes, Lvm};
use stillpoint::ask::config::Config;
use stillpoint::ask::connect::World;
use stillpoint::ask::job::{Asked, Job};
use stillpoint::backup;
use stillpoint::backup::destination::Destination;
use stillpoint::clock::Clock;
use stillpoint::recover::{Reach, recover, this_boot};
use stillpoint::run::entry::Mark;
use stillpoint::run::event::Listeners;
use stillpoint::run::record::RunRecord;
use stillpoint::step::Step;
use stillpoint::stop::Stop;
use stillpoint_tests::machine::guest_image::GuestImage;
use tempfile::TempDir;

use crate::log::{FROZEN, Line, bits};
use crate::search::moves;
use crate::state::State;
use crate::{EVERYTHING, Model, Session};

/// A host with a disk, its guest, and the guest's database.
struct Setting {
    folder: TempDir,
    calls: CallLog,
    lvm: Arc<SimulatedLvm>,
    guest: SimulatedGuest,
    database: SimulatedMariaDb,
}

fn image() -> &'static GuestImage {
    static IMAGE: OnceLock<GuestImage> = OnceLock::new();
    IMAGE.get_or_init(|| GuestImage::make(b"", &[]))
}

impl Setting {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("to")).unwrap();
        let calls = CallLog::new();
        let recorded = calls.clone();
        let lvm = SimulatedLvm::new(&folder.path().join("dev"), move |call| recorded.record(call));
        lvm.add_vg("vg", Bytes(400 << 20));
        lvm.add_lv(&"vg/root".parse().unwrap(), &image().bytes);
        Self {
            lvm: Arc::new(lvm),
            guest: SimulatedGuest::new(calls.clone(), ["/"]),
            database: SimulatedMariaDb::new(calls.clone()),
            calls,
            folder,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Which of the agent's calls, by their number, are of the model.
    fn modelled_calls(&self) -> Vec<usize> {
        let calls = self.calls.entries();
        let calls: Vec<&String> = calls.iter().filter(|call| call.starts_with("agent: guest-")).collect();
        let is_modelled = |call: &str| call.contains("watchdog") || call.contains("-freeze") || call.contains("-thaw");
        let is_of = |number: usize| {
            is_modelled(calls[number]) || calls[number].ends_with("-status") && is_modelled(calls[number - 1])
        };
        (1..calls.len()).filter(|&number| is_of(number)).collect()
    }

    /// What its log says after a backup, as far as the model has it.
    async fn log(&self) -> Vec<Line> {
        let world = World {
            lvm: Lvm::with_device_dir(self.lvm.clone(), self.path("dev")),
            agent: Some(SharedAgent::new(self.guest.clone())),
            database: Some(self.database.opener()),
            session: None,
            guest_login: None,
            guardian: None,
            clock: Clock::system(),
        };
        let asked = Asked {
            disks: vec!["vg/root".into()],
            agent: Some("unix:/run/qga".into()),
            database: Some("agent".into()),
            state_dir: Some(self.path("state")),
            ..Asked::default()
        };
        let job = Job::new(asked, &Config::default()).unwrap();
        let destination = Destination::Folder { folder: self.path("to"), name: "b".into() };
        drop(backup::run(&job, &destination, &world, Listeners::default(), &Stop::default()).await);
        lines(&self.log_path())
    }

    fn log_path(&self) -> PathBuf {
        fs::read_dir(self.path("state/runs")).unwrap().next().unwrap().unwrap().path()
    }

    /// Recovers the run, as if it had died.
    async fn recover(&self) {
        let agent = |_: &str| Ok(SharedAgent::new(self.guest.clone()));
        let deadline = Duration::from_secs(60);
        let reach = Reach {
            lvm: Lvm::with_device_dir(self.lvm.clone(), self.path("dev")),
            agent: &agent,
            clock: Clock::system(),
            boot_id: this_boot(),
            thaw_deadline: deadline,
            unmark_deadline: deadline,
        };
        recover(&self.log_path(), &reach).await;
    }
}

fn lines(log: &Path) -> Vec<Line> {
    RunRecord::read(log).unwrap().entries.iter().filter_map(|entry| line(&entry.mark)).collect()
}

/// Steps that the model has.
const STEPS: [Step; 11] = [
    Step::CowVolumes,
    Step::Arm,
    Step::Lock,
    Step::Freeze,
    Step::Snapshot,
    Step::Thaw,
    Step::StillLocked,
    Step::Unlock,
    Step::Disarm,
    Step::Remove,
    Step::Recover,
];

fn line(mark: &Mark) -> Option<Line> {
    match mark {
        Mark::Intent { step, takes } if STEPS.contains(step) => Some(Line::Intent(*step, bits(takes))),
        // What is recovered and not modelled.
        Mark::Done { step: Step::Recover, frees, .. } if bits(frees) == 0 => None,
        Mark::Done { step, frees, .. } if STEPS.contains(step) => Some(Line::Done(*step, bits(frees))),
        Mark::Failed { step, frees, .. } if STEPS.contains(step) => Some(Line::Failed(*step, bits(frees))),
        Mark::Closed { left, .. } => Some(Line::Closed(bits(left))),
        _ => None,
    }
}

/// A run whose session is on the network, as in these settings.
fn model(faults: u8) -> Model {
    Model { lock: Some(Session::Network), faults, ..EVERYTHING }
}

/// How many lines of the log the model can write, one after the other, with so many faults.
fn written(log: &[Line], faults: u8) -> usize {
    let model = model(faults);
    // What is reached, and what the last move there has still to write.
    let mut reached: HashSet<(State, Vec<Line>)> = HashSet::from([(State::first(&model), Vec::new())]);
    for (number, line) in log.iter().enumerate() {
        let mut next = HashSet::new();
        let mut silent: Vec<State> = Vec::new();
        let mut passed = HashSet::new();
        for (state, rest) in reached {
            match rest.split_first() {
                None => silent.push(state),
                Some((first, rest)) if first == line => drop(next.insert((state, rest.to_vec()))),
                Some(_) => {}
            }
        }
        while let Some(state) = silent.pop() {
            for done in moves(&model, state) {
                match done.lines.split_first() {
                    None if passed.insert(done.state) => silent.push(done.state),
                    Some((first, rest)) if first == line => drop(next.insert((done.state, rest.to_vec()))),
                    _ => {}
                }
            }
        }
        if next.is_empty() {
            return number;
        }
        reached = next;
    }
    log.len()
}

#[track_caller]
fn assert_can_be_written(log: &[Line], faults: u8, case: &str) {
    let written = written(log, faults);
    assert_eq!(written, log.len(), "{case}: the model does not write {:?} of {log:#?}", log.get(written));
}

#[tokio::test(start_paused = true)]
async fn a_backup_without_a_fault_writes_what_the_model_does() {
    let log = Setting::new().log().await;
    assert!(log.len() > 10, "{log:?}");
    assert_can_be_written(&log, 0, "healthy");
}

#[tokio::test(start_paused = true)]
async fn a_log_in_another_order_is_none_that_the_model_writes() {
    let mut log = Setting::new().log().await;
    let at = |log: &[Line], line| log.iter().position(|one| *one == line).unwrap();
    let (thaw, unlock) = (at(&log, Line::Done(Step::Thaw, FROZEN)), at(&log, Line::Done(Step::StillLocked, 0)));
    log.swap(thaw, unlock);
    assert_eq!(written(&log, 2), thaw);
}

/// A process that is killed leaves the lines before the window, or those behind it: in it they are in memory.
#[tokio::test(start_paused = true)]
async fn a_recovery_writes_what_the_model_does_wherever_its_run_was_killed() {
    let setting = Setting::new();
    setting.log().await;
    let text = fs::read_to_string(setting.log_path()).unwrap();
    let is_held_back = |line: &str| {
        ["lock", "freeze", "snapshot", "thaw", "still-locked"]
            .iter()
            .any(|step| line.contains(&format!(r#""mark":"done","step":"{step}""#)))
    };
    let mut recovered = 0;
    for (kept, last) in (1..).zip(text.lines()) {
        if is_held_back(last) || last.contains(r#""mark":"closed""#) {
            continue;
        }
        let text: String = text.lines().take(kept).map(|line| line.to_owned() + "\n").collect();
        fs::write(setting.log_path(), text).unwrap();
        setting.recover().await;
        assert_can_be_written(&lines(&setting.log_path()), 1, &format!("killed behind line {kept}"));
        recovered += 1;
    }
    assert!(recovered > 8, "{recovered}: {text}");
}

#[tokio::test(start_paused = true)]
async fn a_backup_with_a_fault_of_its_agent_writes_what_the_model_does() {
    let healthy = Setting::new();
    healthy.log().await;
    let calls = healthy.modelled_calls();
    // To arm and to disarm takes two calls each, and of the thaw the agent is asked twice.
    assert_eq!(calls.len(), 7, "{:?}", healthy.calls.entries());
    for nth in calls {
        for fault in AgentFault::ALL {
            let setting = Setting::new();
            let setting = Setting { guest: setting.guest.clone().fails_at_call(nth, fault), ..setting };
            assert_can_be_written(&setting.log().await, 1, &format!("agent call {nth}: {fault:?}"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_backup_with_a_fault_of_lvm_writes_what_the_model_does() {
    for program in ["lvcreate", "lvconvert", "lvremove"] {
        for fault in LvmFault::ALL_BUT_DEATH {
            let setting = Setting::new();
            setting.lvm.fail_program(program, 1, fault);
            assert_can_be_written(&setting.log().await, 1, &format!("{program}: {fault:?}"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_backup_with_a_fault_of_its_database_writes_what_the_model_does() {
    for statement in ["BACKUP STAGE BLOCK_COMMIT", "FLUSH", "SELECT CONNECTION_ID", "BACKUP STAGE END"] {
        for answer in [Answer::Refuses(1205, "Lock wait timeout exceeded".into()), Answer::LosesSession, Answer::Hangs]
        {
            let setting = Setting::new();
            let case = format!("{statement}: {answer:?}");
            let setting = Setting { database: setting.database.clone().fails_at(statement, answer), ..setting };
            assert_can_be_written(&setting.log().await, 1, &case);
        }
    }
}
