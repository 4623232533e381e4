//! DOS partition table: four primary entries in the first sector, and chains of extended boot records.
//!
//! Offsets are little-endian sector numbers, in the unit of the disk that it was written on: 512 bytes, or 4096. The numbering and the tolerance for the third and fourth entry
//! of an extended boot record are those of the Linux kernel (`block/partitions/msdos.c`).

use std::collections::BTreeSet;

use super::{Partition, Partitioning, Table, cross_check};
use crate::bytes::{has, le32, u8_at};
use crate::read_at::read;
use crate::{Finding, Findings, Kind, ReadAt, Window, kind};

const SECTOR: u64 = 512;
const LARGE_SECTOR: u64 = 4096;
const DISK_SIGNATURE_AT: usize = 0x1b8;
const ENTRIES_AT: usize = 0x1be;
/// The kernel has no more minors than that for one disk.
const MAX_LOGICAL: usize = 251;

/// One of the four 16-byte entries of a boot record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub boot_indicator: u8,
    pub os_type: u8,
    pub starting_lba: u32,
    pub size_in_lba: u32,
}

impl Entry {
    fn parse(bytes: &[u8]) -> Self {
        Self {
            boot_indicator: u8_at(bytes, 0),
            os_type: u8_at(bytes, 4),
            starting_lba: le32(bytes, 8),
            size_in_lba: le32(bytes, 12),
        }
    }

    pub fn is_used(&self) -> bool {
        self.size_in_lba != 0
    }

    /// The one entry of a disk whose real table is a GPT.
    pub fn is_protective(&self) -> bool {
        self.os_type == 0xee
    }

    /// Whether Linux takes it for that (`pmbr_part_valid` of `block/partitions/efi.c`).
    pub fn is_protective_for_linux(&self) -> bool {
        self.is_protective() && self.starting_lba == 1
    }

    fn is_extended(&self) -> bool {
        matches!(self.os_type, 0x05 | 0x0f | 0x85)
    }
}

/// The entries of a sector that ends in 55 AA, whatever they say.
pub(super) fn boot_record(sector: &[u8]) -> Option<[Entry; 4]> {
    let entry = |i: usize| Entry::parse(sector.get(ENTRIES_AT + i * 16..).unwrap_or_default());
    has(sector, 510, &[0x55, 0xaa]).then(|| [entry(0), entry(1), entry(2), entry(3)])
}

/// The entries of the first sector, where it is a partition table and not the boot sector of a filesystem.
///
/// FAT, exFAT and NTFS have the same signature in the same place, and code, text or zeros where the entries would be. A
/// boot loader leaves their parameters standing when it makes a disk bootable that was one filesystem before: where
/// the entries are partitions of this disk, Linux sees those.
pub(super) fn entries(first_sector: &[u8], disk_bytes: u64) -> Option<[Entry; 4]> {
    let entries = boot_record(first_sector)?;
    let plausible = entries.iter().all(|entry| entry.boot_indicator & 0x7f == 0);
    let on_disk = |entry: &Entry| entry.starting_lba > 0 && u64::from(entry.starting_lba) * SECTOR < disk_bytes;
    let mut used = entries.iter().filter(|entry| entry.is_used()).peekable();
    let are_partitions = used.peek().is_some() && used.all(on_disk);
    (plausible && (are_partitions || !kind::is_dos_boot_sector(first_sector))).then_some(entries)
}

/// Reads a DOS table whose first sector held `entries`.
pub(super) fn read_table(
    disk: &dyn ReadAt,
    first_sector: &[u8],
    entries: &[Entry; 4],
    is_hybrid: bool,
    mut findings: Findings,
) -> Partitioning {
    let sector = sector_bytes(disk, entries);
    if sector != SECTOR {
        let detail = format!(
            "its numbers are read in sectors of {sector} bytes: in those of {SECTOR} nothing in any partition is recognised"
        );
        findings.push(Finding::note("mbr-sector-size", "first sector", detail));
    }
    let mut partitions = Vec::new();
    let mut logical = Vec::new();
    for (entry, number) in entries.iter().zip(1..) {
        if !entry.is_used() {
            continue;
        }
        if entry.is_extended() {
            let detail = format!(
                "it is extended, type {:#04x}, bytes {} to {}",
                entry.os_type,
                u64::from(entry.starting_lba) * sector,
                (u64::from(entry.starting_lba) + u64::from(entry.size_in_lba)) * sector
            );
            findings.push(Finding::note("mbr-extended", format!("partition {number}"), detail));
            walk_chain(disk, sector, number, entry, &mut logical, &mut findings);
            overlaps_with_primary(number, entry, entries, &mut findings);
        } else {
            partitions.push(partition(sector, number, 0, entry));
        }
    }
    partitions.append(&mut logical);
    cross_check(disk, &mut partitions, is_hybrid);
    // The kernel makes up a UUID of it for each partition (`put_partition` of `block/partitions/msdos.c`).
    let disk_signature = le32(first_sector, DISK_SIGNATURE_AT);
    let table_uuid = (disk_signature != 0).then(|| format!("{disk_signature:08x}"));
    for partition in &mut partitions {
        partition.uuid = table_uuid.as_ref().map(|uuid| format!("{uuid}-{:02x}", partition.number));
    }
    let sector_size_bytes = u32::try_from(sector).unwrap_or(512);
    Partitioning { table: Table::Mbr, sector_size_bytes, table_uuid, partitions, findings }
}

