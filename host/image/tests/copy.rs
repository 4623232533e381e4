//! The copy engine against the programs that will read its artifacts, and against disks and targets that fail.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    fs,
    io::{self, Read, Write},
    ops::Range,
    process::{Command, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use fsprobe::{Extent, ReadAt};
use image::{
    artifact::{ArtifactReader, Target},
    copy::{self, Copied, CopyError, Options, Pace, Progress, StreamCopy, Streamed},
};
use proptest::prelude::*;
use stillpoint_tests::machine::{mount::Mount, program::run};

const FRAME_BYTES: usize = 64 << 10;

fn options() -> Options {
    Options { frame_size_bytes: FRAME_BYTES as u32, level: 1, threads: 3 }
}

fn copy_into(source: &dyn ReadAt, allocated: &[Extent], sink: &mut dyn Write) -> Result<Copied, CopyError> {
    copy::copy(source, allocated, sink, &options(), &Progress::default(), &AtomicBool::new(false))
}

fn whole(disk: &dyn ReadAt) -> Vec<Extent> {
    vec![Extent { offset_bytes: 0, size_bytes: disk.size_bytes() }]
}

/// Bytes that do not compress, the same ones every time.
fn noise(size: usize) -> Vec<u8> {
    let mut noise = vec![0; size];
    blake3::Hasher::new().update(b"noise").finalize_xof().fill(&mut noise);
    noise
}

/// What stock `zstd -dc` makes of an artifact.
fn zstd_unpacks(artifact: &[u8]) -> Vec<u8> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(artifact).unwrap();
    let zstd = Command::new("zstd").arg("-dc").arg(file.path()).stderr(Stdio::inherit()).output().expect("zstd");
    assert!(zstd.status.success(), "zstd -dc: {}", zstd.status);
    zstd.stdout
}

fn expected(disk: &[u8], allocated: &[Extent]) -> Vec<u8> {
    let mut expected = vec![0; disk.len()];
    for extent in allocated {
        let range = extent.offset_bytes as usize..(extent.offset_bytes + extent.size_bytes) as usize;
        expected[range.clone()].copy_from_slice(&disk[range]);
    }
    expected
}

