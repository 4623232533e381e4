//! The primary superblock: `struct xfs_dsb`.

use crate::Finding;
use crate::bytes::{be16, be32, be64, has, le32, u8_at};

const VERSION_LOGV2BIT: u16 = 0x0400;
const INCOMPAT_META_UUID: u32 = 1 << 2;
const INCOMPAT_NEEDSREPAIR: u32 = 1 << 4;
const INCOMPAT_ZONED: u32 = 1 << 9;
/// ftype, sparse inodes, meta_uuid, bigtime, needsrepair, nrext64, exchange-range, parent, metadir, zoned, zone gaps.
const INCOMPAT_KNOWN: u32 = (1 << 11) - 1;
/// finobt, rmapbt, reflink, inobtcount.
const RO_COMPAT_KNOWN: u32 = (1 << 4) - 1;
/// Logged extended attributes.
const LOG_INCOMPAT_KNOWN: u32 = 1;

/// Whether a superblock stands at the start of a volume.
pub(crate) fn has_superblock(head: &[u8]) -> bool {
    let blocklog = u8_at(head, 120);
    has(head, 0, b"XFSB") && (9..=16).contains(&blocklog) && be32(head, 4) == 1 << blocklog
}

/// The fields that place the log, inodes and blocks, and say how to read them.
#[derive(Debug, Clone)]
pub(super) struct Superblock {
    pub sb_blocksize: u32,
    pub sb_dblocks: u64,
    pub sb_uuid: [u8; 16],
    pub sb_logstart: u64,
    pub sb_agblocks: u32,
    pub sb_agcount: u32,
    pub sb_logblocks: u32,
    pub sb_versionnum: u16,
    pub sb_sectsize: u16,
    /// What metadata is stamped with: it stays where `xfs_admin -U` changes the filesystem's.
    pub meta_uuid: [u8; 16],
    pub sb_inodesize: u16,
    pub sb_blocklog: u8,
    pub sb_inodelog: u8,
    pub sb_inopblog: u8,
    pub sb_agblklog: u8,
    pub sb_inprogress: u8,
    pub sb_rextents: u64,
    pub sb_features_ro_compat: u32,
    pub sb_features_incompat: u32,
    pub sb_features_log_incompat: u32,
}

/// Where the log is.
pub(super) enum LogPlace {
    /// In the volume, from that byte on.
    Internal { offset_bytes: u64, size_bytes: u64 },
    /// On a device of its own.
    External,
    /// Nowhere: the fields contradict each other.
    Invalid(String),
}

impl Superblock {
    /// Parses and checks it; the error says what keeps it from being believed.
    pub fn parse(head: &[u8]) -> Result<Self, String> {
        if !has_superblock(head) {
            return Err("its magic or block size is wrong".into());
        }
        let sb_versionnum = be16(head, 100);
        let version = sb_versionnum & 0xf;
        if !(4..=5).contains(&version) {
            return Err(format!("its version is {version}; 4 and 5 are known"));
        }
        let sectors = usize::from(be16(head, 102));
        if version == 5 {
            let Some(sector) = head.get(..sectors).filter(|_| sectors >= 512) else {
                return Err(format!("its sector size is {sectors}"));
            };
            let computed = Self::checksum(sector, 224);
            let sb_crc = le32(head, 224);
            if sb_crc != computed {
                return Err(format!("its checksum is {sb_crc:#010x}, its bytes give {computed:#010x}"));
            }
        }
        let mut sb_uuid = [0; 16];
        sb_uuid.copy_from_slice(head.get(32..48).ok_or("it is cut off")?);
        let mut meta_uuid = sb_uuid;
        if version == 5 && be32(head, 216) & INCOMPAT_META_UUID != 0 {
            meta_uuid.copy_from_slice(head.get(248..264).ok_or("it is cut off")?);
        }
        Ok(Self {
            sb_blocksize: be32(head, 4),
            sb_dblocks: be64(head, 8),
            sb_uuid,
            sb_logstart: be64(head, 48),
            sb_agblocks: be32(head, 84),
            sb_agcount: be32(head, 88),
            sb_logblocks: be32(head, 96),
            sb_versionnum,
            sb_sectsize: be16(head, 102),
            meta_uuid,
            sb_inodesize: be16(head, 104),
            sb_blocklog: u8_at(head, 120),
            sb_inodelog: u8_at(head, 122),
            sb_inopblog: u8_at(head, 123),
            sb_agblklog: u8_at(head, 124),
            sb_inprogress: u8_at(head, 126),
            sb_rextents: be64(head, 24),
            sb_features_ro_compat: if version == 5 { be32(head, 212) } else { 0 },
            sb_features_incompat: if version == 5 { be32(head, 216) } else { 0 },
            sb_features_log_incompat: if version == 5 { be32(head, 220) } else { 0 },
        })
    }

