//! What the flags of the superblock say: features and state.

use super::Superblock;
use crate::ext4::features::{COMPAT_NAMES, INCOMPAT_NAMES, RO_COMPAT_NAMES, compat, incompat, named, ro_compat};

/// `s_state`: cleanly unmounted, or journalled.
const STATE_VALID: u16 = 1;
/// `s_state`: the kernel saw an inconsistency.
const STATE_ERROR: u16 = 2;

impl Superblock {
    /// Whether all bits of `flags` are set in `s_feature_compat`.
    #[must_use]
    pub fn has_compat(&self, flags: u32) -> bool {
        self.s_feature_compat & flags == flags
    }

    /// Whether all bits of `flags` are set in `s_feature_incompat`.
    #[must_use]
    pub fn has_incompat(&self, flags: u32) -> bool {
        self.s_feature_incompat & flags == flags
    }

    /// Whether all bits of `flags` are set in `s_feature_ro_compat`.
    #[must_use]
    pub fn has_ro_compat(&self, flags: u32) -> bool {
        self.s_feature_ro_compat & flags == flags
    }

    pub(super) fn has_bigalloc(&self) -> bool {
        self.has_ro_compat(ro_compat::BIGALLOC)
    }

    /// Whether every metadata structure carries a CRC-32C.
    #[must_use]
    pub fn has_metadata_csum(&self) -> bool {
        self.has_ro_compat(ro_compat::METADATA_CSUM)
    }

    /// Whether group descriptors carry a checksum, and so may say that a bitmap or inode table is not initialised.
    #[must_use]
    pub fn has_group_checksums(&self) -> bool {
        self.has_metadata_csum() || self.has_ro_compat(ro_compat::GDT_CSUM)
    }

    /// Whether there is a journal, in an inode or on another device.
    #[must_use]
    pub fn has_journal(&self) -> bool {
        self.has_compat(compat::HAS_JOURNAL)
    }

    /// Whether the journal has to be replayed before anything else is believed.
    #[must_use]
    pub fn needs_recovery(&self) -> bool {
        self.has_incompat(incompat::RECOVER)
    }

    /// All features that are set, in the names of e2fsprogs.
    #[must_use]
    pub fn feature_names(&self) -> Vec<String> {
        [
            named(self.s_feature_compat, &COMPAT_NAMES),
            named(self.s_feature_incompat, &INCOMPAT_NAMES),
            named(self.s_feature_ro_compat, &RO_COMPAT_NAMES),
        ]
        .concat()
    }

    /// It is a copy: its state, orphans and `INCOMPAT_RECOVER` say nothing, for only the primary one is kept current.
    #[must_use]
    pub fn is_backup(&self) -> bool {
        self.s_block_group_nr != 0
    }

    /// `s_state` has the bit of a clean unmount (which a journalled filesystem keeps while it is mounted).
    #[must_use]
    pub fn is_state_valid(&self) -> bool {
        self.s_state & STATE_VALID != 0
    }

    /// `s_state` says that the kernel met an inconsistency.
    #[must_use]
    pub fn is_state_error(&self) -> bool {
        self.s_state & STATE_ERROR != 0
    }
}
