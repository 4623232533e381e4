//! The plan: what will be done, why, and with which numbers. Data, made from a survey without touching anything.

use std::time::Duration;

use guest_bridge::database::lock::LockTerms;
use guest_bridge::database::lock_method::{LockChoice, LockMethod};
use guest_bridge::database::server::Server;
use serde::{Serialize, Serializer};

use crate::ask::cow_size::CowSize;
use crate::ask::job::Job;
use crate::ask::lock_expiry::lock_expiry;
use crate::backup::survey::Survey;
use crate::clock::millis;
use crate::failure::Cause;
use crate::grade::Grade;
use lvm::{Bytes, LvmError, Origin};

/// Smaller than this a COW volume is filled by a handful of log writes.
const COW_MIN: Bytes = Bytes(64 << 20);

/// What a backup is going to do.
#[derive(Clone, Debug, Serialize)]
pub struct Plan {
    /// The VM's name.
    pub vm: String,
    /// Each disk, in the order in which it is attached and copied.
    pub disks: Vec<DiskPlan>,
    /// The window.
    pub window: WindowPlan,
    /// Whether the guest is asked to write out its dirty pages first.
    pub guest_sync: bool,
    /// The weakest grade that counts as success.
    pub require: Grade,
    /// zstd level of the artifact.
    pub level: i32,
    /// What an admin should know before.
    pub notes: Vec<String>,
}

/// One disk.
#[derive(Clone, Debug, Serialize)]
pub struct DiskPlan {
    /// `vg/lv`.
    pub origin: String,
    /// Size of the origin.
    pub size: Bytes,
    /// Size of its COW volume.
    pub cow: Bytes,
    /// Why that size.
    pub cow_reason: String,
    /// What lies on it: volume path and kind.
    pub volumes: Vec<String>,
}

/// What happens while the guest stands still.
#[derive(Clone, Debug, Serialize)]
pub struct WindowPlan {
    /// The database's lock; `None` where no database is configured.
    pub lock: Option<LockPlan>,
    /// The freeze; `None` where none is asked for.
    pub freeze: Option<FreezePlan>,
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
    /// How long a thaw is repeated.
    pub thaw_deadline: Duration,
}

impl Plan {
    /// Decides.
    ///
    /// # Errors
    /// Where what was found does not allow a backup: no room for the COW, no filesystem on a disk, an agent that lacks
    /// what is needed.
    pub fn make(job: &Job, survey: &Survey) -> Result<Self, Cause> {
        let mut disks = Vec::new();
        let mut needed_in: Vec<(&Origin, Bytes)> = Vec::new();
        for disk in &survey.disks {
            let (cow, cow_reason) = cow_size(job.policy.cow_size.value, &disk.origin);
            match needed_in.iter_mut().find(|(origin, _)| origin.vg.name == disk.origin.vg.name) {
                Some((_, needed)) => needed.0 = needed.0.saturating_add(cow.0),
                None => needed_in.push((&disk.origin, cow)),
            }
            disks.push(DiskPlan {
                origin: disk.origin.name.to_string(),
                size: disk.origin.size,
                cow,
                cow_reason,
                volumes: disk
                    .layout
                    .volumes
                    .iter()
                    .map(|v| format!("{} {:?}", v.path, v.kind).to_lowercase())
                    .collect(),
            });
        }
        for (origin, needed) in needed_in {
            let vg = &origin.vg;
            if needed > vg.free {
                return Err(LvmError::NoRoom { vg: vg.name.clone(), needed, free: vg.free }.into());
            }
        }
        Ok(Self {
            vm: job.vm.clone(),
            window: WindowPlan {
                lock: survey.server.as_ref().map(|server| lock_plan(job, server, disks.len())),
                freeze: job.freeze_through().map(|freeze| FreezePlan {
                    endpoint: freeze.to_string(),
                    deadline: job.policy.freeze.value,
                    thaw_deadline: job.policy.thaw.value,
                }),
            },
            guest_sync: survey.guest_can_exec(),
            disks,
            require: job.policy.require.value,
            level: job.policy.level.value,
            notes: survey.notes(),
        })
    }
}

impl Plan {
    /// The plan in words.
    #[must_use]
    pub fn describe(&self) -> String {
        let mut lines = vec![format!("Backup of {}, required grade {}", self.vm, self.require)];
        for disk in &self.disks {
            lines.push(format!("  disk     {}: {}, holding {}", disk.origin, disk.size, disk.volumes.join(", ")));
            lines.push(format!("  cow      {} for it ({})", disk.cow, disk.cow_reason));
        }
        if self.guest_sync {
            lines.push("  sync     the guest writes out its dirty pages first".to_owned());
        }
        lines.push(match &self.window.lock {
            Some(lock) => format!(
                "  lock     {} within {} s, expiring by itself after {} s idle: {}",
                lock.choice.method,
                lock.terms.lock_deadline.as_secs(),
                lock.terms.expiry.as_secs(),
                lock.choice.reason
            ),
            None => "  lock     none: no database is configured".to_owned(),
        });
        lines.push(match &self.window.freeze {
            Some(freeze) => format!("  freeze   through {} within {} s", freeze.endpoint, freeze.deadline.as_secs()),
            None => "  freeze   none: it was declined".to_owned(),
        });
        lines.push(format!("  snapshot {} at once, then thaw, unlock", count(self.disks.len(), "disk")));
        lines.push(format!("  copy     allocated blocks, zstd level {}, then the snapshots are removed", self.level));
        lines.extend(self.notes.iter().map(|note| format!("  note     {note}")));
        lines.join("\n") + "\n"
    }
}

fn count(number: usize, thing: &str) -> String {
    if number == 1 { format!("1 {thing}") } else { format!("{number} {thing}s") }
}

fn lock_plan(job: &Job, server: &Server, disks: usize) -> LockPlan {
    LockPlan {
        server: server.clone(),
        choice: LockMethod::choose(server),
        terms: LockTerms {
            lock_deadline: job.policy.lock.value,
            expiry: lock_expiry(&job.policy, disks).after,
            statement_deadline: job.policy.statement.value,
        },
    }
}

/// A COW that holds the whole origin never fills up, so nothing larger is ever needed.
fn cow_size(wanted: CowSize, origin: &Origin) -> (Bytes, String) {
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

impl Serialize for LockPlan {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serde_json::json!({
            "server": self.server,
            "method": self.choice.method,
            "reason": self.choice.reason,
            "lock_deadline_ms": millis(self.terms.lock_deadline),
            "expiry_ms": millis(self.terms.expiry),
        })
        .serialize(serializer)
    }
}

impl Serialize for FreezePlan {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serde_json::json!({ "agent": self.endpoint, "deadline_ms": millis(self.deadline) }).serialize(serializer)
    }
}
