//! One structure of a sound filesystem changed: what the deep check calls it, and that e2fsck finds it too.

use std::fs;

use fsprobe::{Severity, Verdict, ext4};
use stillpoint_tests::machine::program::{run, run_for_code};

use crate::code;
use crate::deep::deep;
use crate::failing::Failing;
use crate::image::Made;

/// Two files of 20 blocks, a sparse one, and two directories, one inside the other.
fn sound(options: &[&str]) -> Made {
    let tree = tempfile::tempdir().unwrap();
    let root = tree.path();
    fs::create_dir_all(root.join("dir/inner")).unwrap();
    for name in ["a", "b", "dir/c", "dir/inner/d"] {
        fs::write(root.join(name), vec![7; 20_000]).unwrap();
    }
    fs::hard_link(root.join("a"), root.join("dir/hard")).unwrap();
    std::os::unix::fs::symlink("somewhere", root.join("fast")).unwrap();
    let sparse = fs::File::create(root.join("sparse")).unwrap();
    for piece in 0..200 {
        std::os::unix::fs::FileExt::write_at(&sparse, b"piece", piece * 5000).unwrap();
    }
    fs::create_dir(root.join("indexed")).unwrap();
    for i in 0..300 {
        fs::write(root.join(format!("indexed/{i}-{}", "n".repeat(60))), b"").unwrap();
    }
    // With a seed of its own, names would be in other blocks of an index each time.
    let seed = "hash_seed=6d0c5b7e-2a55-4a6f-9c0e-0d6b8a1f3e42";
    let common = ["-b", "1024", "-E", seed, "-d", root.to_str().unwrap()];
    let made = Made::mke2fs(16, &[&common, options].concat());
    // mke2fs copies files into directories without an index; e2fsck makes one.
    run_for_code("e2fsck", &["-fyD", made.path.to_str().unwrap()], &[0, 1]);
    let found = deep(&made.open());
    assert_eq!((found.verdict, found.findings.len()), (Verdict::Consistent, 0), "{:#?}", found.findings);
    made
}

/// The codes that are found after `requests`, each once, in order; e2fsck has to find something as well.
fn codes_after(made: &Made, requests: &[&str]) -> Vec<&'static str> {
    let changed = made.copy();
    let script = changed.dir.path().join("script");
    fs::write(&script, requests.join("\n")).unwrap();
    run("debugfs", &["-w", "-f", script.to_str().unwrap(), changed.path.to_str().unwrap()]);
    judged(&changed, &format!("{requests:?}"))
}

fn judged(changed: &Made, what: &str) -> Vec<&'static str> {
    let found = deep(&changed.open());
    let said = run_for_code("e2fsck", &["-fn", changed.path.to_str().unwrap()], &[0, 4, 8, 12]);
    let is_sound = said.status.code() == Some(0);
    assert!(!is_sound, "{what}: e2fsck finds nothing, but {:#?}", found.findings);
    assert_eq!(found.verdict, Verdict::Damaged, "{what}: e2fsck says {}", String::from_utf8_lossy(&said.stdout));
    let mut codes: Vec<&str> = found.findings.iter().filter(|it| it.severity == Severity::Damage).map(code).collect();
    codes.dedup();
    codes
}

fn sound_ext4() -> Made {
    sound(&["-t", "ext4"])
}

/// The inode that `file` is.
fn number_of(made: &Made, file: &str) -> u64 {
    made.debugfs(&format!("stat {file}")).split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// The block that file block `number` of `file` is.
fn block_of(made: &Made, file: &str, number: u64) -> u64 {
    made.debugfs(&format!("bmap {file} {number}")).trim().parse().unwrap()
}

/// The same after one byte was set.
fn codes_after_byte(made: &Made, offset: u64, value: u8) -> Vec<&'static str> {
    codes_after_bytes(made, offset, &[value])
}

fn codes_after_bytes(made: &Made, offset: u64, bytes: &[u8]) -> Vec<&'static str> {
    let changed = made.copy();
    let file = fs::OpenOptions::new().write(true).open(&changed.path).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, bytes, offset).unwrap();
    judged(&changed, &format!("byte {offset}"))
}

