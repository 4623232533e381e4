//! One structure changed, one finding: and exactly that one.

use std::path::Path;

use fsprobe::{Finding, Severity, Verdict, ext4};
use stillpoint_tests::machine::program::run_for_code;

use crate::failing::Failing;
use crate::image::Made;
use crate::{check, code, codes};

const BLOCK: u64 = 1024;
const SUPERBLOCK: u64 = 1024;

fn flip(bytes: &mut [u8], offset: u64) {
    bytes[usize::try_from(offset).unwrap()] ^= 0x04;
}

/// The findings' codes after the byte at `offset` was changed.
fn codes_after(bytes: &[u8], offset: u64) -> Vec<&'static str> {
    let mut bytes = bytes.to_vec();
    flip(&mut bytes, offset);
    codes(&check(&bytes))
}

/// The first block of the journal: its superblock.
fn journal_block(bytes: &[u8], number: u64) -> u64 {
    let opened = ext4::open(&bytes).unwrap();
    let filesystem = opened.on_disk().unwrap();
    let journal = filesystem.inode(filesystem.superblock.s_journal_inum).unwrap();
    let runs = filesystem.runs(&journal, 100).unwrap();
    let run =
        runs.iter().find(|run| (run.logical_block..run.logical_block + run.length_blocks).contains(&number)).unwrap();
    (run.physical_block + number - run.logical_block) * BLOCK
}

fn be32(bytes: &[u8], offset: u64) -> u32 {
    let offset = usize::try_from(offset).unwrap();
    u32::from_be_bytes(bytes[offset..offset + 4].try_into().unwrap())
}

fn clean() -> Made {
    Made::mke2fs(32, &["-t", "ext4", "-b", "1024"])
}

/// A copy of a mounted filesystem: three transactions or more are in its journal only.
fn dirty(options: &[&str]) -> Vec<u8> {
    let made = Made::mke2fs(32, &[&["-t", "ext4", "-b", "1024"], options].concat());
    let mounted = made.mount("rw");
    for i in 0..4 {
        mounted.write_synced(&format!("f{i}"), &[i; 3000]);
    }
    made.bytes()
}

/// The journal blocks from `s_start` to the end of the log with their types.
fn log(bytes: &[u8]) -> Vec<(u64, u32)> {
    (1..1000)
        .map(|number| journal_block(bytes, number))
        .filter(|&offset| be32(bytes, offset) == 0xc03b_3998)
        .map(|offset| (offset, be32(bytes, offset + 4)))
        .collect()
}

#[test]
fn a_bad_primary_superblock_is_said_and_its_backup_used() {
    let bytes = clean().bytes();
    assert_eq!(codes_after(&bytes, SUPERBLOCK + 0x79), ["superblock-checksum", "superblock-backup-used"]);
    assert_eq!(codes_after(&bytes, SUPERBLOCK + 0x38), ["superblock-magic", "superblock-backup-used"]);
    let mut bytes = bytes;
    flip(&mut bytes, SUPERBLOCK + 0x79);
    assert_eq!(check(&bytes).verdict, Verdict::Damaged);
    assert!(check(&bytes).ext4.is_some());
}

#[test]
fn a_journal_is_replayed_although_the_backup_superblock_does_not_know_of_it() {
    let mut bytes = dirty(&[]);
    let whole = check(&bytes).ext4.unwrap();
    flip(&mut bytes, SUPERBLOCK + 0x79);
    let found = check(&bytes).ext4.unwrap();
    assert!(whole.replay_blocks > 0);
    assert_eq!(found.replay_blocks, whole.replay_blocks);
}

#[test]
fn a_filesystem_whose_start_was_overwritten_is_not_taken_for_an_empty_disk() {
    let mut bytes = clean().bytes();
    bytes[..1 << 20].fill(0);
    let report = fsprobe::check(&bytes, fsprobe::Depth::Default).unwrap();
    assert_eq!(report.verdict, Verdict::Unknown);
    assert_eq!(report.volumes[0].findings[0].code, "ext-superblock-lost");
    assert_eq!(codes(&check(&bytes))[..2], ["superblock-magic", "superblock-backup-used"]);
}

#[test]
fn a_bad_backup_superblock_is_a_warning() {
    let mut bytes = clean().bytes();
    flip(&mut bytes, 8193 * BLOCK + 0x79);
    let found = check(&bytes);
    assert_eq!((codes(&found), found.verdict), (vec!["superblock-backup-bad"], Verdict::Consistent));
}

