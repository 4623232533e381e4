//! Why a disk could not be judged at all.

use std::io;

use crate::Finding;

/// A read that failed, and where: everything else that is wrong with a disk is a [`Finding`].
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The medium refused to be read.
    #[error("{place}: cannot read {length_bytes} bytes at byte {offset_bytes}: {source}{}", hint(source))]
    Io {
        /// The volume and the structure, as `2/vg/lv: ext4 superblock`.
        place: String,
        /// Where the read began, from the start of the disk or volume that `place` names.
        offset_bytes: u64,
        /// How much was asked for.
        length_bytes: u64,
        /// What the medium said.
        source: io::Error,
    },
}

impl ProbeError {
    /// The same error, said to be inside the volume `path`.
    #[must_use]
    pub fn in_volume(self, path: &str) -> Self {
        self.within(&format!("volume {path}:"))
    }

    /// What it means for the volume: what cannot be read cannot be restored from either, so it is damage. What comes after
    /// the place in a check was not looked at.
    pub(crate) fn finding(&self) -> Finding {
        let Self::Io { place, offset_bytes, .. } = self;
        let detail = format!("{self}; what comes after it was not judged");
        Finding::damage("unreadable", format!("{place} at byte {offset_bytes}"), detail)
    }

    /// The same error, its place preceded by a wider one.
    pub(crate) fn within(self, wider: &str) -> Self {
        match self {
            Self::Io { place, offset_bytes, length_bytes, source } => {
                Self::Io { place: format!("{wider} {place}"), offset_bytes, length_bytes, source }
            }
        }
    }
}

fn hint(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::UnexpectedEof => " (the image or device ends before that: is it truncated?)",
        io::ErrorKind::IsADirectory => " (a directory is no disk image)",
        _ if source.raw_os_error() == Some(5) => {
            " (a failing medium, or a snapshot that ran full and was invalidated: see `lvs -o +lv_snapshot_invalid`)"
        }
        _ => "",
    }
}
