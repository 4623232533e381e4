#![no_main]

use libfuzzer_sys::fuzz_target;
use stillpoint_fuzz::Seeds;

static SEEDS: Seeds = Seeds::new(&[
    "ext2",
    "ext3",
    "ext4",
    "ext4-plain",
    "ext4-bigalloc",
    "ext4-meta-bg",
    "files-ext4",
    "files-inline",
    "files-ext2",
]);

fuzz_target!(|input: &[u8]| SEEDS.run(input));
