//! How much memory the deep check takes where a disk is large.

use std::process::Command;

use stillpoint_tests::machine::image::Images;
use stillpoint_tests::machine::mount::Mount;
use stillpoint_tests::machine::program::run;

const MIB: u64 = 1 << 20;

#[test]
fn the_deep_check_of_a_full_tebibyte_takes_little_more_than_a_bit_a_block() {
    let lab = Images::new();
    let image = lab.blank("tebibyte", MIB * MIB);
    let image = image.to_str().unwrap();
    let options = "lazy_itable_init=1,lazy_journal_init=1,nodiscard";
    run("mke2fs", &["-q", "-F", "-t", "ext4", "-b", "4096", "-E", options, image]);
    let mount = Mount::image(image.as_ref(), "rw");
    run("fallocate", &["--length", "990GiB", mount.path("file").to_str().unwrap()]);
    drop(mount);

    // 2^28 blocks are 32 MiB of bits; what else it keeps, the program and its libraries have the rest.
    let limit = format!("--as={}", 96 * MIB);
    let output = Command::new("prlimit")
        .args([&limit, env!("CARGO_BIN_EXE_stillpoint"), "check", "--deep", image])
        // An arena a thread reserves address space, which is no memory, and is refused or granted as threads race for it.
        .env("MALLOC_ARENA_MAX", "1")
        .output()
        .expect("prlimit is needed");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.ends_with("verdict: consistent\n"), "{said}");
}
