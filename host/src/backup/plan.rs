//! The plan: what will be done, why, and with which numbers. Data, made from a survey without touching anything.
//!
//! It is what is executed: nothing is chosen again later, and no number that a step needs stands anywhere else.

use std::time::Duration;

use guest_bridge::database::lock::LockTerms;
use guest_bridge::database::lock_method::{LockChoice, LockMethod};
use guest_bridge::database::server::Server;
use lvm::{Bytes, LvmError, Origin};

use super::disk::{DiskPlan, PlannedVolume};
use super::guest_disks::on_no_disk;
use super::survey::{DiskSurvey, Survey};
use crate::ask::cow_size::CowSize;
use crate::ask::job::Job;
use crate::ask::lock_expiry::lock_expiry;
use crate::ask::policy::{Policy, Stated};
use crate::clock::millis;
use crate::documents::plan as document;
use crate::failure::Cause;
use crate::grade::Grade;
use crate::run::held::Held;

/// Smaller than this a COW volume is filled by a handful of log writes.
const COW_MIN: Bytes = Bytes(64 << 20);

/// What a backup is going to do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The VM's name.
    pub vm: String,
    /// Each disk, in the order in which it is attached and copied.
    pub disks: Vec<DiskPlan>,
    /// The guest writes out its dirty pages first, and may take this long; `None` where it is not asked to.
    pub guest_sync: Option<Duration>,
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

/// What happens while the guest stands still.
#[derive(Clone, Debug)]
pub struct WindowPlan {
    /// The database's lock; `None` where no database is configured.
    pub lock: Option<LockPlan>,
    /// The freeze; `None` where none is asked for.
    pub freeze: Option<FreezePlan>,
    /// How long the attach of one disk may take.
    pub attach_deadline: Duration,
    /// How long a thaw is repeated before a person is called.
    pub thaw_deadline: Duration,
}

/// The database's lock.
#[derive(Clone, Debug)]
pub struct LockPlan {
    /// The server that was found.
    pub server: Server,
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
#[derive(Clone, Copy, Debug)]
pub struct CopyPlan {
    /// zstd level.
    pub level: i32,
    /// Threads that read and compress.
    pub threads: usize,
}

impl Plan {
    /// Decides.
    ///
    /// # Errors
    /// Where what was found does not allow a backup: no room for the COW volumes.
    pub fn make(job: &Job, survey: &Survey) -> Result<Self, Cause> {
        let policy = &job.policy;
        let disks: Vec<DiskPlan> = survey.disks.iter().map(|disk| disk_plan(policy.cow_size.value, disk)).collect();
        refuse_without_room(&disks)?;
        let mut notes = survey.notes();
        let filesystems = survey.guest.iter().flat_map(|guest| &guest.filesystems);
        notes.extend(on_no_disk(filesystems, &disks));
        notes.extend(disks.iter().filter(|disk| !disk.origin.open).map(open_nowhere));
        let expiry = lock_expiry(policy, disks.len());
        notes.extend(survey.server.as_ref().and(expiry.note));
        Ok(Self {
            vm: job.vm.clone(),
            guest_sync: survey.guest_can_exec().then_some(policy.guest_sync.value),
            window: WindowPlan {
                lock: survey.server.as_ref().map(|server| lock_plan(policy, server, expiry.after)),
                freeze: job.freeze_through().map(|freeze| FreezePlan {
                    endpoint: freeze.to_string(),
                    deadline: policy.freeze.value,
                    first_thaw_deadline: policy.first_thaw.value,
                }),
                attach_deadline: policy.attach.value,
                thaw_deadline: policy.thaw.value,
            },
            node_deadline: policy.node.value,
            copy: CopyPlan { level: policy.level.value, threads: policy.threads.value },
            require: policy.require.value,
            settings: job.stated(),
            disks,
            notes,
        })
    }

