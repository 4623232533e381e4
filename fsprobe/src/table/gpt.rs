//! GUID partition table: which of its two copies to believe, and how they differ.

use super::gpt_header::{Entry, Header, has_signature, parse};
use super::{Partition, Partitioning, Table, cross_check, mbr};
use crate::{Finding, Findings, ReadAt};

const SECTOR_SIZES: [u64; 2] = [512, 4096];
/// The kernel makes no device for a partition with a higher number (`DISK_MAX_PARTS` of `linux/blkdev.h`, the disk itself
/// being one).
const MAX_NUMBER: u32 = 255;

/// Whether a primary or backup header stands where one belongs.
pub(super) fn is_there(disk: &dyn ReadAt) -> bool {
    SECTOR_SIZES.iter().any(|&sector| {
        has_signature(disk, 1, sector) || last_lba(disk, sector).is_some_and(|last| has_signature(disk, last, sector))
    })
}

/// Reads the GPT of `disk`; `dos` are the entries of the protective MBR, where there is one.
pub(super) fn read_table(
    disk: &dyn ReadAt,
    dos: Option<&[mbr::Entry; 4]>,
    is_hybrid: bool,
    mut findings: Findings,
) -> Partitioning {
    let copies = SECTOR_SIZES.map(|sector_size| Copies::find(disk, dos, sector_size));
    let [small, large] = &copies;
    // A copy whose checksums hold decides the sector size; a bare signature only where nothing else does.
    let chosen = if !small.is_sound() && (large.is_sound() || has_signature(disk, 1, 4096)) { large } else { small };
    let place = "protective MBR at byte 0";
    if let Some(entries) = dos {
        let others = entries.iter().filter(|entry| entry.is_used() && !entry.is_protective()).count();
        if others > 0 {
            let detail =
                format!("it has {others} partitions besides the protective one (hybrid MBR); the GPT is what counts");
            findings.push(Finding::warning("gpt-hybrid-mbr", place, detail));
        }
    }
    chosen.judge(disk, &mut findings);
    let mut partitions = chosen.believed().map_or_else(Vec::new, |header| partitions(header, chosen.sector_size));
    cross_check(disk, &mut partitions, is_hybrid);
    let hidden: Vec<_> = partitions.extract_if(.., |partition| partition.number > MAX_NUMBER).collect();
    if !hidden.is_empty() {
        let detail = format!(
            "{} partitions have numbers above {MAX_NUMBER}: Linux does not see them, and they are not looked into",
            hidden.len()
        );
        findings.push(Finding::unknown("gpt-too-many-partitions", "GPT entries", detail));
        let mut theirs = hidden.into_iter().flat_map(|partition| partition.findings);
        findings.extend(theirs.find(|finding| finding.code == "partition-overlap"));
    }
    let sector_size_bytes = u32::try_from(chosen.sector_size).unwrap_or(512);
    let table_uuid = chosen.believed().map(|header| header.disk_guid.to_string());
    Partitioning { table: Table::Gpt, sector_size_bytes, table_uuid, partitions, findings }
}

fn last_lba(disk: &dyn ReadAt, sector_size: u64) -> Option<u64> {
    (disk.size_bytes() / sector_size).checked_sub(1)
}

/// Both copies, for one assumed sector size.
struct Copies {
    sector_size: u64,
    primary: Result<Header, String>,
    /// Where the backup was looked for.
    backup_lba: u64,
    backup: Result<Header, String>,
}

