//! Evidence: what the snapshots themselves prove, read before a byte is copied.

use crate::blocking::blocking;
use fsprobe::{Depth, Report};
use serde::Serialize;
use serde_json::{Value, json};

use crate::backup::proof::{FreezeProof, freeze_proof};
use crate::backup::snapshots::Source;
use crate::failure::{Cause, Failure};
use crate::run::log::RunLog;
use crate::step::Step;

/// What one disk's snapshot proves.
#[derive(Clone, Debug, Serialize)]
pub struct DiskEvidence {
    /// The origin, `vg/lv`.
    pub lv: String,
    /// What fsprobe read from the snapshot.
    pub report: Report,
}

impl DiskEvidence {
    /// Reads the evidence of every snapshot, before the copy.
    ///
    /// # Errors
    /// Where one cannot be read.
    pub async fn read_all(sources: &[Source<'_>], log: &RunLog) -> Result<Vec<Self>, Failure> {
        let read = |source: &Source<'_>| {
            let report = fsprobe::check(&source.device, Depth::Default)
                .map_err(|error| source.snapshot.full().map_or_else(|| Cause::from(error), Cause::from))?;
            Ok(Self { lv: source.snapshot.volume.origin().to_string(), report })
        };
        let reading = async { blocking(|| sources.iter().map(read).collect::<Result<Vec<_>, Cause>>()) };
        let verdicts = |disks: &Vec<Self>| {
            disks.iter().map(|disk| json!({ "origin": disk.lv, "verdict": disk.report.verdict })).collect()
        };
        log.take(Step::Evidence, Value::Null, reading, verdicts).await
    }

    /// What each filesystem of the disk says of the freeze, by its volume path.
    #[must_use]
    pub fn freeze_proofs(&self) -> Vec<(&str, FreezeProof)> {
        self.report.volumes.iter().filter_map(|volume| Some((&*volume.path, freeze_proof(volume)?))).collect()
    }

    /// The finding that the verdict rests on, in words.
    #[must_use]
    pub fn worst_finding(&self) -> String {
        let worst = self.report.volumes.iter().max_by_key(|volume| volume.verdict);
        worst.map_or_else(
            || "damaged".to_owned(),
            |volume| match volume.findings.iter().max_by_key(|finding| finding.severity) {
                Some(finding) => format!("volume {}: {} ({})", volume.path, finding.detail, finding.code),
                None => format!("volume {}: {:?}", volume.path, volume.verdict),
            },
        )
    }
}
