//! Slots for names, which fill the blocks of a directory.
//!
//! <https://docs.kernel.org/filesystems/ext4/directory.html>

use super::fields::{byte, le16, le32};

/// `inode`, `rec_len`, `name_len`, `file_type`.
pub(super) const HEADER_SIZE: usize = 8;
const MIN_RECORD: usize = 12;

/// What is wrong: a code, and the numbers.
pub(super) type Wrong = (&'static str, String);

/// `ext4_dir_entry_2`, in use or not.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot<'b> {
    /// Where it begins.
    pub(super) offset: usize,
    /// Its length; what its name does not need is room for another one.
    pub(super) rec_len: usize,
    /// 0 where it is not in use.
    pub(super) inode: u32,
    pub(super) file_type: u8,
    /// `name_len` bytes; of a slot that is not in use, those of the last name, or any.
    pub(super) name: &'b [u8],
}

impl Slot<'_> {
    /// Whether a file can have its name; one that is encrypted may have any bytes.
    pub(super) fn is_name_possible(&self, is_encrypted: bool) -> bool {
        let has_bad_byte = self.name.iter().any(|byte| matches!(byte, 0 | b'/'));
        !matches!(self.name, b"" | b"." | b"..") && (is_encrypted || !has_bad_byte)
    }
}

/// `rec_len` of the slot at `offset`: with blocks of 64 KiB, the length of the block does not fit, and is 0 or 65535.
pub(super) fn rec_len(region: &[u8], offset: usize, block_size: usize) -> usize {
    let length = usize::from(le16(region, offset + 4));
    match length {
        0 | 0xffff if block_size >= 0x1_0000 => block_size,
        _ if block_size >= 0x1_0000 => length & 0xfffc | (length & 3) << 16,
        _ => length,
    }
}

/// `rec_len` as it is stored, in a block of `block_size`.
pub(super) fn stored_rec_len(rec_len: usize, block_size: usize) -> u16 {
    if rec_len >= 0x1_0000 && rec_len == block_size { 0xffff } else { (rec_len & 0xfffc | rec_len >> 16) as u16 }
}

/// Bytes that an entry with a name of `name_len` bytes takes.
pub(super) fn needed(name_len: usize) -> usize {
    (HEADER_SIZE + name_len).next_multiple_of(4).max(MIN_RECORD)
}

/// The slots that fill `region`, each of them, up to the first that is not well-formed.
pub(super) fn slots(region: &[u8], block_size: usize) -> impl Iterator<Item = Result<Slot<'_>, Wrong>> {
    let mut offset = 0;
    std::iter::from_fn(move || {
        if offset >= region.len() {
            return None;
        }
        let rec_len = rec_len(region, offset, block_size);
        let name_len = usize::from(byte(region, offset + 6));
        let end = offset + rec_len;
        if rec_len < MIN_RECORD || !rec_len.is_multiple_of(4) || HEADER_SIZE + name_len > rec_len || end > region.len()
        {
            let detail = format!("at byte {offset} of {}, rec_len is {rec_len}, name_len {name_len}", region.len());
            offset = region.len();
            return Some(Err(("directory-entry", detail)));
        }
        let name = region.get(offset + HEADER_SIZE..offset + HEADER_SIZE + name_len).unwrap_or_default();
        let slot = Slot { offset, rec_len, inode: le32(region, offset), file_type: byte(region, offset + 7), name };
        offset += slot.rec_len;
        Some(Ok(slot))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(inode: u32, rec_len: u16, name: &[u8]) -> Vec<u8> {
        let mut bytes = [&inode.to_le_bytes()[..], &rec_len.to_le_bytes(), &[name.len() as u8, 1], name].concat();
        bytes.resize(usize::from(rec_len), 0);
        bytes
    }

    #[test]
    fn slots_fill_a_block_those_that_are_not_in_use_among_them() {
        let block = [slot(12, 12, b"a"), slot(0, 16, b"gone"), slot(13, 36, b"last")].concat();
        let found: Vec<_> = slots(&block, 1024).map(Result::unwrap).collect();
        let shown: Vec<_> = found.iter().map(|it| (it.offset, it.rec_len, it.inode, it.name)).collect();
        assert_eq!(shown, [(0, 12, 12, &b"a"[..]), (12, 16, 0, b"gone"), (28, 36, 13, b"last")]);
    }

    #[test]
    fn a_slot_that_passes_the_end_is_the_last_thing_that_is_said() {
        let block = [slot(12, 12, b"a"), slot(13, 20, b"b")].concat();
        let cut = block.get(..28).unwrap();
        let found: Vec<_> =
            slots(cut, 1024).map(|slot| slot.map(|slot| slot.offset).map_err(|wrong| wrong.0)).collect();
        assert_eq!(found, [Ok(0), Err("directory-entry")]);
    }

    #[test]
    fn a_slot_that_fills_a_block_of_64_kib_is_so_long_although_its_field_is_not() {
        for stored in [0_u16, 0xffff] {
            let mut block = vec![0; 0x1_0000];
            block[4..6].copy_from_slice(&stored.to_le_bytes());
            let lengths: Vec<_> = slots(&block, 0x1_0000).map(|slot| slot.unwrap().rec_len).collect();
            assert_eq!(lengths, [0x1_0000]);
        }
    }
}
