//! Feature flags of the superblock.
//!
//! <https://docs.kernel.org/filesystems/ext4/super.html>: `s_feature_compat`, `s_feature_incompat`, `s_feature_ro_compat`.

/// `s_feature_compat`: what an old kernel may ignore.
pub mod compat {
    #![allow(missing_docs)] // The names are the kernel's.
    pub const HAS_JOURNAL: u32 = 0x4;
    pub const EXT_ATTR: u32 = 0x8;
    pub const RESIZE_INODE: u32 = 0x10;
    pub const DIR_INDEX: u32 = 0x20;
    pub const SPARSE_SUPER2: u32 = 0x200;
    pub const FAST_COMMIT: u32 = 0x400;
    pub const ORPHAN_FILE: u32 = 0x1000;

    /// Those that have a name.
    pub const KNOWN: u32 = 0x1f7f;
}

/// `s_feature_incompat`: what a reader must know.
pub mod incompat {
    #![allow(missing_docs)]
    pub const FILETYPE: u32 = 0x2;
    pub const RECOVER: u32 = 0x4;
    pub const JOURNAL_DEV: u32 = 0x8;
    pub const META_BG: u32 = 0x10;
    pub const EXTENTS: u32 = 0x40;
    pub const BITS64: u32 = 0x80;
    pub const MMP: u32 = 0x100;
    pub const FLEX_BG: u32 = 0x200;
    pub const EA_INODE: u32 = 0x400;
    pub const CSUM_SEED: u32 = 0x2000;
    pub const LARGEDIR: u32 = 0x4000;
    pub const INLINE_DATA: u32 = 0x8000;
    pub const ENCRYPT: u32 = 0x1_0000;
    pub const CASEFOLD: u32 = 0x2_0000;

    /// Those whose meaning this code knows.
    pub const KNOWN: u32 = FILETYPE
        | RECOVER
        | JOURNAL_DEV
        | META_BG
        | EXTENTS
        | BITS64
        | MMP
        | FLEX_BG
        | EA_INODE
        | CSUM_SEED
        | LARGEDIR
        | INLINE_DATA
        | ENCRYPT
        | CASEFOLD;
}

/// `s_feature_ro_compat`: what a writer must know.
pub mod ro_compat {
    #![allow(missing_docs)]
    pub const SPARSE_SUPER: u32 = 0x1;
    pub const LARGE_FILE: u32 = 0x2;
    pub const HUGE_FILE: u32 = 0x8;
    pub const GDT_CSUM: u32 = 0x10;
    pub const DIR_NLINK: u32 = 0x20;
    pub const EXTRA_ISIZE: u32 = 0x40;
    pub const QUOTA: u32 = 0x100;
    pub const BIGALLOC: u32 = 0x200;
    pub const METADATA_CSUM: u32 = 0x400;
    pub const SHARED_BLOCKS: u32 = 0x4000;
    pub const VERITY: u32 = 0x8000;
    pub const ORPHAN_PRESENT: u32 = 0x1_0000;

    /// Those whose meaning this code knows, or that do not change how anything is read.
    pub const KNOWN: u32 = 0x1_f77f;
}

/// One name a bit, least significant first; empty where a bit has no name.
pub type Names = [&'static str; 20];

/// Names in `s_feature_compat`.
#[rustfmt::skip]
pub const COMPAT_NAMES: Names = [
    "dir_prealloc", "imagic_inodes", "has_journal", "ext_attr", "resize_inode", "dir_index", "lazy_bg", "",
    "exclude_bitmap", "sparse_super2", "fast_commit", "stable_inodes", "orphan_file", "", "", "", "", "", "", "",
];

/// Names in `s_feature_incompat`.
#[rustfmt::skip]
pub const INCOMPAT_NAMES: Names = [
    "compression", "filetype", "needs_recovery", "journal_dev", "meta_bg", "", "extent", "64bit",
    "mmp", "flex_bg", "ea_inode", "", "dirdata", "metadata_csum_seed", "large_dir", "inline_data",
    "encrypt", "casefold", "", "",
];

/// Names in `s_feature_ro_compat`.
#[rustfmt::skip]
pub const RO_COMPAT_NAMES: Names = [
    "sparse_super", "large_file", "btree_dir", "huge_file", "uninit_bg", "dir_nlink", "extra_isize", "snapshot",
    "quota", "bigalloc", "metadata_csum", "replica", "read-only", "project", "shared_blocks", "verity",
    "orphan_present", "", "", "",
];

/// The set bits by name, as e2fsprogs writes them; a bit without one as its number.
#[must_use]
pub fn named(bits: u32, names: &Names) -> Vec<String> {
    (0..32)
        .filter(|bit| bits & (1 << bit) != 0)
        .map(|bit| match names.get(bit as usize) {
            Some(name) if !name.is_empty() => (*name).to_owned(),
            _ => format!("{:#x}", 1_u32 << bit),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bit_without_a_name_is_said_by_its_number() {
        assert_eq!(named(incompat::RECOVER | 0x8000_0000, &INCOMPAT_NAMES), ["needs_recovery", "0x80000000"]);
    }

    #[test]
    fn snapshots_and_replicas_are_not_known_to_any_released_kernel() {
        assert_eq!(named(0x1_ffff & !ro_compat::KNOWN, &RO_COMPAT_NAMES), ["snapshot", "replica"]);
    }
}
