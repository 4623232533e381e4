//! What it means that a copy ended before its end.

use image::copy::CopyError;

use super::artifact::target;
use super::cause::Cause;
use super::disk::unreadable;
use super::kind::Kind;

impl From<CopyError> for Cause {
    fn from(error: CopyError) -> Self {
        let kind = match &error {
            CopyError::Read { source, .. } => unreadable(source),
            CopyError::TargetFull { .. } => Kind::TargetFull,
            CopyError::TargetClosed { .. } => Kind::TargetClosed,
            CopyError::Write { source, .. } | CopyError::Compress { source } => target(source),
            CopyError::Stopped { .. } => Kind::Stopped,
            // What zstd and fsprobe can be asked for, and what is asked of them, is ours.
            CopyError::Threads | CopyError::Options(_) | CopyError::Ranges { .. } => Kind::Bug,
        };
        Self::of(kind, None, error)
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn kind(error: CopyError) -> Kind {
        Cause::from(error).kind
    }

    #[test]
    fn a_copy_ends_by_its_source_its_target_a_signal_or_a_bug() {
        let other = || io::Error::from_raw_os_error(5);
        let read = CopyError::Read { offset_bytes: 0, size_bytes: 4096, source: other() };
        assert_eq!(kind(read), Kind::Unreadable);
        assert_eq!(kind(CopyError::TargetFull { stored_bytes: 1, source: other() }), Kind::TargetFull);
        assert_eq!(kind(CopyError::TargetClosed { stored_bytes: 1 }), Kind::TargetClosed);
        assert_eq!(kind(CopyError::Write { stored_bytes: 1, source: other() }), Kind::TargetFailed);
        let too_large = io::Error::from(io::ErrorKind::FileTooLarge);
        assert_eq!(kind(CopyError::Write { stored_bytes: 1, source: too_large }), Kind::TargetFull);
        assert_eq!(kind(CopyError::Compress { source: other() }), Kind::TargetFailed);
        assert_eq!(kind(CopyError::Stopped { copied_bytes: 1, total_bytes: 2 }), Kind::Stopped);
        assert_eq!(kind(CopyError::Threads), Kind::Bug);
        assert_eq!(kind(CopyError::Options("level 99".into())), Kind::Bug);
        assert_eq!(kind(CopyError::Ranges { offset_bytes: 1, size_bytes: 1, disk_bytes: 1 }), Kind::Bug);
    }
}
