//! Programs on the lab's hypervisor.

use std::process::{Command, Output, Stdio};

use super::guest::text;

/// Runs `program` to its end, whatever that is.
pub fn try_run(program: &str, arguments: &[&str]) -> Output {
    let spawned = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    spawned.unwrap_or_else(|error| panic!("{program}: {error}"))
}

/// Runs `program` and gives what it prints. Panics if it fails.
pub fn run(program: &str, arguments: &[&str]) -> String {
    let output = try_run(program, arguments);
    assert!(output.status.success(), "{program} {arguments:?}: {}: {}", output.status, text(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