/// The unit of the numbers: nothing says it, so that in which something is where a partition begins.
fn sector_bytes(disk: &dyn ReadAt, entries: &[Entry; 4]) -> u64 {
    let is_there = |entry: &Entry, sector: u64| {
        let at = u64::from(entry.starting_lba) * sector;
        if entry.is_extended() {
            return read(disk, at, 512, "").is_ok_and(|record| boot_record(&record).is_some());
        }
        let partition = Window::new(disk, at, u64::from(entry.size_in_lba) * sector);
        kind::bare(&partition).is_ok_and(Kind::is_recognised)
    };
    let used = || entries.iter().filter(|entry| entry.is_used());
    let fits = used().all(|entry| u64::from(entry.starting_lba) * LARGE_SECTOR < disk.size_bytes());
    let is_large =
        fits && !used().any(|entry| is_there(entry, SECTOR)) && used().any(|entry| is_there(entry, LARGE_SECTOR));
    if is_large { LARGE_SECTOR } else { SECTOR }
}

fn partition(sector: u64, number: u32, base_lba: u64, entry: &Entry) -> Partition {
    Partition {
        number,
        offset_bytes: (base_lba + u64::from(entry.starting_lba)) * sector,
        size_bytes: u64::from(entry.size_in_lba) * sector,
        type_id: format!("{:x}", entry.os_type),
        name: None,
        uuid: None,
        findings: Vec::new(),
    }
}

/// Logical partitions are compared with each other; this compares the container with its neighbours.
fn overlaps_with_primary(number: u32, extended: &Entry, entries: &[Entry; 4], findings: &mut Findings) {
    let range = |e: &Entry| (u64::from(e.starting_lba), u64::from(e.starting_lba) + u64::from(e.size_in_lba));
    let (start, end) = range(extended);
    for (other, other_number) in entries.iter().zip(1..) {
        let (other_start, other_end) = range(other);
        if other_number != number && other.is_used() && start < other_end && other_start < end {
            let detail = format!("extended partition {number} and partition {other_number} overlap");
            findings.push(Finding::damage("partition-overlap", format!("partition {number}"), detail));
        }
    }
}

/// Follows the extended boot records: the first lies at the start of the extended partition, each links to the next.
fn walk_chain(
    disk: &dyn ReadAt,
    sector: u64,
    extended: u32,
    container: &Entry,
    logical: &mut Vec<Partition>,
    findings: &mut Findings,
) {
    let first_lba = u64::from(container.starting_lba);
    let end_lba = first_lba + u64::from(container.size_in_lba);
    let mut seen = BTreeSet::new();
    let mut lba = first_lba;
    let mut this_size = u64::from(container.size_in_lba);
    loop {
        let place = format!("extended boot record at byte {} (partition {extended})", lba * sector);
        if !seen.insert(lba) {
            let detail = "the chain of logical partitions returns to this record: a loop";
            return findings.push(Finding::damage("mbr-chain-loop", place, detail));
        }
        if seen.len() > MAX_LOGICAL || logical.len() >= MAX_LOGICAL {
            let detail = format!("more than {MAX_LOGICAL} records; the rest is not read");
            return findings.push(Finding::damage("mbr-chain-too-long", place, detail));
        }
        let record = match read(disk, lba * sector, 512, "extended boot record") {
            Ok(record) => record,
            Err(error) => {
                let detail = format!("the chain of logical partitions ends here: {error}");
                return findings.push(Finding::damage("mbr-chain-truncated", place, detail));
            }
        };
        let Some(entries) = boot_record(&record) else {
            let detail = "it has no 55 AA signature: the chain of logical partitions is cut here";
            return findings.push(Finding::damage("mbr-chain-truncated", place, detail));
        };
        for (i, entry) in entries.iter().enumerate() {
            if !entry.is_used() || entry.is_extended() {
                continue;
            }
            let start = lba + u64::from(entry.starting_lba);
            let end = start + u64::from(entry.size_in_lba);
            let inside = start >= first_lba && end <= end_lba;
            let within_record = end <= lba + this_size;
            // Only the first two entries have a meaning; DR-DOS and OS/2 left others.
            if i >= 2 && !(inside && within_record) {
                continue;
            }
            let number = 5 + u32::try_from(logical.len()).unwrap_or(u32::MAX);
            let mut found = partition(sector, number, lba, entry);
            if !inside {
                let detail = format!("it leaves the extended partition {extended} that it belongs to");
                found.findings.push(Finding::damage(
                    "partition-outside-extended",
                    format!("partition {number}"),
                    detail,
                ));
            }
            logical.push(found);
        }
        let Some(next) = entries.iter().find(|entry| entry.is_used() && entry.is_extended()) else { return };
        lba = first_lba + u64::from(next.starting_lba);
        this_size = u64::from(next.size_in_lba);
        if lba >= end_lba {
            let place = format!("extended boot record at byte {} (partition {extended})", lba * sector);
            let detail = format!("the chain leaves its extended partition, which ends at byte {}", end_lba * sector);
            return findings.push(Finding::damage("mbr-chain-outside", place, detail));
        }
    }
}
