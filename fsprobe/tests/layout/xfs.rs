//! XFS, held against the kernel: an image is mounted, copied at several moments, and judged. Needs root.

use std::path::{Path, PathBuf};

use fsprobe::{Depth, Verdict, check};
use stillpoint_tests::machine::image::Images;
use stillpoint_tests::machine::mount::Mount;
use stillpoint_tests::machine::program::run;

use crate::support::{Patched, code};

/// The verdict and the codes of the findings, after `xfs_logprint` has said the same of the log.
fn judged(image: &Path) -> (Verdict, Vec<&'static str>) {
    let report = check(&Patched::open(image), Depth::Default).unwrap();
    let volume = &report.volumes[0];
    let said = run("xfs_logprint", &["-t", image.to_str().unwrap()]);
    let expected = if said.contains("<CLEAN>") { Verdict::Consistent } else { Verdict::Replay };
    assert_eq!(volume.verdict, expected, "{:?}\n{said}", volume.findings);
    (volume.verdict, volume.findings.iter().map(code).collect())
}

fn made(images: &Images, options: &[&str]) -> PathBuf {
    let image = images.blank("xfs", 300 << 20);
    run("mkfs.xfs", &[&["-q"], options, &[image.to_str().unwrap()]].concat());
    image
}

fn copy(images: &Images, image: &Path, name: &str) -> PathBuf {
    let target = images.path(name);
    run("cp", &["--sparse=always", image.to_str().unwrap(), target.to_str().unwrap()]);
    target
}

#[test]
fn a_clean_log_is_consistent_and_a_live_one_needs_replay() {
    for options in
        [&[][..], &["-l", "su=64k"], &["-s", "size=4096"], &["-m", "crc=0"], &["-m", "crc=0", "-l", "version=1"]]
    {
        let images = Images::new();
        let image = made(&images, options);
        assert_eq!(judged(&image), (Verdict::Consistent, vec![]), "{options:?}: made");
        if options.contains(&"crc=0") {
            continue; // Not every kernel mounts version 4.
        }
        let mount = Mount::image(&image, "rw");
        for i in 0..200 {
            std::fs::write(mount.path(i.to_string()), "x").unwrap();
        }
        mount.sync();
        assert_eq!(
            judged(&copy(&images, &image, "live")),
            (Verdict::Replay, vec!["xfs-log-dirty"]),
            "{options:?}: live"
        );
        mount.freeze();
        let frozen = copy(&images, &image, "frozen");
        mount.thaw();
        assert_eq!(judged(&frozen), (Verdict::Replay, vec!["xfs-log-dirty", "xfs-log-covered"]), "{options:?}: frozen");
        drop(mount);
        assert_eq!(judged(&image), (Verdict::Consistent, vec![]), "{options:?}: unmounted");
    }
}

#[test]
fn a_log_that_has_gone_around_is_judged_as_xfs_logprint_does() {
    let images = Images::new();
    let image = made(&images, &["--unsupported", "-l", "size=2560b"]);
    let mount = Mount::image(&image, "rw");
    for round in 0..30 {
        let folder = mount.path(format!("r{round}"));
        std::fs::create_dir(&folder).unwrap();
        for i in 0..1500 {
            std::fs::write(folder.join(format!("{i}-a-name-that-fills-the-log-{}", "x".repeat(100))), "").unwrap();
        }
        mount.sync();
        std::fs::remove_dir_all(&folder).unwrap();
        mount.sync();
        if round % 3 == 0 {
            assert_eq!(judged(&copy(&images, &image, "live")).0, Verdict::Replay);
        }
    }
    drop(mount);
    assert!(run("xfs_logprint", &[image.to_str().unwrap()]).contains("cycle: 2"), "the log never went around");
    assert_eq!(judged(&image), (Verdict::Consistent, vec![]));
}

