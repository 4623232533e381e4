//! Programs, run to their end.

use std::ffi::OsStr;
use std::io::Write;
use std::process::{Command, Output, Stdio};

/// Runs `program` to its end, whatever that is.
pub fn try_run<S: AsRef<OsStr>>(program: &str, arguments: &[S]) -> Output {
    let spawned = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    spawned.unwrap_or_else(|error| panic!("{program} is needed: {error}"))
}

/// Runs `program`, which has to succeed, and gives what it prints.
#[track_caller]
pub fn run<S: AsRef<OsStr>>(program: &str, arguments: &[S]) -> String {
    printed(&run_for_code(program, arguments, &[0]))
}

/// Runs `program`, which has to end with one of `codes`.
#[track_caller]
pub fn run_for_code<S: AsRef<OsStr>>(program: &str, arguments: &[S], codes: &[i32]) -> Output {
    let output = try_run(program, arguments);
    assert_code(program, arguments, &output, codes);
    output
}

/// Runs `program`, which has to succeed, with `input` on its standard input, and gives what it prints.
#[track_caller]
pub fn run_with_input<S: AsRef<OsStr>>(program: &str, arguments: &[S], input: &str) -> String {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{program} is needed: {error}"));
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_code(program, arguments, &output, &[0]);
    printed(&output)
}

#[track_caller]
fn assert_code<S: AsRef<OsStr>>(program: &str, arguments: &[S], output: &Output, codes: &[i32]) {
    if !output.status.code().is_some_and(|code| codes.contains(&code)) {
        let arguments: Vec<&OsStr> = arguments.iter().map(AsRef::as_ref).collect();
        panic!("{program} {arguments:?}: {}\n{}", output.status, text(output));
    }
}

fn printed(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// All that a program wrote, as text.
pub fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