/// A disk of runs of zeros, patterns and noise, and ranges of it that count as allocated.
fn disks() -> impl Strategy<Value = (Vec<u8>, Vec<Extent>)> {
    let run = (0..3u8, 1..3 * FRAME_BYTES);
    let disk = prop::collection::vec(run, 0..6).prop_map(|runs| {
        let noise = noise(3 * FRAME_BYTES);
        runs.into_iter().fold(Vec::new(), |mut disk, (kind, size)| {
            match kind {
                0 => disk.resize(disk.len() + size, 0),
                1 => disk.extend((0..size).map(|byte| (byte / 7) as u8)),
                _ => disk.extend_from_slice(&noise[..size]),
            }
            disk
        })
    });
    (disk, prop::collection::vec(any::<prop::sample::Index>(), 0..24)).prop_map(|(disk, cuts)| {
        let mut cuts: Vec<u64> = cuts.iter().map(|cut| cut.index(disk.len() + 1) as u64).collect();
        cuts.sort_unstable();
        let allocated =
            cuts.chunks_exact(2).map(|cut| Extent { offset_bytes: cut[0], size_bytes: cut[1] - cut[0] }).collect();
        (disk, allocated)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn zstd_unpacks_every_allocated_byte_and_zeros_elsewhere((disk, allocated) in disks()) {
        let mut artifact = Vec::new();
        let copied = copy_into(&disk, &allocated, &mut artifact).unwrap();
        let expected = expected(&disk, &allocated);
        prop_assert!(zstd_unpacks(&artifact) == expected);
        prop_assert_eq!(copied.raw_blake3, blake3::hash(&expected));
        prop_assert_eq!(copied.stored_blake3, blake3::hash(&artifact));
        prop_assert_eq!(copied.raw_bytes, disk.len() as u64);
        prop_assert_eq!(copied.stored_bytes, artifact.len() as u64);
        prop_assert_eq!(copied.allocated_bytes, allocated.iter().map(|extent| extent.size_bytes).sum::<u64>());
        let zero_frames = expected.chunks(FRAME_BYTES).filter(|frame| frame.iter().all(|&byte| byte == 0)).count();
        prop_assert_eq!(copied.zero_frames, zero_frames as u64);
        prop_assert_eq!(copied.frames, expected.len().div_ceil(FRAME_BYTES) as u64);
    }

    #[test]
    fn zeekstd_and_our_reader_read_any_range_by_the_seek_table(
        (disk, allocated) in disks(),
        ends in any::<[prop::sample::Index; 2]>(),
    ) {
        let mut artifact = Vec::new();
        copy_into(&disk, &allocated, &mut artifact).unwrap();
        let ends = ends.map(|end| end.index(disk.len() + 1));
        let range = ends[0].min(ends[1])..ends[0].max(ends[1]);
        let expected = &expected(&disk, &allocated)[range.clone()];

        let mut ours = vec![0; range.len()];
        let reader = ArtifactReader::new(artifact.as_slice()).unwrap();
        prop_assert_eq!(reader.size_bytes(), disk.len() as u64);
        reader.read_exact_at(&mut ours, range.start as u64).unwrap();
        prop_assert!(ours == expected);

        if !range.is_empty() {
            let mut zeekstd = zeekstd::Decoder::new(zeekstd::BytesWrapper::new(&artifact)).unwrap();
            zeekstd.set_offset(range.start as u64).unwrap();
            zeekstd.set_offset_limit(range.end as u64).unwrap();
            let mut theirs = Vec::new();
            zeekstd.read_to_end(&mut theirs).unwrap();
            prop_assert!(theirs == expected);
        }
    }
}

#[test]
fn zstd_itself_finds_a_changed_byte_by_the_frame_checksum() {
    let disk = noise(3 * FRAME_BYTES);
    let mut artifact = Vec::new();
    copy_into(&disk, &whole(&disk), &mut artifact).unwrap();
    artifact[FRAME_BYTES / 2] ^= 1;
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&artifact).unwrap();
    let zstd = Command::new("zstd").args(["-q", "-t"]).arg(file.path()).output().expect("zstd");
    assert!(!zstd.status.success());
    assert!(String::from_utf8_lossy(&zstd.stderr).contains("checksum"), "{}", String::from_utf8_lossy(&zstd.stderr));
}

#[test]
fn free_space_is_never_read_and_costs_next_to_nothing() {
    struct Free;
    impl ReadAt for Free {
        fn size_bytes(&self) -> u64 {
            4 << 30
        }
        fn read_exact_at(&self, _: &mut [u8], offset_bytes: u64) -> io::Result<()> {
            panic!("read at {offset_bytes}, where nothing is allocated")
        }
    }
    let (options, progress, stop) = (Options::default(), Progress::default(), AtomicBool::new(false));
    let mut artifact = Vec::new();
    let copied = copy::copy(&Free, &[], &mut artifact, &options, &progress, &stop).unwrap();
    assert_eq!((copied.frames, copied.zero_frames), (1024, 1024));
    assert!(artifact.len() < 256 << 10, "{} bytes for 4 GiB of nothing", artifact.len());
}

/// Fails every read that touches `bad`; tells `stop` to stop after some reads.
struct Disk<'a> {
    bytes: Vec<u8>,
    bad: Range<u64>,
    reads: AtomicUsize,
    stop: Option<(usize, &'a AtomicBool)>,
}

impl Disk<'_> {
    fn new(bytes: Vec<u8>) -> Self {
        Self { bytes, bad: 0..0, reads: AtomicUsize::new(0), stop: None }
    }
}

impl ReadAt for Disk<'_> {
    fn size_bytes(&self) -> u64 {
        self.bytes.size_bytes()
    }

    fn read_exact_at(&self, buf: &mut [u8], offset_bytes: u64) -> io::Result<()> {
        let reads = self.reads.fetch_add(1, SeqCst);
        if let Some((after, stop)) = self.stop
            && reads >= after
        {
            stop.store(true, SeqCst);
        }
        if offset_bytes < self.bad.end && self.bad.start < offset_bytes + buf.len() as u64 {
            return Err(io::Error::from_raw_os_error(nix::libc::EIO));
        }
        self.bytes.read_exact_at(buf, offset_bytes)
    }
}