#[test]
fn an_external_log_is_unknown() {
    let images = Images::new();
    let log = images.blank("log", 70 << 20);
    let image = made(&images, &["-l", &format!("logdev={},size=64m", log.to_str().unwrap())]);
    let report = check(&Patched::open(&image), Depth::Default).unwrap();
    assert_eq!((report.verdict, report.volumes[0].findings[0].code.as_ref()), (Verdict::Unknown, "xfs-external-log"));
}

#[test]
fn a_changed_superblock_and_a_cut_image_are_damaged() {
    let images = Images::new();
    let image = made(&images, &[]);
    let mut changed = Patched::open(&image);
    changed.patches.push((8, 0xff));
    let report = check(&changed, Depth::Default).unwrap();
    assert_eq!((report.verdict, report.volumes[0].findings[0].code.as_ref()), (Verdict::Damaged, "xfs-superblock-bad"));

    let report = check(&Patched::open(&image).truncated(100 << 20), Depth::Default).unwrap();
    assert_eq!((report.verdict, report.volumes[0].findings[0].code.as_ref()), (Verdict::Damaged, "xfs-truncated"));
}

/// Where the records begin that a mount of `image` would replay.
fn record_places(image: &Path) -> Vec<u64> {
    let bytes = Patched::open(image);
    let report = check(&bytes, Depth::Default).unwrap();
    let dirty = report.volumes[0].findings.iter().find(|finding| finding.code == "xfs-log-dirty").unwrap();
    // "log at byte 157286912", "the log has to be replayed from block 2 to block 130 of 512 bytes"
    let numbers = format!("{} {}", dirty.place, dirty.detail);
    let numbers: Vec<u64> = numbers.split(' ').filter_map(|word| word.parse().ok()).collect();
    let [start, tail, head, 512] = numbers[..] else { panic!("{dirty:?}") };
    let mut log = vec![0; ((head - tail) * 512) as usize];
    fsprobe::ReadAt::read_exact_at(&bytes, &mut log, start + tail * 512).unwrap();
    let headers = log.chunks_exact(512).zip(tail..).filter(|(block, _)| block.starts_with(&[0xfe, 0xed, 0xba, 0xbe]));
    headers.map(|(_, block)| start + block * 512).collect()
}

/// Changes a byte of a record's data.
fn tear(image: &Path, record: u64) {
    use std::os::unix::fs::FileExt;
    let file = std::fs::OpenOptions::new().read(true).write(true).open(image).unwrap();
    let mut h_size = [0; 4];
    file.read_exact_at(&mut h_size, record + 320).unwrap();
    let headers = u64::from(u32::from_be_bytes(h_size)).div_ceil(32 << 10).max(1);
    let at = record + headers * 512 + 100;
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[!byte[0]], at).unwrap();
}

/// A filesystem that was unmounted, then mounted and written to, a checkpoint at a time; copied live.
fn with_checkpoints(images: &Images, count: usize) -> PathBuf {
    let image = made(images, &[]);
    drop(Mount::image(&image, "rw"));
    let mount = Mount::image(&image, "rw");
    for i in 0..count {
        std::fs::write(mount.path(i.to_string()), "x").unwrap();
        mount.sync();
    }
    copy(images, &image, "live")
}

/// The files of a copy after the kernel has mounted it; none where it refuses.
fn mounted(images: &Images, image: &Path) -> Option<usize> {
    let mount = Mount::try_image(&copy(images, image, "mounted"), "nouuid").ok()?;
    Some(std::fs::read_dir(&mount.point).unwrap().count())
}

fn said(image: &Path) -> (Verdict, Vec<&'static str>) {
    let report = check(&Patched::open(image), Depth::Default).unwrap();
    (report.verdict, report.volumes[0].findings.iter().map(code).collect())
}

#[test]
fn a_torn_record_at_the_head_is_dropped_as_a_mount_does() {
    let images = Images::new();
    let image = with_checkpoints(&images, 4);
    assert_eq!((said(&image), mounted(&images, &image)), ((Verdict::Replay, vec!["xfs-log-dirty"]), Some(4)));
    tear(&image, *record_places(&image).last().unwrap());
    assert_eq!(said(&image), (Verdict::Replay, vec!["xfs-log-dirty", "xfs-log-torn"]));
    assert!(mounted(&images, &image).unwrap() < 4);
}

