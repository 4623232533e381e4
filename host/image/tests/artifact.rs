//! Artifacts that somebody damaged, cut off or made up: refused or failed with a reason, never believed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{fs, io, io::Write as _, path::Path, sync::atomic::AtomicBool};

use fsprobe::{Extent, ReadAt};
use image::{
    artifact::{self, ArtifactError, ArtifactReader, MAX_FRAME_BYTES, MAX_FRAMES},
    copy::{self, Options, Progress},
};
use proptest::prelude::*;
use stillpoint_tests::machine::program::run;

const FRAME_BYTES: u32 = 64 << 10;

/// An artifact of three frames, and the disk in it.
fn artifact() -> (Vec<u8>, Vec<u8>) {
    let disk: Vec<u8> = (0..3 * FRAME_BYTES).map(|byte| (byte / 100) as u8).collect();
    let allocated = [Extent { offset_bytes: 0, size_bytes: disk.size_bytes() }];
    let options = Options { frame_size_bytes: FRAME_BYTES, ..Options::default() };
    let mut artifact = Vec::new();
    copy::copy(&disk, &allocated, &mut artifact, &options, &Progress::default(), &AtomicBool::new(false)).unwrap();
    (artifact, disk)
}

/// `frames` of (stored bytes, said to unpack to), and the seek table that says so.
fn made_up(frames: &[(&[u8], u32)]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut table = zeekstd::SeekTable::new();
    for (stored, raw_bytes) in frames {
        file.extend_from_slice(stored);
        table.log_frame(stored.len() as u32, *raw_bytes).unwrap();
    }
    io::copy(&mut table.into_serializer(), &mut file).unwrap();
    file
}

fn refusal(file: &[u8]) -> String {
    match ArtifactReader::new(file) {
        Err(ArtifactError::Format { detail }) => detail,
        Err(other) => panic!("refused for another reason: {other}"),
        Ok(reader) => panic!("believed: {reader:?}"),
    }
}

/// What reading the first byte of the only frame says.
fn read_failure(file: &[u8]) -> String {
    let reader = ArtifactReader::new(file).unwrap();
    let error = reader.read_exact_at(&mut [0], 0).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    error.to_string()
}

/// Its host's memory is for guests.
#[test]
fn a_finished_artifact_leaves_nothing_in_the_page_cache() {
    let folder = tempfile::TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut partial = artifact::Target::new(folder.path(), "vm.img.zst").unwrap().create().unwrap();
    for _ in 0..40 {
        partial.write_all(&[7; 1 << 20]).unwrap();
    }
    let path = partial.finish().unwrap();
    let resident = run("fincore", &["--bytes", "--noheadings", "--output", "RES", path.to_str().unwrap()]);
    assert_eq!(resident.trim(), "0");
}

#[test]
fn an_artifact_cut_off_anywhere_is_refused() {
    let (artifact, _) = artifact();
    for len in 0..artifact.len() {
        refusal(&artifact[..len]);
    }
}

#[test]
fn bytes_added_in_front_are_noticed() {
    let (artifact, _) = artifact();
    assert!(refusal(&[b"x", artifact.as_slice()].concat()).contains("but the file has"));
}

#[test]
fn a_frame_count_that_the_file_has_no_room_for_is_refused() {
    let (mut artifact, _) = artifact();
    let footer = artifact.len() - 9;
    artifact[footer..footer + 4].copy_from_slice(&MAX_FRAMES.to_le_bytes());
    assert!(refusal(&artifact).contains("4194304 frames, in a file of"));
    artifact[footer..footer + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(refusal(&artifact).contains("4294967295 frames; 4194304 are possible"));
}

#[test]
fn a_frame_said_to_be_empty_or_too_large_is_refused() {
    let stored = zstd::bulk::compress(&[7; 100], 1).unwrap();
    for raw_bytes in [0, MAX_FRAME_BYTES + 1, 1 << 30] {
        let detail = refusal(&made_up(&[(&stored, raw_bytes)]));
        assert!(detail.starts_with(&format!("frame 0 is said to hold {raw_bytes} bytes")), "{detail}");
    }
}

#[test]
fn a_frame_that_unpacks_to_more_than_was_said_is_not_unpacked() {
    let bomb = zstd::bulk::compress(&vec![0; 256 << 20], 1).unwrap();
    assert!(read_failure(&made_up(&[(&bomb, 100)])).starts_with("frame 0 (byte 0 of the artifact) is damaged"));
}

#[test]
fn a_frame_that_unpacks_to_less_than_was_said_is_damaged() {
    let stored = zstd::bulk::compress(&[7; 100], 1).unwrap();
    assert!(read_failure(&made_up(&[(&stored, 101)])).ends_with("100 bytes instead of 101"));
}

#[test]
fn a_changed_byte_in_a_frame_fails_that_frame_only() {
    let (mut artifact, disk) = artifact();
    artifact[20] ^= 1;
    let reader = ArtifactReader::new(artifact.as_slice()).unwrap();
    assert!(reader.read_exact_at(&mut [0], 0).is_err());
    let mut rest = vec![0; 2 * FRAME_BYTES as usize];
    reader.read_exact_at(&mut rest, FRAME_BYTES.into()).unwrap();
    assert_eq!(rest, disk[FRAME_BYTES as usize..]);
}

#[test]
fn reads_end_at_the_end_of_the_disk() {
    let (artifact, disk) = artifact();
    let reader = ArtifactReader::new(artifact.as_slice()).unwrap();
    for (size, offset_bytes) in [(1, disk.size_bytes()), (2, disk.size_bytes() - 1), (1, u64::MAX)] {
        let error = reader.read_exact_at(&mut vec![0; size], offset_bytes).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}

proptest! {
    #[test]
    fn no_change_of_bytes_makes_a_reader_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        from_the_end in any::<bool>(),
    ) {
        let (mut artifact, _) = artifact();
        for (place, byte) in changes {
            // The table is short and the frames are long: half of the cases change only the table.
            let place = if from_the_end { artifact.len() - 1 - place.index(41) } else { place.index(artifact.len()) };
            artifact[place] = byte;
        }
        if let Ok(reader) = ArtifactReader::new(artifact.as_slice()) {
            let mut buf = vec![0; 1000];
            for offset_bytes in (0..reader.size_bytes().saturating_sub(1000)).step_by(50_000).take(100) {
                reader.read_exact_at(&mut buf, offset_bytes).ok();
            }
        }
    }
}

#[test]
fn a_target_is_opened_as_the_disk_that_it_is_or_holds() {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let (artifact, disk) = artifact();
    let first_bytes = |path: &Path| {
        let disk = artifact::open_disk(path).unwrap();
        let mut buf = vec![0; 1000];
        disk.read_exact_at(&mut buf, 70_000).unwrap();
        (disk.size_bytes(), buf)
    };
    assert_eq!(first_bytes(&put("vm.img.zst", &artifact)), first_bytes(&put("vm.img", &disk)));

    let plain = put("plain.zst", &zstd::bulk::compress(&disk, 1).unwrap());
    let Err(error) = artifact::open_disk(&plain) else { panic!("it has no seek table") };
    assert!(error.to_string().contains("does not end in a seek table"), "{error}");
}
