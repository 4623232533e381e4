//! Partition tables: which parts of a disk are volumes.

mod gpt;
mod gpt_header;
mod mbr;

use serde::{Deserialize, Serialize};

use crate::read_at::read;
use crate::{Finding, Findings, Kind, ProbeError, ReadAt, Severity, kind};

/// Which partition table a disk has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Table {
    /// GUID partition table (UEFI specification, chapter 5).
    Gpt,
    /// DOS partition table, with logical partitions.
    Mbr,
    /// None: the disk is one volume.
    None,
}

/// One partition as its table says; nothing is known yet of what it holds.
#[derive(Debug, Clone)]
pub(crate) struct Partition {
    /// As the kernel, `sfdisk` and `blkid` count: from 1, logical ones from 5.
    pub number: u32,
    pub offset_bytes: u64,
    pub size_bytes: u64,
    /// Type GUID or MBR type byte, as `sfdisk` prints it.
    pub type_id: String,
    /// The GPT name; untrusted.
    pub name: Option<String>,
    pub uuid: Option<String>,
    pub findings: Vec<Finding>,
}

/// A table that was read.
#[derive(Debug)]
pub(crate) struct Partitioning {
    pub table: Table,
    pub sector_size_bytes: u32,
    pub table_uuid: Option<String>,
    pub partitions: Vec<Partition>,
    pub findings: Findings,
}

/// Reads the partition table of `disk`.
pub(crate) fn partitioning(disk: &dyn ReadAt) -> Result<Partitioning, ProbeError> {
    let mut findings = Findings::default();
    let size = disk.size_bytes();
    if size < 512 {
        let detail = format!("{size} bytes are less than one sector");
        findings.push(Finding::damage("disk-truncated", "disk", detail));
        return Ok(Partitioning {
            table: Table::None,
            sector_size_bytes: 512,
            table_uuid: None,
            partitions: Vec::new(),
            findings,
        });
    }
    let first_sector = read(disk, 0, 512, "first sector")?;
    let dos = mbr::entries(&first_sector, size);
    // What cannot be read there does not hide a table that can.
    let bare = kind::bare(disk).unwrap_or(Kind::Unknown);
    let also_bare = |findings: &mut Findings| {
        if bare.is_recognised() {
            let detail = format!(
                "the disk as a whole has the signature of {bare}, too: the partition table is what Linux goes by, and \
                 nothing is taken for unused"
            );
            findings.push(Finding::warning("table-and-filesystem", "first sectors", detail));
        }
    };

    // Linux does not look at the boot indicators of a protective MBR, so others than 00 and 80 do not matter there.
    let record = mbr::boot_record(&first_sector);
    let for_linux = |entries: &[mbr::Entry; 4]| entries.iter().any(mbr::Entry::is_protective_for_linux);
    let any = |entries: &[mbr::Entry; 4]| entries.iter().any(mbr::Entry::is_protective);
    let protective = record.filter(|entries| if dos.is_some() { any(entries) } else { for_linux(entries) });
    if let Some(entries) = protective.filter(|_| dos.is_some() || gpt::is_there(disk)) {
        if !for_linux(&entries) {
            let detail = "its protective entry does not begin at sector 1, so Linux sees no partition; the GPT is read \
                          nevertheless";
            findings.push(Finding::unknown("gpt-protective-mbr-bad", "first sector", detail));
        }
        also_bare(&mut findings);
        return Ok(gpt::read_table(disk, Some(&entries), is_disc(bare), findings));
    }
    let has_partitions = dos.as_ref().is_some_and(|entries| entries.iter().any(mbr::Entry::is_used));
    if !has_partitions && !bare.is_recognised() && gpt::is_there(disk) {
        let detail = "there is no protective MBR, so the kernel sees no partition; the GPT is read nevertheless";
        findings.push(Finding::unknown("gpt-protective-mbr-missing", "first sector", detail));
        return Ok(gpt::read_table(disk, None, false, findings));
    }
    if let Some(entries) = dos
        && (has_partitions || !bare.is_recognised())
    {
        also_bare(&mut findings);
        return Ok(mbr::read_table(disk, &first_sector, &entries, is_disc(bare), findings));
    }
    Ok(Partitioning { table: Table::None, sector_size_bytes: 512, table_uuid: None, partitions: Vec::new(), findings })
}

/// Whether a disk as a whole is a disc, so that its table is there for a machine that boots it from a stick.
fn is_disc(bare: Kind) -> bool {
    matches!(bare, Kind::Other("iso9660" | "udf"))
}

/// Names what is wrong between the partitions and the disk: overlaps and ends past the end.
///
/// On a disc that boots as a disk (`is_hybrid`), partitions lie in the first one by design: no damage, though still no two
/// volumes of which one could say what is unused.
fn cross_check(disk: &dyn ReadAt, partitions: &mut [Partition], is_hybrid: bool) {
    for partition in partitions.iter_mut() {
        let end = partition.offset_bytes.saturating_add(partition.size_bytes);
        if end > disk.size_bytes() {
            let detail = format!(
                "it lies at bytes {} to {end}, but the disk ends at byte {}: is the image truncated?",
                partition.offset_bytes,
                disk.size_bytes()
            );
            let place = format!("partition {}", partition.number);
            partition.findings.push(Finding::damage("partition-beyond-end", place, detail));
        }
    }
    let mut order: Vec<usize> = (0..partitions.len()).collect();
    order.retain(|&i| partitions.get(i).is_some_and(|partition| partition.size_bytes > 0));
    order.sort_by_key(|&i| partitions.get(i).map_or((0, 0), |p| (p.offset_bytes, p.number)));
    // The one that reaches furthest so far is the one that the next may run into.
    let mut furthest: Option<(u64, u32)> = None;
    for i in order {
        let Some(partition) = partitions.get_mut(i) else { continue };
        let end = partition.offset_bytes.saturating_add(partition.size_bytes);
        if let Some((other_end, other)) = furthest
            && partition.offset_bytes < other_end
        {
            let detail =
                format!("it begins at byte {}, before partition {other} ends at {other_end}", partition.offset_bytes);
            let place = format!("partition {}", partition.number);
            let severity = if is_hybrid { Severity::Note } else { Severity::Damage };
            partition.findings.push(Finding::new(severity, "partition-overlap", place, detail));
        }
        furthest = furthest.max(Some((end, partition.number)));
    }
}