#[test]
fn where_everything_since_the_unmount_is_torn_the_log_is_clean() {
    let images = Images::new();
    let image = with_checkpoints(&images, 1);
    tear(&image, record_places(&image)[0]);
    assert_eq!((said(&image), mounted(&images, &image)), ((Verdict::Consistent, vec!["xfs-log-torn"]), Some(0)));
}

#[test]
fn a_bad_record_that_cannot_have_been_in_flight_is_damage_and_is_not_mounted() {
    let images = Images::new();
    // Until enough of them lie behind a tail that moves on by itself.
    let places = |image: &PathBuf| record_places(image).len() > 16;
    let image = (0..20).map(|_| with_checkpoints(&images, 60)).find(places).expect("a log with many records");
    tear(&image, record_places(&image)[2]);
    assert_eq!((said(&image), mounted(&images, &image)), ((Verdict::Damaged, vec!["xfs-log-bad"]), None));
}

/// The image with other bytes in its superblock, whose checksum is right.
fn with_superblock(image: &Path, at: usize, bytes: &[u8]) -> Patched {
    let mut image = Patched::open(image);
    let mut sector = [0; 512];
    fsprobe::ReadAt::read_exact_at(&image, &mut sector, 0).unwrap();
    sector[at..at + bytes.len()].copy_from_slice(bytes);
    // What sb_meta_uuid has to be where its feature is set.
    sector.copy_within(32..48, 248);
    sector[224..228].fill(0);
    let checksum = crc::Crc::<u32>::new(&crc::CRC_32_ISCSI).checksum(&sector);
    sector[224..228].copy_from_slice(&checksum.to_le_bytes());
    image.patches = (0..).zip(sector).collect();
    image
}

#[test]
fn features_that_nobody_here_knows_are_said_and_those_of_today_are_not() {
    let images = Images::new();
    let image = made(&images, &[]);
    let judged = |at: usize, bits: u32| {
        let report = check(&with_superblock(&image, at, &bits.to_be_bytes()), Depth::Default).unwrap();
        (report.verdict, report.volumes[0].findings.iter().map(code).collect::<Vec<_>>())
    };
    // Without needsrepair, bit 4, all up to that of zone gaps.
    assert_eq!(judged(216, 0x7ef), (Verdict::Consistent, vec![]));
    assert_eq!(judged(216, 0x803), (Verdict::Unknown, vec!["xfs-unknown-features"]));
    assert_eq!(judged(216, 0x013), (Verdict::Damaged, vec!["xfs-needs-repair"]));
    assert_eq!(judged(220, 0x1), (Verdict::Consistent, vec![]));
    assert_eq!(judged(220, 0x2), (Verdict::Unknown, vec!["xfs-unknown-features"]));
    assert_eq!(judged(212, 0x1f), (Verdict::Consistent, vec!["xfs-unknown-ro-features"]));
}

#[test]
fn a_filesystem_with_a_new_uuid_is_consistent() {
    let images = Images::new();
    let image = made(&images, &[]);
    run("xfs_admin", &["-U", "generate", image.to_str().unwrap()]);
    assert_eq!(judged(&image), (Verdict::Consistent, vec![]));
}

#[test]
fn a_realtime_part_on_another_device_is_unknown() {
    let images = Images::new();
    let realtime = images.blank("realtime", 70 << 20);
    let image = made(&images, &["-r", &format!("rtdev={}", realtime.to_str().unwrap())]);
    assert_eq!(said(&image), (Verdict::Unknown, vec!["xfs-realtime-elsewhere"]));
}

