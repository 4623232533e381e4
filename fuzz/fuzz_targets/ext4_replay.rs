#![no_main]

use libfuzzer_sys::fuzz_target;
use stillpoint_fuzz::Seeds;

static SEEDS: Seeds = Seeds::new(&["replay-none", "replay-v3", "replay-64bit", "replay-ext3"]);

fuzz_target!(|input: &[u8]| SEEDS.run(input));
