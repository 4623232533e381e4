//! A plan and a receipt in words.

mod clean;
mod diagnosis;
mod recovery;
mod sample;

use std::time::Duration;

use lvm::Bytes;

use crate::documents::plan::{
    Basis, CowVerdict, Dump as PlannedDump, DumpWhen, Filesystem, Forecast, Plan, Seems, Setting,
};
use crate::documents::receipt::{DatabaseState, Disk, Dump, Fate, Identity, Lock, Receipt, ThawProof, Thawed};
use crate::show::amount::{counted, speed, took_ms};
use crate::show::printable::printable_text;
use crate::show::wrap::hanging;

pub use clean::clean;
pub use diagnosis::diagnosis;
pub use recovery::recovery;
pub use sample::sample;

/// A name, and what there is to say of it.
type Row = (&'static str, String);

/// The plan, a row for each thing that will happen, then the settings that somebody chose, with who did; or every one. In
/// `columns`, where that is a terminal.
pub fn plan(plan: &Plan, every_setting: bool, columns: Option<usize>) -> String {
    let mut rows: Vec<Row> = Vec::new();
    for disk in &plan.disks {
        rows.push(("disk", format!("{}: {}, holding {}", disk.origin, Bytes(disk.size), disk.volumes.join(", "))));
        rows.push(("cow", format!("{} for it ({})", Bytes(disk.cow), disk.cow_reason)));
        rows.extend(disk.forecast.as_ref().map(|it| ("forecast", forecast(it, disk.cow_verdict))));
    }
    rows.extend(plan.filesystems.iter().map(|filesystem| ("mount", mount(filesystem))));
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
    rows.extend(plan.dump.as_ref().map(|dump| ("dump", planned_dump(dump))));
    rows.extend(plan.lost.iter().map(|lost| ("lost", format!("by a restore at grade {}: {}", lost.grade, lost.lost))));
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

/// The numbers that a COW's size comes from, to be checked by whoever reads them.
fn forecast(forecast: &Forecast, verdict: Option<CowVerdict>) -> String {
    let need = Bytes(forecast.need);
    // What earlier runs would have needed has how long they took in it.
    let margin = match &forecast.basis {
        Basis::EarlierRuns { .. } => format!("{need} with a margin"),
        Basis::Measured { .. } => format!("{need} with a margin, within {}", took_ms(forecast.lasts_at_most_ms)),
    };
    let basis = match &forecast.basis {
        Basis::EarlierRuns { runs, busier_percent } => {
            let runs = counted(*runs, "earlier run");
            let busier = if *busier_percent > 100 {
                format!(", and {busier_percent}% of the most that was written in any is written now")
            } else {
                String::new()
            };
            format!("by {runs}{busier}")
        }
        Basis::Measured { written_per_second, over_ms } => {
            format!("by the {} that are written now, seen for {}", speed(*written_per_second as f64), took_ms(*over_ms))
        }
    };
    let as_known = if forecast.copy_speed_is_known { "as before" } else { "as it is thought" };
    let verdict = match verdict {
        Some(CowVerdict::CannotFill | CowVerdict::Lasts) => ": it lasts",
        Some(CowVerdict::Tight) => ": it lasts only if all goes as expected",
        Some(CowVerdict::WillNotLast) => ": it does NOT last",
        Some(CowVerdict::NotKnown) | None => "",
    };
    format!(
        "{} within {}, {margin}, {basis}; {} to copy at {} {as_known}; {} free{verdict}",
        Bytes(forecast.expected),
        took_ms(forecast.lasts_ms),
        Bytes(forecast.to_copy),
        speed(forecast.copy_per_second as f64),
        Bytes(forecast.room),
    )
}

/// The dump that may take the image's place.
fn planned_dump(dump: &PlannedDump) -> String {
    match (dump.when, dump.why.as_deref()) {
        (DumpWhen::IfNeeded, _) => {
            "of the database, in place of the image, should the snapshot turn out not to last".to_owned()
        }
        (DumpWhen::Asked, _) => "of the database, in place of the image and of all above: it was asked for".to_owned(),
        (DumpWhen::Instead, why) => {
            format!("of the database, in place of the image and of all above: {}", why.unwrap_or("nobody says why"))
        }
    }
}

/// Where a filesystem of the guest seems to be, and what is on it.
fn mount(filesystem: &Filesystem) -> String {
    let Filesystem { mountpoint, fs_type, seems, why, holds } = filesystem;
    let seems = match seems {
        Seems::On { disk, volume } => format!("seems to be {disk} volume {volume}"),
        Seems::NotHere => "seems to be on no disk of this job".to_owned(),
        Seems::Unknown => "cannot be told from others beforehand".to_owned(),
        Seems::LeftOut => "is left out on purpose".to_owned(),
        Seems::Exempt => format!("is not looked for: {}", why.as_deref().unwrap_or("nobody says why")),
    };
    let holds =
        if holds.is_empty() { String::new() } else { format!("; the database keeps {} there", holds.join(", ")) };
    format!("{mountpoint} ({fs_type}) {seems}{holds}")
}

/// What the database's own log in the image says.
fn database(state: &DatabaseState, lock: &Lock) -> String {
    match (state, lock) {
        (DatabaseState::NotAsked, _) => "none was locked".to_owned(),
        (DatabaseState::BinlogEndsAtCoordinates { path, end_bytes, .. }, Lock::CommitsWentOn) => {
            format!(
                "proven: {path} in the image ends at {end_bytes}, between what the server said before the freeze and after the thaw"
            )
        }
        (DatabaseState::BinlogEndsAtCoordinates { path, end_bytes, .. }, _) => {
            format!("proven: {path} in the image ends at {end_bytes}, as the server said under the lock")
        }
        (DatabaseState::RedoEndsUnderLock { path, end_lsn }, _) => {
            format!("proven: {path} in the image ends at LSN {end_lsn}, where it stood under the lock")
        }
        (DatabaseState::NotProven { indication, .. }, _) => format!("not proven ({indication})"),
    }
}

/// The filesystems of the guest that were found, with their volumes.
fn identity(identity: &Identity) -> String {
    let filesystems = match identity {
        Identity::Unknown { .. } => return "not proven to be the guest's".to_owned(),
        Identity::LookedFor { filesystems, .. } => filesystems,
    };
    let said = filesystems.iter().filter_map(|filesystem| match &filesystem.fate {
        Fate::Found { disk, volume } => Some(format!("{} is {disk} volume {volume}", filesystem.mountpoint)),
        Fate::Missing => Some(format!("{} is on none", filesystem.mountpoint)),
        Fate::LeftOut => Some(format!("{} is left out", filesystem.mountpoint)),
        Fate::Unseen { .. } => Some(format!("{} was not seen", filesystem.mountpoint)),
        Fate::Refused { .. } => Some(format!("{} took no marker", filesystem.mountpoint)),
        Fate::Exempt { .. } => None,
    });
    said.collect::<Vec<_>>().join(", ")
}

/// What proves that the guest runs again; `None` where nothing was frozen.
fn thaw(thaw: &[Thawed]) -> Option<String> {
    let (mut live, mut slowest_ms, mut written, mut rest) = (0, 0, 0, Vec::new());
    for Thawed { mountpoint, disk, volume, proof } in thaw {
        match proof {
            ThawProof::SeenLive { after_ms } => (live, slowest_ms) = (live + 1, slowest_ms.max(*after_ms)),
            ThawProof::Written => written += 1,
            ThawProof::NotProven { why } => {
                let volume = disk.iter().zip(volume).map(|(disk, volume)| format!("{disk} volume {volume}")).next();
                let what = mountpoint.clone().or(volume).unwrap_or_else(|| "a filesystem".to_owned());
                rest.push(format!("not proven of {what}: {why}"));
            }
        }
    }
    let mut said = Vec::new();
    if live > 0 {
        said.push(format!("{} seen live on disk within {}", counted(live, "filesystem"), took_ms(slowest_ms)));
    }
    if written > 0 {
        said.push(format!("{} proven by a write", counted(written, "filesystem")));
    }
    said.extend(rest);
    (!said.is_empty()).then(|| said.join("; "))
}

/// The receipt of a dump.
fn dump(receipt: &Receipt, dump: &Dump) -> Vec<Row> {
    let mut rows = vec![
        ("window", "none: the dump froze nothing".to_owned()),
        ("stall", receipt.window.stall_ms.map_or("none: nothing was locked".to_owned(), took_ms)),
        ("binlog", coordinates(receipt)),
        ("size", format!("{} of SQL, {} stored", Bytes(dump.raw_bytes), Bytes(dump.stored_bytes))),
        ("took", took_ms(dump.took_ms)),
        ("dump", format!("{}, by {}", dump.file, dump.client)),
    ];
    rows.extend(dump.before_loading.iter().map(|statement| ("before", statement.clone())));
    rows.extend(dump.after_loading.iter().map(|statement| ("after", statement.clone())));
    rows
}

fn coordinates(receipt: &Receipt) -> String {
    receipt.window.coordinates.as_ref().map_or("none".to_owned(), |at| {
        let gtid = at.gtid.as_ref().map(|gtid| format!(", GTID {gtid}")).unwrap_or_default();
        format!("{}:{}{gtid}", at.file, at.position)
    })
}

/// The receipt, a row for each thing to know, in `columns`, where that is a terminal.
pub fn receipt(receipt: &Receipt, columns: Option<usize>) -> String {
    let time = |ms: Option<u64>| ms.map_or("none".to_owned(), took_ms);
    let sum = |pick: fn(&Disk) -> u64| Bytes(receipt.disks.iter().map(pick).sum());
    let because = match &*receipt.reasons {
        [] if receipt.window.lock == Lock::CommitsWentOn => "proven on disk, and by the database's own logs".to_owned(),
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
    let mut rows = vec![
        ("vm", receipt.vm.clone()),
        ("grade", format!("{} (required {})", receipt.grade, receipt.required)),
        ("because", because),
    ];
    rows.extend(receipt.lost.iter().map(|lost| ("lost", lost.clone())));
    if let Some(it) = &receipt.dump {
        rows.extend(dump(receipt, it));
        rows.push(("run", receipt.run.clone()));
        return rows.iter().map(|(name, value)| line(&format!("{name:>9}"), value, columns)).collect();
    }
    rows.extend(receipt.identity.iter().map(|it| ("volumes", identity(it))));
    rows.extend(receipt.database.iter().map(|state| ("database", database(state, &receipt.window.lock))));
    rows.push(("window", time(receipt.window.window_ms)));
    rows.extend(thaw(&receipt.window.thaw).map(|said| ("thaw", said)));
    rows.extend([
        ("stall", time(receipt.window.stall_ms)),
        ("binlog", coordinates(receipt)),
        ("size", size),
        ("cow peak", receipt.disks.iter().map(cow).collect::<Vec<_>>().join(", ")),
        ("images", receipt.disks.iter().map(|disk| &*disk.image).collect::<Vec<_>>().join(", ")),
        ("run", receipt.run.clone()),
    ]);
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
