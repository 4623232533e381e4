//! What it means that an artifact cannot be made or read.

use std::io;

use image::artifact::ArtifactError;
use image::device::DeviceError;

use super::cause::Cause;
use super::disk::unreadable;
use super::kind::Kind;

impl From<ArtifactError> for Cause {
    fn from(error: ArtifactError) -> Self {
        let (kind, hint) = judge(&error);
        Self::of(kind, hint.map(str::to_owned), error)
    }
}

fn judge(error: &ArtifactError) -> (Kind, Option<&'static str>) {
    match error {
        ArtifactError::Name { .. } => (Kind::Target, Some("give a plain file name with --name")),
        ArtifactError::Folder { source, .. } => (
            Kind::Target,
            match source.kind() {
                io::ErrorKind::NotFound => Some("make it, or mount what should be there; or name another with --to"),
                io::ErrorKind::PermissionDenied => Some("run it as root, or name another folder with --to"),
                _ => None,
            },
        ),
        ArtifactError::NotAFolder { .. } => {
            (Kind::Target, Some("--to names the folder; what is made in it is named with --name"))
        }
        ArtifactError::NotWritable { source, .. } => (
            Kind::Target,
            match source.kind() {
                io::ErrorKind::ReadOnlyFilesystem => {
                    Some("it is mounted read-only, or became so after an error (`dmesg`); or name another with --to")
                }
                io::ErrorKind::PermissionDenied => Some("run it as root, or name another folder with --to"),
                _ => None,
            },
        ),
        ArtifactError::NoRename { .. } => (
            Kind::Target,
            Some("name a folder on another filesystem with --to, or pipe the image to where it belongs: --to -"),
        ),
        ArtifactError::Exists { .. } => (Kind::TargetTaken, None),
        ArtifactError::Terminal => (Kind::Target, Some("`--to - >FILE`, `--to - | PROGRAM`, or --to FOLDER")),
        ArtifactError::Io { source, .. } => (target(source), None),
        ArtifactError::Device(error) => (device(error), None),
        ArtifactError::Format { .. } => (Kind::NotAnArtifact, None),
        ArtifactError::Read { source, .. } => (unreadable(source), None),
        ArtifactError::Frame { .. } => {
            (Kind::Damaged, Some("it is not what was written: copy it again from its source"))
        }
    }
}

/// Of what the command line names as a disk.
fn device(error: &DeviceError) -> Kind {
    match error {
        DeviceError::NotADisk { .. } => Kind::NoSuchDisk,
        DeviceError::Open { source, .. } if source.kind() == io::ErrorKind::NotFound => Kind::NoSuchDisk,
        DeviceError::Open { source, .. } | DeviceError::Size { source, .. } => unreadable(source),
    }
}

pub(super) fn target(source: &io::Error) -> Kind {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => Kind::TargetFull,
        _ => Kind::TargetFailed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::exit::Exit;
    use crate::failure::table::row;

    #[track_caller]
    fn expect(error: ArtifactError, kind: Kind, exit: Exit, hint: &str) {
        let cause = Cause::from(error);
        assert_eq!((cause.kind, row(cause.kind, false).exit), (kind, exit), "{cause}");
        assert!(cause.hint().contains(hint), "{cause}: {}", cause.hint());
    }

    #[test]
    fn a_target_that_cannot_be_used_is_the_callers_mistake() {
        let folder = |kind: io::ErrorKind| ArtifactError::Folder { folder: "/b".into(), source: kind.into() };
        expect(folder(io::ErrorKind::NotFound), Kind::Target, Exit::Usage, "make it");
        expect(folder(io::ErrorKind::PermissionDenied), Kind::Target, Exit::Usage, "as root");
        expect(folder(io::ErrorKind::Other), Kind::Target, Exit::Usage, "--to");
        let not_writable =
            |kind: io::ErrorKind| ArtifactError::NotWritable { folder: "/b".into(), source: kind.into() };
        expect(not_writable(io::ErrorKind::ReadOnlyFilesystem), Kind::Target, Exit::Usage, "mounted read-only");
        expect(not_writable(io::ErrorKind::PermissionDenied), Kind::Target, Exit::Usage, "as root");
        expect(ArtifactError::NotAFolder { folder: "/b".into() }, Kind::Target, Exit::Usage, "--name");
        expect(ArtifactError::Name { name: ".x".into() }, Kind::Target, Exit::Usage, "--name");
        let source = io::Error::from_raw_os_error(1);
        expect(
            ArtifactError::NoRename { folder: "/b".into(), source },
            Kind::Target,
            Exit::Usage,
            "another filesystem",
        );
        expect(ArtifactError::Terminal, Kind::Target, Exit::Usage, "--to FOLDER");
        expect(ArtifactError::Exists { path: "/b/x".into() }, Kind::TargetTaken, Exit::Usage, "--name");
    }

    #[test]
    fn a_target_that_fails_or_is_full_fails_the_run() {
        let io = |kind: io::ErrorKind| ArtifactError::Io { step: "sync", path: "/b/x".into(), source: kind.into() };
        expect(io(io::ErrorKind::StorageFull), Kind::TargetFull, Exit::Failed, "free some room");
        expect(io(io::ErrorKind::Other), Kind::TargetFailed, Exit::Failed, "dmesg");
    }

    #[test]
    fn what_cannot_be_read_as_an_artifact_is_told_from_what_is_none() {
        let open =
            |kind: io::ErrorKind| ArtifactError::Device(DeviceError::Open { path: "/x".into(), source: kind.into() });
        expect(open(io::ErrorKind::NotFound), Kind::NoSuchDisk, Exit::Usage, "VG/LV");
        expect(open(io::ErrorKind::PermissionDenied), Kind::NotPermitted, Exit::Failed, "as root");
        let no_disk = ArtifactError::Device(DeviceError::NotADisk { path: "/".into() });
        expect(no_disk, Kind::NoSuchDisk, Exit::Usage, "VG/LV");
        expect(ArtifactError::Format { detail: "cut off".into() }, Kind::NotAnArtifact, Exit::Failed, "copy it again");
        let source = io::Error::from_raw_os_error(5);
        let read = ArtifactError::Read { offset_bytes: 0, size_bytes: 1, source };
        expect(read, Kind::Unreadable, Exit::Failed, "dmesg");
        let frame = ArtifactError::Frame { frame: 3, offset_bytes: 9, detail: "checksum".into() };
        expect(frame, Kind::Damaged, Exit::Damaged, "copy it again");
    }
}