    /// The plan as others read it.
    #[must_use]
    pub fn document(&self) -> document::Plan {
        let disk = |disk: &DiskPlan| document::Disk {
            origin: disk.origin.name.to_string(),
            size: disk.origin.size.0,
            cow: disk.cow.0,
            cow_reason: disk.cow_reason.clone(),
            volumes: disk.volumes.iter().map(|volume| format!("{} {}", volume.path, volume.kind)).collect(),
        };
        let setting = |Stated { key, value, from }: &Stated| document::Setting {
            name: (*key).to_owned(),
            value: value.clone(),
            from: from.to_string(),
        };
        document::Plan {
            format: document::FORMAT,
            vm: self.vm.clone(),
            disks: self.disks.iter().map(disk).collect(),
            window: document::Window {
                lock: self.window.lock.as_ref().map(LockPlan::document),
                freeze: self.window.freeze.as_ref().map(|freeze| document::Freeze {
                    agent: freeze.endpoint.clone(),
                    deadline_ms: millis(freeze.deadline),
                }),
            },
            guest_sync: self.guest_sync.is_some(),
            require: self.require,
            level: self.copy.level,
            settings: self.settings.iter().map(setting).collect(),
            notes: self.notes.clone(),
        }
    }
}

impl LockPlan {
    /// What the run holds once the lock is granted.
    #[must_use]
    pub fn holds(&self) -> Held {
        Held::Lock { method: self.choice.method, expiry_ms: millis(self.terms.expiry) }
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

fn disk_plan(cow_size: CowSize, DiskSurvey { origin, layout }: &DiskSurvey) -> DiskPlan {
    let (cow, cow_reason) = size_of_cow(cow_size, origin);
    let volume = |volume: &fsprobe::Volume| PlannedVolume {
        path: volume.path.clone(),
        kind: volume.kind,
        size_bytes: volume.size_bytes(),
    };
    DiskPlan { origin: origin.clone(), cow, cow_reason, volumes: layout.volumes.iter().map(volume).collect() }
}

fn open_nowhere(DiskPlan { origin, .. }: &DiskPlan) -> String {
    format!(
        "{} is open nowhere on this host: either its VM is off, and without a freeze its copy is of grade `crash` although \
         nobody writes to it, or it is not that VM's disk",
        origin.name
    )
}

/// The COW volumes of all disks of a group have to fit into it together.
fn refuse_without_room(disks: &[DiskPlan]) -> Result<(), LvmError> {
    for DiskPlan { origin, .. } in disks {
        let vg = &origin.vg;
        let same_group = disks.iter().filter(|other| other.origin.vg.name == vg.name);
        let needed = Bytes(same_group.fold(0, |sum, other| sum.saturating_add(other.cow.0)));
        if needed > vg.free {
            return Err(LvmError::NoRoom { vg: vg.name.clone(), needed, free: vg.free });
        }
    }
    Ok(())
}

fn lock_plan(policy: &Policy, server: &Server, expiry: Duration) -> LockPlan {
    let terms = LockTerms { lock_deadline: policy.lock.value, expiry, statement_deadline: policy.statement.value };
    LockPlan { server: server.clone(), choice: LockMethod::choose(server), terms }
}

/// A COW that holds the whole origin never fills up, so nothing larger is ever needed.
fn size_of_cow(wanted: CowSize, origin: &Origin) -> (Bytes, String) {
    let extent = origin.vg.extent_size;
    let whole = whole_origin(origin.size).round_up(extent);
    let asked = match wanted {
        CowSize::Bytes(bytes) => bytes,
        CowSize::PercentOfOrigin(percent) => Bytes(origin.size.0 / 100 * percent).max(COW_MIN),
    };
    let size = asked.round_up(extent);
    if size >= whole {
        (whole, "room for every chunk of the origin: it cannot fill up".to_owned())
    } else {
        (size, format!("{wanted}"))
    }
}

/// Every chunk of the origin, and 16 bytes of exception table for each (`struct disk_exception`), and the header.
fn whole_origin(size: Bytes) -> Bytes {
    const CHUNK_BYTES: u64 = 4096;
    let chunks = size.0.div_ceil(CHUNK_BYTES);
    let exceptions_per_chunk = CHUNK_BYTES / 16;
    let tables = chunks.div_ceil(exceptions_per_chunk) + 1;
    Bytes((chunks + tables + 1).saturating_mul(CHUNK_BYTES))
}