#[test]
fn a_backup_superblock_of_another_filesystem_is_a_warning() {
    let (mut bytes, other) = (clean().bytes(), clean().bytes());
    let backup = usize::try_from(8193 * BLOCK).unwrap()..usize::try_from(8194 * BLOCK).unwrap();
    bytes[backup.clone()].copy_from_slice(&other[backup]);
    let found = check(&bytes);
    assert_eq!(codes(&found), ["superblock-backup-differs"]);
    assert_eq!(found.findings[0].detail, "it differs from the primary one in s_uuid");
}

#[test]
fn a_changed_group_descriptor_is_damage_by_either_checksum() {
    for options in ["metadata_csum", "^metadata_csum,uninit_bg"] {
        let bytes = Made::mke2fs(32, &["-t", "ext4", "-b", "1024", "-O", options]).bytes();
        for descriptor in [2 * BLOCK, 2 * BLOCK + 64] {
            assert_eq!(codes_after(&bytes, descriptor + 0xc), ["group-checksum"], "{options}");
        }
    }
}

#[test]
fn a_changed_journal_inode_or_superblock_is_damage() {
    let bytes = clean().bytes();
    let opened = ext4::open(&bytes).unwrap();
    let table = opened.filesystem().unwrap().group(0).unwrap().bg_inode_table;
    assert_eq!(codes_after(&bytes, table * BLOCK + 7 * 256 + 0x1c), ["inode-checksum"]);
    // mke2fs writes a journal without checksums, and the kernel turns them on.
    let bytes = dirty(&[]);
    let found = codes_after(&bytes, journal_block(&bytes, 0) + 0x30);
    assert_eq!(found, ["journal-superblock-checksum"]);
}

#[test]
fn a_map_of_blocks_that_leads_astray_is_damage() {
    // Without checksums, so that the map is followed; the journal's is the first to be.
    let codes_with = |options: &[&str], changes: &[(u64, u8)]| {
        let mut bytes = Made::mke2fs(32, &[&["-b", "1024"], options].concat()).bytes();
        let table = ext4::open(&bytes).unwrap().filesystem().unwrap().group(0).unwrap().bg_inode_table;
        for (offset, value) in changes {
            bytes[usize::try_from(table * BLOCK + 7 * 256 + 0x28 + offset).unwrap()] = *value;
        }
        codes(&check(&bytes))
    };
    for (change, code) in [
        ((0, 0), "extent-magic"),
        ((2, 5), "extent-entries"),
        ((6, 6), "extent-depth"),
        ((19, 0x7f), "extent-range"),
        ((12, 1), "journal-inode"),
    ] {
        assert_eq!(codes_with(&["-t", "ext4", "-O", "^metadata_csum", "-I", "256"], &[change]), [code]);
    }
    let empty = codes_with(&["-t", "ext4", "-O", "^metadata_csum", "-I", "256"], &[(16, 0), (17, 0)]);
    assert_eq!(empty, ["extent-order"]);
    let ext3 = ["-t", "ext3", "-I", "256"];
    assert_eq!(codes_with(&ext3, &[(3, 0x7f)]), ["block-map-range"]);
    assert_eq!(codes_with(&ext3, &[(13 * 4 + 3, 0x7f)]), ["block-map-range"]);
}

#[test]
fn a_changed_block_in_the_middle_of_the_log_is_damage() {
    let bytes = dirty(&[]);
    let log = log(&bytes);
    let offset = |kind| log.iter().find(|block| block.1 == kind).unwrap().0;
    let (descriptor, commit) = (offset(1), offset(2));
    assert_eq!(codes_after(&bytes, descriptor + 13)[0], "journal-transaction-checksum");
    assert_eq!(codes_after(&bytes, commit + 20)[0], "journal-transaction-checksum");
    assert_eq!(codes_after(&bytes, descriptor + BLOCK + 100)[0], "journal-block-checksum");
    let mut bytes = bytes;
    flip(&mut bytes, commit + 20);
    assert_eq!(check(&bytes).verdict, Verdict::Damaged);
}

#[test]
fn a_log_without_its_last_commit_block_ends_a_transaction_earlier() {
    let mut bytes = dirty(&[]);
    let whole = check(&bytes).ext4.unwrap();
    let last = log(&bytes).into_iter().filter(|block| block.1 == 2).map(|block| block.0).max().unwrap();
    bytes[usize::try_from(last).unwrap()..][..1024].fill(0);
    let cut = check(&bytes);
    assert_eq!((cut.verdict, codes(&cut)), (Verdict::Replay, vec!["journal-needs-replay"]));
    assert_eq!(cut.ext4.unwrap().replay_transactions + 1, whole.replay_transactions);
}