/// From a fuzzer: groups so many and so large that the log's first byte did not fit 64 bits.
#[test]
fn a_log_beyond_all_bytes_is_damage() {
    let images = Images::new();
    let mut image = Patched::open(&made(&images, &["-m", "crc=0"]));
    let fields = [(48, 0x6000_0000_0000_u64.to_be_bytes()), (84, [0xd0; 8])];
    image.patches = fields.into_iter().flat_map(|(at, bytes)| (at..).zip(bytes)).collect();
    let report = check(&image, Depth::Default).unwrap();
    let found: Vec<_> = report.volumes[0].findings.iter().map(code).collect();
    assert_eq!((report.verdict, found), (Verdict::Damaged, vec!["xfs-superblock-bad"]));
}

#[test]
fn a_tail_outside_of_the_log_is_damage_also_in_the_record_before_a_torn_one() {
    use std::os::unix::fs::FileExt;
    for torn in [false, true] {
        let images = Images::new();
        let image = with_checkpoints(&images, 4);
        let places = record_places(&image);
        let [.., before, last] = places[..] else { panic!("{places:?}") };
        let file = std::fs::OpenOptions::new().write(true).open(&image).unwrap();
        if torn {
            tear(&image, last);
        }
        // h_tail_lsn, and no checksum.
        let changed = if torn { before } else { last };
        file.write_all_at(&[0, 0, 0, 1, 0x7f, 0, 0, 0, 0, 0, 0, 0], changed + 24).unwrap();
        assert_eq!(said(&image), (Verdict::Damaged, vec!["xfs-log-bad"]), "torn: {torn}");
    }
}

#[test]
fn group_headers_that_are_gone_or_changed_are_damage() {
    let images = Images::new();
    for options in [&[][..], &["-s", "size=4096"], &["-m", "crc=0"]] {
        let image = made(&images, options);
        let sector = if options.contains(&"size=4096") { 4096_u64 } else { 512 };
        let has_checksums = !options.contains(&"crc=0");
        let report = check(&Patched::open(&image), Depth::Default).unwrap();
        assert_eq!(report.verdict, Verdict::Consistent, "{options:?}");
        // A quarter of the image each.
        let group_bytes = (300 << 20) / 4;
        for (header, name) in [(1, "AGF"), (2, "AGI"), (3, "AGFL")] {
            for group in [0, 3] {
                let at = group * group_bytes + header * sector;
                // The magic; and a byte that only a checksum covers.
                for (within, byte) in [(0, 0), (100, 0x77)] {
                    let mut changed = Patched::open(&image);
                    changed.patches.push((at + within, byte));
                    let report = check(&changed, Depth::Default).unwrap();
                    let found: Vec<_> =
                        report.volumes[0].findings.iter().map(|it| (code(it), it.place.as_str())).collect();
                    let place = format!("{name} of group {group}");
                    let is_seen = has_checksums || within == 0 && name != "AGFL";
                    let expected = if is_seen { vec![("xfs-group-header-bad", place.as_str())] } else { vec![] };
                    assert_eq!(found, expected, "{options:?}, byte {within} of {place}");
                }
            }
        }
    }
}

#[test]
fn a_bad_copy_of_the_superblock_is_a_warning() {
    let images = Images::new();
    let mut image = Patched::open(&made(&images, &[]));
    image.patches.push(((300 << 20) / 4 + 12, 0xee));
    let report = check(&image, Depth::Default).unwrap();
    let found: Vec<_> = report.volumes[0].findings.iter().map(|it| (code(it), it.place.as_str())).collect();
    assert_eq!(
        (report.verdict, found),
        (Verdict::Consistent, vec![("xfs-superblock-copy-bad", "superblock of group 1")])
    );
}

#[test]
fn the_deep_check_says_what_of_xfs_it_judges() {
    let images = Images::new();
    let report = check(&Patched::open(&made(&images, &[])), Depth::Deep).unwrap();
    let [note] = report.volumes[0].findings.as_slice() else { panic!("{:?}", report.volumes[0]) };
    assert_eq!(code(note), "deep-not-supported");
    assert!(note.detail.contains("superblocks, group headers and log"), "{}", note.detail);
}
