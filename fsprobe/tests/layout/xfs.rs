//! XFS, held against the kernel: an image is mounted, copied at several moments, and judged. Needs root.

use std::path::{Path, PathBuf};

use crate::support::{Images, Mount, Patched, run};
use fsprobe::{Depth, Verdict, check};

/// The verdict and the codes of the findings, after `xfs_logprint` has said the same of the log.
fn judged(image: &Path) -> (Verdict, Vec<&'static str>) {
    let report = check(&Patched::open(image), Depth::Default).unwrap();
    let volume = &report.volumes[0];
    let said = run("xfs_logprint", &["-t", image.to_str().unwrap()]);
    let expected = if said.contains("<CLEAN>") { Verdict::Consistent } else { Verdict::Replay };
    assert_eq!(volume.verdict, expected, "{:?}\n{said}", volume.findings);
    (volume.verdict, volume.findings.iter().map(|finding| finding.code).collect())
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
        let mount = Mount::new(image.to_str().unwrap(), "loop");
        for i in 0..200 {
            std::fs::write(Path::new(mount.path()).join(i.to_string()), "x").unwrap();
        }
        run("sync", &["--file-system", mount.path()]);
        assert_eq!(
            judged(&copy(&images, &image, "live")),
            (Verdict::Replay, vec!["xfs-log-dirty"]),
            "{options:?}: live"
        );
        run("xfs_freeze", &["-f", mount.path()]);
        let frozen = copy(&images, &image, "frozen");
        run("xfs_freeze", &["-u", mount.path()]);
        assert_eq!(judged(&frozen), (Verdict::Replay, vec!["xfs-log-dirty", "xfs-log-covered"]), "{options:?}: frozen");
        drop(mount);
        assert_eq!(judged(&image), (Verdict::Consistent, vec![]), "{options:?}: unmounted");
    }
}

#[test]
fn a_log_that_has_gone_around_is_judged_as_xfs_logprint_does() {
    let images = Images::new();
    let image = made(&images, &["--unsupported", "-l", "size=2560b"]);
    let mount = Mount::new(image.to_str().unwrap(), "loop");
    for round in 0..30 {
        let folder = Path::new(mount.path()).join(format!("r{round}"));
        std::fs::create_dir(&folder).unwrap();
        for i in 0..1500 {
            std::fs::write(folder.join(format!("{i}-a-name-that-fills-the-log-{}", "x".repeat(100))), "").unwrap();
        }
        run("sync", &["--file-system", mount.path()]);
        std::fs::remove_dir_all(&folder).unwrap();
        run("sync", &["--file-system", mount.path()]);
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
    assert_eq!((report.verdict, report.volumes[0].findings[0].code), (Verdict::Unknown, "xfs-external-log"));
}

#[test]
fn a_changed_superblock_and_a_cut_image_are_damaged() {
    let images = Images::new();
    let image = made(&images, &[]);
    let mut changed = Patched::open(&image);
    changed.patches.push((8, 0xff));
    let report = check(&changed, Depth::Default).unwrap();
    assert_eq!((report.verdict, report.volumes[0].findings[0].code), (Verdict::Damaged, "xfs-superblock-bad"));

    let report = check(&Patched::open(&image).truncated(100 << 20), Depth::Default).unwrap();
    assert_eq!((report.verdict, report.volumes[0].findings[0].code), (Verdict::Damaged, "xfs-truncated"));
}
