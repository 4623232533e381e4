//! What is copied out equals what the kernel shows.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::atomic::AtomicBool;

use image::artifact::open_disk;
use image::copy::{self, Options, Progress};
use stillpoint_tests::machine::mount::Mount;

use crate::image::{Lab, stillpoint};
use crate::tree::{assert_same, described, populate};

/// An image of a populated tree, unmounted.
fn populated(size_mib: u64, options: &[&str]) -> Lab {
    let lab = Lab::new();
    lab.mke2fs(size_mib, options);
    populate(&Mount::image(&lab.image(), "rw").point);
    lab
}

fn assert_copied_as_the_kernel_shows(copied: &Path, image: &Path, mount_options: &str) {
    let mounted = Mount::image(image, mount_options);
    let (copied, original) = (described(copied, &[]), described(&mounted.point, &[]));
    assert!(original.len() > 400, "only {} names are there", original.len());
    assert_same(&copied, &original);
}

#[test]
fn a_whole_filesystem_is_copied_with_everything_that_it_keeps() {
    for options in [
        &["-t", "ext4"][..],
        &["-t", "ext4", "-O", "inline_data", "-I", "512"],
        &["-t", "ext4", "-O", "bigalloc", "-b", "1024", "-C", "8192"],
        &["-t", "ext2", "-b", "1024"],
    ] {
        let lab = populated(64, options);
        let to = lab.path("copied");
        let ran = lab.cp("0:/", &to, &["--devices"]);
        assert_eq!(ran.code, 0, "{options:?}: {}", ran.stderr);
        assert_copied_as_the_kernel_shows(&to, &lab.image(), "ro,noatime");
    }
}

