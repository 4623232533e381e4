//! One name in a directory: all of the index is read, in order, without descending its tree.

use super::record::{Mft, without_fixups};
use crate::ProbeError;
use crate::bytes::{has, le16, le32, le64, u8_at};

const AT_INDEX_ROOT: u32 = 0x90;
const AT_INDEX_ALLOCATION: u32 = 0xa0;
const NAME: &str = "$I30";
/// A root directory of more than a hundred thousand names is not looked through.
const MAX_INDEX_BYTES: u64 = 16 << 20;
const LAST_ENTRY: u16 = 2;

/// What came of looking for a name.
pub(super) enum Lookup {
    /// The number of its MFT record.
    Found(u64),
    Missing,
    Unknown(String),
}

/// Looks for `name`, without regard to case, in the directory of MFT record `directory`.
pub(super) fn find(mft: &Mft<'_>, directory: u64, name: &str) -> Result<Lookup, ProbeError> {
    let record = match mft.record(directory)? {
        Ok(record) => record,
        Err(why) => return Ok(Lookup::Unknown(format!("MFT record {directory}: {why}"))),
    };
    let Some(root) = record.resident_named(AT_INDEX_ROOT, NAME) else {
        return Ok(Lookup::Unknown(format!("MFT record {directory} has no index")));
    };
    // Entries follow a header of 16 bytes and a node header of 16, which says where.
    if let Some(number) = search_node(root, 16, name) {
        return Ok(Lookup::Found(number));
    }
    let block_bytes = le32(root, 8);
    let Some(runs) = record.runs(AT_INDEX_ALLOCATION, NAME) else {
        let unknown =
            record.is_continued().then(|| Lookup::Unknown("the root directory spans several MFT records".into()));
        return Ok(unknown.unwrap_or(Lookup::Missing));
    };
    let size = runs.data_size;
    if !block_bytes.is_power_of_two() || !(512..=65536).contains(&block_bytes) || size > MAX_INDEX_BYTES {
        let why =
            format!("the root directory's index has {size} bytes in blocks of {block_bytes}; it is not looked through");
        return Ok(Lookup::Unknown(why));
    }
    for at in (0..size).step_by(usize::try_from(block_bytes).unwrap_or(4096)) {
        let mut block = vec![0; usize::try_from(block_bytes).unwrap_or(4096)];
        if let Err(why) = runs.read(mft.volume, mft.cluster_bytes, &mut block, at)? {
            return Ok(Lookup::Unknown(why));
        }
        if has(&block, 0, &[0; 4]) {
            continue; // Never used.
        }
        let block = match without_fixups(block, b"INDX") {
            Ok(block) => block,
            Err(why) => return Ok(Lookup::Unknown(format!("index block at byte {at} of the root directory: {why}"))),
        };
        if let Some(number) = search_node(&block, 24, name) {
            return Ok(Lookup::Found(number));
        }
    }
    Ok(Lookup::Missing)
}

/// The MFT record of `name` in one node, whose header begins at `header`.
fn search_node(node: &[u8], header: usize, name: &str) -> Option<u64> {
    let mut at = header.checked_add(usize::try_from(le32(node, header)).ok()?)?;
    loop {
        let entry = node.get(at..).filter(|entry| entry.len() >= 16)?;
        let length = usize::from(le16(entry, 8));
        if le16(entry, 12) & LAST_ENTRY != 0 || length < 16 {
            return None;
        }
        // Behind the entry's header of 16 bytes is a $FILE_NAME: its name is at byte 66.
        let characters = usize::from(u8_at(entry, 16 + 64));
        let units = (0..characters).map(|i| le16(entry, 16 + 66 + 2 * i));
        let ours = char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER).to_ascii_lowercase());
        if ours.eq(name.chars().map(|c| c.to_ascii_lowercase())) {
            return Some(le64(entry, 0) & 0xffff_ffff_ffff);
        }
        at = at.checked_add(length)?;
    }
}