#[test]
fn a_copy_of_a_block_that_does_not_exist_is_damage() {
    let mut bytes = dirty(&["-O", "^metadata_csum,^64bit"]);
    let descriptor = log(&bytes).iter().find(|block| block.1 == 1).unwrap().0;
    bytes[usize::try_from(descriptor).unwrap() + 12] = 0x7f;
    assert!(codes(&check(&bytes)).contains(&"journal-tag-range"));
}

#[test]
fn a_journal_with_content_that_a_mount_would_discard_is_damage() {
    let bytes = dirty(&[]);
    let made = clean();
    std::fs::write(&made.path, &bytes).unwrap();
    made.debugfs("feature -needs_recovery");
    assert_eq!(codes(&check(&made.open())), ["journal-not-empty"]);
}

#[test]
fn an_aborted_journal_is_damage() {
    let bytes = Made::mke2fs(32, &["-t", "ext4", "-b", "1024", "-O", "^metadata_csum"]).bytes();
    assert_eq!(codes_after(&bytes, journal_block(&bytes, 0) + 0x23), ["journal-aborted"]);
}

#[test]
fn a_recovery_without_a_journal_is_damage() {
    let made = Made::mke2fs(16, &["-t", "ext2"]);
    made.debugfs("feature needs_recovery");
    assert_eq!(codes(&check(&made.open())), ["recovery-without-journal"]);
}

#[test]
fn a_journal_on_another_device_is_said() {
    let made = clean();
    made.debugfs("ssv journal_inum 0");
    made.debugfs("ssv journal_dev 0x801");
    let found = check(&made.open());
    assert_eq!((codes(&found), found.verdict), (vec!["journal-external"], Verdict::Consistent));
    made.debugfs("feature needs_recovery");
    assert_eq!(check(&made.open()).verdict, Verdict::Unknown);
}

#[test]
fn a_journal_in_two_places_or_in_none_is_damage() {
    for (request, code) in
        [("ssv journal_dev 0x801", "journal-in-two-places"), ("ssv journal_inum 0", "journal-nowhere")]
    {
        let made = clean();
        made.debugfs(request);
        assert_eq!(codes(&check(&made.open())), [code]);
        // e2fsck takes the first for sound; the kernel takes neither.
        assert!(!made.is_mounted_with("ro"));
    }
}

#[test]
fn a_default_hash_that_there_is_not_is_damage() {
    let made = Made::mke2fs(32, &["-t", "ext4", "-b", "1024", "-O", "^metadata_csum"]);
    let mut bytes = made.bytes();
    bytes[1024 + 0xfc] = 7;
    let found = check(&bytes);
    assert_eq!((codes(&found), found.verdict), (vec!["superblock-hash-version"], Verdict::Damaged));
}

#[test]
fn more_blocks_for_root_than_there_are_is_damage() {
    let made = Made::mke2fs(32, &["-t", "ext4", "-b", "1024", "-O", "^metadata_csum"]);
    let with = |blocks: u32| {
        let mut bytes = made.bytes();
        bytes[1024 + 8..1024 + 12].copy_from_slice(&blocks.to_le_bytes());
        check(&bytes)
    };
    for (blocks, expected, verdict) in [
        (16_384, &[][..], Verdict::Consistent),
        (16_385, &["superblock-reserved-blocks"], Verdict::Consistent),
        (32_769, &["superblock-reserved-blocks"], Verdict::Damaged),
    ] {
        let found = with(blocks);
        assert_eq!((codes(&found), found.verdict), (expected.to_vec(), verdict), "{blocks}");
    }
}

#[test]
fn an_unknown_feature_is_said_and_nothing_is_guessed() {
    let made = Made::mke2fs(16, &["-t", "ext4", "-O", "^metadata_csum,^uninit_bg"]);
    let mut bytes = made.bytes();
    bytes[1024 + 0x63] |= 0x40;
    let found = check(&bytes);
    assert_eq!((codes(&found), found.verdict), (vec!["unknown-incompat-feature"], Verdict::Unknown));
    assert!(found.findings[0].detail.contains("0x40000000"), "{}", found.findings[0].detail);
    assert_eq!(ext4::allocated(&bytes).unwrap(), [fsprobe::Extent::new(0, 16 << 20)]);
}