#[test]
fn a_tree_that_mke2fs_took_in_comes_out_again() {
    let lab = Lab::new();
    let tree = lab.path("tree");
    fs::create_dir(&tree).unwrap();
    populate(&tree);
    lab.mke2fs(64, &["-t", "ext4", "-d", tree.to_str().unwrap()]);
    let to = lab.path("copied");
    let ran = lab.cp("/", &to, &["--devices"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let (copied, original) = (described(&to, &["lost+found"]), described(&tree, &[]));
    assert_eq!(copied.keys().collect::<Vec<_>>(), original.keys().collect::<Vec<_>>());
    // mke2fs -d does not keep all of the times.
    for path in [&b"owned"[..], b"sparse", b"linked", b"\x1b]0;title\x07"] {
        let without_times = |words: &str| {
            let fields: Vec<&str> = words.split(' ').collect();
            [&fields[..4], &fields[8..]].concat().join(" ")
        };
        assert_eq!(without_times(&copied[path]), without_times(&original[path]), "{}", path.escape_ascii());
    }
}

#[test]
fn a_live_copy_gives_the_files_that_are_in_its_journal_only() {
    let lab = Lab::new();
    lab.mke2fs(64, &["-t", "ext4"]);
    let live = Lab::new();
    {
        let mounted = Mount::image(&lab.image(), "rw");
        populate(&mounted.point);
        let last = mounted.point.join("last");
        fs::write(&last, b"in the journal").unwrap();
        File::open(&last).unwrap().sync_all().unwrap();
        fs::copy(lab.image(), live.image()).unwrap();
    }
    // Without its journal, it is not there.
    assert!(!live.debugfs("ls -l /").contains("last"));
    let cat = stillpoint(&["cat".as_ref(), live.image().as_os_str(), "/last".as_ref()]);
    assert_eq!((cat.code, cat.stdout), (0, b"in the journal".to_vec()), "{}", cat.stderr);
    assert!(cat.stderr.contains("read as its journal leaves it"), "{}", cat.stderr);
    let to = live.path("copied");
    let ran = live.cp("/", &to, &["--devices"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let recovered = live.copy_image("recovered");
    assert_copied_as_the_kernel_shows(&to, &recovered, "rw,noatime");
}

#[test]
fn an_artifact_gives_the_same_files_as_the_disk_that_it_was_made_from() {
    let lab = populated(64, &["-t", "ext4"]);
    let disk = open_disk(&lab.image()).unwrap();
    let allocated = fsprobe::allocated(&*disk, &fsprobe::layout(&*disk).unwrap()).unwrap();
    assert!(allocated.iter().map(|extent| extent.size_bytes).sum::<u64>() < disk.size_bytes() / 2);
    let artifact = lab.path("disk.img.zst");
    let mut file = File::create(&artifact).unwrap();
    let options = Options { frame_size_bytes: 256 << 10, ..Options::default() };
    copy::copy(&*disk, &allocated, &mut file, &options, &Progress::default(), &AtomicBool::new(false)).unwrap();
    let to = lab.path("copied");
    let arguments = ["cp".as_ref(), artifact.as_os_str(), "0:/".as_ref(), to.as_os_str(), "--devices".as_ref()];
    let ran = stillpoint(&arguments);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_copied_as_the_kernel_shows(&to, &lab.image(), "ro,noatime");
}

#[test]
fn holes_stay_holes() {
    let lab = populated(64, &["-t", "ext4"]);
    let to = lab.path("sparse");
    assert_eq!(lab.cp("/sparse", &to, &[]).code, 0);
    let copied = fs::metadata(&to).unwrap();
    assert_eq!(copied.size(), 90_000_000);
    assert!(copied.blocks() * 512 < 100_000, "{} bytes are allocated", copied.blocks() * 512);
}

#[test]
fn a_folder_that_exists_gets_the_copy_under_its_own_name_and_keeps_what_it_has() {
    let lab = populated(64, &["-t", "ext4"]);
    let to = lab.path("existing");
    fs::create_dir_all(to.join("many")).unwrap();
    let mine = to.join("many/name-that-fills-a-block-sooner-7");
    fs::write(&mine, b"mine").unwrap();
    fs::set_permissions(to.join("many"), fs::Permissions::from_mode(0o750)).unwrap();

    let ran = lab.cp("/many", &to, &[]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("many/name-that-fills-a-block-sooner-7: there is something with that name already"));
    assert_eq!(fs::read(&mine).unwrap(), b"mine");
    assert_eq!(fs::metadata(to.join("many")).unwrap().mode() & 0o7777, 0o750);
    assert_eq!(fs::read(to.join("many/name-that-fills-a-block-sooner-8")).unwrap(), b"8");

    let ran = lab.cp("/many", &to, &["--overwrite"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(fs::read(&mine).unwrap(), b"7");
    assert_eq!(fs::read_dir(to.join("many")).unwrap().count(), 301, "something was left behind");
}

#[test]
fn device_nodes_are_made_only_when_asked_for() {
    let lab = populated(64, &["-t", "ext4"]);
    let to = lab.path("copied");
    let ran = lab.cp("/", &to, &["--json"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(!to.join("null").exists());
    let report: serde_json::Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!(report["left_out"]["device node"]["first_path"], "copied/null");
    assert_eq!(report["copied"]["special_files"], 2);
    assert_eq!(report["copied"]["hard_links"], 2);
}

#[test]
fn a_folder_that_cannot_be_listed_has_its_owner_and_mode() {
    let lab = Lab::new();
    lab.mke2fs(8, &["-t", "ext4"]);
    lab.debugfs("mkdir secret");
    for request in [
        "feature encrypt",
        "sif secret flags 0x80800",
        "sif secret uid 1234",
        "sif secret gid 2345",
        "sif secret mode 040700",
    ] {
        lab.debugfs(request);
    }
    let to = lab.path("copied");
    let ran = lab.cp("/secret", &to, &[]);
    assert!(ran.code != 0 && ran.stderr.contains("encrypted"), "{}: {}", ran.code, ran.stderr);
    let made = fs::metadata(&to).unwrap();
    assert_eq!((made.uid(), made.gid(), made.mode() & 0o7777), (1234, 2345, 0o700));
}
