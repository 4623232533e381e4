//! What was found and done, as others read it.

use std::time::{Duration, UNIX_EPOCH};

use lvm::Unseen;

use super::act::{Done, Outcome};
use super::finding::{Finding, OnTop, Step, What};
use super::processes::Process;
use super::run_of::RunState;
use super::seen::Seen;
use crate::documents::clean as document;

/// The document of what was found.
#[must_use]
pub fn listing(found: &[Finding], seen: &Seen) -> document::Clean {
    let unseen = seen.inventory.unseen.iter();
    let not_looked_at = unseen.map(|Unseen { vg, device, why }| document::NotLookedAt {
        vg: vg.clone(),
        device: device.clone(),
        why: why.clone(),
    });
    document::Clean {
        format: document::FORMAT,
        findings: found.iter().map(|finding| stale(finding, None)).collect(),
        not_looked_at: not_looked_at.collect(),
    }
}

/// The document of what was done.
#[must_use]
pub fn report(done: &[Done]) -> document::Clean {
    let findings = done.iter().map(|Done { finding, outcome }| stale(finding, Some(outcome))).collect();
    document::Clean { format: document::FORMAT, findings, not_looked_at: Vec::new() }
}

fn stale(finding: &Finding, outcome: Option<&Outcome>) -> document::Stale {
    let run =
        finding.run.as_ref().map(|(run, state)| document::RunOfVolume { run: run.to_string(), state: life(*state) });
    document::Stale {
        name: finding.name.clone(),
        what: what(finding.what),
        uuid: finding.uuid.clone(),
        origin: finding.origin.clone(),
        size_bytes: finding.size.map(|size| size.0),
        cow_used_bytes: finding.cow.map(|(used, _)| used.0),
        cow_total_bytes: finding.cow.map(|(_, total)| total.0),
        made_at: finding.made.and_then(time),
        run,
        on_top: finding.on_top.iter().map(on_top).collect(),
        order: finding.steps.iter().map(order).collect(),
        refused: finding.refusal.as_ref().map(ToString::to_string),
        in_the_way: finding.in_the_way.clone(),
        outcome: outcome.map(became),
    }
}

fn order(step: &Step) -> Vec<String> {
    let command = step.command();
    let arguments = command.arguments().iter().map(|argument| argument.to_string_lossy().into_owned());
    std::iter::once(command.program().to_owned()).chain(arguments).collect()
}

fn life(state: RunState) -> document::RunLife {
    match state {
        RunState::Alive => document::RunLife::Alive,
        RunState::Dead => document::RunLife::Dead,
        RunState::Unknown => document::RunLife::Unknown,
    }
}

fn what(what: What) -> document::StaleKind {
    match what {
        What::Snapshot => document::StaleKind::Snapshot,
        What::InvalidSnapshot => document::StaleKind::InvalidSnapshot,
        What::ThinSnapshot => document::StaleKind::ThinSnapshot,
        What::RunVolume => document::StaleKind::RunVolume,
        What::MappedVolume => document::StaleKind::MappedVolume,
        What::LeftoverNodes => document::StaleKind::LeftoverNodes,
    }
}

fn on_top(on_top: &OnTop) -> document::OnTop {
    match on_top.clone() {
        OnTop::Mapping { name, on } => document::OnTop::Mapping { name, on },
        OnTop::Loop { name, on } => document::OnTop::Loop { name, on },
        OnTop::Partition { name, on } => document::OnTop::Partition { name, on },
        OnTop::Device { name, on } => document::OnTop::Device { name, on },
        OnTop::Mount { mountpoint, fs_type, on, within } => document::OnTop::Mount {
            mountpoint: mountpoint.to_string_lossy().into_owned(),
            fs_type,
            on,
            within: within.map(holding),
        },
        OnTop::Process { process, on } => document::OnTop::Process { process: holding(process), on },
    }
}

fn holding(Process { pid, command, since }: Process) -> document::HoldingProcess {
    document::HoldingProcess { pid, command, since: since.and_then(time) }
}

/// RFC 3339, UTC; `None` where a clock was far off.
fn time(seconds: u64) -> Option<String> {
    /// The last second of the year 9999, the last that can be written so.
    const LAST: u64 = 253_402_300_799;
    let at = UNIX_EPOCH.checked_add(Duration::from_secs(seconds)).filter(|_| seconds <= LAST)?;
    Some(humantime::format_rfc3339_seconds(at).to_string())
}

fn became(outcome: &Outcome) -> document::CleanOutcome {
    match outcome {
        Outcome::Gone => document::CleanOutcome::Gone,
        Outcome::Left { why, hint, .. } => document::CleanOutcome::Left { why: why.clone(), hint: hint.clone() },
    }
}
