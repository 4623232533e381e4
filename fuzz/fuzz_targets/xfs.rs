#![no_main]

use libfuzzer_sys::fuzz_target;
use stillpoint_fuzz::Seeds;

static SEEDS: Seeds = Seeds::new(&["xfs", "xfs-v4", "xfs-live", "xfs-files"]);

fuzz_target!(|input: &[u8]| SEEDS.run(input));