impl Copies {
    fn find(disk: &dyn ReadAt, dos: Option<&[mbr::Entry; 4]>, sector_size: u64) -> Self {
        let primary = parse(disk, 1, sector_size);
        let last = last_lba(disk, sector_size).unwrap_or(0);
        let protective = dos.and_then(|entries| entries.iter().find(|entry| entry.is_protective()));
        // Where the disk has grown, the end is no longer where the backup is; the protective MBR still tells.
        let by_mbr =
            protective.and_then(|entry| (u64::from(entry.starting_lba) + u64::from(entry.size_in_lba)).checked_sub(1));
        let candidates = match &primary {
            Ok(header) => [Some(header.alternate_lba), None],
            Err(_) => [Some(last), by_mbr.filter(|lba| *lba > 1 && *lba < last)],
        };
        let mut backup_lba = last;
        let mut backup = Err("there is no room for it".into());
        for lba in candidates.into_iter().flatten() {
            backup_lba = lba;
            backup = parse(disk, lba, sector_size);
            if backup.is_ok() {
                break;
            }
        }
        Self { sector_size, primary, backup_lba, backup }
    }

    fn is_sound(&self) -> bool {
        self.primary.is_ok() || self.backup.is_ok()
    }

    fn believed(&self) -> Option<&Header> {
        self.primary.as_ref().or(self.backup.as_ref()).ok()
    }

    fn judge(&self, disk: &dyn ReadAt, findings: &mut Findings) {
        let primary_place = format!("primary GPT at byte {}", self.sector_size);
        let backup_place = format!("backup GPT at byte {}", self.backup_lba.saturating_mul(self.sector_size));
        match (&self.primary, &self.backup) {
            (Ok(primary), Ok(backup)) => compare(primary, backup, &backup_place, findings),
            (Err(why), Ok(_)) => {
                let detail = format!(
                    "{why}; the backup is used, which Linux does only with `gpt` on its command line: without it, it sees no \
                     partition (`gdisk` r-b-w would repair it)"
                );
                findings.push(Finding::unknown("gpt-primary-bad", primary_place, detail));
            }
            (Ok(_), Err(why)) => {
                let detail = format!("{why}; the primary is used (`sgdisk -e` would repair it)");
                findings.push(Finding::warning("gpt-backup-bad", &backup_place, detail));
            }
            (Err(primary), Err(backup)) => {
                findings.push(Finding::damage("gpt-primary-bad", primary_place, primary));
                findings.push(Finding::damage("gpt-backup-bad", &backup_place, backup));
            }
        }
        let Some(header) = self.believed() else { return };
        let last = last_lba(disk, self.sector_size).unwrap_or(0);
        if let Some(why) = refused_by_linux(header, last) {
            let detail = format!("{why}: Linux sees no partition (`is_gpt_valid` of block/partitions/efi.c)");
            findings.push(Finding::unknown("gpt-not-for-linux", "disk", detail));
        }
        let entries_end = header.partition_entry_lba.saturating_add(header.entries_bytes().div_ceil(self.sector_size));
        if header.partition_entry_lba <= header.last_usable_lba && entries_end > header.first_usable_lba {
            let detail = format!(
                "its entries, sectors {} to {}, are among the usable ones, {} to {}: a partition may be written over them",
                header.partition_entry_lba,
                entries_end.saturating_sub(1),
                header.first_usable_lba,
                header.last_usable_lba
            );
            findings.push(Finding::warning("gpt-entries-in-usable", "disk", detail));
        }
        let table_end = header.my_lba.max(header.alternate_lba);
        let sectors = table_end.saturating_add(1);
        if table_end < last {
            let detail = format!(
                "the backup is at sector {table_end}, the last sector is {last}: the disk has grown by {} bytes since",
                (last - table_end).saturating_mul(self.sector_size)
            );
            findings.push(Finding::warning("gpt-backup-not-at-end", backup_place, detail));
        } else if table_end > last {
            let detail =
                format!("the table is for a disk of {sectors} sectors, this one is cut off after {}", last + 1);
            findings.push(Finding::damage("gpt-beyond-end", "disk", detail));
        }
    }
}

