//! A file of any type: its inode, and the fields of it that matter to whoever copies the file.
//!
//! <https://docs.kernel.org/filesystems/ext4/inodes.html>

use crate::ext4::fault::Fault;
use crate::ext4::fields::{le16, le32};
use crate::ext4::inode::{ENCRYPT_FL, OLD_SIZE};
use crate::ext4::time::Time;
use crate::ext4::{FileType, Filesystem, Inode};

const ROOT_INODE: u32 = 2;

/// A file of any type.
#[derive(Debug, Clone)]
pub struct Node {
    /// Its inode.
    pub inode: Inode,
    /// What it is.
    pub file_type: FileType,
    /// All of the inode's bytes: extended attributes follow the fields.
    pub(super) raw: Vec<u8>,
}

impl Node {
    /// Permissions, set-user-ID, set-group-ID and sticky bit.
    #[must_use]
    pub fn permissions(&self) -> u16 {
        self.inode.i_mode & 0o7777
    }

    /// `i_uid`.
    #[must_use]
    pub fn user_id(&self) -> u32 {
        u32::from(le16(&self.raw, 0x2)) | u32::from(le16(&self.raw, 0x78)) << 16
    }

    /// `i_gid`.
    #[must_use]
    pub fn group_id(&self) -> u32 {
        u32::from(le16(&self.raw, 0x18)) | u32::from(le16(&self.raw, 0x7a)) << 16
    }

    /// When it was last read.
    #[must_use]
    pub fn accessed(&self) -> Time {
        self.time(0x8, 0x8c)
    }

    /// When its content was last written.
    #[must_use]
    pub fn modified(&self) -> Time {
        self.time(0x10, 0x88)
    }

    /// The major and minor number of a device node; (0, 0) of anything else.
    #[must_use]
    pub fn device_number(&self) -> (u32, u32) {
        if !matches!(self.file_type, FileType::CharacterDevice | FileType::BlockDevice) {
            return (0, 0);
        }
        let (old, new) = (le32(&self.inode.i_block, 0), le32(&self.inode.i_block, 4));
        if old != 0 {
            (old >> 8 & 0xff, old & 0xff)
        } else {
            ((new >> 8) & 0xfff, (new & 0xff) | ((new >> 12) & 0xf_ff00))
        }
    }

    /// Its names, or its content, are encrypted.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.inode.i_flags & ENCRYPT_FL != 0
    }

    /// Fails where it is encrypted: no key is ever asked for.
    pub(super) fn readable(&self) -> Result<(), Fault> {
        if self.is_encrypted() {
            let detail = "it is encrypted: only the guest has the key";
            return Err(Fault::unknown("encrypted", self.place(), detail));
        }
        Ok(())
    }

    /// How it is called in findings.
    pub(super) fn place(&self) -> String {
        format!("inode {}", self.inode.number)
    }

    /// 32 signed bits of seconds, two more in the extra field, and nanoseconds above them.
    fn time(&self, seconds: usize, extra: usize) -> Time {
        let has_extra = extra + 4 <= OLD_SIZE + usize::from(self.inode.i_extra_isize) && extra + 4 <= self.raw.len();
        let extra = if has_extra { le32(&self.raw, extra) } else { 0 };
        let low = i64::from(le32(&self.raw, seconds).cast_signed());
        let nanoseconds = extra >> 2;
        Time {
            seconds: low + (i64::from(extra & 3) << 32),
            nanoseconds: if nanoseconds < 1_000_000_000 { nanoseconds } else { 0 },
        }
    }
}

impl Filesystem<'_> {
    /// The root folder.
    ///
    /// # Errors
    /// As [`Filesystem::node`].
    pub fn root(&self) -> Result<Node, Fault> {
        self.node(ROOT_INODE)
    }

    /// The file whose inode is `number`, as a directory entry may name it.
    ///
    /// # Errors
    /// `inode-not-a-file` where it is free or belongs to the filesystem itself; those of [`Filesystem::inode`].
    pub fn node(&self, number: u32) -> Result<Node, Fault> {
        let node = self.any_node(number)?;
        let detail = if number < self.superblock.s_first_ino && number != ROOT_INODE {
            "it belongs to the filesystem itself"
        } else if node.inode.i_links_count == 0 {
            "it is not in use"
        } else if node.inode.is_ea_inode() {
            "it is the value of an extended attribute"
        } else {
            return Ok(node);
        };
        Err(Fault::damage("inode-not-a-file", node.place(), detail))
    }

    /// The inode `number` whatever it is for, as long as it has a type.
    pub(in crate::ext4) fn any_node(&self, number: u32) -> Result<Node, Fault> {
        let raw = self.raw_inode(number)?;
        let inode = self.parse_inode(number, &raw)?;
        let Some(file_type) = inode.file_type() else {
            let detail = format!("i_mode {:#o} is no type of file", inode.i_mode);
            return Err(Fault::damage("inode-mode", format_args!("inode {number}"), detail));
        };
        let largest = self.superblock.block_size_bytes().saturating_mul(1 << 32);
        if inode.i_size > largest {
            let detail = format!("i_size is {}, more than the {largest} that can be mapped", inode.i_size);
            return Err(Fault::damage("inode-size", format_args!("inode {number}"), detail));
        }
        Ok(Node { inode, file_type, raw })
    }
}
