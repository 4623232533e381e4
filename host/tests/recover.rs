//! Runs that died, and what a recovery makes of what they held: on a simulated host and guest.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use guest_bridge::agent::{self, Endpoint, Fault as AgentFault, FreezeScope, SharedAgent, SimulatedGuest};
use guest_bridge::call_log::CallLog;
use guest_bridge::database::lock_method::LockMethod;
use guest_bridge::places::{self, MarkerName};
use lvm::simulated::{Fault as LvmFault, SimulatedLvm};
use lvm::{Bytes, Lvm};
use stillpoint::clock::Clock;
use stillpoint::failure::exit::Exit;
use stillpoint::failure::{Cause, Kind};
use stillpoint::recover::{Found, Reach, State, recover, recover_all, recover_when_it_dies, this_boot};
use stillpoint::run::Run;
use stillpoint::run::event::Listeners;
use stillpoint::run::held::Held;
use stillpoint::run::record::RunRecord;
use stillpoint::step::Step;
use tempfile::TempDir;

const SOON: Duration = Duration::from_secs(5);

/// A host with `vg/db`, and its guest.
struct Setting {
    folder: TempDir,
    lvm: Arc<SimulatedLvm>,
    guest: SimulatedGuest,
    marker: MarkerName,
}

impl Setting {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let lvm = SimulatedLvm::new(&folder.path().join("dev"), drop);
        lvm.add_vg("vg", Bytes(400 << 20));
        lvm.add_lv(&"vg/db".parse().unwrap(), &[1; 1 << 20]);
        let guest = SimulatedGuest::new(CallLog::new(), ["/"]);
        Self { folder, lvm: Arc::new(lvm), guest, marker: MarkerName::new() }
    }

    fn lvm(&self) -> Lvm {
        Lvm::with_device_dir(self.lvm.clone(), self.folder.path().join("dev"))
    }

    fn state_dir(&self) -> &Path {
        self.folder.path()
    }

    fn partial(&self) -> PathBuf {
        self.folder.path().join(".b.img.zst.partial-0123456789abcdef")
    }

    fn begin(&self) -> Run {
        Run::begin(self.state_dir(), "db1", Clock::system(), Listeners::default()).unwrap()
    }

    /// A run that has taken everything that there is to take, and is in the window.
    async fn in_the_window(&self) -> Run {
        let run = self.begin();
        let agent = "unix:/run/qga".to_owned();
        run.intend(Step::Output, vec![Held::Partial { path: self.partial() }]).unwrap();
        fs::write(self.partial(), "half").unwrap();

        let origin = self.lvm().origin(&"vg/db".parse().unwrap()).unwrap();
        let volume = run.id().volume("vg", 0).unwrap();
        let cow = Held::Cow { volume: volume.clone(), origin: origin.name.clone() };
        run.intend(Step::CowVolumes, vec![cow]).unwrap();
        let cow = self.lvm().create_cow(&origin, volume, Bytes(8 << 20)).unwrap();

        let mut shared = SharedAgent::new(self.guest.clone());
        run.intend(Step::Mark, vec![Held::Markers { agent: agent.clone(), name: self.marker.clone() }]).unwrap();
        places::mark(&mut shared, &self.marker, SOON).await.unwrap();
        run.intend(Step::Freeze, vec![Held::Frozen { agent }]).unwrap();
        run.intend(Step::Lock, vec![Held::Lock { method: LockMethod::BackupStage, expiry_ms: 70_000, session: None }])
            .unwrap();
        agent::freeze(&mut shared, &FreezeScope::All, SOON).await.unwrap();
        cow.attach(SOON).unwrap();
        run
    }

    fn agent(&self, endpoint: &str) -> Result<SharedAgent, Cause> {
        assert!(endpoint.parse::<Endpoint>().is_ok(), "{endpoint}");
        Ok(SharedAgent::new(self.guest.clone()))
    }

    async fn recover(&self) -> Vec<Found> {
        self.recover_in_boot(&this_boot()).await
    }

    async fn recover_in_boot(&self, boot_id: &str) -> Vec<Found> {
        let agent = |endpoint: &str| self.agent(endpoint);
        recover_all(self.state_dir(), &self.reach(&agent, boot_id)).await.unwrap()
    }

    fn reach<'r>(&self, agent: &'r (dyn Fn(&str) -> Result<SharedAgent, Cause> + Sync), boot_id: &str) -> Reach<'r> {
        let boot_id = boot_id.to_owned();
        Reach {
            lvm: self.lvm(),
            agent,
            clock: Clock::system(),
            boot_id,
            thaw_deadline: Duration::from_secs(60),
            unmark_deadline: SOON,
        }
    }

    fn log(&self) -> PathBuf {
        let logs: Vec<_> =
            fs::read_dir(self.state_dir().join("runs")).unwrap().map(|log| log.unwrap().path()).collect();
        let [log] = &*logs else { panic!("one run, one log: {logs:?}") };
        log.clone()
    }

    #[track_caller]
    fn assert_all_is_given_back(&self) {
        assert!(!self.guest.is_frozen(), "the guest is frozen");
        assert_eq!(self.guest.markers(), [""; 0]);
        assert_eq!(self.lvm.volumes(), ["vg/db"]);
        assert!(!self.partial().exists());
        let record = RunRecord::read(&self.log()).unwrap();
        assert!(record.is_closed() && record.held().is_empty(), "{record:#?}");
    }
}

