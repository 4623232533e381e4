//! The plan: what will be done, why, and with which numbers. Data, made from a survey without touching anything.
//!
//! It is what is executed: nothing is chosen again later, and no number that a step needs stands anywhere else.

use std::time::Duration;

use fsprobe::Kind;
use guest_bridge::database::agent_session::Owner;
use guest_bridge::database::lock::LockTerms;
use guest_bridge::database::lock_method::{LockChoice, LockMethod};
use guest_bridge::database::server::Server;
use lvm::{Bytes, LvmError};

use super::cow_plan::CowPlan;
use super::cow_sizes::{self, cow_plans, refuse_what_will_not_last};
use super::disk::{DiskPlan, PlannedVolume};
use super::dump_plan::DumpPlan;
use super::guest_disks::on_no_disk;
use super::lost::would_be_lost;
use super::placement::{self, Placed, Seems};
use super::proof::keeps_no_proof;
use super::survey::{DiskSurvey, Survey};
use crate::ask::database::Via;
use crate::ask::job::Job;
use crate::ask::lock_expiry::lock_expiry;
use crate::ask::policy::{Policy, Stated, WatchdogWish};
use crate::clock::millis;
use crate::cow::history::History;
use crate::documents::plan as document;
use crate::failure::Cause;
use crate::grade::Grade;
use crate::run::held::{GuestSession, Held};

/// By then our own thaw has been answered, or will not be.
const AFTER_OURS: Duration = Duration::from_secs(10);

/// What a backup is going to do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The VM's name.
    pub vm: String,
    /// Each disk, in the order in which it is attached and copied.
    pub disks: Vec<DiskPlan>,
    /// The guest writes out its dirty pages first, and may take this long; `None` where it is not asked to.
    pub guest_sync: Option<Duration>,
    /// The VM is off: there is nothing to lock, to freeze or to mark.
    pub is_off: bool,
    /// Whether a database is configured.
    pub has_database: bool,
    /// A marker on each of the guest's filesystems; `None` where none can be written, or nothing is frozen.
    pub markers: Option<MarkerPlan>,
    /// A watchdog in the guest; `None` where none can be armed, or nothing is frozen.
    pub watchdog: Option<WatchdogPlan>,
    /// A dump of the database in place of the image; `None` where there is none in any case.
    pub dump: Option<DumpPlan>,
    /// Mountpoints of the guest that are left out on purpose.
    pub ignore_mounts: Vec<String>,
    /// Each filesystem of the guest, and where it seems to be; empty where nobody could look.
    pub filesystems: Vec<Placed>,
    /// The window.
    pub window: WindowPlan,
    /// How long a snapshot's device node is waited for, after the window.
    pub node_deadline: Duration,
    /// The copy.
    pub copy: CopyPlan,
    /// The weakest grade that counts as success.
    pub require: Grade,
    /// Every setting that this comes from, with who chose it.
    pub settings: Vec<Stated>,
    /// What an admin should know before.
    pub notes: Vec<String>,
}

/// The markers by which the guest's filesystems are known again.
#[derive(Clone, Debug)]
pub struct MarkerPlan {
    /// Where the agent is.
    pub endpoint: String,
    /// How long the guest may take to write them, and to remove them.
    pub deadline: Duration,
}

/// The watchdog in the guest.
#[derive(Clone, Debug)]
pub struct WatchdogPlan {
    /// Where the agent is.
    pub endpoint: String,
    /// What it thaws.
    pub mountpoints: Vec<String>,
    /// After how long: the lock is waited for before the freeze, and a thaw of ours comes first.
    pub after: Duration,
    /// How long the guest may take to arm it, and to disarm it.
    pub deadline: Duration,
    /// Whether there is no window without it.
    pub wish: WatchdogWish,
}

/// What happens while the guest stands still.
#[derive(Clone, Debug)]
pub struct WindowPlan {
    /// The database's lock; `None` where no database is configured.
    pub lock: Option<LockPlan>,
    /// The freeze; `None` where none is asked for.
    pub freeze: Option<FreezePlan>,
    /// How long the volume groups may be another command's before the window.
    pub attach_deadline: Duration,
    /// The one number that bounds the window: from the sending of the freeze until all snapshots are there. Then the guest is thawed,
    /// whatever there is.
    pub deadline: Duration,
    /// How long a thaw is repeated before a person is called.
    pub thaw_deadline: Duration,
}

/// The database's lock.
#[derive(Clone, Debug)]
pub struct LockPlan {
    /// The server that was found.
    pub server: Server,
    /// The agent that the session goes through, where it is inside the guest.
    pub agent: Option<String>,
    /// The lock that fits it, and why.
    pub choice: LockChoice,
    /// Its deadlines.
    pub terms: LockTerms,
}

