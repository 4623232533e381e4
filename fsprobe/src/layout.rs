//! The whole of a disk: its table, its volumes, and what each holds.

use std::io;

use crate::identity::{Identity, identify};
use crate::map::Map;
use crate::read_at::ReadAt;
use crate::table::{self, Table};
use crate::volume::Volume;
use crate::{Extent, Finding, Kind, ProbeError, Severity, is_boot_code, kind, lvm2};

/// What a disk is made of.
#[derive(Debug, Clone)]
pub struct Disk {
    /// Its length.
    pub size_bytes: u64,
    /// The unit of its table; 512 where nothing tells.
    pub sector_size_bytes: u32,
    /// The table that counts.
    pub table: Table,
    /// Its UUID: the disk's GUID, or the disk signature of an MBR, as `blkid` prints `PTUUID`.
    pub table_uuid: Option<String>,
    /// Partitions in the order of their numbers, then the logical volumes in them. Extended partitions are not listed.
    pub volumes: Vec<Volume>,
    /// What was seen of the table.
    pub findings: Vec<Finding>,
}

/// Reads the layout of `disk`: partition table, nested LVM, and the kind of every volume.
///
/// # Errors
/// Where the first sectors cannot be read. A volume that cannot be read has a finding that says so.
pub fn layout(disk: &dyn ReadAt) -> Result<Disk, ProbeError> {
    let partitioning = table::partitioning(disk)?;
    let mut volumes: Vec<Volume> = Vec::new();
    for partition in partitioning.partitions {
        let extent = Extent::new(partition.offset_bytes, partition.size_bytes);
        let mut volume = Volume::new(partition.number.to_string(), Map::linear(extent));
        volume.name = partition.name;
        volume.partition_uuid = partition.uuid;
        volume.partition_type = Some(partition.type_id);
        volume.findings = partition.findings;
        volumes.push(volume);
    }
    if partitioning.table == Table::None {
        volumes.push(Volume::new("0".into(), Map::linear(Extent::new(0, disk.size_bytes()))));
    }
    let mut findings = partitioning.findings.into_vec();
    let is_read = findings.iter().all(|finding| finding.severity < Severity::Damage);
    if volumes.is_empty() && is_read {
        findings.push(without_partition(disk, partitioning.table, partitioning.sector_size_bytes)?);
    }
    for volume in &mut volumes {
        recognise(disk, volume);
    }
    let mut logical = lvm2::assemble(disk, &mut volumes);
    for volume in logical.iter_mut().filter(|volume| volume.is_whole()) {
        recognise(disk, volume);
        if volume.kind == Kind::Lvm2Pv {
            let detail = "a physical volume inside a logical volume is not looked into";
            volume.findings.push(Finding::unknown("lvm-nested", "LVM2 label", detail));
        }
    }
    volumes.append(&mut logical);
    Ok(Disk {
        size_bytes: disk.size_bytes(),
        sector_size_bytes: partitioning.sector_size_bytes,
        table: partitioning.table,
        table_uuid: partitioning.table_uuid,
        volumes,
        findings,
    })
}

/// What a disk holds whose table names no partition.
fn without_partition(disk: &dyn ReadAt, table: Table, sector_size_bytes: u32) -> Result<Finding, ProbeError> {
    let sector = u64::from(sector_size_bytes);
    // MBR, header and 16 KiB of entries; entries and header again at the end.
    let entries = (16_u64 << 10).div_ceil(sector);
    let behind_table = match table {
        Table::Gpt => (2 + entries) * sector..disk.size_bytes().saturating_sub((1 + entries) * sector),
        Table::Mbr | Table::None => sector..disk.size_bytes(),
    };
    let looked = kind::looked_at(&behind_table);
    Ok(match kind::first_data(disk, behind_table)? {
        None => Finding::note("no-partition", "partition table", format!("it has no partition; behind it, {looked}")),
        Some(at) => {
            let detail =
                format!("it has no partition, but byte {at} of the disk holds data, of which nothing is known");
            Finding::unknown("no-partition", "partition table", detail)
        }
    })
}

fn recognise(disk: &dyn ReadAt, volume: &mut Volume) {
    let there = Readable { disk, volume };
    match kind::recognise(&there) {
        Ok(found) => {
            let Identity { label, uuid } = identify(&there, found.kind);
            // What is cut off may hold anything.
            let is_cut = there.size_bytes() < volume.size_bytes();
            volume.kind = if is_cut && found.kind == Kind::Empty { Kind::Unknown } else { found.kind };
            volume.needed_whole |= found.finding.is_some();
            (volume.label, volume.uuid) = (label, uuid);
            // In a boot loader's nothing has to be recognised.
            let is_boot_code = volume.partition_type.as_deref().is_some_and(is_boot_code);
            volume.findings.extend(found.finding.filter(|_| !is_boot_code || found.kind != Kind::Unknown));
        }
        Err(error) => volume.findings.push(Finding::damage("unreadable", "signatures", error.to_string())),
    }
}

/// A volume up to the end of its disk: what is left of a truncated one can still be recognised.
struct Readable<'v> {
    disk: &'v dyn ReadAt,
    volume: &'v Volume,
}

impl ReadAt for Readable<'_> {
    fn size_bytes(&self) -> u64 {
        match self.volume.contiguous() {
            Some(extent) => extent.size_bytes.min(self.disk.size_bytes().saturating_sub(extent.offset_bytes)),
            None => self.volume.size_bytes(),
        }
    }

    fn read_exact_at(&self, buf: &mut [u8], offset_bytes: u64) -> io::Result<()> {
        self.volume.open(self.disk).read_exact_at(buf, offset_bytes)
    }
}
