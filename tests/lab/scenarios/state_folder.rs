//! A state folder that is no use in the middle of the window keeps nobody waiting.

use std::path::{Path, PathBuf};

use stillpoint_tests::lab::guest::{Guest, until};
use stillpoint_tests::lab::scenario::scenario;
use stillpoint_tests::lab::stillpoint::{Ended, Run};
use stillpoint_tests::lab::volume;
use stillpoint_tests::machine::program::{run, try_run};
use tempfile::TempDir;

/// An ext4 of its own, in a file.
struct Disk {
    folder: TempDir,
}

impl Disk {
    fn mounted() -> Self {
        let folder = TempDir::new_in("/run/share").unwrap();
        let image = folder.path().join("image");
        std::fs::File::create(&image).unwrap().set_len(8 << 20).unwrap();
        run("mke2fs", &["-q", "-F", "-t", "ext4", "-m", "0", text(&image)]);
        let disk = Self { folder };
        std::fs::create_dir(disk.mountpoint()).unwrap();
        run("mount", &["-o", "loop", text(&image), text(&disk.mountpoint())]);
        disk
    }

    fn mountpoint(&self) -> PathBuf {
        self.folder.path().join("mnt")
    }

    /// Whoever writes to it waits, until `thaw`.
    fn freeze(&self) {
        run("fsfreeze", &["-f", text(&self.mountpoint())]);
    }

    fn thaw(&self) {
        try_run("fsfreeze", &["-u", text(&self.mountpoint())]);
    }

    /// There is no room for another byte.
    fn fill(&self) {
        try_run("dd", &["if=/dev/zero", &format!("of={}", text(&self.mountpoint().join("filler"))), "bs=4k"]);
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.thaw();
        // The guardian looks after a run whose log has no last line, and has it open.
        until("nobody has a file open there", || try_run("umount", &[text(&self.mountpoint())]).status.success());
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Does `act` to the state folder when all that is to come is in the log, and before anything of the window is done. The run ends as if
/// nothing were.
fn in_the_window(act: impl FnOnce(&Disk), after: impl FnOnce(&Guest, &Disk)) {
    scenario(|guest| {
        let disk = Disk::mounted();
        let mut run = Run::backup_of_all().with(&["--cow-size", "200M"]).with_state(&disk.mountpoint());
        guest.start_ticks(20);
        let child = run.start();
        until("the run is about to lock", || run.steps().contains(&("lock".to_owned(), "intent".to_owned())));
        act(&disk);
        after(guest, &disk);
        Ended::of(child).with_code(0);
        assert_eq!(run.receipt()["grade"], "application", "{:#}", run.receipt());
    });
}

#[test]
fn a_state_folder_that_hangs_in_the_window_keeps_neither_guest_nor_database() {
    let commits_go_on = |guest: &Guest, disk: &Disk| {
        until("the snapshots are there", || volume::attached_snapshots() == 2);
        guest.wait_for_ticks(5);
        disk.thaw();
    };
    in_the_window(Disk::freeze, commits_go_on);
}

#[test]
fn a_state_folder_that_fills_up_in_the_window_costs_no_backup() {
    in_the_window(Disk::fill, |_, _| ());
}
