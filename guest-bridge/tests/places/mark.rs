//! Markers.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, time::Duration};

use guest_bridge::places::{FilePlace, Marked, MarkerName, mark, unmark};
use stillpoint_tests::machine::program::{run, try_run};

use super::{
    disk::{Mounts, at, there_are_disks},
    local_agent::{LocalAgent, SHELLS},
};

/// Half of it is waited for a filesystem that hangs.
const SOON: Duration = Duration::from_secs(4);
const EXT4: &[&str] = &["mkfs.ext4", "-q"];

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn refusal(marked: &Marked, mountpoint: &Path) -> String {
    let refused = marked.refused.iter().find(|refused| refused.mountpoint == text(mountpoint));
    refused.unwrap_or_else(|| panic!("{} refused nothing: {marked:?}", mountpoint.display())).reason.clone()
}

#[tokio::test]
async fn each_filesystem_gets_a_marker_of_its_own_and_loses_it_again() {
    if !there_are_disks() {
        return;
    }
    for shell in SHELLS {
        let mut mounts = Mounts::new();
        let data = mounts.disk("my data", EXT4);
        let tree = mounts.disk("tree", &["mkfs.btrfs", "-q", "-M"]);
        fs::create_dir(data.join("part")).unwrap();
        mounts.mount("bound", &["--bind", text(&data.join("part"))]);
        fs::write(data.join("file"), "").unwrap();
        let mut agent = LocalAgent::new(shell, mounts.folder());

        let name = MarkerName::new();
        let mut marked = mark(&mut agent, &name, SOON).await.unwrap();
        assert_eq!(marked.refused, [], "{shell}");
        let expires: u64 = fs::read_to_string("/proc/sys/vm/dirty_expire_centisecs").unwrap().trim().parse().unwrap();
        assert!(marked.stays_unwritten.unwrap() <= Duration::from_millis(expires * 10), "{marked:?}");
        marked.markers.sort_by(|one, other| one.mountpoint.cmp(&other.mountpoint));
        let [on_data, on_tree] = &marked.markers[..] else { panic!("{shell}: {marked:?}") };
        for (marker, point) in [(on_data, &data), (on_tree, &tree)] {
            let file = point.join(name.as_str());
            assert_eq!((marker.mountpoint.as_str(), marker.inode), (text(point), at(&file).1));
            assert_eq!(fs::read(&file).unwrap(), name.content(marker.device));
            assert_eq!(fs::metadata(&file).unwrap().permissions().mode(), 0o100_600);
        }
        assert_eq!(on_data.device, at(&data).0);
        assert_eq!(on_tree.device.major, 0);

        let (file, missing) = (data.join("file"), data.join("missing"));
        // What is gone already was not written to.
        for was_there in [vec![on_data.device, on_tree.device], vec![]] {
            let mut unmarked =
                unmark(&mut agent, &name, &[file.clone(), missing.clone(), tree.clone()], SOON).await.unwrap();
            assert_eq!(unmarked.left, []);
            unmarked.removed.sort_by_key(|device| *device == on_tree.device);
            assert_eq!(unmarked.removed, was_there, "{shell}");
            let place = |path: &Path, at| FilePlace { path: path.to_owned(), at };
            let in_tree = (on_tree.device, at(&tree).1);
            let expected = [place(&file, Some(at(&file))), place(&missing, None), place(&tree, Some(in_tree))];
            assert_eq!(unmarked.files, expected, "{shell}");
            assert!(!data.join(name.as_str()).exists() && !tree.join(name.as_str()).exists());
        }
    }
}