#[track_caller]
fn dead(found: &[Found]) -> (usize, usize, &[(Held, Cause)]) {
    match found {
        [Found { state: State::Dead { freed, by_itself, left, .. }, .. }] => (freed.len(), by_itself.len(), left),
        found => panic!("{found:#?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn everything_that_a_dead_run_held_is_given_back_and_its_log_closed() {
    let setting = Setting::new();
    drop(setting.in_the_window().await);
    let found = setting.recover().await;
    let (freed, by_itself, left) = dead(&found);
    assert_eq!((freed, by_itself, left.len()), (4, 1, 0));
    setting.assert_all_is_given_back();
    assert_eq!(found[0].run.as_ref().unwrap().1, "db1");
}

#[tokio::test(start_paused = true)]
async fn a_second_recovery_finds_nothing_and_touches_nothing() {
    let setting = Setting::new();
    drop(setting.in_the_window().await);
    setting.recover().await;
    let (calls, text) = (setting.guest.calls(), fs::read(setting.log()).unwrap());
    let found = setting.recover().await;
    assert!(matches!(found[0].state, State::Nothing), "{found:?}");
    assert_eq!((setting.guest.calls(), fs::read(setting.log()).unwrap()), (calls, text));
}

#[tokio::test(start_paused = true)]
async fn a_run_that_lives_is_not_touched() {
    let setting = Setting::new();
    let run = setting.in_the_window().await;
    let found = setting.recover().await;
    assert!(matches!(found[0].state, State::Alive), "{found:?}");
    assert!(setting.guest.is_frozen());
    assert_eq!(setting.lvm.volumes().len(), 2);
    drop(run);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_ended_as_it_should_is_not_touched() {
    let setting = Setting::new();
    setting.begin().close(Exit::Done);
    let text = fs::read(setting.log()).unwrap();
    assert!(matches!(setting.recover().await[0].state, State::Nothing));
    assert_eq!(fs::read(setting.log()).unwrap(), text);
}

#[tokio::test(start_paused = true)]
async fn a_last_line_that_is_torn_is_dropped_and_the_rest_believed() {
    let setting = Setting::new();
    drop(setting.in_the_window().await);
    let mut text = fs::read(setting.log()).unwrap();
    text.extend(br#"{"at":"2026-11-26T"#);
    fs::write(setting.log(), text).unwrap();
    assert_eq!(dead(&setting.recover().await).0, 4);
    setting.assert_all_is_given_back();
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_given_back_keeps_nothing_else_and_is_tried_again_by_the_next() {
    let setting = Setting::new();
    drop(setting.in_the_window().await);
    (1..=8).for_each(|nth| setting.lvm.fail_program("lvremove", nth, LvmFault::IsBusy));
    let found = setting.recover().await;
    let (_, _, left) = dead(&found);
    assert_eq!(left.len(), 1);
    assert!(found[0].state.needs_person() && left[0].0.to_string().contains("COW volume"), "{left:?}");
    assert!(!setting.guest.is_frozen());
    let mut found = setting.recover().await;
    while found[0].state.needs_person() {
        found = setting.recover().await;
    }
    setting.assert_all_is_given_back();
}

/// Its line in the log is what leads the next recovery to that origin, at which the guest hangs, and its thaw with it.
#[tokio::test(start_paused = true)]
async fn a_volume_whose_origin_may_still_be_suspended_stays_for_the_next_recovery() {
    let setting = Setting::new();
    drop(setting.in_the_window().await);
    // Each of the two tries looks three times.
    (1..=6).for_each(|nth| setting.lvm.fail_program("dmsetup", nth, LvmFault::Refuses));
    let found = setting.recover().await;
    let (_, _, left) = dead(&found);
    let kinds: Vec<Kind> = left.iter().map(|(_, why)| why.kind).collect();
    assert_eq!(kinds, [Kind::OriginSuspended], "{left:?}");
    assert!(!setting.guest.is_frozen(), "nobody else waits for it");
    assert_eq!(RunRecord::read(&setting.log()).unwrap().held(), [left[0].0.clone()]);
    assert_eq!(dead(&setting.recover().await).2.len(), 0);
    setting.assert_all_is_given_back();
}

#[tokio::test(start_paused = true)]
async fn a_guest_whose_agent_is_gone_is_left_for_a_person() {
    let setting = Setting::new();
    drop(setting.in_the_window().await);
    let guest = setting.guest.clone().fails_at_call(setting.guest.calls(), AgentFault::Gone);
    let setting = Setting { guest, ..setting };
    let found = setting.recover().await;
    let (_, _, left) = dead(&found);
    assert!(left.iter().any(|(_, why)| why.kind == Kind::GuestMayBeFrozen), "{left:?}");
    assert_eq!(setting.lvm.volumes(), ["vg/db"], "the volumes do not wait for the guest");
}

#[tokio::test(start_paused = true)]
async fn of_a_vm_that_is_gone_nothing_is_frozen_and_its_markers_wait_for_it_without_a_person() {
    let setting = Setting::new();
    drop(setting.in_the_window().await);
    setting.lvm.close(&"vg/db".parse().unwrap());
    let guest = setting.guest.clone().fails_at_call(setting.guest.calls(), AgentFault::Gone);
    let setting = Setting { guest, ..setting };
    let found = setting.recover().await;
    assert!(!found[0].state.needs_person(), "{found:#?}");
    let State::Dead { waits, .. } = &found[0].state else { panic!("{found:#?}") };
    assert!(matches!(&waits[..], [Held::Markers { .. }]), "{waits:?}");
    assert_eq!(&RunRecord::read(&setting.log()).unwrap().held(), waits, "the next recovery finds them");
}

#[tokio::test(start_paused = true)]
async fn after_a_reboot_of_the_host_a_guest_that_cannot_be_reached_is_not_frozen() {
    let setting = Setting::new();
    drop(setting.in_the_window().await);
    let guest = setting.guest.clone().fails_at_call(setting.guest.calls(), AgentFault::Gone);
    let setting = Setting { guest, ..setting };
    let found = setting.recover_in_boot("another").await;
    let (_, by_itself, left) = dead(&found);
    let left: Vec<String> = left.iter().map(|(held, _)| held.to_string()).collect();
    assert_eq!(by_itself, 0);
    assert!(left.len() == 1 && left[0].contains(setting.marker.as_str()), "{left:?}");
    assert_eq!(setting.lvm.volumes(), ["vg/db"]);
}

#[tokio::test(start_paused = true)]
async fn after_a_reboot_a_guest_that_answers_is_thawed_all_the_same() {
    let setting = Setting::new();
    drop(setting.in_the_window().await);
    dead(&setting.recover_in_boot("another").await);
    setting.assert_all_is_given_back();
}

#[tokio::test(start_paused = true)]
async fn a_log_that_cannot_be_read_needs_a_person_and_keeps_no_other_from_its_recovery() {
    let setting = Setting::new();
    fs::create_dir_all(setting.state_dir().join("runs")).unwrap();
    let odd = setting.state_dir().join("runs/19700101t000000z0.jsonl");
    fs::write(&odd, "no log\n").unwrap();
    drop(setting.in_the_window().await);
    let found = setting.recover().await;
    assert!(matches!(&found[0].state, State::Unreadable(_)) && found[0].state.needs_person(), "{found:?}");
    assert!(matches!(&found[1].state, State::Dead { left, .. } if left.is_empty()), "{found:?}");
    fs::remove_file(odd).unwrap();
    setting.assert_all_is_given_back();
}

#[tokio::test(start_paused = true)]
async fn a_folder_without_logs_has_nothing_to_recover() {
    assert!(Setting::new().recover().await.is_empty());
}

#[tokio::test]
async fn a_guardian_waits_for_the_death_of_its_run_and_gives_everything_back() {
    let setting = Setting::new();
    let run = setting.in_the_window().await;
    let log = setting.log();
    let dies = move || drop(run);
    let agent = |endpoint: &str| setting.agent(endpoint);
    // It is called when all but the waiting is done.
    let found = recover_when_it_dies(&log, dies, &setting.reach(&agent, &this_boot())).await;
    assert_eq!(dead(&[found]).0, 4);
    setting.assert_all_is_given_back();
}

/// A kill between any two lines leaves a log of any length: each intent may or may not have been acted on.
#[tokio::test(start_paused = true)]
async fn a_run_that_died_behind_any_line_of_its_log_is_recovered() {
    let lines = {
        let setting = Setting::new();
        drop(setting.in_the_window().await);
        fs::read_to_string(setting.log()).unwrap().lines().count()
    };
    for kept in 1..=lines {
        for acted in [true, false] {
            let setting = Setting::new();
            drop(setting.in_the_window().await);
            let text = fs::read_to_string(setting.log()).unwrap();
            let text: String = text.lines().take(kept).map(|line| line.to_owned() + "\n").collect();
            fs::write(setting.log(), &text).unwrap();
            let agent = |endpoint: &str| setting.agent(endpoint);
            if !acted {
                // As if nothing that the log speaks of had been done yet.
                undo_by_hand(&setting).await;
            } else if !text.contains("\"frozen\"") {
                // What the log does not speak of was not done.
                agent::thaw(&mut SharedAgent::new(setting.guest.clone()), SOON).await.unwrap();
            }
            let found = recover(&setting.log(), &setting.reach(&agent, &this_boot())).await;
            assert!(!found.state.needs_person(), "line {kept}: {found:?}");
            let record = RunRecord::read(&setting.log()).unwrap();
            assert!(record.is_closed() && record.held().is_empty(), "line {kept}: {record:#?}");
            assert!(!text.contains("frozen") || !setting.guest.is_frozen(), "line {kept}");
            assert!(!text.contains("\"cow\"") || setting.lvm.volumes() == ["vg/db"], "line {kept}");
        }
    }
}

async fn undo_by_hand(setting: &Setting) {
    let mut agent = SharedAgent::new(setting.guest.clone());
    agent::thaw(&mut agent, SOON).await.unwrap();
    places::unmark(&mut agent, &setting.marker, &[], SOON).await.unwrap();
    for volume in setting.lvm.volumes() {
        if volume != "vg/db" {
            setting.lvm().remove(&volume.parse().unwrap()).unwrap();
        }
    }
    fs::remove_file(setting.partial()).unwrap();
}
