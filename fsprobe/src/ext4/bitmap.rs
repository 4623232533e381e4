//! Block and inode bitmaps.
//!
//! <https://docs.kernel.org/filesystems/ext4/bitmaps.html>; the least significant bit of a byte comes first.

use super::checksum::crc32c_le;
use super::fault::Fault;
use super::fields::le64;
use super::filesystem::Filesystem;
use super::group::GroupDescriptor;

/// One bit an item, least significant first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bitmap {
    bytes: Vec<u8>,
    length: u32,
}

impl Bitmap {
    /// Nothing in use; the padding is set, as it has to be on disk.
    fn clear(length: u32) -> Self {
        let mut bytes = vec![0xff; length.div_ceil(64) as usize * 8];
        let (whole, padding) = bytes.split_at_mut(length as usize / 8);
        whole.fill(0);
        if let Some(partial) = padding.first_mut() {
            *partial = 0xff << (length % 8);
        }
        Self { bytes, length }
    }

    /// Bits that stand for something; those after it are padding.
    #[must_use]
    pub fn length(&self) -> u32 {
        self.length
    }

    /// Whether bit `index` is set; one beyond the end is not.
    #[must_use]
    pub fn is_set(&self, index: u32) -> bool {
        index < self.length && self.bytes.get(index as usize / 8).is_some_and(|byte| byte >> (index % 8) & 1 != 0)
    }

    fn set(&mut self, index: u32) {
        self.put(index, index.saturating_add(1), true);
    }

    /// Sets the bits from `start` to before `end`, or clears them; those beyond the length are left alone.
    pub(super) fn put(&mut self, start: u32, end: u32, is_set: bool) {
        let end = end.min(self.length);
        let mut index = start;
        while index < end {
            let Some(byte) = self.bytes.get_mut(index as usize / 8) else { return };
            let next = end.min((index / 8 + 1) * 8);
            let bits = (0xff_u8 << (index % 8)) & (0xff >> (7 - (next - 1) % 8));
            *byte = if is_set { *byte | bits } else { *byte & !bits };
            index = next;
        }
    }

    /// The first bit that is clear.
    pub(super) fn first_clear(&self) -> Option<u32> {
        Some(self.next(0, false)).filter(|&index| index < self.length)
    }

    /// The block that holds it.
    pub(super) fn to_block(&self, block_size: usize) -> Vec<u8> {
        let mut block = self.bytes.clone();
        block.resize(block_size, 0xff);
        block
    }

    /// Bits that are set.
    #[must_use]
    pub fn count_set(&self) -> u32 {
        self.runs().map(|run| run.end - run.start).sum()
    }

    /// Bits `64 * index` and following, the first one least significant, those beyond the length not set.
    pub(super) fn word(&self, index: u32) -> u64 {
        let bits = self.length.saturating_sub(index.saturating_mul(64)).min(64);
        let mask = if bits == 0 { 0 } else { u64::MAX >> (64 - bits) };
        le64(&self.bytes, index as usize * 8) & mask
    }

    /// Whether all bits after the length are set, as they have to be on disk.
    pub(super) fn is_padding_set(&self) -> bool {
        let padding = self.bytes.get(self.length as usize / 8..).unwrap_or_default();
        let before = (1_u16 << (self.length % 8)) - 1;
        padding.first().is_none_or(|&partial| u16::from(partial) | before == 0xff)
            && padding.iter().skip(1).all(|&byte| byte == 0xff)
    }

    /// Runs of set bits, in order.
    pub fn runs(&self) -> impl Iterator<Item = std::ops::Range<u32>> + '_ {
        let mut position = 0;
        std::iter::from_fn(move || {
            let start = self.next(position, true);
            position = self.next(start, false);
            (start < self.length).then_some(start..position)
        })
    }

    /// The first bit from `index` on that is as wanted, or the length.
    fn next(&self, mut index: u32, wanted: bool) -> u32 {
        let none = if wanted { 0x00 } else { 0xff };
        while index < self.length {
            let byte = self.bytes.get(index as usize / 8).copied().unwrap_or(0);
            if index.is_multiple_of(8) && byte == none {
                index += 8;
            } else if (byte >> (index % 8) & 1 != 0) == wanted {
                return index;
            } else {
                index += 1;
            }
        }
        self.length
    }
}