/// The freeze.
#[derive(Clone, Debug)]
pub struct FreezePlan {
    /// Where the agent is.
    pub endpoint: String,
    /// How long the guest may take to freeze.
    pub deadline: Duration,
    /// How long the answer to the first thaw is waited for.
    pub first_thaw_deadline: Duration,
}

/// The copy of each disk.
#[derive(Clone, Debug)]
pub struct CopyPlan {
    /// The VM.
    pub vm: String,
    /// Where is kept how each COW fills.
    pub history: History,
    /// zstd level.
    pub level: i32,
    /// Threads that read and compress.
    pub threads: usize,
    /// A dump can take the image's place, should a snapshot not last.
    pub can_give_up: bool,
}

impl Plan {
    /// Decides.
    ///
    /// # Errors
    /// Where what was found does not allow a backup: no room for the COW volumes.
    pub fn make(job: &Job, survey: &Survey) -> Result<Self, Cause> {
        let policy = &job.policy;
        let disks = disk_plans(policy, &survey.disks);
        let expiry = lock_expiry(policy);
        let dump = image_or_dump(job, survey, &disks)?;
        let can_give_up = dump.is_some();
        let mut notes = survey.notes();
        notes.extend(barred(&disks));
        notes.extend(cow_sizes::notes(&disks));
        let ignored = &job.ignore_mounts.value;
        let filesystems = match &survey.places {
            Ok(places) => {
                let placed = placement::placed(places, ignored, &disks);
                notes.extend(placement::notes(&placed, places, ignored));
                placed
            }
            Err(why) => {
                notes.extend(without_places(survey, why, &disks));
                Vec::new()
            }
        };
        if survey.is_off {
            notes.push(
                "the VM is off: its disks are open nowhere on this host, and no agent can be reached. There is nothing to lock \
                 or to freeze, and the grade is `clean` where its bytes show that it was shut down"
                    .to_owned(),
            );
        } else {
            notes.extend(disks.iter().filter(|disk| !disk.origin.open).map(open_nowhere));
        }
        notes.extend(survey.server.as_ref().and(expiry.note));
        Ok(Self {
            vm: job.vm.clone(),
            guest_sync: survey.guest_can_exec().then_some(policy.guest_sync.value),
            is_off: survey.is_off,
            has_database: job.database.value.is_some(),
            markers: job
                .freeze_through()
                .filter(|_| survey.places.is_ok())
                .map(|agent| MarkerPlan { endpoint: agent.to_string(), deadline: policy.marker.value }),
            watchdog: watchdog_plan(job, survey)?,
            dump,
            ignore_mounts: ignored.clone(),
            filesystems,
            window: WindowPlan {
                lock: survey.server.as_ref().map(|server| lock_plan(job, server, expiry.after)),
                freeze: freeze_plan(job).filter(|_| !survey.is_off),
                attach_deadline: policy.attach.value,
                deadline: policy.window.value,
                thaw_deadline: policy.thaw.value,
            },
            node_deadline: policy.node.value,
            copy: CopyPlan {
                vm: job.vm.clone(),
                history: History::below(&job.state_dir.value),
                level: policy.level.value,
                threads: policy.threads.value,
                can_give_up,
            },
            require: policy.require.value,
            settings: job.stated(),
            disks,
            notes,
        })
    }

    /// The plan as others read it.
    #[must_use]
    pub fn document(&self) -> document::Plan {
        let setting = |Stated { key, value, from }: &Stated| document::Setting {
            name: (*key).to_owned(),
            value: value.clone(),
            from: from.to_string(),
        };
        document::Plan {
            format: document::FORMAT,
            vm: self.vm.clone(),
            disks: self.disks.iter().map(DiskPlan::document).collect(),
            window: document::Window {
                deadline_ms: Some(millis(self.window.deadline)),
                lock: self.window.lock.as_ref().map(LockPlan::document),
                freeze: self.window.freeze.as_ref().map(|freeze| document::Freeze {
                    agent: freeze.endpoint.clone(),
                    deadline_ms: millis(freeze.deadline),
                }),
            },
            guest_sync: self.guest_sync.is_some(),
            watchdog_after_ms: self.watchdog.as_ref().map(|watchdog| millis(watchdog.after)),
            dump: self.dump.as_ref().map(DumpPlan::document),
            filesystems: self.filesystems.iter().map(Placed::document).collect(),
            lost: [Grade::Application, Grade::Filesystem, Grade::Crash].map(|grade| self.lost_at(grade)).into(),
            require: self.require,
            level: self.copy.level,
            settings: self.settings.iter().map(setting).collect(),
            notes: self.notes.clone(),
        }
    }
}

