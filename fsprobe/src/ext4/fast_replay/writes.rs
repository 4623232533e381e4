//! Blocks as they will be.

use std::collections::BTreeMap;

use crate::ext4::Filesystem;
use crate::ext4::fault::Fault;
use crate::ext4::fields::put;

/// What all of them may take. The area that the records are from is no longer either.
const MAX_BYTES: u64 = 64 << 20;

/// Blocks of a filesystem with what was written to them since.
pub(super) struct Writes<'f, 'd> {
    filesystem: &'f Filesystem<'d>,
    blocks: BTreeMap<u64, Vec<u8>>,
}

impl<'f, 'd> Writes<'f, 'd> {
    pub(super) fn new(filesystem: &'f Filesystem<'d>) -> Self {
        Self { filesystem, blocks: BTreeMap::new() }
    }

    /// A block as it is now.
    pub(super) fn read(&self, block: u64) -> Result<Vec<u8>, Fault> {
        self.blocks.get(&block).map_or_else(|| self.filesystem.read_block(block, "fast commits"), |it| Ok(it.clone()))
    }

    /// Replaces a block.
    pub(super) fn write(&mut self, block: u64, bytes: Vec<u8>) -> Result<(), Fault> {
        if (self.blocks.len() as u64 + 1) * self.filesystem.superblock.block_size_bytes() > MAX_BYTES {
            let detail = format!("replaying them would write more than {MAX_BYTES} bytes");
            return Err(Fault::unknown("fast-commit-too-large", "journal", detail));
        }
        self.blocks.insert(block, bytes);
        Ok(())
    }

    /// Replaces some bytes, which lie in one block.
    pub(super) fn patch(&mut self, offset_bytes: u64, bytes: &[u8]) -> Result<(), Fault> {
        let block_size = self.filesystem.superblock.block_size_bytes();
        let block = offset_bytes / block_size;
        let mut whole = self.read(block)?;
        put(&mut whole, (offset_bytes % block_size) as usize, bytes);
        self.write(block, whole)
    }

    pub(super) fn into_blocks(self) -> BTreeMap<u64, Vec<u8>> {
        self.blocks
    }
}
