//! The first format of the run log: no version, no closing line, details as each step put them.
//!
//! Read so that what a run of an older stillpoint left can be found.

use guest_bridge::database::lock_method::LockMethod;
use lvm::{LvName, RunId};
use serde::Deserialize;
use serde_json::Value;

use super::entry::{Begun, Entry, Fact, Mark};
use super::held::Held;
use crate::step::Step;

#[derive(Deserialize)]
struct First {
    run: RunId,
    vm: String,
    pid: u32,
    boot_id: String,
    version: String,
}

#[derive(Deserialize)]
struct Line {
    at: String,
    elapsed_ms: u64,
    step: Step,
    mark: String,
    #[serde(default)]
    detail: Value,
    #[serde(default)]
    error: String,
}

/// The first line and the rest, in the words of today.
pub(super) fn read<'t>(
    first: &[u8],
    lines: impl Iterator<Item = (usize, &'t [u8])>,
) -> Result<(Begun, Vec<Entry>), (usize, String)> {
    let First { run, vm, pid, boot_id, version } =
        serde_json::from_slice(first).map_err(|error| (1, error.to_string()))?;
    let mut held: Vec<(Step, Held)> = Vec::new();
    let mut entries = Vec::new();
    for (number, line) in lines {
        let line: Line = serde_json::from_slice(line).map_err(|error| (number, error.to_string()))?;
        let Line { at, elapsed_ms, step, mark, detail, error } = line;
        let mark = match &*mark {
            "intent" => {
                let takes = taken(step, &detail, &run);
                held.extend(takes.iter().map(|one| (step, one.clone())));
                Mark::Intent { step, takes }
            }
            "done" => {
                let detail = Some(detail).filter(|detail| !detail.is_null()).map(|detail| Fact::Format1 { detail });
                Mark::Done { step, frees: freed(step, &mut held), detail }
            }
            "failed" => Mark::Failed { step, frees: Vec::new(), error },
            other => return Err((number, format!("there is no mark `{other}`"))),
        };
        entries.push(Entry { at, elapsed_ms, mark });
    }
    Ok((Begun { format: 1, run, vm, pid, boot_id, version }, entries))
}

fn taken(step: Step, detail: &Value, run: &RunId) -> Vec<Held> {
    let texts = |name: &str| -> Vec<String> {
        let all = detail[name].as_array().into_iter().flatten();
        all.filter_map(|text| text.as_str().map(str::to_owned)).collect()
    };
    match step {
        Step::Output => texts("partial").into_iter().map(|path| Held::Partial { path: path.into() }).collect(),
        // Volumes were named by their number in the run, each in its origin's group.
        Step::CowVolumes => (0..)
            .zip(texts("origins"))
            .filter_map(|(number, origin)| {
                let origin: LvName = origin.parse().ok()?;
                Some(Held::Cow { volume: run.volume(origin.vg(), number).ok()?, origin })
            })
            .collect(),
        Step::Lock => {
            let method = LockMethod::deserialize(&detail["method"]);
            let expiry_ms = detail["expiry_ms"].as_u64().unwrap_or_default();
            method.map(|method| Held::Lock { method, expiry_ms, session: None }).into_iter().collect()
        }
        Step::Freeze => vec![Held::Frozen { agent: detail["agent"].as_str().unwrap_or_default().to_owned() }],
        _ => Vec::new(),
    }
}

/// What a step that is done gives back of what was taken.
fn freed(step: Step, held: &mut Vec<(Step, Held)>) -> Vec<Held> {
    let takes = match step {
        Step::Thaw => Step::Freeze,
        Step::Unlock => Step::Lock,
        Step::Remove => Step::CowVolumes,
        Step::Publish => Step::Output,
        _ => return Vec::new(),
    };
    let (freed, kept) = held.drain(..).partition(|(by, _)| *by == takes);
    *held = kept;
    freed.into_iter().map(|(_, one)| one).collect()
}
