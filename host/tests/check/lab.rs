//! Images made by the real tools, and the program run on them.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use stillpoint_tests::machine::ext4;
use stillpoint_tests::machine::image::Images;
use stillpoint_tests::machine::program::run_with_input;

/// What `check --json` said.
pub struct Checked {
    pub code: i32,
    pub document: Value,
    pub stderr: String,
}

/// `stillpoint check TARGET --json OPTIONS`.
pub fn check<S: AsRef<OsStr> + ?Sized>(target: &S, options: &[&str]) -> Checked {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stillpoint"));
    let output = command.args(["check", "--json"]).args(options).arg(target).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    let document = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}; {stderr}"));
    Checked { code: output.status.code().expect("it ended by itself"), document, stderr }
}

/// Code, place and detail of each finding.
pub fn findings(findings: &Value) -> Vec<(String, String, String)> {
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap().to_owned();
    let findings = findings.as_array().unwrap().iter();
    findings.map(|finding| (text(finding, "code"), text(finding, "where"), text(finding, "detail"))).collect()
}

/// A GPT with two partitions of 16 MiB, each an ext4.
pub fn two_filesystems(images: &Images) -> PathBuf {
    let path = images.blank("disk.img", 34 << 20);
    let arguments = ["--quiet", "--no-tell-kernel", path.to_str().unwrap()];
    run_with_input("sfdisk", &arguments, "label: gpt\nstart=2048, size=16MiB\nsize=16MiB\n");
    for offset_bytes in [1 << 20, 17 << 20] {
        ext4::make_at(&path, offset_bytes, 16, &[]);
    }
    path
}
