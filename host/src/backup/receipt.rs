//! The receipt: the JSON beside an artifact that says what it is, and every decision that made it so.

use fsprobe::Report;
use serde::Serialize;

use crate::backup::copy_disks::Transferred;
use crate::backup::evidence::DiskEvidence;
use crate::backup::grading::Graded;
use crate::backup::plan::Plan;
use crate::backup::survey::Survey;
use crate::backup::window::WindowReport;
use crate::cow::watch::CowCurve;
use crate::grade::Grade;
use crate::run::log::RunLog;
use lvm::Bytes;

/// The version of this form. It changes when a name here changes its meaning or goes.
pub const FORMAT: u32 = 1;

/// What one backup is.
#[derive(Clone, Debug, Serialize)]
pub struct Receipt {
    /// [`FORMAT`].
    pub format: u32,
    /// The version of this program.
    pub version: &'static str,
    /// The run, as in the run log's name.
    pub run: String,
    /// The VM.
    pub vm: String,
    /// When the run began, RFC 3339.
    pub started_at: String,
    /// When the copy was whole, RFC 3339.
    pub ended_at: String,
    /// The grade that was proven.
    pub grade: Grade,
    /// Why it is not better.
    pub reasons: Vec<String>,
    /// The grade that was asked for.
    pub required: Grade,
    /// The window, the lock and the coordinates.
    pub window: WindowReport,
    /// Each disk.
    pub disks: Vec<DiskReceipt>,
    /// What was planned.
    pub plan: Plan,
    /// Versions of the agent and the database.
    pub peers: Peers,
}

/// One disk of a backup.
#[derive(Clone, Debug, Serialize)]
pub struct DiskReceipt {
    /// `vg/lv`.
    pub origin: String,
    /// File name of the artifact, beside the receipt; `-` for standard output.
    pub image: String,
    /// Length of the disk.
    pub raw_bytes: u64,
    /// Bytes of it that were read.
    pub allocated_bytes: u64,
    /// Length of the artifact.
    pub stored_bytes: u64,
    /// blake3 of the disk as `zstd -dc` gives it, in hex.
    pub raw_blake3: String,
    /// blake3 of the artifact file, in hex.
    pub stored_blake3: String,
    /// How long the copy took.
    pub copy_ms: u64,
    /// What the snapshot proved before the copy: layout and consistency.
    pub evidence: Report,
    /// How the COW filled.
    pub cow: CowCurve,
}

/// Who took part.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Peers {
    /// The guest agent's version.
    pub agent: Option<String>,
    /// The database server's version.
    pub database: Option<String>,
}

impl DiskReceipt {
    /// Puts one disk's results together.
    #[must_use]
    pub fn new(image: String, evidence: DiskEvidence, transferred: Transferred) -> Self {
        let Transferred { copied, cow } = transferred;
        Self {
            origin: evidence.lv,
            image,
            raw_bytes: copied.raw_bytes,
            allocated_bytes: copied.allocated_bytes,
            stored_bytes: copied.stored_bytes,
            raw_blake3: copied.raw_blake3.to_hex().to_string(),
            stored_blake3: copied.stored_blake3.to_hex().to_string(),
            copy_ms: crate::clock::millis(copied.duration),
            evidence: evidence.report,
            cow,
        }
    }
}

impl Receipt {
    /// Puts a run's results together.
    #[must_use]
    pub fn new(
        log: &RunLog,
        survey: &Survey,
        plan: Plan,
        graded: Graded,
        window: WindowReport,
        disks: Vec<DiskReceipt>,
    ) -> Self {
        Self {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION"),
            run: log.run().to_string(),
            vm: plan.vm.clone(),
            started_at: log.started_at().to_owned(),
            ended_at: log.now(),
            grade: graded.grade,
            reasons: graded.reasons,
            required: plan.require,
            window,
            disks,
            plan,
            peers: Peers {
                agent: survey.guest.as_ref().map(|guest| guest.info.version.clone()),
                database: survey.server.as_ref().map(|server| server.version_text.clone()),
            },
        }
    }

    /// Ten lines for a person.
    #[must_use]
    pub fn summary(&self) -> String {
        let ms = |ms: Option<u64>| ms.map_or("none".to_owned(), |ms| format!("{ms} ms"));
        let sum = |pick: fn(&DiskReceipt) -> u64| Bytes(self.disks.iter().map(pick).sum());
        let coordinates = match &self.window.coordinates {
            Some(at) => {
                format!(
                    "{}:{}{}",
                    at.file,
                    at.position,
                    at.gtid.as_ref().map(|gtid| format!(" gtid {gtid}")).unwrap_or_default()
                )
            }
            None => "none".to_owned(),
        };
        let cow = self
            .disks
            .iter()
            .map(|disk| format!("{} of {} ({})", Bytes(disk.cow.peak_bytes), Bytes(disk.cow.total_bytes), disk.origin));
        let lines = [
            ("vm", self.vm.clone()),
            ("grade", format!("{} (required {})", self.grade, self.required)),
            (
                "because",
                if self.reasons.is_empty() {
                    "proven on disk, tables locked".to_owned()
                } else {
                    self.reasons.join("; ")
                },
            ),
            ("window", ms(self.window.window_ms)),
            ("stall", ms(self.window.stall_ms)),
            ("binlog", coordinates),
            (
                "size",
                format!(
                    "{} of disk, {} allocated, {} stored",
                    sum(|d| d.raw_bytes),
                    sum(|d| d.allocated_bytes),
                    sum(|d| d.stored_bytes)
                ),
            ),
            ("cow peak", cow.collect::<Vec<_>>().join(", ")),
            ("images", self.disks.iter().map(|disk| &*disk.image).collect::<Vec<_>>().join(", ")),
            ("run", self.run.clone()),
        ];
        lines.iter().map(|(name, value)| format!("{name:>9}  {value}\n")).collect()
    }
}
