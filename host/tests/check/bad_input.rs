//! What is no disk, or a broken one: each ends with a documented exit code, and says where.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use stillpoint_tests::machine::image::Images;
use stillpoint_tests::machine::loop_device::LoopDevice;
use stillpoint_tests::machine::program::run;

use crate::lab::{Checked, check, findings, two_filesystems};

/// Nobody's mistake but the caller's: the command line names no disk.
fn refused(target: &Path) -> String {
    let Checked { code, document, stderr } = check(target, &[]);
    assert_eq!(code, 2, "{}: {stderr}", target.display());
    assert_eq!(document["error"]["exit"], 2);
    let cause = document["error"]["cause"].as_str().unwrap().to_owned();
    assert!(stderr.contains(&cause), "{stderr}");
    cause
}

#[test]
fn what_is_no_disk_is_refused_with_its_name() {
    let lab = Images::new();
    let fifo = lab.path("fifo");
    run("mkfifo", &[fifo.to_str().unwrap()]);
    for target in [lab.path(""), fifo, "/dev/null".into(), "/dev/full".into()] {
        assert_eq!(refused(&target), format!("{} is neither a block device nor an image file", target.display()));
    }
    let missing = lab.path("missing");
    assert!(refused(&missing).starts_with(&format!("cannot open {}: No such file", missing.display())));
    let neither = "there is no file backups/db.img, and no logical volume of that name (/dev/backups/db.img)";
    assert_eq!(refused(Path::new("backups/db.img")), neither);
}

#[test]
fn an_image_of_less_than_a_sector_is_damaged() {
    let lab = Images::new();
    for size_bytes in [0, 1, 511] {
        let Checked { code, document, .. } = check(&lab.blank("image", size_bytes), &[]);
        assert_eq!((code, document["verdict"].as_str().unwrap()), (5, "damaged"), "{size_bytes} bytes");
        let said = findings(&document["findings"]);
        assert_eq!(said[0].2, format!("{size_bytes} bytes are less than one sector"));
    }
    // Nothing is on it, and nothing is wrong with it.
    assert_eq!(check(&lab.blank("image", 512), &[]).code, 0);
}

#[test]
fn a_cut_image_is_damaged_in_the_volume_that_it_ends_in() {
    let lab = Images::new();
    let image = two_filesystems(&lab);
    OpenOptions::new().write(true).open(&image).unwrap().set_len(20 << 20).unwrap();
    let Checked { code, document, .. } = check(&image, &[]);
    assert_eq!((code, document["verdict"].as_str().unwrap()), (5, "damaged"));
    let [first, second] = document["volumes"].as_array().unwrap().as_slice() else { panic!("{document}") };
    assert_eq!((first["verdict"].as_str(), second["verdict"].as_str()), (Some("consistent"), Some("damaged")));
    let said = findings(&second["findings"]);
    let cut = said.iter().find(|(code, ..)| code == "partition-beyond-end").unwrap();
    assert!(cut.2.contains("bytes 17825792 to 34603008") && cut.2.contains("ends at byte 20971520"), "{}", cut.2);
}

#[test]
fn a_device_that_fails_half_way_is_damaged_there() {
    let lab = Images::new();
    let image = two_filesystems(&lab);
    // The kernel says EIO for what a loop device has and its file has not any more.
    let device = LoopDevice::new(&image, &[]);
    OpenOptions::new().write(true).open(&image).unwrap().set_len((17 << 20) + (100 << 10)).unwrap();
    let Checked { code, document, .. } = check(&device.path, &[]);
    assert_eq!((code, document["volumes"][0]["verdict"].as_str()), (5, Some("consistent")));
    let said = findings(&document["volumes"][1]["findings"]);
    let [(code, place, detail)] = said.as_slice() else { panic!("{said:?}") };
    assert_eq!(code, "unreadable");
    assert!(place.contains("ext4") && place.contains("at byte "), "{place}");
    assert!(detail.contains("os error 5"), "{detail}");
}

#[test]
fn a_guest_cannot_pass_its_device_off_as_an_artifact() {
    let lab = Images::new();
    let image = two_filesystems(&lab);
    OpenOptions::new().write(true).open(&image).unwrap().write_all_at(&[0x28, 0xb5, 0x2f, 0xfd], 0).unwrap();
    let Checked { code, document, .. } = check(&LoopDevice::new(&image, &["--read-only"]).path, &["--mount-hints"]);
    assert_eq!((code, document["table"].as_str()), (0, Some("gpt")));
    assert!(!document["mount_hints"].to_string().contains("zstd"), "{document}");
    // A file with these bytes may be an artifact that was cut off.
    let Checked { code, document, stderr } = check(&image, &[]);
    assert_eq!(code, 1);
    assert!(document["error"]["cause"].as_str().unwrap().contains("does not end in a seek table"), "{document}");
    assert!(stderr.contains(&format!("check of {} failed", image.display())), "{stderr}");
}

/// Checks `image` while `write` is called again and again, until a check has a finding of one of these codes.
fn until_seen(image: &Path, codes: &[&str], write: impl Fn(&File, u64) + Sync) -> (String, String, String) {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let file = OpenOptions::new().write(true).open(image).unwrap();
            for round in (0..).take_while(|_| !done.load(Ordering::Relaxed)) {
                write(&file, round);
            }
        });
        let mut seen = None;
        for _ in 0..100 {
            let Checked { code, document, .. } = check(image, &[]);
            let found = findings(&document["findings"]).into_iter().find(|(code, ..)| codes.contains(&code.as_str()));
            if let Some(finding) = found {
                assert!([3, 5].contains(&code), "{document}");
                seen = Some(finding);
                break;
            }
            assert!([0, 3, 5].contains(&code), "{document}");
        }
        done.store(true, Ordering::Relaxed);
        seen.expect("the change is seen once in a hundred checks")
    })
}

#[test]
fn an_image_that_grows_meanwhile_is_not_judged_as_if_it_were_whole() {
    let lab = Images::new();
    let image = two_filesystems(&lab);
    let (_, place, detail) = until_seen(&image, &["written-while-read"], |file, round| {
        file.set_len((34 << 20) + round % 1000).unwrap();
    });
    assert_eq!(place, "target");
    assert!(detail.contains("check a snapshot"), "{detail}");
}

#[test]
fn a_superblock_that_changes_meanwhile_is_named_with_its_place() {
    let lab = Images::new();
    let image = two_filesystems(&lab);
    // s_mtime of the second filesystem, which has its superblock 1024 bytes in.
    let (_, place, detail) = until_seen(&image, &["changed-while-read"], |file, round| {
        file.write_all_at(&(round as u32).to_le_bytes(), (17 << 20) + 1024 + 0x2c).unwrap();
    });
    assert!(place.starts_with("volume 2, byte "), "{place}");
    assert!(detail.contains("it is in use"), "{detail}");
}
