//! Which blocks a file has, whichever way it maps them.

use super::fault::Fault;
use super::filesystem::Filesystem;
use super::inode::Inode;
use super::piece::{Piece, Run};
use super::{block_map, extent_tree};

impl Filesystem<'_> {
    /// Walks the block map of `inode` in logical order and tells `visit` all of it. Everything told lies inside the
    /// filesystem; holes are left out. Memory: six blocks at most, and some bytes for each indirect block of a block map. Ends
    /// after at most as many blocks as there are.
    ///
    /// # Errors
    /// `extent-*` or `block-map-*` at the first thing that is wrong; whatever `visit` returns; those of reading.
    pub fn walk_blocks(&self, inode: &Inode, visit: &mut dyn FnMut(Piece) -> Result<(), Fault>) -> Result<(), Fault> {
        if !inode.maps_blocks() {
            return Ok(());
        }
        if inode.has_extents() { extent_tree::walk(self, inode, visit) } else { block_map::walk(self, inode, visit) }
    }

    /// The runs of data of `inode`, neighbours merged, at most `limit` of them.
    ///
    /// # Errors
    /// As [`Filesystem::walk_blocks`]; `too-many-runs` (not damage: it cannot be judged).
    pub fn runs(&self, inode: &Inode, limit: usize) -> Result<Vec<Run>, Fault> {
        let mut runs: Vec<Run> = Vec::new();
        self.walk_blocks(inode, &mut |piece| {
            let Piece::Data(run) = piece else { return Ok(()) };
            if let Some(last) = runs.last_mut()
                && last.logical_block + last.length_blocks == run.logical_block
                && last.physical_block + last.length_blocks == run.physical_block
                && last.is_unwritten == run.is_unwritten
            {
                last.length_blocks += run.length_blocks;
            } else if runs.len() < limit {
                runs.push(run);
            } else {
                let detail = format!("its blocks are in more than {limit} pieces");
                return Err(Fault::unknown("too-many-runs", format_args!("inode {}", inode.number), detail));
            }
            Ok(())
        })?;
        Ok(runs)
    }
}
