//! Giving back what is held, on a simulated host and guest: as often as wanted, and nothing that is not ours.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use guest_bridge::agent::{
    Agent, Exit, Fault as AgentFault, Finished, FreezeScope, Program, SharedAgent, SimulatedGuest, freeze,
};
use guest_bridge::call_log::CallLog;
use guest_bridge::database::lock_method::LockMethod;
use guest_bridge::dump::DumpName;
use guest_bridge::places::MarkerName;
use guest_bridge::watchdog::Token;
use image::artifact::Target;
use lvm::simulated::{Fault, SimulatedLvm};
use lvm::{Bytes, LvName, Lvm};
use stillpoint::failure::{Cause, Kind};
use stillpoint::run::held::{Held, Means, Released, release_all};
use tempfile::TempDir;

/// A host with `vg/data`, and a guest.
pub struct Setting {
    pub folder: TempDir,
    pub log: CallLog,
    pub lvm: Arc<SimulatedLvm>,
    pub guest: SimulatedGuest,
}

impl Setting {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = CallLog::new();
        let record = log.clone();
        let lvm = SimulatedLvm::new(&folder.path().join("dev"), move |call| record.record(call));
        lvm.add_vg("vg", Bytes(400 << 20));
        lvm.add_lv(&data(), &[7; 4096]);
        let guest = SimulatedGuest::new(log.clone(), ["/", "/srv/data"]);
        Self { folder, log, lvm: Arc::new(lvm), guest }
    }

    pub fn means(&self) -> Means {
        Means {
            origins: Vec::new(),
            unmark_deadline: Duration::from_secs(5),
            lvm: Lvm::with_device_dir(self.lvm.clone(), self.folder.path().join("dev")),
            agent: Some(SharedAgent::new(self.guest.clone())),
            thaw_deadline: Duration::from_secs(5),
        }
    }

    /// Makes a COW volume of ours, attached or not.
    pub fn cow(&self, number: usize, attached: bool) -> Held {
        let lvm = self.means().lvm;
        let origin = lvm.origin(&data()).unwrap();
        let volume: LvName = format!("vg/stillpoint-r1-{number}").parse().unwrap();
        let cow = lvm.create_cow(&origin, volume.clone(), Bytes(8 << 20)).unwrap();
        if attached {
            cow.attach(Duration::from_secs(5)).unwrap();
        }
        Held::Cow { volume, origin: data() }
    }

    pub async fn freeze(&self) -> Held {
        let mut agent = self.guest.clone();
        freeze(&mut agent, &FreezeScope::All, Duration::from_secs(5)).await.unwrap();
        agent.release().await;
        assert!(self.guest.is_frozen());
        crate::frozen()
    }

    /// A file under the temporary name that artifacts have.
    pub fn partial(&self) -> PathBuf {
        let path = Target::new(self.folder.path(), "b.img.zst").unwrap().temporary_paths()[0].to_owned();
        std::fs::write(&path, "half").unwrap();
        path
    }
}

fn data() -> LvName {
    "vg/data".parse().unwrap()
}

fn is_there(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok()
}

