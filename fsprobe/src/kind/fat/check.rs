//! The check of a FAT volume: its size, its mark of use, its tables.

use super::Parameters;
use super::state::state;
use super::tables;
use crate::read_at::read;
use crate::{Depth, Finding, Findings, ProbeError, ReadAt, Verdict};

/// Adds what is known of the state of a FAT volume; nothing where it was unmounted and its tables agree.
pub(crate) fn check(volume: &dyn ReadAt, depth: Depth, findings: &mut Findings) -> Result<(), ProbeError> {
    let sector = read(volume, 0, 512, "FAT boot sector")?;
    // Recognised by them: they are there, but on a disk that somebody writes to meanwhile.
    let Some(parameters) = Parameters::parse(&sector) else { return Ok(()) };
    if parameters.size_bytes() > volume.size_bytes() {
        let detail = format!(
            "the filesystem has {} bytes, its volume {}: is it truncated?",
            parameters.size_bytes(),
            volume.size_bytes()
        );
        findings.push(Finding::damage("fat-truncated", "boot sector", detail));
    }
    let state = state(volume, &sector, &parameters)?;
    let is_in_use = state.as_ref().is_some_and(|state| state.severity.verdict() != Verdict::Consistent);
    findings.extend(state);
    tables::compare(volume, &sector, &parameters, is_in_use, depth, findings)
}
