//! Attributes of a record, and the runs of clusters that the longer ones lie in.

use crate::bytes::{le16, le32, le64, u8_at};
use crate::read_at::read;
use crate::{ProbeError, ReadAt};

const AT_END: u32 = 0xffff_ffff;
/// A record of 64 KiB has no room for more runs.
const MAX_RUNS: usize = 32 << 10;

/// One attribute of a record.
pub(super) struct Attribute<'r> {
    pub type_code: u32,
    bytes: &'r [u8],
}

/// The attributes of a record, the first of which begins at `first`.
pub(super) fn attributes(record: &[u8], first: usize) -> impl Iterator<Item = Attribute<'_>> {
    let mut rest = record.get(first..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (type_code, length) = (le32(rest, 0), usize::try_from(le32(rest, 4)).ok()?);
        if type_code == AT_END || type_code == 0 || length < 24 {
            return None;
        }
        let (bytes, after) = rest.split_at_checked(length)?;
        rest = after;
        Some(Attribute { type_code, bytes })
    })
}

impl<'r> Attribute<'r> {
    pub fn is_named(&self, name: &str) -> bool {
        let (length, at) = (usize::from(u8_at(self.bytes, 9)), usize::from(le16(self.bytes, 10)));
        let ours: Vec<u16> = (0..length).map(|i| le16(self.bytes, at + 2 * i)).collect();
        ours == name.encode_utf16().collect::<Vec<_>>()
    }

    fn is_resident(&self) -> bool {
        u8_at(self.bytes, 8) == 0
    }

    /// Its value, where it is in the record.
    pub fn resident(&self) -> Option<&'r [u8]> {
        let length = usize::try_from(le32(self.bytes, 16)).ok()?;
        let at = usize::from(le16(self.bytes, 20));
        self.bytes.get(at..)?.get(..length).filter(|_| self.is_resident())
    }

    /// Its runs, where it is not.
    pub fn runs(&self) -> Option<Runs> {
        if self.is_resident() {
            return None;
        }
        let at = usize::from(le16(self.bytes, 32));
        let runs = parse_runs(self.bytes.get(at..)?)?;
        // A part of an attribute that does not begin with its first cluster says nothing about the start.
        let lowest_vcn = le64(self.bytes, 16);
        (lowest_vcn == 0).then(|| Runs { runs, data_size: le64(self.bytes, 48) })
    }
}

/// Each run: a byte with the widths of length and offset, the length, and the offset from the previous run's.
fn parse_runs(mut bytes: &[u8]) -> Option<Vec<Run>> {
    let mut runs = Vec::new();
    let mut lcn = 0_i64;
    while runs.len() < MAX_RUNS {
        let (&widths, rest) = bytes.split_first()?;
        if widths == 0 {
            return Some(runs);
        }
        let (length_width, offset_width) = (usize::from(widths & 0xf), usize::from(widths >> 4));
        let (length, rest) = rest.split_at_checked(length_width)?;
        let (offset, rest) = rest.split_at_checked(offset_width)?;
        bytes = rest;
        let clusters = u64::try_from(signed(length)?).ok()?;
        let start = if offset_width == 0 {
            None
        } else {
            lcn = lcn.checked_add(signed(offset)?)?;
            Some(u64::try_from(lcn).ok()?)
        };
        runs.push(Run { start, clusters });
    }
    None
}

/// A little-endian number of one to eight bytes in two's complement.
fn signed(bytes: &[u8]) -> Option<i64> {
    let fill = if bytes.last()? & 0x80 != 0 { 0xff } else { 0 };
    let mut wide = [fill; 8];
    wide.get_mut(..bytes.len())?.copy_from_slice(bytes);
    Some(i64::from_le_bytes(wide))
}

#[derive(Debug, Clone)]
struct Run {
    /// Logical cluster; none in a hole.
    start: Option<u64>,
    clusters: u64,
}

/// Where the value of an attribute lies.
#[derive(Debug, Clone)]
pub(super) struct Runs {
    runs: Vec<Run>,
    pub data_size: u64,
}

impl Runs {
    /// Reads `buf` from byte `at` of the value; the inner error says why that is not possible.
    pub fn read(
        &self,
        volume: &dyn ReadAt,
        cluster_bytes: u64,
        buf: &mut [u8],
        at: u64,
    ) -> Result<Result<(), String>, ProbeError> {
        let mut at = at;
        let mut buf = buf;
        while !buf.is_empty() {
            let Some((start, left)) = self.locate(at, cluster_bytes) else {
                return Ok(Err(format!("byte {at} is past the end of its runs")));
            };
            let length = usize::try_from(left).unwrap_or(usize::MAX).min(buf.len());
            let (head, rest) = buf.split_at_mut(length);
            match start {
                Some(start) => head.copy_from_slice(&read(volume, start, length, "NTFS data")?),
                None => head.fill(0),
            }
            buf = rest;
            at += length as u64;
        }
        Ok(Ok(()))
    }

    /// The byte of the volume that holds byte `at`, and how many follow it there.
    fn locate(&self, at: u64, cluster_bytes: u64) -> Option<(Option<u64>, u64)> {
        let mut begin = 0_u64;
        for run in &self.runs {
            let size = run.clusters.checked_mul(cluster_bytes)?;
            let end = begin.checked_add(size)?;
            if at < end {
                let within = at - begin;
                let start = match run.start {
                    Some(lcn) => Some(lcn.checked_mul(cluster_bytes)?.checked_add(within)?),
                    None => None,
                };
                return Some((start, size - within));
            }
            begin = end;
        }
        None
    }
}