#[test]
fn recorded_errors_are_reported_with_function_and_time() {
    let made = clean();
    made.debugfs("ssv error_count 3");
    for request in ["func ext4_lookup", "line 1862", "time 20260102030405"] {
        made.debugfs(&format!("ssv first_error_{request}"));
    }
    made.debugfs("ssv state 3");
    let found = check(&made.open());
    assert_eq!((codes(&found), found.verdict), (vec!["errors-recorded"], Verdict::Damaged));
    let said = "the first unknown error at 2026-01-02T03:04:05Z in ext4_lookup:1862";
    assert!(found.findings[0].detail.contains(said), "{}", found.findings[0].detail);
    assert_eq!(found.ext4.unwrap().errors_recorded, 3);
}

#[test]
fn a_broken_orphan_chain_is_damage() {
    let made = Made::mke2fs(32, &["-t", "ext4", "-b", "1024", "-O", "^metadata_csum"]);
    let source = Path::new(file!()).file_name().unwrap().to_str().unwrap();
    let content = made.dir.path().join(source);
    std::fs::write(&content, "content").unwrap();
    made.debugfs(&format!("write {} a", content.display()));
    made.debugfs(&format!("write {} b", content.display()));
    let orphan = |requests: &[&str]| {
        let made = made.copy();
        requests.iter().for_each(|request| drop(made.debugfs(request)));
        codes(&check(&made.open()))
    };
    let chain =
        |next: &str| orphan(&["ssv last_orphan 12", &format!("sif <12> dtime {next}"), "sif <12> links_count 0"]);
    assert_eq!(chain("0"), [""; 0]);
    assert_eq!(chain("13"), [""; 0]);
    assert_eq!(chain("12"), ["orphan-loop"]);
    assert_eq!(chain("7"), ["orphan-range"]);
    assert_eq!(chain("999999"), ["orphan-range"]);
    assert_eq!(chain("20"), ["orphan-mode"]);
    assert_eq!(orphan(&["ssv last_orphan 12", "sif <12> mode 010644"]), ["orphan-links"]);
    assert_eq!(orphan(&["ssv last_orphan 12", "freei <12>"]), ["orphan-not-in-use"]);
}

#[test]
fn a_broken_orphan_file_is_damage() {
    let bytes = Made::mke2fs(32, &["-t", "ext4", "-b", "1024", "-O", "orphan_file"]).bytes();
    let opened = ext4::open(&bytes).unwrap();
    let filesystem = opened.filesystem().unwrap();
    let file = filesystem.inode(filesystem.superblock.s_orphan_file_inum).unwrap();
    let block = filesystem.runs(&file, 100).unwrap()[0].physical_block * BLOCK;
    assert_eq!(codes_after(&bytes, block + 8), ["orphan-file-checksum"]);
    assert_eq!(codes_after(&bytes, block + BLOCK - 8), ["orphan-file-magic"]);
}

#[test]
fn a_truncated_image_is_damage() {
    let made = clean();
    let mut bytes = made.bytes();
    bytes.truncate(20 << 20);
    let found = check(&bytes);
    assert_eq!(found.verdict, Verdict::Damaged);
    assert_eq!(found.findings[0].code, "volume-truncated");
    assert_eq!(ext4::allocated(&bytes).unwrap(), [fsprobe::Extent::new(0, 20 << 20)]);
    for size in [4096, 2048, 2047, 1500, 1024, 1, 0] {
        bytes.resize(size, 0);
        let found: Vec<Finding> = check(&bytes).findings;
        assert!(found.iter().any(|finding| finding.severity == Severity::Damage), "{size} bytes");
    }
}

#[test]
fn a_medium_that_fails_is_damage_with_the_place() {
    let bytes = dirty(&[]);
    for (from_byte, structure) in [(1024, "superblock"), (2048, "group"), (4096, "inode 8")] {
        let failing = Failing { image: &bytes, from_byte };
        let found = check(&failing);
        assert_eq!((found.verdict, codes(&found)), (Verdict::Damaged, vec!["unreadable"]));
        let Finding { place, detail, .. } = &found.findings[0];
        assert!(place.contains(structure) && place.contains(" at byte "), "{place}");
        assert!(detail.contains("os error 5"), "{detail}");
        assert!(ext4::allocated(&failing).is_err());
    }
}

/// A filesystem with an MMP block, and where that is.
fn with_mmp(options: &[&str]) -> (Made, u64) {
    let made = Made::mke2fs(16, &[&["-t", "ext4", "-b", "1024"], options].concat());
    let shown = made.debugfs("dump_mmp");
    let block = shown.lines().find_map(|line| line.strip_prefix("block_number: ")).unwrap();
    let offset = block.parse::<u64>().unwrap() * BLOCK;
    (made, offset)
}

