//! The master file table and its records.

use super::attribute::{Attribute, Runs, attributes};
use super::boot::Boot;
use crate::bytes::{has, le16, le32};
use crate::read_at::read;
use crate::{ProbeError, ReadAt};

const AT_ATTRIBUTE_LIST: u32 = 0x20;
const AT_DATA: u32 = 0x80;
/// The unit that a protected structure is written in, whatever the disk's sectors are.
const STRIDE: usize = 512;
const FILE_RECORD_IN_USE: u16 = 1;

/// The MFT: record 0 says where it lies.
pub(super) struct Mft<'v> {
    pub volume: &'v dyn ReadAt,
    pub cluster_bytes: u64,
    record_bytes: usize,
    runs: Runs,
}

impl<'v> Mft<'v> {
    pub fn open(volume: &'v dyn ReadAt, boot: &Boot) -> Result<Result<Self, String>, ProbeError> {
        let bytes = read(volume, boot.mft_bytes, boot.record_bytes, "NTFS MFT record 0")?;
        let runs =
            Record::parse(bytes, b"FILE").and_then(|record| record.runs(AT_DATA, "").ok_or("it has no data".into()));
        Ok(runs.map(|runs| Self { volume, cluster_bytes: boot.cluster_bytes, record_bytes: boot.record_bytes, runs }))
    }

    /// Reads a record; the inner error says what keeps it from being believed.
    pub fn record(&self, number: u64) -> Result<Result<Record, String>, ProbeError> {
        let mut bytes = vec![0; self.record_bytes];
        let Some(at) = number.checked_mul(self.record_bytes as u64) else {
            return Ok(Err("its number is too large".into()));
        };
        if let Err(why) = self.runs.read(self.volume, self.cluster_bytes, &mut bytes, at)? {
            return Ok(Err(why));
        }
        Ok(Record::parse(bytes, b"FILE").and_then(|record| match le16(&record.bytes, 22) & FILE_RECORD_IN_USE {
            0 => Err("it is not in use".into()),
            _ => Ok(record),
        }))
    }
}

/// A record with its fixups undone.
pub(super) struct Record {
    bytes: Vec<u8>,
}

impl Record {
    pub fn parse(bytes: Vec<u8>, magic: &[u8; 4]) -> Result<Self, String> {
        let bytes = without_fixups(bytes, magic)?;
        Ok(Self { bytes })
    }

    /// What it says, up to its end, without the update sequence: that is new with every write, and each copy has its own.
    pub fn content(&self) -> (&[u8], &[u8]) {
        let (sequence, count) = (usize::from(le16(&self.bytes, 4)), usize::from(le16(&self.bytes, 6)));
        let used = usize::try_from(le32(&self.bytes, 24)).unwrap_or(usize::MAX).min(self.bytes.len());
        let behind = (sequence + 2 * count).min(used);
        let part = |range| self.bytes.get(range).unwrap_or_default();
        (part(8..sequence.clamp(8, behind.max(8))), part(behind..used))
    }

    fn attribute(&self, type_code: u32, name: &str) -> Option<Attribute<'_>> {
        let first = usize::from(le16(&self.bytes, 20));
        attributes(&self.bytes, first).find(|attribute| attribute.type_code == type_code && attribute.is_named(name))
    }

    /// The value of an unnamed attribute that is stored in the record.
    pub fn resident(&self, type_code: u32) -> Option<&[u8]> {
        self.resident_named(type_code, "")
    }

    pub fn resident_named(&self, type_code: u32, name: &str) -> Option<&[u8]> {
        self.attribute(type_code, name)?.resident()
    }

    /// Where an attribute lies that is stored outside the record.
    pub fn runs(&self, type_code: u32, name: &str) -> Option<Runs> {
        self.attribute(type_code, name)?.runs()
    }

    /// Whether some attributes are in other records, which are not read here.
    pub fn is_continued(&self) -> bool {
        self.attribute(AT_ATTRIBUTE_LIST, "").is_some()
    }

    /// Reads from the file's content; the inner error says why that is not possible.
    pub fn read_data(&self, mft: &Mft<'_>, buf: &mut [u8], at: u64) -> Result<Result<(), String>, ProbeError> {
        let Some(data) = self.attribute(AT_DATA, "") else {
            return Ok(Err("it has no data in its first record".into()));
        };
        if let Some(runs) = data.runs() {
            return runs.read(mft.volume, mft.cluster_bytes, buf, at);
        }
        let start = usize::try_from(at).unwrap_or(usize::MAX);
        let value = data.resident().and_then(|value| value.get(start..)?.get(..buf.len()));
        Ok(value.map(|value| buf.copy_from_slice(value)).ok_or_else(|| "it is too short".into()))
    }
}

/// Checks and undoes the fixups: the last two bytes of each stride are kept aside, and a number put in their place, so
/// that a torn write shows.
pub(super) fn without_fixups(mut bytes: Vec<u8>, magic: &[u8; 4]) -> Result<Vec<u8>, String> {
    if !has(&bytes, 0, magic) {
        let found: Vec<_> = bytes.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        return Err(format!("it begins with {}, not {:?}", found.join(" "), String::from_utf8_lossy(magic)));
    }
    let (offset, count) = (usize::from(le16(&bytes, 4)), usize::from(le16(&bytes, 6)));
    if count != bytes.len() / STRIDE + 1 || offset + 2 * count > STRIDE {
        return Err(format!(
            "its update sequence ({count} numbers at byte {offset}) does not fit {} bytes",
            bytes.len()
        ));
    }
    let number = le16(&bytes, offset);
    for stride in 1..count {
        let end = stride * STRIDE - 2;
        if le16(&bytes, end) != number {
            return Err(format!("the 512 bytes up to {} were not written with the rest (torn write)", stride * STRIDE));
        }
        let original = le16(&bytes, offset + 2 * stride).to_le_bytes();
        if let Some(place) = bytes.get_mut(end..end + 2) {
            place.copy_from_slice(&original);
        }
    }
    Ok(bytes)
}
