//! ext2, ext3 and ext4.
//!
//! <https://docs.kernel.org/filesystems/ext4/index.html>; a module for each on-disk structure.
//!
//! [`open`] finds the superblock, replays the journal onto an [`Overlay`] where it has to be, and gives a [`Filesystem`]
//! whose groups, inodes, block maps and bitmaps can be read. [`check`] judges it, [`allocated`] says what of it is in use.
//! Nothing here trusts a number from the disk: each is bounded where it is read, and no walk takes more steps than the
//! filesystem has blocks.

mod allocated;
mod backup;
mod backup_search;
mod bitmap;
mod block_map;
mod block_runs;
mod check;
mod checksum;
mod deep;
mod directory_block;
mod dirent;
mod error_record;
mod extent_tree;
mod fast_replay;
mod fault;
pub mod features;
mod fields;
pub mod files;
mod filesystem;
mod group;
mod htree_node;
mod inode;
mod journal;
mod journal_device;
mod layout;
mod mmp;
mod open;
mod orphan_file;
mod orphans;
mod overlay;
mod piece;
mod superblock;
mod superblock_copy;
mod time;
mod xattr;

pub use allocated::allocated;
pub(crate) use backup_search::find_backup;
pub use bitmap::Bitmap;
pub use check::check;
pub(crate) use check::verdict;
pub use error_record::{ErrorRecord, RecordedError};
pub use fault::Fault;
pub use filesystem::Filesystem;
pub use group::GroupDescriptor;
pub use inode::{FileType, Inode};
pub use journal::{ChecksumVersion, JournalSuperblock, Replay};
pub(crate) use journal_device::check_journal_device;
pub use open::{Opened, open};
pub use orphans::{Orphans, orphans};
pub use overlay::Overlay;
pub use piece::{Piece, Run};
pub use superblock::Superblock;
pub(crate) use superblock::{PRIMARY_OFFSET_BYTES, SIZE_BYTES as SUPERBLOCK_BYTES};