#[tokio::test]
async fn a_volume_is_removed_attached_or_not_and_may_be_gone_already() {
    for attached in [false, true] {
        let setting = Setting::new();
        let cow = setting.cow(0, attached);
        for _ in 0..2 {
            assert!(matches!(cow.release(&setting.means()).await.unwrap(), Released::Gone));
            assert_eq!(setting.lvm.volumes(), ["vg/data"]);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_guest_is_thawed_and_may_be_thawed_already() {
    let setting = Setting::new();
    let frozen = setting.freeze().await;
    for thawed_now in [Some(2), Some(0)] {
        let Released::Thawed(thawed) = frozen.release(&setting.means()).await.unwrap() else { panic!() };
        assert_eq!(thawed.count, thawed_now);
        assert!(!setting.guest.is_frozen());
    }
}

#[tokio::test]
async fn an_unfinished_file_is_removed_and_may_be_gone_already() {
    let setting = Setting::new();
    let path = setting.partial();
    let partial = Held::Partial { path: path.clone() };
    for _ in 0..2 {
        assert!(matches!(partial.release(&setting.means()).await.unwrap(), Released::Gone));
        assert!(!is_there(&path));
    }
}

/// Its session is gone with the process that had it.
#[tokio::test]
async fn a_lock_goes_by_itself_within_the_time_that_the_server_keeps_it() {
    let setting = Setting::new();
    let lock = Held::Lock { method: LockMethod::BackupStage, expiry_ms: 55_000, session: None };
    for _ in 0..2 {
        let released = lock.release(&setting.means()).await.unwrap();
        assert!(matches!(released, Released::ByItself(after) if after == Duration::from_secs(55)));
    }
    assert_eq!(setting.log.entries(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_guest_stands_still_no_longer_than_needed_it_is_thawed_before_volumes_are_removed() {
    let setting = Setting::new();
    let held = [setting.cow(0, true), setting.freeze().await];
    release_all(&held, &setting.means()).await.unwrap();
    let taken = setting.log.entries();
    let position = |wanted: &str| taken.iter().position(|entry| entry.starts_with(wanted)).unwrap();
    assert!(position("agent: guest-fsfreeze-thaw") < position("program: lvremove"), "{taken:#?}");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_given_back_does_not_keep_the_others_and_is_named() {
    let setting = Setting::new();
    let partial = Held::Partial { path: setting.partial() };
    let held = [partial, setting.cow(0, true), setting.cow(1, true), setting.freeze().await];
    // Both attempts of the one that is removed first.
    setting.lvm.fail_program("lvremove", 1, Fault::Refuses);
    setting.lvm.fail_program("lvremove", 2, Fault::Refuses);
    let left = release_all(&held, &setting.means()).await.unwrap_err();
    assert_eq!(setting.lvm.volumes(), ["vg/data", "vg/stillpoint-r1-1"]);
    assert!(!setting.guest.is_frozen() && !held[0].may_be_there());
    let names: Vec<&Held> = left.left.iter().map(|(held, _)| held).collect();
    assert_eq!(names, [&held[2]]);
    let cause = Cause::from(left);
    assert_eq!(cause.kind, Kind::VolumesLeft);
    assert!(cause.hint().contains("`lvremove vg/stillpoint-r1-1`; volumes cost"), "{}", cause.hint());
    // What was in the way is gone.
    release_all(&held, &setting.means()).await.unwrap();
    assert_eq!(setting.lvm.volumes(), ["vg/data"]);
}

#[tokio::test(start_paused = true)]
async fn a_guest_that_may_be_frozen_counts_more_than_a_volume_that_is_left() {
    let setting = Setting::new();
    let held = [setting.cow(0, true), setting.freeze().await];
    let gone = setting.guest.clone().fails_at("guest-fsfreeze-thaw", AgentFault::Gone);
    let means = Means { agent: Some(SharedAgent::new(gone)), ..setting.means() };
    (1..=2).for_each(|nth| setting.lvm.fail_program("lvremove", nth, Fault::Refuses));
    let cause = Cause::from(release_all(&held, &means).await.unwrap_err());
    assert_eq!(cause.kind, Kind::GuestMayBeFrozen);
    assert!(cause.to_string().contains("vg/stillpoint-r1-0"), "{cause}");
}

/// A socket that nobody listens at alone says nothing: its VM may have another, or QEMU may have lost that one.
#[tokio::test(start_paused = true)]
async fn a_vm_is_gone_where_nobody_listens_and_nobody_has_its_disks_open() {
    let setting = Setting::new();
    let gone = setting.guest.clone().fails_at("guest-fsfreeze-thaw", AgentFault::Gone);
    let means = Means { agent: Some(SharedAgent::new(gone)), origins: vec![data()], ..setting.means() };
    let began = tokio::time::Instant::now();
    let held = crate::frozen();
    let cause = held.release(&means).await.map(drop).unwrap_err();
    assert_eq!((cause.kind, began.elapsed().as_secs()), (Kind::GuestMayBeFrozen, 4), "{cause}");

    setting.lvm.close(&data());
    let began = tokio::time::Instant::now();
    assert!(matches!(held.release(&means).await.unwrap(), Released::VmGone(_)));
    assert_eq!(began.elapsed(), Duration::ZERO);
    let (agent, name) = ("unix:/run/qga".to_owned(), MarkerName::new());
    let markers = Held::Markers { agent: agent.clone(), name };
    assert!(matches!(markers.release(&means).await.unwrap(), Released::WaitsForVm(_)));
    let watchdog = Held::Watchdog { agent, token: Token::new() };
    assert!(matches!(watchdog.release(&means).await.unwrap(), Released::Gone));
    let dump = Held::Dump { agent: "unix:/run/qga".to_owned(), name: DumpName::new() };
    assert!(matches!(dump.release(&means).await.unwrap(), Released::Gone));
    let unknown = Means { origins: Vec::new(), ..means };
    markers.release(&unknown).await.map(drop).unwrap_err();
    assert_eq!(held.release(&unknown).await.map(drop).unwrap_err().kind, Kind::GuestMayBeFrozen);
}

#[tokio::test]
async fn a_dump_is_ended_in_the_guest_by_its_name_as_often_as_wanted() {
    let setting = Setting::new();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = asked.clone();
    let guest = setting.guest.clone().runs(move |program: &Program| {
        seen.lock().unwrap().push(program.args[3..5].to_vec());
        Finished { exit: Exit::Code(0), stdout: Vec::new(), stderr: Vec::new() }
    });
    let means = Means { agent: Some(SharedAgent::new(guest)), ..setting.means() };
    let name = DumpName::new();
    let held = Held::Dump { agent: "unix:/run/qga".to_owned(), name: name.clone() };
    for _ in 0..2 {
        assert!(matches!(held.release(&means).await.unwrap(), Released::Gone));
    }
    assert_eq!(*asked.lock().unwrap(), [["end", name.as_str()], ["end", name.as_str()]]);
}

#[tokio::test]
async fn a_guest_whose_agent_is_not_known_may_be_frozen() {
    let setting = Setting::new();
    let means = Means { agent: None, ..setting.means() };
    let cause = crate::frozen().release(&means).await.map(drop).unwrap_err();
    assert_eq!(cause.kind, Kind::GuestMayBeFrozen, "{cause}");
}

/// A log may be older than what is there now, or not ours.
#[tokio::test]
async fn a_file_that_no_run_names_so_is_not_removed() {
    let setting = Setting::new();
    for name in ["b.img.zst", ".b.img.zst.partial-", ".b.partial-0123456789abcdeg", "b.partial-0123456789abcdef", ".."]
    {
        let path = setting.folder.path().join(name);
        if name != ".." {
            std::fs::write(&path, "theirs").unwrap();
        }
        Held::Partial { path: path.clone() }.release(&setting.means()).await.map(drop).unwrap_err();
        assert!(is_there(&path), "{name}");
    }
}

#[tokio::test]
async fn a_link_in_the_place_of_an_unfinished_file_is_not_followed() {
    let setting = Setting::new();
    let path = setting.partial();
    let theirs = setting.folder.path().join("theirs");
    std::fs::rename(&path, &theirs).unwrap();
    std::os::unix::fs::symlink(&theirs, &path).unwrap();
    Held::Partial { path: path.clone() }.release(&setting.means()).await.unwrap();
    assert!(!is_there(&path) && is_there(&theirs));
}

#[tokio::test]
async fn a_folder_in_the_place_of_an_unfinished_file_stays_and_is_left() {
    let setting = Setting::new();
    let path = setting.partial();
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    let held = [Held::Partial { path: path.clone() }];
    let left = release_all(&held, &setting.means()).await.unwrap_err();
    assert!(is_there(&path));
    assert_eq!(Cause::from(left).hint(), format!("free what holds them, then remove {}", path.display()));
}

#[tokio::test]
async fn a_volume_that_is_not_ours_is_not_removed() {
    let setting = Setting::new();
    // One by name only: it has not our tag.
    setting.lvm.add_lv(&"vg/stillpoint-r1-0".parse().unwrap(), b"theirs");
    for volume in ["vg/data", "vg/stillpoint-r1-0"] {
        let held = Held::Cow { volume: volume.parse().unwrap(), origin: data() };
        held.release(&setting.means()).await.map(drop).unwrap_err();
    }
    assert_eq!(setting.lvm.volumes(), ["vg/data", "vg/stillpoint-r1-0"]);
}
