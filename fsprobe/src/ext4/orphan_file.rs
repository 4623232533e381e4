//! The orphan file (`orphan_file`): blocks of inode numbers, so that many processors can list orphans at once.
//!
//! <https://docs.kernel.org/filesystems/ext4/orphan.html>

use super::checksum::crc32c_le;
use super::fault::Fault;
use super::features::ro_compat;
use super::fields::le32;
use super::filesystem::Filesystem;
use super::piece::Piece;
use crate::{Finding, Findings, ProbeError};

/// `ob_magic`, in the last eight bytes of each block, with `ob_checksum` after it.
const MAGIC: u32 = 0x0b10_ca04;
const TAIL_SIZE: usize = 8;
/// Blocks looked at: eight times what the kernel allows.
const MAX_BLOCKS: u64 = 4096;

/// The inode numbers in the orphan file, as far as it can be read; the rest is in `findings`.
///
/// # Errors
/// [`ProbeError::Io`] where the medium fails.
pub(super) fn entries(filesystem: &Filesystem<'_>, findings: &mut Findings) -> Result<Vec<u32>, ProbeError> {
    let mut numbers = Vec::new();
    if let Err(fault) = read(filesystem, &mut numbers) {
        findings.push(fault.finding()?);
    }
    let is_announced = filesystem.superblock.has_ro_compat(ro_compat::ORPHAN_PRESENT);
    if !numbers.is_empty() && !is_announced {
        let detail =
            format!("it lists {} inodes, but orphan_present is not set: a mount would not look", numbers.len());
        findings.push(Finding::damage("orphan-file-unannounced", "orphan file", detail));
    }
    Ok(numbers)
}

fn read(filesystem: &Filesystem<'_>, numbers: &mut Vec<u32>) -> Result<(), Fault> {
    let file = filesystem.inode(filesystem.superblock.s_orphan_file_inum)?;
    let mut blocks = Vec::new();
    filesystem.walk_blocks(&file, &mut |piece| {
        let Piece::Data(run) = piece else { return Ok(()) };
        if blocks.len() as u64 + run.length_blocks > MAX_BLOCKS {
            let detail = format!("it has more than {MAX_BLOCKS} blocks");
            return Err(Fault::unknown("orphan-file-too-long", "orphan file", detail));
        }
        blocks.extend(run.physical_block..run.physical_block + run.length_blocks);
        Ok(())
    })?;
    for block in blocks {
        let bytes = filesystem.read_block(block, "orphan file")?;
        let place = format_args!("orphan file, block {block}");
        let entries_end = bytes.len() - TAIL_SIZE;
        let ob_magic = le32(&bytes, entries_end);
        if ob_magic != MAGIC {
            return Err(Fault::damage("orphan-file-magic", place, format!("ob_magic is {ob_magic:#x}")));
        }
        let entries = bytes.get(..entries_end).unwrap_or_default();
        if filesystem.superblock.has_metadata_csum() {
            let computed = crc32c_le(crc32c_le(file.checksum_seed(), &block.to_le_bytes()), entries);
            let ob_checksum = le32(&bytes, entries_end + 4);
            if ob_checksum != computed {
                let detail = format!("ob_checksum is {ob_checksum:#010x}, computed {computed:#010x}");
                return Err(Fault::damage("orphan-file-checksum", place, detail));
            }
        }
        numbers.extend(entries.chunks_exact(4).map(|entry| le32(entry, 0)).filter(|&number| number != 0));
    }
    Ok(())
}
