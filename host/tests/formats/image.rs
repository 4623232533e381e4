//! What `check --json` says of one disk, `fixtures/formats/disk.img.zst`, since ever.

use std::process::Command;

use fsprobe::Depth;
use stillpoint::documents::check::Checked;
use stillpoint::inspect::check::check;

use crate::files::{first, present, repository, value};
use crate::json::missing;

/// What is said of the disk now, where it lies in the folder `/srv`.
pub fn checked() -> Checked {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk.img");
    let packed = repository("fixtures/formats/disk.img.zst");
    let unpacked = Command::new("zstd").args(["-dq", "-o"]).args([&path, &packed]).output();
    assert!(unpacked.expect("zstd").status.success());
    let checked = check(&path, Depth::Default, true).unwrap();
    let text = serde_json::to_string(&checked).unwrap().replace(folder.path().to_str().unwrap(), "/srv");
    serde_json::from_str(&text).unwrap()
}

#[test]
fn check_says_of_a_disk_what_it_said_when_it_was_recorded() {
    let text = serde_json::to_string_pretty(&checked()).unwrap() + "\n";
    assert_eq!(text, present("check.json"));
}

#[test]
fn check_says_of_a_disk_all_that_the_first_format_said() {
    // There it was named from within its folder.
    let first = first("check.json").replace("./disk.img", "/srv/disk.img").replace("\"disk.img", "\"/srv/disk.img");
    // A sentence may be put right; names, words and numbers stay.
    let first = first.replace("there is nothing in it", "nothing was found in it");
    assert_eq!(missing(&value(&first), &serde_json::to_value(checked()).unwrap()), None);
}
