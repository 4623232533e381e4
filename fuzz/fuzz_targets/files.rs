#![no_main]

use libfuzzer_sys::fuzz_target;
use stillpoint_fuzz::Seeds;

static SEEDS: Seeds = Seeds::new(&["files-ext4", "files-inline", "files-ext2"]);

fuzz_target!(|input: &[u8]| SEEDS.read_files(input));
