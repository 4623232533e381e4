//! A plan and a receipt in words.

use std::time::Duration;

use lvm::Bytes;

use crate::documents::plan::{Plan, Setting};
use crate::documents::receipt::{Disk, Receipt};
use crate::show::amount::{counted, took_ms};
use crate::show::printable::printable_text;
use crate::show::wrap::hanging;

/// A name, and what there is to say of it.
type Row = (&'static str, String);

/// The plan, a row for each thing that will happen, then the settings that somebody chose, with who did; or every one. In
/// `columns`, where that is a terminal.
pub fn plan(plan: &Plan, every_setting: bool, columns: Option<usize>) -> String {
    let mut rows: Vec<Row> = Vec::new();
    for disk in &plan.disks {
        rows.push(("disk", format!("{}: {}, holding {}", disk.origin, Bytes(disk.size), disk.volumes.join(", "))));
        rows.push(("cow", format!("{} for it ({})", Bytes(disk.cow), disk.cow_reason)));
    }
    if plan.guest_sync {
        rows.push(("sync", "the guest writes out its dirty pages first".to_owned()));
    }
    let lock = plan.window.lock.as_ref().map(|lock| {
        let (deadline, expiry) = (deadline(lock.lock_deadline_ms), deadline(lock.expiry_ms));
        format!("{} within {deadline}, expiring by itself after {expiry} idle: {}", lock.method, lock.reason)
    });
    rows.push(("lock", lock.unwrap_or_else(|| "none: no database is configured".to_owned())));
    let freeze = plan.window.freeze.as_ref();
    let freeze = freeze.map(|freeze| format!("through {} within {}", freeze.agent, deadline(freeze.deadline_ms)));
    rows.push(("freeze", freeze.unwrap_or_else(|| "none: it was declined".to_owned())));
    rows.push(("snapshot", format!("{} at once, then thaw, unlock", counted(plan.disks.len() as u64, "disk"))));
    rows.push(("copy", format!("allocated blocks, zstd level {}, then the snapshots are removed", plan.level)));
    rows.extend(plan.notes.iter().map(|note| ("note", note.clone())));

    let shown: Vec<&Setting> =
        plan.settings.iter().filter(|setting| every_setting || setting.from != "built in").collect();
    let width = shown.iter().map(|setting| setting.name.len()).max().unwrap_or_default();
    rows.extend(
        shown
            .iter()
            .map(|setting| ("setting", format!("{:<width$}  {} ({})", setting.name, setting.value, setting.from))),
    );
    let hidden = plan.settings.len() - shown.len();
    if hidden > 0 {
        rows.push(("", format!("{} as built in: --settings shows them", counted(hidden as u64, "more setting"))));
    }
    let head = format!("Backup of {}, required grade {}\n", plan.vm, plan.require);
    head + &rows.iter().map(|row| line(&format!("  {:<8}", row.0), &row.1, columns)).collect::<String>()
}

/// The receipt in ten rows, in `columns`, where that is a terminal.
pub fn receipt(receipt: &Receipt, columns: Option<usize>) -> String {
    let time = |ms: Option<u64>| ms.map_or("none".to_owned(), took_ms);
    let sum = |pick: fn(&Disk) -> u64| Bytes(receipt.disks.iter().map(pick).sum());
    let coordinates = receipt.window.coordinates.as_ref().map_or("none".to_owned(), |at| {
        let gtid = at.gtid.as_ref().map(|gtid| format!(", GTID {gtid}")).unwrap_or_default();
        format!("{}:{}{gtid}", at.file, at.position)
    });
    let because = match &*receipt.reasons {
        [] => "proven on disk, tables locked".to_owned(),
        reasons => reasons.join("; "),
    };
    let size = format!(
        "{} of disk, {} allocated, {} stored",
        sum(|disk| disk.raw_bytes),
        sum(|disk| disk.allocated_bytes),
        sum(|disk| disk.stored_bytes)
    );
    let cow =
        |disk: &Disk| format!("{} of {} ({})", Bytes(disk.cow.peak_bytes), Bytes(disk.cow.total_bytes), disk.origin);
    let rows = [
        ("vm", receipt.vm.clone()),
        ("grade", format!("{} (required {})", receipt.grade, receipt.required)),
        ("because", because),
        ("window", time(receipt.window.window_ms)),
        ("stall", time(receipt.window.stall_ms)),
        ("binlog", coordinates),
        ("size", size),
        ("cow peak", receipt.disks.iter().map(cow).collect::<Vec<_>>().join(", ")),
        ("images", receipt.disks.iter().map(|disk| &*disk.image).collect::<Vec<_>>().join(", ")),
        ("run", receipt.run.clone()),
    ];
    rows.iter().map(|(name, value)| line(&format!("{name:>9}"), value, columns)).collect()
}

/// As a flag takes it.
fn deadline(ms: u64) -> impl std::fmt::Display {
    humantime::format_duration(Duration::from_millis(ms))
}

fn line(name: &str, value: &str, columns: Option<usize>) -> String {
    let (line, indent) = (format!("{name}  {}", printable_text(value)), name.len() + 2);
    columns.map_or_else(|| line.clone(), |columns| hanging(&line, columns, indent)) + "\n"
}

#[cfg(test)]
mod tests;
