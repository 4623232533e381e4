//! Filesystems that were changed to do harm.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use stillpoint_tests::machine::mount::Mount;

use crate::image::{Lab, stillpoint};

/// Without checksums and hash trees: what is changed is believed.
const CREDULOUS: &[&str] = &["-t", "ext4", "-O", "^metadata_csum,^dir_index", "-b", "1024"];

fn lab(make: impl Fn(&Path)) -> Lab {
    let lab = Lab::new();
    lab.mke2fs(16, CREDULOUS);
    make(&Mount::image(&lab.image(), "rw").point);
    lab
}

fn patch(lab: &Lab, changes: &[(usize, &[u8])]) {
    let mut bytes = fs::read(lab.image()).unwrap();
    for (at, new) in changes {
        bytes[*at..][..new.len()].copy_from_slice(new);
    }
    fs::write(lab.image(), bytes).unwrap();
}

#[test]
fn names_with_a_way_out_are_refused_and_the_others_copied() {
    let lab = lab(|root| {
        for name in ["xx-dots", "xxxx-slash", "two-dots", "zero", "good"] {
            fs::write(root.join(name), b"x").unwrap();
        }
    });
    let two_dots = lab.entry("two-dots");
    patch(
        &lab,
        &[
            (lab.entry("xx-dots"), b"../../x"),
            (lab.entry("xxxx-slash"), b"/tmp/passw"),
            (lab.entry("zero") + 1, b"\0"),
            (two_dots, b".."),
            (two_dots - 2, &[2]),
        ],
    );
    let to = lab.path("in/out/copied");
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    let ran = lab.cp("/", &to, &[]);
    assert_eq!(ran.code, 5, "{}", ran.stderr);
    assert_eq!(ran.stderr.matches("which no file can be").count(), 4, "{}", ran.stderr);
    let names: Vec<_> = fs::read_dir(&to).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(to.join("good").exists() && to.join("lost+found").exists());
    assert_eq!(fs::read_dir(lab.path("in")).unwrap().count() + fs::read_dir(lab.path("in/out")).unwrap().count(), 2);
}

#[test]
fn a_symlink_and_a_folder_of_the_same_name_do_not_lead_out() {
    let outside = Lab::new();
    let target = outside.path("outside");
    fs::create_dir(&target).unwrap();
    for is_symlink_first in [true, false] {
        let lab = lab(|root| {
            let make_symlink = |name: &str| symlink(&target, root.join(name)).unwrap();
            let make_folder = |name: &str| {
                fs::create_dir(root.join(name)).unwrap();
                fs::write(root.join(name).join("evil"), b"x").unwrap();
            };
            if is_symlink_first {
                make_symlink("same-1");
                make_folder("same-2");
            } else {
                make_folder("same-1");
                make_symlink("same-2");
            }
        });
        patch(&lab, &[(lab.entry("same-2"), b"same-1")]);
        for options in [&[][..], &["--overwrite"]] {
            let to = lab.path(&format!("copied{}", options.len()));
            let ran = lab.cp("/", &to, options);
            assert_eq!(ran.code, 1, "{}", ran.stderr);
            assert!(ran.stderr.contains("same-1: "), "{}", ran.stderr);
            assert_eq!(fs::read_dir(&target).unwrap().count(), 0, "it led out");
        }
    }
}

#[test]
fn a_symlink_at_the_destination_is_not_followed() {
    let lab = lab(|root| {
        fs::create_dir(root.join("folder")).unwrap();
        fs::write(root.join("folder/file"), b"guest").unwrap();
        fs::write(root.join("file"), b"guest").unwrap();
    });
    let (to, outside) = (lab.path("to"), lab.path("outside"));
    fs::create_dir(&to).unwrap();
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("kept"), b"host").unwrap();
    symlink(&outside, to.join("folder")).unwrap();
    symlink(outside.join("kept"), to.join("file")).unwrap();
    assert_eq!(lab.cp("/", &to, &[]).code, 1);
    let ran = lab.cp("/", &to, &["--overwrite"]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
    assert_eq!(fs::read(outside.join("kept")).unwrap(), b"host");
    // The symlink itself was a file to replace, the one in the place of a folder was not.
    assert!(fs::symlink_metadata(to.join("file")).unwrap().is_file());
    assert!(fs::symlink_metadata(to.join("folder")).unwrap().is_symlink());
}

