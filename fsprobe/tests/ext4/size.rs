//! A filesystem of a tebibyte.

use fsprobe::ext4;

use crate::image::Made;
use crate::{check, codes};

#[test]
fn a_tebibyte_is_judged_and_its_allocated_bytes_are_those_the_superblock_counts() {
    let made = Made::mke2fs(1 << 20, &["-t", "ext4", "-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard"]);
    let image = made.open();
    assert_eq!(codes(&check(&image)), [""; 0]);
    let allocated: u64 = ext4::allocated(&image).unwrap().iter().map(|extent| extent.size_bytes).sum();
    let opened = ext4::open(&image).unwrap();
    let superblock = &opened.superblock.as_ref().unwrap();
    assert_eq!(allocated / 4096, superblock.s_blocks_count - superblock.s_free_blocks_count);
}

#[test]
fn copies_in_groups_whose_number_does_not_fit_into_16_bits_do_not_differ() {
    // The first such copy is in group 5^7.
    let options = ["-t", "ext4", "-b", "1024", "-g", "256", "-N", "16", "-O", "meta_bg,^resize_inode"];
    let made = Made::mke2fs(20_000, &options);
    let found = crate::check(&made.open());
    assert_eq!(crate::codes(&found), [""; 0], "{:#?}", found.findings);
    assert!(found.ext4.unwrap().blocks > 78_125 * 256);
}