impl Plan {
    fn lost_at(&self, grade: Grade) -> document::Lost {
        let server = self.window.lock.as_ref().map(|lock| &lock.server);
        document::Lost { grade, lost: would_be_lost(grade, server, &[]) }
    }
}

impl DiskPlan {
    fn document(&self) -> document::Disk {
        let Self { origin, cow, volumes } = self;
        document::Disk {
            origin: origin.name.to_string(),
            size: origin.size.0,
            cow: cow.size.0,
            cow_reason: cow.reason.clone(),
            cow_verdict: Some(cow.verdict.into()),
            forecast: cow.forecast(),
            volumes: volumes.iter().map(|volume| format!("{} {}", volume.path, volume.kind)).collect(),
        }
    }
}

impl Placed {
    fn document(&self) -> document::Filesystem {
        let (seems, why) = match &self.seems {
            Seems::On(on) => (document::Seems::On { disk: on.origin.to_string(), volume: on.volume.clone() }, None),
            Seems::NotHere => (document::Seems::NotHere, None),
            Seems::Unknown => (document::Seems::Unknown, None),
            Seems::LeftOut => (document::Seems::LeftOut, None),
            Seems::Exempt(why) => (document::Seems::Exempt, Some((*why).to_owned())),
        };
        document::Filesystem {
            mountpoint: self.mount.mountpoint.clone(),
            fs_type: self.mount.fs_type.clone(),
            seems,
            why,
            holds: self.holds.iter().map(|path| path.display().to_string()).collect(),
        }
    }
}

impl LockPlan {
    /// What the run holds once the lock is granted.
    #[must_use]
    pub fn holds(&self, owner: Option<&Owner>) -> Held {
        let session = self.agent.as_ref().zip(owner);
        let session = session.map(|(agent, owner)| GuestSession { agent: agent.clone(), owner: owner.clone() });
        Held::Lock { method: self.choice.method, expiry_ms: millis(self.terms.expiry), session }
    }

    fn document(&self) -> document::Lock {
        document::Lock {
            server: self.server.clone(),
            method: self.choice.method,
            reason: self.choice.reason.clone(),
            lock_deadline_ms: millis(self.terms.lock_deadline),
            expiry_ms: millis(self.terms.expiry),
        }
    }
}

impl FreezePlan {
    /// What the run holds from the sending of the freeze on.
    #[must_use]
    pub fn holds(&self) -> Held {
        Held::Frozen { agent: self.endpoint.clone() }
    }
}

/// The freeze that `job` asks for.
pub(crate) fn freeze_plan(job: &Job) -> Option<FreezePlan> {
    let policy = &job.policy;
    job.freeze_through().map(|freeze| FreezePlan {
        endpoint: freeze.to_string(),
        // A freeze that takes all of the window leaves nothing for the snapshots.
        deadline: policy.freeze.value.min(policy.window.value),
        first_thaw_deadline: policy.first_thaw.value,
    })
}

/// The watchdog that `job` asks for, where it can be had.
///
/// # Errors
/// Where it cannot, and is required.
pub(crate) fn watchdog_plan(job: &Job, survey: &Survey) -> Result<Option<WatchdogPlan>, Cause> {
    let policy = &job.policy;
    let Some(agent) = job.freeze_through().filter(|_| !survey.is_off && policy.watchdog.value != WatchdogWish::None)
    else {
        return Ok(None);
    };
    let places = match &survey.places {
        Ok(places) => places,
        Err(why) if policy.watchdog.value == WatchdogWish::Require => {
            let what = format!("no watchdog can be armed in the guest: {why}");
            return Err(Cause::refused(what, "allow guest-exec in the guest, or set `watchdog` to \"auto\""));
        }
        Err(_) => return Ok(None),
    };
    let lock = if survey.server.is_some() { policy.lock.value } else { Duration::ZERO };
    let can_freeze = places.mounts.iter().filter(|mount| mount.takes_marker());
    Ok(Some(WatchdogPlan {
        endpoint: agent.to_string(),
        mountpoints: can_freeze.map(|mount| mount.mountpoint.clone()).collect(),
        after: lock + policy.window.value + policy.first_thaw.value + AFTER_OURS,
        deadline: policy.marker.value,
        wish: policy.watchdog.value,
    }))
}

