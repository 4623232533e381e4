//! What a copy of a mounted filesystem proves, frozen and not.

use std::fs::File;

use fsprobe::{Liveness, Verdict, layout};

use crate::image::Made;
use crate::{FLAVOURS, check, codes};

#[test]
fn a_fresh_filesystem_of_any_flavour_is_consistent() {
    for flavour in FLAVOURS {
        let made = Made::mke2fs(64, flavour);
        let check = check(&made.open());
        assert_eq!(check.verdict, Verdict::Consistent, "{flavour:?}: {:#?}", check.findings);
        assert_eq!(codes(&check), [""; 0], "{flavour:?}");
    }
}

#[test]
fn a_copy_taken_unfrozen_needs_a_replay_and_one_taken_frozen_needs_none() {
    for options in
        [["-t", "ext4", "-O", "^orphan_file"], ["-t", "ext4", "-O", "orphan_file"], ["-t", "ext3", "-O", "large_file"]]
    {
        let made = Made::mke2fs(64, &options);
        let mounted = made.mount("rw");
        mounted.write_synced("a", b"content");
        let held: Vec<File> = (0..3)
            .map(|i| {
                let name = format!("deleted-{i}");
                mounted.write_synced(&name, &[7; 10_000]);
                let path = mounted.point.join(name);
                let file = File::open(&path).unwrap();
                std::fs::remove_file(path).unwrap();
                file
            })
            .collect();
        mounted.write_synced("b", b"content");
        let live = check(&made.copy().open());
        assert_eq!(live.verdict, Verdict::Replay, "{options:?}: {:#?}", live.findings);
        assert_eq!(codes(&live), ["journal-needs-replay"], "{options:?}");
        let summary = live.ext4.unwrap();
        assert!(summary.needs_recovery && summary.journal_start > 0 && summary.replay_transactions > 0);
        assert!(summary.replay_blocks > 0);
        assert_eq!(summary.orphans, 3, "{options:?}");

        mounted.freeze();
        let frozen = check(&made.copy().open());
        assert_eq!(frozen.verdict, Verdict::Consistent, "{options:?}: {:#?}", frozen.findings);
        let summary = frozen.ext4.unwrap();
        assert_eq!((summary.needs_recovery, summary.journal_start, summary.orphans), (false, 0, 3));
        assert_eq!((summary.replay_transactions, summary.replay_blocks), (0, 0));
        // Closing a deleted file on a frozen filesystem would wait for the thaw.
        mounted.thaw();
        drop(held);
    }
}

#[test]
fn a_mounted_ext2_cannot_be_judged() {
    let made = Made::mke2fs(16, &["-t", "ext2"]);
    let mounted = made.mount("rw");
    mounted.write_synced("a", b"content");
    let live = check(&made.copy().open());
    assert_eq!((live.verdict, codes(&live)), (Verdict::Unknown, vec!["not-cleanly-unmounted"]));
    drop(mounted);
    assert_eq!(check(&made.open()).verdict, Verdict::Consistent);
}

#[test]
fn an_ext_with_a_journal_shows_at_once_that_it_is_live_frozen_thawed_and_unmounted() {
    for options in [["-t", "ext4", "-O", "orphan_file"], ["-t", "ext3", "-O", "large_file"]] {
        let made = Made::mke2fs(64, &options);
        let shown = || layout(&made.open()).unwrap().volumes[0].liveness(&made.open()).unwrap();
        assert_eq!(shown(), Liveness::Still, "{options:?}: made");
        let mounted = made.mount("rw");
        assert_eq!(shown(), Liveness::Live, "{options:?}: mounted, and nothing written");
        for round in 0..3 {
            mounted.freeze();
            assert_eq!(shown(), Liveness::Still, "{options:?}: frozen, round {round}");
            mounted.thaw();
            assert_eq!(shown(), Liveness::Live, "{options:?}: thawed, round {round}, and nothing written");
        }
        drop(mounted);
        assert_eq!(shown(), Liveness::Still, "{options:?}: unmounted");
        let mounted = made.mount("ro");
        assert_eq!(shown(), Liveness::Still, "{options:?}: mounted read-only");
        drop(mounted);
    }
}

#[test]
fn an_ext_without_a_journal_tells_nothing_of_a_freeze() {
    for options in [&["-t", "ext2"][..], &["-t", "ext4", "-O", "^has_journal"]] {
        let made = Made::mke2fs(16, options);
        let volume = layout(&made.open()).unwrap().volumes.remove(0);
        assert!(matches!(volume.liveness(&made.open()).unwrap(), Liveness::Untold(_)), "{options:?}");
    }
}