#[test]
fn who_has_a_filesystem_mounted_is_said() {
    let (made, mmp) = with_mmp(&["-O", "mmp,^metadata_csum"]);
    let mmp = usize::try_from(mmp).unwrap();
    let found_with = |sequence: u32| {
        let mut bytes = made.bytes();
        bytes[mmp + 4..][..4].copy_from_slice(&sequence.to_le_bytes());
        bytes[mmp + 8..][..8].copy_from_slice(&1_700_000_000_u64.to_le_bytes());
        bytes[mmp + 0x10..][..9].copy_from_slice(b"db\x1b[host\0");
        bytes[mmp + 0x50..][..5].copy_from_slice(b"vdb1\0");
        check(&bytes)
    };
    assert_eq!(codes(&found_with(0xff4d_4d50)), [""; 0]);
    let by = "on the machine db\\u{1b}[host, as vdb1, at 2023-11-14T22:13:20Z";
    for (sequence, verdict, code) in
        [(0x1234, Verdict::Consistent, "mmp-in-use"), (0xe24d_4d50, Verdict::Unknown, "mmp-fsck")]
    {
        let found = found_with(sequence);
        assert_eq!((found.verdict, codes(&found)), (verdict, vec![code]));
        assert!(found.findings[0].detail.contains(by), "{:?}", found.findings[0]);
    }
}

#[test]
fn an_mmp_block_that_does_not_verify_is_damage_as_e2fsck_says() {
    let (made, mmp) = with_mmp(&["-O", "mmp"]);
    for (offset, code) in [(0, "mmp-magic"), (0x20, "mmp-checksum"), (0x3fd, "mmp-checksum")] {
        let mut bytes = made.bytes();
        flip(&mut bytes, mmp + offset);
        let found = check(&bytes);
        assert_eq!((found.verdict, codes(&found)), (Verdict::Damaged, vec![code]), "byte {offset:#x}");
        let changed = made.dir.path().join("changed");
        std::fs::write(&changed, bytes).unwrap();
        run_for_code("e2fsck", &["-fn", changed.to_str().unwrap()], &[4, 12]);
    }
    made.debugfs("ssv mmp_block 999999");
    assert_eq!(codes(&check(&made.open())), ["mmp-range"]);
}

#[test]
fn a_journal_and_its_filesystem_on_two_devices_are_each_judged_as_far_as_that_goes() {
    for block_size in ["1024", "4096"] {
        let made =
            Made::mke2fs(16, &["-O", "journal_dev", "-b", block_size, "-U", "11111111-2222-3333-4444-555555555555"]);
        // What mke2fs -J device= writes, which wants a block device: the filesystem's UUID as the first user.
        let filesystem = Made::mke2fs(16, &["-t", "ext4", "-b", block_size]);
        filesystem.debugfs("ssv journal_inum 0");
        filesystem.debugfs("ssv journal_uuid 11111111-2222-3333-4444-555555555555");
        let mut bytes = made.bytes();
        let journal = if block_size == "1024" { 2048 } else { 4096 };
        assert_eq!(be32(&bytes, journal), 0xc03b_3998);
        let journal = usize::try_from(journal).unwrap();
        bytes[journal + 0x43] = 1;
        bytes[journal + 0x100..][..16].fill(0xab);
        let judged = |bytes: &Vec<u8>| {
            let report = fsprobe::check(bytes, fsprobe::Depth::Deep).unwrap();
            let [volume] = report.volumes.as_slice() else { panic!("{report:#?}") };
            assert_eq!((volume.kind, volume.verdict), (fsprobe::Kind::ExtJournal, report.verdict));
            let [finding] = volume.findings.as_slice() else { panic!("{report:#?}") };
            assert!(finding.detail.contains("UUID abababab-abab-abab-abab-abababababab"), "{finding:?}");
            (report.verdict, code(finding))
        };
        assert_eq!(judged(&bytes), (Verdict::Consistent, "journal-device"));
        bytes[journal + 0x1f] = 7;
        assert_eq!(judged(&bytes), (Verdict::Replay, "journal-device"));

        let found = check(&filesystem.open());
        assert_eq!((found.verdict, codes(&found)), (Verdict::Consistent, vec!["journal-external"]));
        filesystem.debugfs("feature needs_recovery");
        let found = crate::deep::deep(&filesystem.open());
        assert_eq!((found.verdict, codes(&found)), (Verdict::Unknown, vec!["journal-external", "deep-not-judged"]));
        assert!(found.findings[0].detail.contains("11111111-2222-3333-4444-555555555555"), "{:?}", found.findings[0]);
    }
}