/// What is done about each disk.
pub(crate) fn disk_plans(policy: &Policy, disks: &[DiskSurvey]) -> Vec<DiskPlan> {
    let volume = |volume: &fsprobe::Volume| PlannedVolume {
        path: volume.path.clone(),
        kind: volume.kind,
        size_bytes: volume.size_bytes(),
        uuid: volume.uuid.clone(),
    };
    let plan = |(DiskSurvey { origin, layout, .. }, cow): (&DiskSurvey, CowPlan)| DiskPlan {
        origin: origin.clone(),
        cow,
        volumes: layout.volumes.iter().map(volume).collect(),
    };
    cow_plans(policy, disks).into_iter().map(plan).collect()
}

/// What can be seen of the guest's filesystems from outside of it.
fn without_places(survey: &Survey, why: &str, disks: &[DiskPlan]) -> Vec<String> {
    let mut notes = Vec::new();
    let Some(guest) = &survey.guest else { return notes };
    if survey.guest_can_exec() {
        notes.push(format!("where things lie in the guest cannot be seen: {why}"));
    }
    match &guest.unlisted {
        Some(why) => {
            notes.push(format!("whether the guest has disks that this job does not name cannot be seen: {why}"));
        }
        None => notes.extend(on_no_disk(&guest.filesystems, disks)),
    }
    for disk in disks {
        let opaque = disk.volumes.iter().filter(|volume| volume.kind == Kind::Ext2 || keeps_no_proof(volume.kind));
        notes.extend(opaque.map(|volume| {
            format!(
                "{} volume {} is {}: a freeze of it cannot be proven from its bytes",
                disk.origin.name, volume.path, volume.kind
            )
        }));
    }
    notes
}

fn open_nowhere(DiskPlan { origin, .. }: &DiskPlan) -> String {
    format!("{} is open nowhere on this host: it is not the disk of a VM that runs here", origin.name)
}

/// The COW volumes of all disks of a group have to fit into it together.
///
/// # Errors
/// Where they do not.
fn refuse_without_room(disks: &[DiskPlan]) -> Result<(), Cause> {
    for DiskPlan { origin, cow, .. } in disks {
        let (vg, room) = (&origin.vg, cow.room);
        let same_group = || disks.iter().filter(|other| other.origin.vg.name == vg.name);
        let needed = Bytes(same_group().fold(0, |sum, other| sum.saturating_add(other.cow.size.0)));
        if needed > room {
            return Err(LvmError::NoRoom { vg: vg.name.clone(), needed, free: room }.into());
        }
        if vg.volumes_left.is_some_and(|left| left < same_group().count() as u64) {
            return Err(Cause::refused(
                format!("the group {} may not have so many volumes more: its max_lv is nearly reached", vg.name),
                "remove volumes that nobody needs, or raise it with `vgchange --logicalvolume`",
            ));
        }
    }
    Ok(())
}

/// Whether there will be an image, a dump in its place, or both may be.
///
/// # Errors
/// Where there can be neither.
pub(crate) fn image_or_dump(job: &Job, survey: &Survey, disks: &[DiskPlan]) -> Result<Option<DumpPlan>, Cause> {
    let terms = lock_terms(job, lock_expiry(&job.policy).after);
    let dump = DumpPlan::make(job, survey, terms, refuse_what_will_not_last(&job.policy, disks))?;
    if dump.as_ref().and_then(DumpPlan::instead).is_none() {
        refuse_without_room(disks)?;
    }
    Ok(dump)
}

/// Room that there is, and that nothing may be made in.
pub(crate) fn barred(disks: &[DiskPlan]) -> Vec<String> {
    let mut groups: Vec<_> = disks.iter().map(|disk| &disk.origin.vg).filter(|vg| vg.barred.0 > 0).collect();
    groups.dedup_by(|one, other| one.name == other.name);
    let note = |vg: &&lvm::VolumeGroup| {
        format!(
            "{} of the free room of the group {} is on devices that LVM may not use (pvchange -x)",
            vg.barred, vg.name
        )
    };
    groups.iter().map(note).collect()
}

fn lock_terms(job: &Job, expiry: Duration) -> LockTerms {
    let policy = &job.policy;
    LockTerms { lock_deadline: policy.lock.value, expiry, statement_deadline: policy.statement.value }
}

fn lock_plan(job: &Job, server: &Server, expiry: Duration) -> LockPlan {
    let policy = &job.policy;
    let is_in_guest = job.database.value.as_ref().is_some_and(|route| matches!(route.via, Via::Agent { .. }));
    let agent = job.agent.value.as_ref().filter(|_| is_in_guest).map(ToString::to_string);
    let choice = LockMethod::choose(server, policy.lock_wish.value);
    let terms = LockTerms { lock_deadline: choice.deadline(policy.lock.value), ..lock_terms(job, expiry) };
    LockPlan { server: server.clone(), agent, choice, terms }
}
