//! `doctor` as a shell sees it.

use crate::started::{Ended, FakeLvm, stillpoint};

/// A doctor that has only LVM to ask.
const DOCTOR: [&str; 7] = ["doctor", "--json", "--config", "/dev/null", "--disk", "vg/db", "--no-freeze"];

#[test]
fn what_stops_a_backup_is_a_document_and_1_and_no_failure() {
    let (fake, state) = (FakeLvm::new(), tempfile::tempdir().unwrap());
    let mut doctor = stillpoint();
    doctor.args(DOCTOR).arg("--state-dir").arg(state.path()).env("PATH", fake.folder());
    let ended = Ended::of(&mut doctor);
    assert_eq!((ended.code, &ended.document["format"]), (1, &1.into()), "{}", ended.stderr);
    let first = &ended.document["findings"][0];
    assert_eq!((&first["level"], &first["check"]), (&"stops".into(), &"disks".into()), "{first}");
    assert!(first["remedy"].as_str().unwrap().contains("lslocks"), "{first}");
    assert!(ended.document["at_best"].is_null() && ended.stderr.is_empty(), "{}", ended.stderr);
}

#[test]
fn in_words_it_says_first_what_a_backup_would_come_to() {
    let (fake, state) = (FakeLvm::new(), tempfile::tempdir().unwrap());
    let mut doctor = stillpoint();
    doctor.args(DOCTOR.iter().filter(|word| **word != "--json")).arg("--state-dir").arg(state.path());
    let output = doctor.env("PATH", fake.folder()).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.starts_with("Backup of db, required grade filesystem: it would fail: "), "{said}");
    assert!(said.lines().nth(1).unwrap().starts_with("  STOPS     disks: "), "{said}");
}

#[test]
fn what_cannot_be_asked_for_ends_with_2() {
    Ended::of(stillpoint().args(["doctor", "--json", "--config", "/dev/null"])).assert_failed(
        2,
        "usage",
        "--disk VG/LV",
    );
    let both = Ended::of(stillpoint().args(DOCTOR).arg("--freeze-test"));
    assert_eq!(both.code, 2, "{}", both.stderr);
}