/// What a Linux kernel demands beyond what makes a table readable.
fn refused_by_linux(header: &Header, last_lba: u64) -> Option<String> {
    let (count, size) = (header.number_of_partition_entries, header.size_of_partition_entry);
    if size != 128 || count == 0 {
        return Some(format!("it has {count} entries of {size} bytes, and only those of 128 are read"));
    }
    let last_usable = header.last_usable_lba;
    (last_usable > last_lba).then(|| format!("its usable sectors end at {last_usable}, the disk at {last_lba}"))
}

/// Names every field and entry in which the backup differs from the primary.
fn compare(primary: &Header, backup: &Header, place: &str, findings: &mut Findings) {
    let mut differ = |what: &str, ours: String, theirs: String| {
        if ours != theirs {
            let detail = format!("{what} is {theirs}, where the primary has {ours}; the primary is used");
            findings.push(Finding::warning("gpt-copies-differ", place, detail));
        }
    };
    let number = |value: u64| value.to_string();
    differ("the other copy's sector", number(primary.my_lba), number(backup.alternate_lba));
    differ("first usable sector", number(primary.first_usable_lba), number(backup.first_usable_lba));
    differ("last usable sector", number(primary.last_usable_lba), number(backup.last_usable_lba));
    differ("disk GUID", primary.disk_guid.to_string(), backup.disk_guid.to_string());
    let entries = |header: &Header| header.number_of_partition_entries.to_string();
    differ("number of entries", entries(primary), entries(backup));
    let sizes = |header: &Header| header.size_of_partition_entry.to_string();
    differ("size of an entry", sizes(primary), sizes(backup));
    let mut numbers: Vec<u32> = primary.entries.iter().chain(&backup.entries).map(|(number, _)| *number).collect();
    numbers.sort_unstable();
    numbers.dedup();
    for number in numbers {
        let entry = |header: &Header| {
            let found = header.entries.binary_search_by_key(&number, |(n, _)| *n).ok();
            let found = found.and_then(|i| header.entries.get(i));
            found.map_or_else(|| "unused".into(), |(_, entry)| describe(entry))
        };
        differ(&format!("partition {number}"), entry(primary), entry(backup));
    }
}

fn describe(entry: &Entry) -> String {
    format!(
        "sectors {} to {} (type {}, GUID {}, attributes {:#x}, name {:?})",
        entry.starting_lba,
        entry.ending_lba,
        entry.partition_type_guid,
        entry.unique_partition_guid,
        entry.attributes,
        entry.partition_name
    )
}

fn partitions(header: &Header, sector_size: u64) -> Vec<Partition> {
    let one = |(number, entry): &(u32, Entry)| {
        let place = format!("partition {number}");
        let mut findings = Vec::new();
        let sectors = (entry.ending_lba.checked_sub(entry.starting_lba)).and_then(|last| last.checked_add(1));
        let offset_bytes = entry.starting_lba.checked_mul(sector_size);
        let size_bytes = sectors.and_then(|sectors| sectors.checked_mul(sector_size));
        if entry.starting_lba < header.first_usable_lba || entry.ending_lba > header.last_usable_lba {
            let detail = format!(
                "its sectors {} to {} are not within the usable ones, {} to {}",
                entry.starting_lba, entry.ending_lba, header.first_usable_lba, header.last_usable_lba
            );
            findings.push(Finding::warning("partition-outside-usable", &place, detail));
        }
        if offset_bytes.is_none() || size_bytes.is_none() {
            let detail = format!("sectors {} to {} are no range", entry.starting_lba, entry.ending_lba);
            findings.push(Finding::damage("partition-bad-range", &place, detail));
        }
        Partition {
            number: *number,
            offset_bytes: offset_bytes.unwrap_or(0),
            size_bytes: size_bytes.filter(|_| offset_bytes.is_some()).unwrap_or(0),
            type_id: entry.partition_type_guid.to_string().to_uppercase(),
            uuid: Some(entry.unique_partition_guid.to_string()),
            name: (!entry.partition_name.is_empty()).then(|| entry.partition_name.clone()),
            findings,
        }
    };
    header.entries.iter().map(one).collect()
}
