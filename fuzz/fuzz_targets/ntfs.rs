#![no_main]

use libfuzzer_sys::fuzz_target;
use stillpoint_fuzz::Seeds;

static SEEDS: Seeds = Seeds::new(&["ntfs"]);

fuzz_target!(|input: &[u8]| SEEDS.run(input));