/// The same after all bits of one byte were turned round.
fn codes_after_flip(made: &Made, offset: u64) -> Vec<&'static str> {
    codes_after_byte(made, offset, !made.bytes()[offset as usize])
}

/// Requests to debugfs, and the codes that they lead to.
type Case<'c> = (&'c [&'c str], &'c [&'static str]);

fn assert_all(made: &Made, cases: &[Case<'_>]) {
    for (requests, codes) in cases {
        assert_eq!(codes_after(made, requests), *codes, "{requests:?}");
    }
}

#[test]
fn a_changed_inode_is_damage() {
    let made = sound_ext4();
    let (a, b) = (number_of(&made, "a"), number_of(&made, "b"));
    assert_all(
        &made,
        &[
            (&["sif a mode 0"], &["inode-mode"]),
            (&["sif a mode 0160644"], &["inode-mode"]),
            (
                &["sif a mode 060644"],
                &["inode-blocks", "inode-size", "directory-file-type", "block-bitmap-used", "group-free-blocks"],
            ),
            (&["sif a dtime 5"], &["inode-dtime"]),
            (&["sif a size 0x7fffffffffff"], &["inode-size"]),
            (&["sif a size 100"], &["inode-size"]),
            (&["sif dir size 4096"], &["inode-size"]),
            (&["sif dir size 100"], &["inode-size"]),
            (&["sif a blocks 4"], &["inode-blocks"]),
            (&["sif a extra_isize 3"], &["inode-extra-isize"]),
            (&["sif a file_acl 99999"], &["xattr-range"]),
            (&["sif fast size 4"], &["symlink"]),
            (&["sif fast size 0"], &["symlink"]),
            (&["feature encrypt", "sif a flags 0x80800"], &["encryption-context"]),
            (&["rm b", &format!("sif <{b}> dtime 0")], &["inode-no-dtime"]),
        ],
    );
    let table = ext4::open(&made.open()).unwrap().filesystem().unwrap().group(0).unwrap().bg_inode_table;
    assert_eq!(codes_after_flip(&made, table * 1024 + (a - 1) * 256 + 8), ["inode-checksum"]);
}

#[test]
fn a_bitmap_that_is_not_what_is_in_use_is_damage() {
    let made = sound_ext4();
    let b = block_of(&made, "b", 0);
    assert_all(
        &made,
        &[
            (&["freei b"], &["inode-bitmap-free"]),
            (&["seti <500>"], &["inode-bitmap-used"]),
            (&[&format!("freeb {b}")], &["block-bitmap-free"]),
            (&["setb 15000"], &["block-bitmap-used"]),
        ],
    );
}

#[test]
fn a_counter_that_is_not_what_is_in_use_is_damage() {
    assert_all(
        &sound_ext4(),
        &[
            (&["set_bg 1 free_blocks_count 5", "set_bg 1 checksum calc"], &["group-free-blocks"]),
            (&["set_bg 1 free_inodes_count 5", "set_bg 1 checksum calc"], &["group-free-inodes"]),
            (&["set_bg 0 used_dirs_count 9", "set_bg 0 checksum calc"], &["group-used-dirs"]),
        ],
    );
}

#[test]
fn a_total_that_a_mount_sums_up_anew_is_a_note() {
    for (request, code) in
        [("ssv free_blocks_count 5", "superblock-free-blocks"), ("ssv free_inodes_count 5", "superblock-free-inodes")]
    {
        let made = sound_ext4();
        made.debugfs(request);
        let found = deep(&made.open());
        assert_eq!((found.verdict, crate::codes(&found)), (Verdict::Consistent, vec![code]));
        run("e2fsck", &["-fn", made.path.to_str().unwrap()]);
    }
}

#[test]
fn names_and_links_that_do_not_match_are_damage() {
    assert_all(
        &sound_ext4(),
        &[
            (&["unlink b"], &["inode-unconnected"]),
            (&["unlink dir/hard"], &["link-count"]),
            (&["unlink dir/inner"], &["inode-unconnected"]),
            (&["ln a second"], &["link-count"]),
            (&["ln dir second"], &["directory-linked-twice", "link-count"]),
            (&["sif a links_count 7"], &["link-count"]),
            (&["sif dir links_count 7"], &["link-count"]),
            (
                &["clri b"],
                &[
                    "directory-inode-free",
                    "block-bitmap-used",
                    "group-free-blocks",
                    "inode-bitmap-used",
                    "group-free-inodes",
                ],
            ),
        ],
    );
}

#[test]
fn a_block_map_that_leads_astray_is_damage() {
    let made = sound(&["-t", "ext3"]);
    let b = block_of(&made, "b", 0);
    assert_all(
        &made,
        &[
            (&[&format!("sif a block[1] {b}")], &["block-claimed-twice"]),
            (&["sif a block[1] 2"], &["block-claimed-twice"]),
            (&["sif a block[1] 99999"], &["block-map-range"]),
            (&["sif a block[1] 0"], &["inode-blocks", "block-bitmap-used", "group-free-blocks"]),
            (&["sif a size 100"], &["inode-size"]),
            (&["feature -dir_index"], &["htree-unannounced"]),
            (&["feature -filetype"], &["directory-file-type"]),
        ],
    );
}

#[test]
fn a_directory_block_that_is_not_well_formed_is_damage() {
    let checked = sound_ext4();
    let block = block_of(&checked, "dir", 0) * 1024;
    assert_eq!(codes_after_byte(&checked, block + 12 + 8, b'x'), ["directory-checksum"]);
    assert_eq!(codes_after_byte(&checked, block + 1024 - 5, 0), ["directory-checksum"]);
    // Without checksums, what is changed is believed. The third entry is at byte 24.
    let made = sound(&["-t", "ext3"]);
    let block = block_of(&made, "dir", 0) * 1024;
    let third = block + 24;
    for (offset, value, code) in [
        (block, 99, "directory-dot"),
        (block + 12 + 8, b'x', "directory-dot-dot"),
        (third + 4, 8, "directory-entry"),
        (third + 4, 13, "directory-entry"),
        (third + 6, 200, "directory-entry"),
        (third + 5, 0x7f, "directory-entry"),
        (third + 8, b'/', "directory-name"),
        (third + 7, 3, "directory-file-type"),
        // What it named before is then missed as well.
        (third + 3, 0x7f, "directory-inode-range"),
        (third, 8, "directory-inode-range"),
    ] {
        assert_eq!(codes_after_byte(&made, offset, value)[0], code, "byte {} = {value}", offset - block);
    }
}

#[test]
fn an_index_that_does_not_match_its_directory_is_damage() {
    let checked = sound_ext4();
    let root = block_of(&checked, "indexed", 0) * 1024;
    assert_eq!(codes_after_flip(&checked, root + 0x28), ["htree-checksum"]);
    let made = sound(&["-t", "ext3"]);
    let root = block_of(&made, "indexed", 0) * 1024;
    for (offset, value, codes) in [
        (0x1c, 9, "htree-root"),
        (0x1d, 4, "htree-root"),
        (0x1e, 3, "htree-root"),
        (0x20, 9, "htree-limit"),
        (0x22, 0xff, "htree-limit"),
        (0x22, 2, "htree-block"),
        (0x24, 99, "htree-block"),
        (0x2c, 1, "htree-block"),
        (0x2b, 0xff, "htree-order"),
    ] {
        assert_eq!(codes_after_byte(&made, root + offset, value), [codes], "byte {offset:#x} = {value}");
    }
    let names = block_of(&made, "indexed", 1) * 1024;
    assert_eq!(codes_after_byte(&made, names + 8, b'z'), ["htree-hash"]);
}

#[test]
fn an_extent_tree_that_leads_astray_is_damage() {
    let made = sound_ext4();
    let node: u64 = {
        let image = made.open();
        let opened = ext4::open(&image).unwrap();
        let filesystem = opened.filesystem().unwrap();
        let inode = filesystem.inode(number_of(&made, "sparse") as u32).unwrap();
        let mut nodes = Vec::new();
        let mut note = |piece| {
            if let ext4::Piece::Map(block) = piece {
                nodes.push(block);
            }
            Ok(())
        };
        filesystem.walk_blocks(&inode, &mut note).unwrap();
        *nodes.first().expect("the sparse file has a tree of extents")
    };
    assert_eq!(codes_after_flip(&made, node * 1024 + 20), ["extent-checksum"]);
    let unchecked = sound(&["-t", "ext4", "-O", "^metadata_csum,^uninit_bg"]);
    let sparse = number_of(&unchecked, "sparse");
    let table = ext4::open(&unchecked.open()).unwrap().filesystem().unwrap().group(0).unwrap().bg_inode_table;
    let ei_block = table * 1024 + (sparse - 1) * 256 + 0x28 + 2 * 12;
    let start = unchecked.bytes()[ei_block as usize];
    assert_eq!(codes_after_byte(&unchecked, ei_block, start - 1), ["extent-order"]);
    let b = block_of(&unchecked, "b", 0);
    let number = number_of(&unchecked, "a");
    let ee_start_lo = table * 1024 + (number - 1) * 256 + 0x28 + 12 + 8;
    assert_eq!(codes_after_bytes(&unchecked, ee_start_lo, &(b as u32).to_le_bytes()), ["block-claimed-twice"]);
}

#[test]
fn attributes_that_are_not_well_formed_are_damage() {
    let made = sound_ext4();
    made.debugfs(&format!("ea_set a user.large {}", "v".repeat(500)));
    made.debugfs("ea_set b user.small value");
    let found = deep(&made.open());
    assert_eq!(found.verdict, Verdict::Consistent, "{:#?}", found.findings);
    let block = {
        let image = made.open();
        ext4::open(&image).unwrap().filesystem().unwrap().inode(number_of(&made, "a") as u32).unwrap().i_file_acl
    };
    assert_eq!(codes_after_flip(&made, block * 1024 + 1000), ["xattr-checksum"]);
    assert_eq!(codes_after_flip(&made, block * 1024), ["xattr-header"]);
    assert_eq!(codes_after(&made, &[&format!("sif b file_acl {block}"), "sif b blocks 42"]), ["block-claimed-twice"]);
}

#[test]
fn an_attribute_in_an_inode_of_its_own_that_is_not_used_as_often_as_it_says_is_damage() {
    let made = sound(&["-t", "ext4", "-O", "ea_inode,^metadata_csum,^uninit_bg", "-I", "256"]);
    let value = made.dir.path().join("value");
    fs::write(&value, [b'v'; 5000]).unwrap();
    made.debugfs(&format!("ea_set -f {} a user.large", value.display()));
    // debugfs does not charge the file for it.
    run_for_code("e2fsck", &["-fy", made.path.to_str().unwrap()], &[1]);
    let found = deep(&made.open());
    assert_eq!(found.verdict, Verdict::Consistent, "{:#?}", found.findings);
    let i_version = {
        let image = made.open();
        let opened = ext4::open(&image).unwrap();
        let filesystem = opened.filesystem().unwrap();
        let inodes = (1..=filesystem.superblock.s_inodes_count).map(|number| filesystem.inode(number).unwrap());
        let number = u64::from(inodes.filter(ext4::Inode::is_ea_inode).map(|inode| inode.number).next().unwrap());
        filesystem.group(0).unwrap().bg_inode_table * 1024 + (number - 1) * 256 + 0x24
    };
    assert_eq!(codes_after_byte(&made, i_version, 3), ["xattr-inode"]);
}

#[test]
fn a_block_that_is_claimed_twice_is_said_with_both_inodes_as_e2fsck_names_them() {
    for options in [&["-t", "ext3"][..], &["-t", "ext2", "-I", "128"]] {
        let made = sound(options);
        let (a, b, c) = (number_of(&made, "a"), number_of(&made, "b"), number_of(&made, "dir/c"));
        let (of_a, of_b) = (block_of(&made, "a", 0), block_of(&made, "b", 0));
        for request in [format!("sif dir/c block[2] {of_a}"), format!("sif a block[3] {of_b}")] {
            made.debugfs(&request);
        }
        let said = run_for_code("e2fsck", &["-fn", made.path.to_str().unwrap()], &[4]);
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        let claimed = |inode, block| said.contains(&format!("Multiply-claimed block(s) in inode {inode}: {block}"));
        assert!(claimed(a, format!("{of_b} {of_a}")) || claimed(a, format!("{of_a} {of_b}")), "{said}");
        assert!(claimed(b, of_b.to_string()) && claimed(c, of_a.to_string()), "{said}");
        let found = deep(&made.open()).findings;
        let twice = found.iter().filter(|it| it.code == "block-claimed-twice");
        let mut told: Vec<_> = twice.map(|it| (it.place.clone(), it.detail.clone())).collect();
        told.sort();
        let (first, second) = if a < b { (a, b) } else { (b, a) };
        let mut expected = [
            (format!("inode {second}"), format!("block {of_b} is claimed by inode {first}, too")),
            (format!("inode {}", a.max(c)), format!("block {of_a} is claimed by inode {}, too", a.min(c))),
        ];
        expected.sort();
        assert_eq!(told, expected);
        made.debugfs(&format!("sif dir/c block[2] {}", block_of(&made, "dir/c", 1)));
        let found = deep(&made.open()).findings;
        let own = found.iter().find(|it| it.place == format!("inode {c}")).unwrap();
        assert!(own.detail.ends_with("is in two places of it"), "{own:?}");
    }
}

#[test]
fn a_medium_that_fails_half_way_leaves_the_findings_until_there() {
    // Without a journal, which would be read before and is further on.
    let made = sound(&["-t", "ext2"]);
    made.debugfs("ssv error_count 3");
    made.debugfs("sif a links_count 0");
    made.debugfs("sif a dtime 0");
    let bytes = made.bytes();
    let table = ext4::open(&bytes).unwrap().filesystem().unwrap().group(1).unwrap().bg_inode_table;
    let found = deep(&Failing { image: &bytes, from_byte: table * 1024 });
    assert_eq!(found.verdict, Verdict::Damaged);
    assert_eq!(crate::codes(&found), ["errors-recorded", "inode-no-dtime", "unreadable"], "{:#?}", found.findings);
    assert_eq!(found.findings[2].place, format!("ext4 group 1 inode table at byte {}", table * 1024));
    assert_eq!(found.ext4.unwrap().errors_recorded, 3);
}

#[test]
fn what_only_another_feature_would_give_a_meaning_to_is_damage() {
    let made = sound(&["-t", "ext4", "-O", "^metadata_csum,^uninit_bg"]);
    let descriptor = 2 * 1024;
    assert_eq!(codes_after_byte(&made, descriptor + 0x12, 1), ["group-flags"]);
    let inodes = ext4::open(&made.open()).unwrap().superblock.unwrap().s_inodes_per_group as u16;
    assert_eq!(codes_after_bytes(&made, descriptor + 0x1c, &(inodes - 12).to_le_bytes()), ["group-flags"]);
    assert_eq!(codes_after(&made, &["sif a flags 0x81000"]), ["inode-flags"]);
    let root = block_of(&made, "indexed", 0) * 1024;
    assert_eq!(codes_after_byte(&made, root + 0x1f, 1), ["htree-root"]);
}

#[test]
fn a_large_file_without_the_feature_for_it_is_damage() {
    let made = sound(&["-t", "ext2"]);
    made.debugfs("sif sparse size 0x90000000");
    assert_eq!(codes_after(&made, &["feature -large_file"]), ["large-file-flag"]);
}

#[test]
fn what_the_kernel_would_never_have_written_is_damage() {
    let made = sound(&["-t", "ext4", "-O", "^metadata_csum,^uninit_bg"]);
    let dir = block_of(&made, "dir", 0) * 1024;
    assert_eq!(codes_after_byte(&made, dir + 9, 1), ["directory-dot-end"]);
    assert_eq!(codes_after_byte(&made, dir + 12 + 10, 1), ["directory-dot-end"]);
    assert_eq!(codes_after(&made, &["mknod fifo p", "sif fifo size 5"]), ["inode-size"]);
    made.debugfs(&format!("ea_set a user.long {}", "v".repeat(300)));
    let of_a = made.debugfs("stat a");
    let block = of_a.split("File ACL: ").nth(1).unwrap().split_whitespace().next().unwrap();
    assert_eq!(codes_after_byte(&made, block.parse::<u64>().unwrap() * 1024 + 0x21, 0), ["xattr-entry"]);
}

#[test]
fn a_bad_descriptor_is_one_finding_not_one_for_each_directory_below_it() {
    let made = sound(&["-t", "ext4", "-O", "^metadata_csum,uninit_bg,^flex_bg"]);
    let mut bytes = made.bytes();
    bytes[2 * 1024 + 0x18] ^= 4;
    let found = deep(&bytes);
    let mut codes: Vec<&str> = found.findings.iter().filter(|it| it.severity == Severity::Damage).map(code).collect();
    codes.dedup();
    assert_eq!(codes, ["group-checksum"], "{:#?}", found.findings);
}

#[test]
fn a_quota_that_records_another_usage_is_a_warning_as_e2fsck_says() {
    let made = sound(&["-t", "ext4", "-O", "quota,project"]);
    for (request, place, detail) in [
        ("sif a uid 1000", "user quota, inode 3", "for 2 IDs, as for 0: "),
        ("sif a gid 70000", "group quota, inode 4", "for 2 IDs, as for 0: "),
        ("sif dir/c projid 7", "project quota, inode 12", "for 2 IDs, as for 0: "),
    ] {
        let changed = made.copy();
        changed.debugfs(request);
        let found = deep(&changed.open());
        let [finding] = found.findings.as_slice() else { panic!("{request}: {:#?}", found.findings) };
        assert_eq!((finding.code.as_ref(), finding.severity), ("quota-usage", Severity::Warning));
        assert_eq!(finding.place, place);
        assert!(finding.detail.contains(detail), "{request}: {}", finding.detail);
        let said = run_for_code("e2fsck", &["-fn", changed.path.to_str().unwrap()], &[4]);
        let said = String::from_utf8_lossy(&said.stderr).into_owned();
        let counted = finding.detail.split_once(": ").unwrap().1;
        let numbers: Vec<&str> = counted.split(|c: char| !c.is_ascii_digit()).filter(|it| !it.is_empty()).collect();
        let [stored_inodes, stored_bytes, inodes, bytes] = numbers[..] else { panic!("{counted}") };
        let expected = format!("ID 0:actual ({bytes}, {inodes}) != expected ({stored_bytes}, {stored_inodes})");
        assert!(said.contains(&expected), "{expected} is not in {said}");
    }
    // e2fsck passes over a file that is none; the kernel then refuses to mount.
    let mut bytes = made.bytes();
    bytes[block_of(&made, "<3>", 0) as usize * 1024] = 0;
    let found = deep(&bytes);
    assert_eq!((found.verdict, crate::codes(&found)), (Verdict::Damaged, vec!["quota-file"]));
}

#[test]
fn inodes_that_are_kept_for_a_use_that_never_came_may_say_anything_as_e2fsck_says() {
    let made = sound(&["-t", "ext3"]);
    let table = ext4::open(&made.open()).unwrap().filesystem().unwrap().group(0).unwrap().bg_inode_table * 1024;
    // i_file_acl, i_faddr and i_extra_isize.
    for (number, offset) in [(9, 0x6a), (9, 0x71), (10, 0x81)] {
        let changed = made.copy();
        let mut bytes = changed.bytes();
        bytes[(table + (number - 1) * 256) as usize + offset] = 0x20;
        let found = deep(&bytes);
        assert_eq!((found.verdict, crate::codes(&found)), (Verdict::Consistent, vec![]), "inode {number}, {offset:#x}");
        fs::write(&changed.path, bytes).unwrap();
        run("e2fsck", &["-fn", changed.path.to_str().unwrap()]);
    }
}

#[test]
fn a_name_in_an_encrypted_folder_is_ciphertext_of_a_file_that_is_encrypted() {
    let made = sound_ext4();
    let folder = ["feature encrypt", "sif dir flags 0x80800"];
    let with = |requests: &[&'static str]| [&folder[..], requests].concat();
    let codes = |requests: &[&'static str]| {
        let mut found = codes_after(&made, &with(requests));
        found.sort_unstable();
        found.dedup();
        found
    };
    // What is in it was made without a key: short names of files in plain text.
    assert_eq!(codes(&[]), ["directory-name", "directory-unencrypted", "encryption-context"]);
}