#[test]
fn a_folder_inside_of_itself_is_copied_once() {
    let lab = lab(|root| {
        fs::create_dir_all(root.join("outer/inner")).unwrap();
        fs::write(root.join("outer/file"), b"x").unwrap();
        fs::create_dir(root.join("twice")).unwrap();
    });
    let inode = |path: &str| {
        let stat = lab.debugfs(&format!("stat {path}"));
        stat.split_whitespace().nth(1).unwrap().parse::<u32>().unwrap()
    };
    let outer = inode("/outer").to_le_bytes();
    patch(&lab, &[(lab.entry("inner") - 8, &outer), (lab.entry("twice") - 8, &2_u32.to_le_bytes())]);
    let to = lab.path("copied");
    let ran = lab.cp("/", &to, &[]);
    assert_eq!(ran.code, 5, "{}", ran.stderr);
    for path in ["outer/inner", "twice"] {
        assert!(ran.stderr.contains(&format!("{path}: inode")), "{}", ran.stderr);
    }
    assert_eq!(fs::read(to.join("outer/file")).unwrap(), b"x");
}

#[test]
fn folders_too_deep_are_left_out_and_said() {
    let lab = lab(|root| {
        let mut at = root.to_owned();
        for _ in 0..520 {
            at.push("d");
            fs::create_dir(&at).unwrap();
        }
    });
    let to = lab.path("copied");
    let ran = lab.cp("/", &to, &[]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("it is more than 512 folders deep"), "{}", ran.stderr);
    assert!(to.join("d/".repeat(511)).is_dir());
}

#[test]
fn files_that_share_blocks_do_not_fill_the_host() {
    let lab = lab(|root| {
        for i in 0..40 {
            fs::write(root.join(format!("file-{i:02}")), vec![b'x'; 1 << 20]).ok();
        }
        fs::write(root.join("last"), b"x").ok();
    });
    // 40 names of 16 MiB of data in a filesystem of 16 MiB: one inode that says that it has a single name.
    let stat = lab.debugfs("stat /file-00");
    let inode: u32 = stat.split_whitespace().nth(1).unwrap().parse().unwrap();
    let changes: Vec<usize> = (1..40).map(|i| lab.entry(&format!("file-{i:02}")) - 8).collect();
    let number = inode.to_le_bytes();
    patch(&lab, &changes.iter().map(|&at| (at, &number[..])).collect::<Vec<_>>());
    let to = lab.path("copied");
    let ran = lab.cp("/", &to, &[]);
    assert_eq!(ran.code, 5, "{}", ran.stderr);
    assert!(ran.stderr.contains("more bytes than a filesystem of its size can hold"), "{}", ran.stderr);
    assert!(fs::read_dir(&to).unwrap().count() < 20);
}

#[test]
fn a_damaged_file_is_not_left_half_copied_and_the_others_are_copied() {
    let lab = Lab::new();
    lab.mke2fs(16, &["-t", "ext4", "-b", "1024"]);
    {
        let mounted = Mount::image(&lab.image(), "rw");
        fs::write(mounted.point.join("bad"), b"x").unwrap();
        fs::write(mounted.point.join("good"), b"x").unwrap();
    }
    lab.debugfs("set_inode_field bad block[5] 0x7fffffff");
    let to = lab.path("copied");
    let ran = lab.cp("/", &to, &[]);
    assert_eq!(ran.code, 5, "{}", ran.stderr);
    assert!(ran.stderr.contains("bad: inode"), "{}", ran.stderr);
    assert!(!to.join("bad").exists() && to.join("good").exists());
    let cat = stillpoint(&["cat".as_ref(), lab.image().as_os_str(), "/bad".as_ref()]);
    assert_eq!((cat.code, cat.stdout.len()), (5, 0), "{}", cat.stderr);
}