#[test]
fn a_read_error_says_where_to_within_4096_bytes() {
    let mut disk = Disk::new(noise(10 * FRAME_BYTES));
    let bad = 7 * FRAME_BYTES as u64 + 20_000;
    disk.bad = bad..bad + 512;
    let error = copy_into(&disk, &whole(&disk), &mut io::sink()).unwrap_err();
    let CopyError::Read { offset_bytes, size_bytes, source } = error else { panic!("{error}") };
    assert!((offset_bytes..offset_bytes + size_bytes).contains(&bad) && size_bytes <= 4096, "{offset_bytes}");
    assert_eq!(source.raw_os_error(), Some(nix::libc::EIO));
}

#[test]
fn a_bad_sector_in_free_space_does_not_fail_the_copy() {
    let mut disk = Disk::new(noise(FRAME_BYTES));
    disk.bad = 8192..8704;
    let allocated = [Extent { offset_bytes: 0, size_bytes: 8192 }, Extent { offset_bytes: 12_288, size_bytes: 4096 }];
    let mut artifact = Vec::new();
    copy_into(&disk, &allocated, &mut artifact).unwrap();
    assert!(zstd_unpacks(&artifact) == expected(&disk.bytes, &allocated));
}

#[test]
fn a_copy_that_is_stopped_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let stop = AtomicBool::new(false);
    let mut disk = Disk::new(noise(100 * FRAME_BYTES));
    disk.stop = Some((20, &stop));
    let mut partial = Target::new(folder.path(), "vm.img.zst").unwrap().create().unwrap();
    let outcome = copy::copy(&disk, &whole(&disk), &mut partial, &options(), &Progress::default(), &stop);
    let error = outcome.unwrap_err();
    assert!(matches!(error, CopyError::Stopped { copied_bytes, .. } if copied_bytes < disk.size_bytes()), "{error}");
    assert!(disk.reads.load(SeqCst) < 40, "it went on reading");
    drop(partial);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_full_target_is_said_to_be_full_and_left_clean() {
    let target = Mount::tmpfs("1M");
    let disk = noise(32 * FRAME_BYTES);
    let mut partial = Target::new(&target.point, "vm.img.zst").unwrap().create().unwrap();
    let error = copy_into(&disk, &whole(&disk), &mut partial).unwrap_err();
    assert!(matches!(error, CopyError::TargetFull { stored_bytes, .. } if stored_bytes <= 1 << 20), "{error}");
    drop(partial);
    assert_eq!(fs::read_dir(&target.point).unwrap().count(), 0);
}

#[test]
fn a_stream_whose_reader_went_away_is_said_to_be_that() {
    let (reader, mut writer) = io::pipe().unwrap();
    drop(reader);
    let disk = noise(FRAME_BYTES);
    let error = copy_into(&disk, &whole(&disk), &mut writer).unwrap_err();
    assert!(matches!(error, CopyError::TargetClosed { stored_bytes: 0 }), "{error}");
}

#[test]
fn frames_do_not_pile_up_before_a_slow_target() {
    struct Slow<'a> {
        disk: &'a Disk<'a>,
        frames_written: usize,
    }
    impl Write for Slow<'_> {
        fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
            thread::sleep(Duration::from_millis(2));
            let ahead = self.disk.reads.load(SeqCst).saturating_sub(self.frames_written);
            assert!(ahead <= 3 * 4, "{ahead} frames were read and not written");
            self.frames_written += 1;
            Ok(buf.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let disk = Disk::new(noise(100 * FRAME_BYTES));
    copy_into(&disk, &whole(&disk), &mut Slow { disk: &disk, frames_written: 0 }).unwrap();
    assert_eq!(disk.reads.load(SeqCst), 100);
}

#[test]
#[should_panic(expected = "the disk's own bug")]
fn a_panic_while_reading_ends_the_copy_instead_of_hanging_it() {
    struct Panics;
    impl ReadAt for Panics {
        fn size_bytes(&self) -> u64 {
            1 << 20
        }
        fn read_exact_at(&self, _: &mut [u8], _: u64) -> io::Result<()> {
            panic!("the disk's own bug")
        }
    }
    copy_into(&Panics, &whole(&Panics), &mut io::sink()).unwrap();
}