    /// The checksum of a sector, whose own place counts as zeros.
    pub fn checksum(sector: &[u8], at: usize) -> u32 {
        let (before, after) = (sector.get(..at).unwrap_or_default(), sector.get(at + 4..).unwrap_or_default());
        crc32c::crc32c_append(crc32c::crc32c_append(crc32c::crc32c(before), &[0; 4]), after)
    }

    /// Whether every metadata structure has a checksum, and the UUID that it belongs to.
    pub fn has_checksums(&self) -> bool {
        self.sb_versionnum & 0xf == 5
    }

    /// Whether records may be longer than 32 KiB.
    pub fn has_log_v2(&self) -> bool {
        self.sb_versionnum & VERSION_LOGV2BIT != 0 || self.sb_versionnum & 0xf == 5
    }

    /// Incompatible features that are not known here.
    pub fn unknown_incompat(&self) -> u32 {
        self.sb_features_incompat & !INCOMPAT_KNOWN
    }

    /// It is marked as in need of `xfs_repair`, or mkfs did not finish.
    pub fn is_unfinished(&self) -> bool {
        self.sb_inprogress != 0 || self.sb_features_incompat & INCOMPAT_NEEDSREPAIR != 0
    }

    /// What the superblock alone says is wrong.
    pub fn findings(&self, volume_bytes: u64) -> Vec<Finding> {
        let place = "superblock at byte 0";
        let mut findings = Vec::new();
        let bytes = self.sb_dblocks.saturating_mul(u64::from(self.sb_blocksize));
        if bytes > volume_bytes {
            let detail = format!("the filesystem has {bytes} bytes, its volume {volume_bytes}: is it truncated?");
            findings.push(Finding::damage("xfs-truncated", place, detail));
        }
        if self.sb_inprogress != 0 {
            findings.push(Finding::damage("xfs-mkfs-unfinished", place, "mkfs or a copy by xfs_copy was not finished"));
        }
        if self.sb_features_incompat & INCOMPAT_NEEDSREPAIR != 0 {
            findings.push(Finding::damage("xfs-needs-repair", place, "it is marked as in need of xfs_repair"));
        }
        let incompatible = self.unknown_incompat();
        let in_log = self.sb_features_log_incompat & !LOG_INCOMPAT_KNOWN;
        if incompatible | in_log != 0 {
            let detail = format!(
                "it has incompatible features that are not known here (bits {incompatible:#x}, of the log {in_log:#x}): \
                 its log may mean something else"
            );
            findings.push(Finding::unknown("xfs-unknown-features", place, detail));
        }
        let read_only = self.sb_features_ro_compat & !RO_COMPAT_KNOWN;
        if read_only != 0 {
            let detail =
                format!("it has features that are not known here (bits {read_only:#x}), which do not change reading");
            findings.push(Finding::warning("xfs-unknown-ro-features", place, detail));
        }
        // A zoned filesystem may have its realtime part on the same device.
        if self.sb_rextents != 0 && self.sb_features_incompat & INCOMPAT_ZONED == 0 {
            let detail = "it has a realtime part on another device: the content of files there is not on this volume";
            findings.push(Finding::unknown("xfs-realtime-elsewhere", place, detail));
        }
        findings
    }

    pub fn log(&self) -> LogPlace {
        if self.sb_logstart == 0 {
            return LogPlace::External;
        }
        let invalid = || {
            let (start, blocks) = (self.sb_logstart, self.sb_logblocks);
            LogPlace::Invalid(format!(
                "it places the log at {start:#x} with {blocks} blocks, which is not in the filesystem"
            ))
        };
        if self.sb_agblklog >= 32 {
            return invalid();
        }
        // A filesystem block number is a group's number above sb_agblklog bits of a block within it.
        let group = self.sb_logstart >> self.sb_agblklog;
        let within = self.sb_logstart & ((1 << self.sb_agblklog) - 1);
        let last = within.saturating_add(u64::from(self.sb_logblocks));
        if group >= u64::from(self.sb_agcount) || last > u64::from(self.sb_agblocks) || self.sb_logblocks == 0 {
            return invalid();
        }
        let block = group.checked_mul(self.sb_agblocks.into()).and_then(|block| block.checked_add(within));
        let size = u64::from(self.sb_blocksize);
        match block.and_then(|block| block.checked_mul(size)) {
            Some(offset_bytes) => {
                LogPlace::Internal { offset_bytes, size_bytes: u64::from(self.sb_logblocks).saturating_mul(size) }
            }
            None => invalid(),
        }
    }
}
