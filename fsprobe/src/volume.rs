//! A volume of a disk: a partition, a logical volume in one, or the whole disk.

use std::io;

use crate::map::Map;
use crate::{Extent, Finding, Kind, ReadAt};

/// One volume.
#[derive(Debug, Clone)]
pub struct Volume {
    /// `1` or `5` for a partition, `0` for the whole disk, `2/vg/lv` for a logical volume in partition 2.
    pub path: String,
    /// What it holds.
    pub kind: Kind,
    /// The name that its partition table gives it. The guest chose it.
    pub name: Option<String>,
    /// The UUID that its partition table gives it, as `blkid` prints `PARTUUID`.
    pub partition_uuid: Option<String>,
    /// The label of what it holds, escaped for a terminal. The guest chose it.
    pub label: Option<String>,
    /// The UUID or serial number of what it holds, as `blkid` prints it.
    pub uuid: Option<String>,
    /// The type of its partition, as `sfdisk --json` prints it: a GUID, or the hexadecimal type byte.
    pub partition_type: Option<String>,
    /// What was seen while its place and kind were found out.
    pub findings: Vec<Finding>,
    pub(crate) map: Map,
    /// Bytes of the disk within it that are provably unused: the free extents of a physical volume.
    pub(crate) free: Vec<Extent>,
    /// A backup needs every byte of it, whatever its filesystem says.
    pub(crate) needed_whole: bool,
}

impl Volume {
    pub(crate) fn new(path: String, map: Map) -> Self {
        Self {
            path,
            kind: Kind::Unknown,
            name: None,
            partition_uuid: None,
            label: None,
            uuid: None,
            partition_type: None,
            findings: Vec::new(),
            map,
            free: Vec::new(),
            needed_whole: false,
        }
    }

    /// Its first byte on the disk; `None` where that is not on this disk.
    #[must_use]
    pub fn offset_bytes(&self) -> Option<u64> {
        self.map.offset_bytes()
    }

    /// Its size, as its table or volume group says.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.map.size_bytes()
    }

    /// Its place on the disk, where that is one piece.
    #[must_use]
    pub fn contiguous(&self) -> Option<Extent> {
        self.map.contiguous()
    }

    /// Whether every byte of it is on this disk.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.map.is_whole()
    }

    /// The pieces of the disk that hold it, in logical order. A striped volume has one for each unit: do not collect them.
    pub fn extents(&self) -> impl Iterator<Item = Extent> {
        self.disk_extents(Extent::new(0, self.size_bytes()))
    }

    /// The pieces of the disk that hold `range` of the volume, in logical order.
    pub fn disk_extents(&self, range: Extent) -> impl Iterator<Item = Extent> {
        self.map.pieces(range)
    }

    /// The pieces of the disk that hold it, in no particular order, stripes taken together.
    pub(crate) fn areas(&self) -> impl Iterator<Item = Extent> {
        self.map.areas()
    }

    /// Its content.
    #[must_use]
    pub fn open<'d>(&'d self, disk: &'d dyn ReadAt) -> VolumeReader<'d> {
        VolumeReader { disk, map: &self.map }
    }
}

/// Reads a volume from its first byte to its last, wherever on the disk they are.
#[derive(Clone, Copy)]
pub struct VolumeReader<'d> {
    disk: &'d dyn ReadAt,
    map: &'d Map,
}

impl ReadAt for VolumeReader<'_> {
    fn size_bytes(&self) -> u64 {
        self.map.size_bytes()
    }

    fn read_exact_at(&self, buf: &mut [u8], offset_bytes: u64) -> io::Result<()> {
        self.map.read_exact_at(self.disk, buf, offset_bytes)
    }
}
