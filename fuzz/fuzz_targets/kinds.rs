#![no_main]

use libfuzzer_sys::fuzz_target;
use stillpoint_fuzz::Seeds;

static SEEDS: Seeds = Seeds::new(&["fat12", "fat16", "fat32", "swap", "luks", "btrfs", "disc", "exfat", "raid"]);

fuzz_target!(|input: &[u8]| SEEDS.run(input));