#[test]
fn a_copy_gives_way_to_the_guests_of_its_host_and_its_caller_does_not() {
    struct Asks(Mutex<Vec<i32>>);
    impl ReadAt for Asks {
        fn size_bytes(&self) -> u64 {
            1 << 20
        }

        fn read_exact_at(&self, buf: &mut [u8], _: u64) -> io::Result<()> {
            buf.fill(1);
            self.0.lock().unwrap().push(rustix::process::getpriority_process(None)?);
            Ok(())
        }
    }
    let own = rustix::process::getpriority_process(None).unwrap();
    let source = Asks(Mutex::new(Vec::new()));
    copy_into(&source, &whole(&source), &mut io::sink()).unwrap();
    let niceness = source.0.into_inner().unwrap();
    assert!(!niceness.is_empty() && niceness.iter().all(|nice| *nice == (own + 10).min(19)), "{own} {niceness:?}");
    assert_eq!(rustix::process::getpriority_process(None).unwrap(), own);
}

#[test]
fn progress_ends_at_all_that_was_allocated() {
    let disk = noise(5 * FRAME_BYTES);
    let allocated = [Extent { offset_bytes: 1000, size_bytes: 200_000 }];
    let progress = Progress::default();
    let mut artifact = Vec::new();
    copy::copy(&disk, &allocated, &mut artifact, &options(), &progress, &AtomicBool::new(false)).unwrap();
    assert_eq!((progress.copied_bytes(), progress.total_bytes()), (200_000, 200_000));
    assert!(progress.source_is_read());
}

/// The blocks that `dumpe2fs` lists as free, group by group: `  Free blocks: 12-34, 56`.
fn free_blocks(image: &str) -> Vec<Range<usize>> {
    run("dumpe2fs", &[image])
        .lines()
        .filter_map(|line| line.strip_prefix("  Free blocks: "))
        .flat_map(|list| list.split(", ").filter(|range| !range.is_empty()))
        .map(|range| {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            first.parse().unwrap()..last.parse::<usize>().unwrap() + 1
        })
        .collect()
}

#[test]
fn an_ext4_comes_back_with_every_used_block_and_zeros_where_dumpe2fs_calls_it_free() {
    const BLOCK_BYTES: usize = 4096;
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("disk.img");
    let image = image.to_str().unwrap();
    let files = folder.path().join("files");
    fs::create_dir(&files).unwrap();
    fs::write(files.join("noise"), noise(3 << 20)).unwrap();
    fs::write(files.join("text"), "one row\n".repeat(100_000)).unwrap();
    // Free blocks are full of what was deleted from them, as they are on a disk in use.
    let disk = noise(32 << 20);
    fs::write(image, &disk).unwrap();
    run("mke2fs", &["-q", "-F", "-t", "ext4", "-b", "4096", "-E", "nodiscard", "-d", files.to_str().unwrap(), image]);
    let disk = fs::read(image).unwrap();

    let layout = fsprobe::layout(&disk).unwrap();
    let allocated = fsprobe::allocated(&disk, &layout).unwrap();
    let mut artifact = Vec::new();
    copy_into(&disk, &allocated, &mut artifact).unwrap();
    let unpacked = zstd_unpacks(&artifact);

    assert_eq!(unpacked.len(), disk.len());
    let free = free_blocks(image);
    assert!(free.iter().map(Range::len).sum::<usize>() > 1000, "{free:?}");
    for (block, (there, here)) in disk.chunks(BLOCK_BYTES).zip(unpacked.chunks(BLOCK_BYTES)).enumerate() {
        if free.iter().any(|free| free.contains(&block)) {
            assert!(here.iter().all(|&byte| byte == 0), "block {block} is free and was copied");
        } else {
            assert!(there == here, "block {block} is in use and differs");
        }
    }
    fs::write(image, unpacked).unwrap();
    run("e2fsck", &["-fn", image]);
}

