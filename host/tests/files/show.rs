//! What a person gets to see.

use std::fs;

use stillpoint_tests::machine::mount::Mount;
use stillpoint_tests::machine::program::{run, try_run};

use crate::image::{Lab, bytes, stillpoint};

fn lab() -> Lab {
    let lab = Lab::new();
    lab.mke2fs(16, &["-t", "ext4"]);
    let mounted = Mount::image(&lab.image(), "rw");
    let root = &mounted.point;
    fs::create_dir(root.join("folder")).unwrap();
    fs::write(root.join("folder/binary"), b"a\x1b[31mb\xff\n").unwrap();
    fs::write(root.join(bytes(b"esc\x1b[31m\x9b")), b"").unwrap();
    std::os::unix::fs::symlink("x\x1b[0m", root.join("link")).unwrap();
    drop(mounted);
    lab
}

#[test]
fn a_listing_shows_no_byte_that_a_terminal_obeys() {
    let lab = lab();
    for options in [&[][..], &["--json"]] {
        let image = lab.image();
        let mut arguments = vec!["ls", image.to_str().unwrap(), "/"];
        arguments.extend(options);
        let ran = stillpoint(&arguments);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        let text = String::from_utf8(ran.stdout).unwrap();
        assert!(!text.chars().any(|character| character.is_control() && character != '\n'), "{text:?}");
        for shown in ["esc", "u{1b}[31m", "x9b", "link", "folder", "lost+found"] {
            assert!(text.contains(shown), "{shown} is not in {text}");
        }
    }
}

#[test]
fn a_listing_for_programs_names_what_ls_shows() {
    let lab = lab();
    let ran = stillpoint(&["ls", lab.image().to_str().unwrap(), "0:/", "--json"]);
    let listing: serde_json::Value = serde_json::from_slice(&ran.stdout).unwrap();
    let entries = listing["entries"].as_array().unwrap();
    let entry = |name: &str| entries.iter().find(|entry| entry["name"] == name).unwrap();
    assert_eq!((&entry("folder")["type"], &entry("folder")["links"]), (&"folder".into(), &2.into()));
    assert_eq!(entry("link")["target"], "x\\u{1b}[0m");
    assert_eq!(entry("esc\\u{1b}[31m\\x9b")["name_hex"], "6573631b5b33316d9b");
    assert!(entry("folder").get("name_hex").is_none());
}

#[test]
fn content_is_raw_in_a_pipe_and_escaped_on_a_terminal() {
    let lab = lab();
    let image = lab.image();
    let raw = stillpoint(&["cat", image.to_str().unwrap(), "/folder/binary"]);
    assert_eq!((raw.code, raw.stdout), (0, b"a\x1b[31mb\xff\n".to_vec()));
    // `script` gives it a terminal.
    let command = format!("{} cat {} /folder/binary", env!("CARGO_BIN_EXE_stillpoint"), image.display());
    let printed = run("script", &["-qec", &command, "/dev/null"]);
    assert_eq!(printed, "a\\u{1b}[31mb\\xff\r\n");
}

#[test]
fn a_reader_that_has_enough_is_no_error() {
    let lab = Lab::new();
    lab.mke2fs(16, &["-t", "ext4"]);
    let mounted = Mount::image(&lab.image(), "rw");
    fs::File::create(mounted.point.join("long")).unwrap().set_len(4 << 20).unwrap();
    drop(mounted);
    let script = r#"set -o pipefail; "$0" cat "$1" /long | head -c 1"#;
    let arguments = ["-c", script, env!("CARGO_BIN_EXE_stillpoint")].map(str::as_ref);
    let output = try_run("bash", &[&arguments[..], &[lab.image().as_os_str()]].concat());
    assert_eq!((output.stdout, String::from_utf8(output.stderr).unwrap()), (vec![0], String::new()));
}