impl Filesystem<'_> {
    /// Which clusters of the group are in use, its checksum verified; worked out where it was never written.
    ///
    /// # Errors
    /// `block-bitmap-checksum`, or that of reading.
    pub fn block_bitmap(&self, descriptor: &GroupDescriptor) -> Result<Bitmap, Fault> {
        let superblock = &self.superblock;
        let group = descriptor.group;
        let per_cluster = superblock.blocks_per_cluster();
        // At most s_clusters_per_group.
        let length = u32::try_from(superblock.group_blocks(group).div_ceil(per_cluster)).unwrap_or(u32::MAX);
        if superblock.has_group_checksums() && descriptor.is_block_bitmap_uninit() {
            return Ok(self.initial_block_bitmap(descriptor, length));
        }
        let place = format_args!("group {group} block bitmap");
        let bytes = self.read_block(descriptor.bg_block_bitmap, place)?;
        let stored = descriptor.bg_block_bitmap_csum;
        self.verify_bitmap("block-bitmap-checksum", place, &bytes, superblock.clusters_per_group(), stored)?;
        Ok(Bitmap { bytes, length })
    }

    /// Which inodes of the group are in use, its checksum verified; none where it was never written.
    ///
    /// # Errors
    /// `inode-bitmap-checksum`, or that of reading.
    pub fn inode_bitmap(&self, descriptor: &GroupDescriptor) -> Result<Bitmap, Fault> {
        let length = self.superblock.s_inodes_per_group;
        if self.superblock.has_group_checksums() && descriptor.is_inode_table_uninit() {
            return Ok(Bitmap::clear(length));
        }
        let place = format_args!("group {} inode bitmap", descriptor.group);
        let bytes = self.read_block(descriptor.bg_inode_bitmap, place)?;
        self.verify_bitmap("inode-bitmap-checksum", place, &bytes, length, descriptor.bg_inode_bitmap_csum)?;
        Ok(Bitmap { bytes, length })
    }

    fn verify_bitmap(
        &self,
        code: &'static str,
        place: std::fmt::Arguments<'_>,
        bytes: &[u8],
        bits: u32,
        stored: u32,
    ) -> Result<(), Fault> {
        match self.bitmap_checksum(bytes, bits) {
            Some(computed) if computed != stored => {
                Err(Fault::damage(code, place, format!("its checksum is {stored:#x}, computed {computed:#x}")))
            }
            _ => Ok(()),
        }
    }

    /// The checksum of a bitmap's block, of which `bits` are covered; `None` without `metadata_csum`.
    pub(super) fn bitmap_checksum(&self, block: &[u8], bits: u32) -> Option<u32> {
        let covered = block.get(..bits as usize / 8).unwrap_or(block);
        // A short descriptor has room for the low half.
        let mask = if self.superblock.s_desc_size < 64 { 0xffff } else { !0 };
        self.superblock.has_metadata_csum().then(|| crc32c_le(self.superblock.checksum_seed(), covered) & mask)
    }

    /// What the kernel takes a block bitmap for that was never written: the group's own metadata is in use.
    fn initial_block_bitmap(&self, descriptor: &GroupDescriptor, length: u32) -> Bitmap {
        let superblock = &self.superblock;
        let first = superblock.group_first_block(descriptor.group);
        let mut bitmap = Bitmap::clear(length);
        let mut mark = |start: u64, blocks: u64| {
            for block in start..start.saturating_add(blocks) {
                let cluster = block.checked_sub(first).map(|offset| offset / superblock.blocks_per_cluster());
                if let Some(index) = cluster.and_then(|cluster| u32::try_from(cluster).ok()) {
                    bitmap.set(index);
                }
            }
        };
        mark(first, superblock.base_metadata_blocks(descriptor.group));
        // With flex_bg they may be in another group, whose bitmap then says so.
        mark(descriptor.bg_block_bitmap, 1);
        mark(descriptor.bg_inode_bitmap, 1);
        mark(descriptor.bg_inode_table, self.inode_table_blocks());
        bitmap
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_stop_at_the_length_and_not_at_the_padding() {
        let bitmap = Bitmap { bytes: vec![0b1000_0110, 0xff, 0x00, 0xff], length: 27 };
        assert_eq!(bitmap.runs().collect::<Vec<_>>(), [1..3, 7..16, 24..27]);
        assert_eq!(bitmap.count_set(), 14);
        assert!(!bitmap.is_set(27));
    }

    #[test]
    fn padding_is_what_comes_after_the_length() {
        for length in [8, 27, 64, 100] {
            assert!(Bitmap::clear(length).is_padding_set(), "{length}");
        }
        let padding_set = |bytes: &[u8], length| Bitmap { bytes: bytes.to_vec(), length }.is_padding_set();
        assert!(padding_set(&[0x00, 0xf8, 0xff], 11));
        assert!(!padding_set(&[0x00, 0x78, 0xff], 11));
        assert!(!padding_set(&[0x00, 0xf8, 0xfe], 11));
        assert!(padding_set(&[0x00, 0xff], 8) && !padding_set(&[0x00, 0x7f], 8));
    }

    #[test]
    fn an_empty_bitmap_has_no_runs() {
        assert_eq!(Bitmap::clear(32768).runs().count(), 0);
    }
}
