//! The lines of `--mount-hints`, run as they are printed: they show what they say, and write nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use stillpoint_tests::machine::alone::alone;
use stillpoint_tests::machine::ext4;
use stillpoint_tests::machine::image::{self, Images};
use stillpoint_tests::machine::mount::Mount;
use stillpoint_tests::machine::program::{run, run_with_input};

use crate::lab::{Checked, check};

const MIB: u64 = 1 << 20;

/// What tells that nothing was written.
fn hash(path: &Path) -> String {
    run("sha256sum", &[path.to_str().unwrap()])
}

/// Commands and warning of a volume.
fn hint(document: &Value, volume: &str) -> (Vec<String>, String) {
    let hints = document["mount_hints"].as_array().unwrap();
    let hint = hints.iter().find(|hint| hint["volume"] == volume).unwrap_or_else(|| panic!("{volume}: {hints:?}"));
    let commands = hint["commands"].as_array().unwrap().iter().map(|line| line.as_str().unwrap().to_owned());
    (commands.collect(), hint["warning"].as_str().unwrap().to_owned())
}

/// Runs a volume's lines in a mount namespace of their own, then `look` with the mount in it; what that prints.
///
/// Loop devices of a mount go with it.
fn looked_at(lines: &[String], look: &str, folder: &Path) -> String {
    let script = format!("set -eu\n{}\ncd /mnt\n{look}", lines.join("\n"));
    let _nothing_is_mounted = alone();
    let output = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "bash", "-c", &script])
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(output.status.success(), "{script}\n{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// An image whose one partition, of so many MiB, holds the filesystem that is made in a file of its own.
fn partitioned(lab: &Images, table: &str, start_bytes: u64, size_mib: u64, make: impl Fn(&Path)) -> PathBuf {
    let image = lab.blank("disk.img", (size_mib + 8) * MIB);
    run_with_input(
        "sfdisk",
        &["--quiet", "--no-tell-kernel", image.to_str().unwrap()],
        &table.replace("SIZE", &format!("{size_mib}MiB")),
    );
    let filesystem = lab.blank("filesystem", size_mib * MIB);
    make(&filesystem);
    let seek = format!("seek={start_bytes}");
    let (from, to) = (format!("if={}", filesystem.display()), format!("of={}", image.display()));
    run("dd", &[&from, &to, &seek, "oflag=seek_bytes", "bs=1M", "conv=notrunc,sparse", "status=none"]);
    image
}

/// Writes a file, and copies the image while it is mounted.
fn taken_live(lab: &Images, filesystem: &Path) {
    let mount = Mount::image(filesystem, "rw");
    fs::write(mount.path("before"), "x").unwrap();
    mount.sync();
    // Deleted while open: an orphan, which a mount of a writable device would release.
    let orphan = fs::File::create(mount.path("orphan")).unwrap();
    orphan.set_len(MIB).unwrap();
    fs::remove_file(mount.path("orphan")).unwrap();
    mount.sync();
    let copy = lab.path("copy");
    image::copy(filesystem, &copy);
    drop(orphan);
    drop(mount);
    fs::rename(copy, filesystem).unwrap();
}

const GPT: &str = "label: gpt\nstart=2048, size=SIZE\n";
const LOGICAL: &str = "label: dos\n/dev/x1 : start=2048, type=5\n/dev/x5 : start=6144, size=SIZE\n";

#[test]
fn an_ext4_is_mounted_without_its_journal_and_not_written_to() {
    for (table, volume, start_bytes) in [(GPT, "1", MIB), (LOGICAL, "5", 3 * MIB)] {
        for live in [false, true] {
            let lab = Images::new();
            let image = partitioned(&lab, table, start_bytes, 32, |filesystem| {
                ext4::make_at(filesystem, 0, 32, &[]);
                if live {
                    taken_live(&lab, filesystem);
                }
            });
            let before = hash(&image);
            let Checked { code, document, .. } = check(&image, &["--mount-hints"]);
            assert_eq!(code, if live { 3 } else { 0 }, "{document}");
            let (lines, warning) = hint(&document, volume);
            let seen = looked_at(&lines, "findmnt -n -o FSTYPE,OPTIONS -M /mnt; ls", &lab.path(""));
            assert!(seen.contains("ext4") && seen.contains("ro,") && seen.contains("lost+found"), "{seen}");
            assert!(warning.contains("`ro` alone replays the journal and so writes"), "{warning}");
            assert!(hash(&image) == before, "{lines:?} wrote to the image");
        }
    }
}

#[test]
fn the_warning_is_true_a_mount_with_ro_alone_writes() {
    let lab = Images::new();
    let image = partitioned(&lab, GPT, MIB, 32, |filesystem| {
        ext4::make_at(filesystem, 0, 32, &[]);
        taken_live(&lab, filesystem);
    });
    let before = hash(&image);
    // A loop device that can be written to, as an LV can.
    let line = format!("mount -o ro $(losetup --find --show --offset {MIB} {}) /mnt", image.display());
    let script = "set -eu; device=$(findmnt -n -o SOURCE -M /mnt); cd /; umount /mnt; losetup --detach $device";
    looked_at(&[line], script, &lab.path(""));
    assert!(hash(&image) != before);
}

#[test]
fn an_xfs_is_mounted_without_its_log_and_not_written_to() {
    for live in [false, true] {
        let lab = Images::new();
        let image = partitioned(&lab, GPT, MIB, 300, |filesystem| {
            run("mkfs.xfs", &["-q", filesystem.to_str().unwrap()]);
            if live {
                taken_live(&lab, filesystem);
            }
        });
        let before = hash(&image);
        let Checked { code, document, .. } = check(&image, &["--mount-hints"]);
        assert_eq!(code, if live { 3 } else { 0 }, "{document}");
        let (lines, warning) = hint(&document, "1");
        let seen = looked_at(&lines, "findmnt -n -o FSTYPE,OPTIONS -M /mnt", &lab.path(""));
        assert!(seen.contains("xfs") && seen.contains("ro,") && seen.contains("norecovery"), "{seen}");
        assert!(warning.contains("`ro` alone replays the log and so writes"), "{warning}");
        assert!(hash(&image) == before, "{lines:?} wrote to the image");
    }
}

#[test]
fn a_hostile_name_of_a_target_is_one_word_of_the_line() {
    for name in ["a b", "$(touch owned)`touch owned`;touch owned", "-o", "LABEL=x", "it's \"it\"", "a\nb\u{1b}[31m"] {
        let lab = Images::new();
        let path = lab.blank("plain", 16 * MIB);
        ext4::make_at(&path, 0, 16, &[]);
        let target = lab.path(name);
        fs::rename(path, &target).unwrap();
        for folder in [&lab.path(""), Path::new("/")] {
            // As an absolute path, and as typed in its folder.
            let typed = if folder == Path::new("/") { target.as_os_str() } else { name.as_ref() };
            let mut command = Command::new(env!("CARGO_BIN_EXE_stillpoint"));
            let output =
                command.current_dir(folder).args(["check", "--mount-hints", "--"]).arg(typed).output().unwrap();
            let text = String::from_utf8(output.stdout).unwrap();
            assert_eq!(output.status.code(), Some(0), "{name:?}: {}", String::from_utf8_lossy(&output.stderr));
            let line = text.lines().find(|line| line.starts_with("mount ")).unwrap().to_owned();
            assert!(looked_at(&[line], "ls", folder).contains("lost+found"), "{name:?}");
        }
        assert!(!lab.path("owned").exists() && !Path::new("/owned").exists(), "{name:?}");
    }
}

#[test]
fn an_artifact_is_unpacked_before_it_is_mounted() {
    let lab = Images::new();
    let image = lab.blank("disk.img", 16 * MIB);
    ext4::make_at(&image, 0, 16, &[]);
    let raw = fs::read(&image).unwrap();
    fs::remove_file(&image).unwrap();
    let artifact = lab.path("disk.img.zst");
    let mut encoder = zeekstd::Encoder::new(fs::File::create(&artifact).unwrap()).unwrap();
    std::io::copy(&mut raw.as_slice(), &mut encoder).unwrap();
    encoder.finish().unwrap();
    let Checked { code, document, stderr } = check(&artifact, &["--mount-hints"]);
    assert_eq!(code, 0, "{stderr}{document}");
    let (lines, _) = hint(&document, "0");
    assert_eq!(lines[0], format!("zstd -d {} -o {}", artifact.display(), image.display()));
    assert!(looked_at(&lines, "ls", &lab.path("")).contains("lost+found"));
}