#[test]
fn what_is_not_there_is_said_and_where_to_look() {
    let lab = lab();
    let image = lab.image();
    let image = image.to_str().unwrap();
    for (arguments, code, said) in [
        (["cat", image, "/nope"], 1, "there is no \"nope\""),
        (["cat", image, "/folder"], 1, "it is no regular file"),
        (["ls", image, "/folder/binary/x"], 1, "\"binary\" is no folder"),
        (["ls", image, "3:/"], 2, "there is no volume 3"),
        (["ls", image, "folder"], 2, "names no path"),
        (["ls", "/nonexistent", "/"], 2, "cannot open /nonexistent"),
    ] {
        let ran = stillpoint(&arguments);
        assert_eq!(ran.code, code, "{arguments:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(said) && ran.stdout.is_empty(), "{arguments:?}: {}", ran.stderr);
    }
}

#[test]
fn a_volume_has_to_be_named_where_there_are_several() {
    let lab = lab();
    let disk = lab.path("disk");
    let filesystem = fs::read(lab.image()).unwrap();
    fs::write(&disk, vec![0; 48 << 20]).unwrap();
    let table = lab.path("table");
    fs::write(&table, "label: gpt\nstart=2048, size=32768\nstart=40960, size=32768\n").unwrap();
    let script = format!("sfdisk -q --no-tell-kernel {} < {}", disk.display(), table.display());
    run("sh", &["-c", &script]);
    let mut bytes = fs::read(&disk).unwrap();
    for sector in [2048, 40960] {
        bytes[sector * 512..][..filesystem.len()].copy_from_slice(&filesystem);
    }
    fs::write(&disk, bytes).unwrap();
    let disk = disk.to_str().unwrap();
    let ran = stillpoint(&["ls", disk]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("it has 2 filesystems: 1:/, 2:/"), "{}", ran.stderr);
    let ran = stillpoint(&["cat", disk, "2:/folder/binary"]);
    assert_eq!(ran.stdout, b"a\x1b[31mb\xff\n");
}

#[test]
fn a_recursive_listing_names_what_find_finds() {
    let lab = Lab::new();
    lab.mke2fs(16, &["-t", "ext4"]);
    let mounted = Mount::image(&lab.image(), "rw");
    fs::create_dir_all(mounted.point.join("a/b/c")).unwrap();
    fs::create_dir_all(mounted.point.join("a-folder")).unwrap();
    for name in ["a/1", "a/b/c/2", "z"] {
        fs::write(mounted.point.join(name), b"").unwrap();
    }
    let found = run(
        "find",
        &[mounted.point.as_os_str(), "-mindepth".as_ref(), "1".as_ref(), "-printf".as_ref(), "%P\\n".as_ref()],
    );
    drop(mounted);
    let ran = stillpoint(&["ls", "-R", "--json", lab.image().to_str().unwrap()]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let listing: serde_json::Value = serde_json::from_slice(&ran.stdout).unwrap();
    let names = listing["entries"].as_array().unwrap().iter().map(|entry| entry["name"].as_str().unwrap());
    let names: Vec<_> = names.collect();
    assert_eq!(names, ["a", "a/1", "a/b", "a/b/c", "a/b/c/2", "a-folder", "lost+found", "z"]);
    let mut found: Vec<_> = found.lines().collect();
    found.sort_unstable();
    let mut names = names;
    names.sort_unstable();
    assert_eq!(names, found);
}

#[test]
fn a_recursive_listing_of_a_folder_that_is_in_itself_ends() {
    let lab = Lab::new();
    lab.mke2fs(16, &["-t", "ext4"]);
    lab.debugfs("mkdir outer");
    lab.debugfs("mkdir outer/inner");
    lab.debugfs("ln outer outer/inner/again");
    let ran = stillpoint(&["ls", "-R", lab.image().to_str().unwrap()]);
    assert_eq!(ran.code, 5, "{}", ran.stderr);
    assert!(ran.stderr.contains("outer/inner/again: it is one of the folders above already"), "{}", ran.stderr);
    assert_eq!(String::from_utf8(ran.stdout).unwrap().lines().count(), 4);
}