/// Text of so many frames, each a little different: it compresses, and the less the faster.
fn text(frames: usize) -> Vec<u8> {
    let words = |at: usize| format!("row {} of table {} was {}; ", at, at % 7, (at * 2_654_435_761) % 100_003);
    let text: Vec<u8> = (0..).flat_map(|at| words(at).into_bytes()).take(frames * FRAME_BYTES).collect();
    text
}

#[test]
fn a_copy_at_any_pace_is_the_disk_and_a_faster_one_is_larger() {
    let disk = text(8);
    let mut sizes = Vec::new();
    let mut pace = Some(Pace::Planned);
    while let Some(now) = pace {
        let (mut artifact, progress) = (Vec::new(), Progress::default());
        progress.set_pace(now);
        let copied =
            copy::copy(&&*disk, &whole(&&*disk), &mut artifact, &options(), &progress, &AtomicBool::new(false))
                .unwrap();
        assert_eq!(zstd_unpacks(&artifact), disk, "{now:?}");
        sizes.push(copied.stored_bytes);
        pace = now.faster();
    }
    assert!(sizes.is_sorted_by(|slower, faster| slower < faster), "{sizes:?}");
}

/// A disk that changes the pace of its own copy half way.
struct HurriesHalfWay<'d>(&'d [u8], &'d Progress);

impl ReadAt for HurriesHalfWay<'_> {
    fn size_bytes(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset_bytes: u64) -> io::Result<()> {
        if offset_bytes >= self.size_bytes() / 2 {
            self.1.set_pace(Pace::Stored);
        }
        self.0.read_exact_at(buffer, offset_bytes)
    }
}

#[test]
fn a_pace_that_changes_half_way_leaves_one_whole_artifact() {
    let (disk, progress) = (text(64), Progress::default());
    let (mut artifact, mut planned) = (Vec::new(), Vec::new());
    let source = HurriesHalfWay(&disk, &progress);
    let copied =
        copy::copy(&source, &whole(&source), &mut artifact, &options(), &progress, &AtomicBool::new(false)).unwrap();
    assert_eq!(zstd_unpacks(&artifact), disk);
    let at_one_pace = copy_into(&&*disk, &whole(&&*disk), &mut planned).unwrap();
    assert!(copied.stored_bytes > at_one_pace.stored_bytes);
    assert_eq!(copied.raw_blake3, at_one_pace.raw_blake3);
}

/// A stream in pieces of these lengths, and what came of it.
fn stream(stream: &[u8], pieces: usize) -> (Vec<u8>, Streamed) {
    let (progress, stop, mut file) = (Progress::default(), AtomicBool::new(false), Vec::new());
    let mut copy = StreamCopy::new(&mut file, &options(), &progress, &stop).unwrap();
    for piece in stream.chunks(pieces) {
        copy.write(piece).unwrap();
    }
    let streamed = copy.finish().unwrap();
    (file, streamed)
}

#[test]
fn a_stream_in_pieces_of_any_length_is_what_stock_zstd_unpacks() {
    let text = text(5);
    for (length, piece) in
        [(0, 1), (1, 1), (FRAME_BYTES, 1000), (text.len() - 1, FRAME_BYTES + 1), (text.len(), text.len())]
    {
        let (file, streamed) = stream(&text[..length], piece);
        assert_eq!(zstd_unpacks(&file), text[..length], "{length} bytes");
        assert_eq!((streamed.raw_bytes, streamed.stored_bytes), (length as u64, file.len() as u64));
        assert_eq!(streamed.raw_blake3, blake3::hash(&text[..length]));
        assert_eq!(streamed.stored_blake3, blake3::hash(&file));
        assert_eq!(streamed.frames, length.div_ceil(FRAME_BYTES) as u64);
    }
}

#[test]
fn a_stream_whose_file_is_full_ends_in_an_error() {
    let (progress, stop) = (Progress::default(), AtomicBool::new(false));
    let mut full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut copy = StreamCopy::new(&mut full, &options(), &progress, &stop).unwrap();
    let error = copy.write(&noise(3 * FRAME_BYTES)).unwrap_err();
    assert!(matches!(error, CopyError::TargetFull { .. }), "{error}");
}
