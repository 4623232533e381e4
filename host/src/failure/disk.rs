//! What it means that a disk cannot be read.

use std::io;

use fsprobe::ProbeError;
use image::device::DeviceError;

use super::cause::Cause;
use super::kind::Kind;

impl From<ProbeError> for Cause {
    fn from(error: ProbeError) -> Self {
        let ProbeError::Io { source, .. } = &error;
        Self::of(unreadable(source), None, error)
    }
}

/// Of a device that LVM named; what the command line names is an [`ArtifactError`](image::artifact::ArtifactError).
impl From<DeviceError> for Cause {
    fn from(error: DeviceError) -> Self {
        let kind = match &error {
            DeviceError::Open { source, .. } if source.kind() == io::ErrorKind::NotFound => Kind::NoDeviceNode,
            DeviceError::Open { source, .. } | DeviceError::Size { source, .. } => unreadable(source),
            DeviceError::NotADisk { .. } => Kind::Unreadable,
        };
        Self::of(kind, None, error)
    }
}

pub(super) fn unreadable(source: &io::Error) -> Kind {
    match source.kind() {
        io::ErrorKind::PermissionDenied => Kind::NotPermitted,
        _ => Kind::Unreadable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_fails_is_told_from_one_that_is_missing_and_one_that_is_not_for_us() {
        let kind = |kind: io::ErrorKind| {
            Cause::from(DeviceError::Open { path: "/dev/vg/db".into(), source: kind.into() }).kind
        };
        assert_eq!(kind(io::ErrorKind::NotFound), Kind::NoDeviceNode);
        assert_eq!(kind(io::ErrorKind::PermissionDenied), Kind::NotPermitted);
        assert_eq!(kind(io::ErrorKind::Other), Kind::Unreadable);
        assert_eq!(Cause::from(DeviceError::NotADisk { path: "/dev/null".into() }).kind, Kind::Unreadable);
        let size = DeviceError::Size { path: "/dev/vg/db".into(), source: io::ErrorKind::Other.into() };
        assert_eq!(Cause::from(size).kind, Kind::Unreadable);
    }

    #[test]
    fn a_read_that_fails_names_its_place() {
        let source = io::Error::from_raw_os_error(5);
        let error = ProbeError::Io { place: "ext4 superblock".into(), offset_bytes: 1024, length_bytes: 1024, source };
        let cause = Cause::from(error).on("vg/db");
        assert_eq!(cause.kind, Kind::Unreadable);
        assert!(
            cause.to_string().starts_with("vg/db: ext4 superblock: cannot read 1024 bytes at byte 1024"),
            "{cause}"
        );
    }
}