#[tokio::test]
async fn a_filesystem_that_refuses_keeps_no_other_and_holds_nothing() {
    if !there_are_disks() {
        return;
    }
    for shell in SHELLS {
        let mut mounts = Mounts::new();
        let data = mounts.disk("data", EXT4);
        let full = mounts.disk("full", &["mkfs.ext4", "-q", "-b", "4096", "-m", "0"]);
        try_run("dd", &["if=/dev/zero".into(), format!("of={}", text(&full.join("filler"))), "bs=4096".into()]);
        // Behind it lies one that is hidden, and one that is read-only.
        let hidden = mounts.disk("hidden", EXT4);
        mounts.mount("hidden", &["-t", "tmpfs", "tmpfs"]);
        let read_only = mounts.disk("read-only", EXT4);
        run("mount", &["-o", "remount,ro", text(&read_only)]);
        let mut agent = LocalAgent::new(shell, mounts.folder());

        let name = MarkerName::new();
        let marked = mark(&mut agent, &name, SOON).await.unwrap();
        let markers: Vec<_> = marked.markers.iter().map(|marker| marker.mountpoint.as_str()).collect();
        assert_eq!(markers, [text(&data)], "{shell}");
        assert_eq!(marked.refused.len(), 2, "{shell}: {:?}", marked.refused);
        assert_eq!(refusal(&marked, &full), "No space left on device");
        assert!(refusal(&marked, &hidden).contains("mounted over it"));
        for point in [&full, &hidden, &read_only] {
            assert!(!point.join(name.as_str()).exists(), "{}", point.display());
        }

        // A marker is no other's: what is there is not taken.
        let again = mark(&mut agent, &name, SOON).await.unwrap();
        assert_eq!(refusal(&again, &data), "File exists");
        assert_eq!(fs::read(data.join(name.as_str())).unwrap(), name.content(at(&data).0));

        run("mount", &["-o", "remount,ro", text(&data)]);
        let unmarked = unmark(&mut agent, &name, &[], SOON).await.unwrap();
        let left = (text(&data.join(name.as_str())).to_owned(), "Read-only file system".to_owned());
        assert_eq!(unmarked.left, [left], "{shell}");
        run("mount", &["-o", "remount,rw", text(&data)]);
        assert_eq!(unmark(&mut agent, &name, &[], SOON).await.unwrap().left, []);
    }
}

#[tokio::test]
async fn a_marker_stays_on_a_filesystem_that_is_frozen_and_nothing_was_written_to_it() {
    if !there_are_disks() {
        return;
    }
    for shell in SHELLS {
        let mut mounts = Mounts::new();
        let (data, frozen) = (mounts.disk("data", EXT4), mounts.disk("frozen", EXT4));
        let mut agent = LocalAgent::new(shell, mounts.folder());
        let name = MarkerName::new();
        assert_eq!(mark(&mut agent, &name, SOON).await.unwrap().markers.len(), 2, "{shell}");

        run("fsfreeze", &["-f", text(&frozen)]);
        let unmarked = unmark(&mut agent, &name, &[], SOON).await.unwrap();
        assert_eq!(unmarked.removed, [at(&data).0], "{shell}");
        assert_eq!(unmarked.left.len(), 1, "{shell}: {:?}", unmarked.left);
        run("fsfreeze", &["-u", text(&frozen)]);
        // The removal that waited has gone on.
        while frozen.join(name.as_str()).exists() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

#[tokio::test]
async fn a_filesystem_that_hangs_keeps_no_other_and_a_marker_that_comes_late_is_removed() {
    if !there_are_disks() {
        return;
    }
    for shell in SHELLS {
        let mut mounts = Mounts::new();
        let (data, frozen) = (mounts.disk("data", EXT4), mounts.disk("frozen", EXT4));
        let mut agent = LocalAgent::new(shell, mounts.folder());
        run("fsfreeze", &["-f", text(&frozen)]);

        let name = MarkerName::new();
        let marked = mark(&mut agent, &name, SOON).await.unwrap();
        assert_eq!(marked.markers.len(), 1, "{shell}");
        assert!(refusal(&marked, &frozen).contains("no answer in time"));
        assert_eq!(unmark(&mut agent, &name, &[], SOON).await.unwrap().left, []);
        assert!(!data.join(name.as_str()).exists());

        run("fsfreeze", &["-u", text(&frozen)]);
        // Whoever writes it has its name among the arguments.
        while try_run("pgrep", &["-f", name.as_str()]).status.success() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(!frozen.join(name.as_str()).exists(), "{shell}: nobody would remove it");
    }
}
