//! A plan and a receipt in words.

use lvm::Bytes;

use crate::documents::plan::Plan;
use crate::documents::receipt::{Disk, Receipt};

/// The plan, a line for each thing that will happen, then each setting with who chose it.
pub fn plan(plan: &Plan) -> String {
    let mut lines = vec![format!("Backup of {}, required grade {}", plan.vm, plan.require)];
    for disk in &plan.disks {
        lines.push(format!("  disk     {}: {}, holding {}", disk.origin, Bytes(disk.size), disk.volumes.join(", ")));
        lines.push(format!("  cow      {} for it ({})", Bytes(disk.cow), disk.cow_reason));
    }
    if plan.guest_sync {
        lines.push("  sync     the guest writes out its dirty pages first".to_owned());
    }
    lines.push(match &plan.window.lock {
        Some(lock) => format!(
            "  lock     {} within {} s, expiring by itself after {} s idle: {}",
            lock.method,
            lock.lock_deadline_ms / 1000,
            lock.expiry_ms / 1000,
            lock.reason
        ),
        None => "  lock     none: no database is configured".to_owned(),
    });
    lines.push(match &plan.window.freeze {
        Some(freeze) => format!("  freeze   through {} within {} s", freeze.agent, freeze.deadline_ms / 1000),
        None => "  freeze   none: it was declined".to_owned(),
    });
    let disks = match plan.disks.len() {
        1 => "1 disk".to_owned(),
        several => format!("{several} disks"),
    };
    lines.push(format!("  snapshot {disks} at once, then thaw, unlock"));
    lines.push(format!("  copy     allocated blocks, zstd level {}, then the snapshots are removed", plan.level));
    lines.extend(plan.notes.iter().map(|note| format!("  note     {note}")));
    let width = plan.settings.iter().map(|setting| setting.name.len()).max().unwrap_or_default();
    lines.extend(
        plan.settings
            .iter()
            .map(|setting| format!("  setting  {:<width$}  {} ({})", setting.name, setting.value, setting.from)),
    );
    lines.join("\n") + "\n"
}

/// The receipt in ten lines.
pub fn receipt(receipt: &Receipt) -> String {
    let ms = |ms: Option<u64>| ms.map_or("none".to_owned(), |ms| format!("{ms} ms"));
    let sum = |pick: fn(&Disk) -> u64| Bytes(receipt.disks.iter().map(pick).sum());
    let coordinates = receipt.window.coordinates.as_ref().map_or("none".to_owned(), |at| {
        let gtid = at.gtid.as_ref().map(|gtid| format!(" gtid {gtid}")).unwrap_or_default();
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
    let lines = [
        ("vm", receipt.vm.clone()),
        ("grade", format!("{} (required {})", receipt.grade, receipt.required)),
        ("because", because),
        ("window", ms(receipt.window.window_ms)),
        ("stall", ms(receipt.window.stall_ms)),
        ("binlog", coordinates),
        ("size", size),
        ("cow peak", receipt.disks.iter().map(cow).collect::<Vec<_>>().join(", ")),
        ("images", receipt.disks.iter().map(|disk| &*disk.image).collect::<Vec<_>>().join(", ")),
        ("run", receipt.run.clone()),
    ];
    lines.iter().map(|(name, value)| format!("{name:>9}  {value}\n")).collect()
}
