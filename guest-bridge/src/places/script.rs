//! The script, run by the guest's agent, and the lines that it prints.

use std::{
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    time::Duration,
};

use super::PlacesError;
use crate::agent::{Agent, Program, guest_text, run};

/// Given to the guest's `sh -c`.
pub(super) const SCRIPT: &str = include_str!("places.sh");

/// The kernel's table of the mounts that the agent sees, proc_pid_mountinfo(5).
pub(super) const MOUNTINFO: &str = "/proc/self/mountinfo";
/// udev's links from the UUID of a filesystem to its device.
pub(super) const BY_UUID: &str = "/dev/disk/by-uuid";

/// What separates the parts of an answer.
const PART: &[u8] = b"--";
/// The last line of an answer that is whole.
const END: &[u8] = b"end";

/// Thousands of mounts of containers have room.
const ANSWER_MAX_BYTES: usize = 8 << 20;
/// How many paths are asked about in one go.
const MAX_PATHS: usize = 1000;
/// PATH_MAX of Linux.
const PATH_MAX_BYTES: usize = 4096;

/// Runs the script with `arguments`, and gives the lines of each part of its answer.
pub(super) async fn ask(
    agent: &mut dyn Agent,
    arguments: &[&str],
    input: Vec<u8>,
    deadline: Duration,
) -> Result<Vec<Vec<Vec<u8>>>, PlacesError> {
    let arguments = ["-c", SCRIPT, "stillpoint"].iter().chain(arguments).copied();
    let finished = run(agent, &Program::new("/bin/sh", arguments).with_input(input), deadline).await?;
    if !finished.success() {
        let stderr = guest_text(&String::from_utf8_lossy(&finished.stderr));
        return Err(PlacesError::Script { exit: finished.exit, stderr });
    }
    parts(&finished.stdout)
}

fn parts(stdout: &[u8]) -> Result<Vec<Vec<Vec<u8>>>, PlacesError> {
    if stdout.len() > ANSWER_MAX_BYTES {
        let detail = format!("it is longer than {ANSWER_MAX_BYTES} bytes");
        return Err(PlacesError::Unexpected { detail });
    }
    let mut lines: Vec<&[u8]> = stdout.split(|byte| *byte == b'\n').collect();
    // Behind the last line break is nothing.
    if lines.pop() != Some(b"") || lines.pop() != Some(END) {
        return Err(PlacesError::line("it has no end", &stdout[stdout.len().saturating_sub(100)..]));
    }
    Ok(lines.split(|line| *line == PART).map(|part| part.iter().map(|line| line.to_vec()).collect()).collect())
}

/// The paths one a line, as the script reads them.
pub(super) fn path_lines(paths: &[PathBuf]) -> Result<Vec<u8>, PlacesError> {
    if paths.len() > MAX_PATHS {
        return Err(PlacesError::TooMany { count: paths.len(), limit: MAX_PATHS });
    }
    let mut lines = Vec::new();
    for path in paths {
        let bytes = path.as_os_str().as_bytes();
        if let Some(reason) = what_is_wrong_with(path) {
            return Err(PlacesError::Path { path: path.clone(), reason });
        }
        lines.extend([bytes, b"\n"].concat());
    }
    Ok(lines)
}

/// As many of `paths` as can be asked about in one go, without those that are no line.
pub(super) fn askable(paths: &[PathBuf]) -> impl Iterator<Item = &PathBuf> {
    paths.iter().filter(|path| what_is_wrong_with(path).is_none()).take(MAX_PATHS)
}

fn what_is_wrong_with(path: &Path) -> Option<&'static str> {
    let bytes = path.as_os_str().as_bytes();
    match () {
        () if bytes.contains(&b'\n') => Some("it has a line break"),
        () if bytes.contains(&0) => Some("it has a NUL byte"),
        () if !path.is_absolute() => Some("it does not begin with /"),
        () if bytes.len() > PATH_MAX_BYTES => Some("it is longer than 4096 bytes"),
        () => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_is_no_one_line_is_refused_before_anything_is_sent() {
        for odd in ["", "x", "/a\nb", "/a\0b", &format!("/{}", "x".repeat(4096))] {
            assert!(matches!(path_lines(&[odd.into()]), Err(PlacesError::Path { .. })), "{odd:?}");
        }
        assert!(matches!(path_lines(&vec!["/x".into(); 1001]), Err(PlacesError::TooMany { .. })));
        assert_eq!(path_lines(&["/a b".into(), "/c".into()]).unwrap(), b"/a b\n/c\n");
    }

    #[test]
    fn an_answer_that_was_cut_off_is_none() {
        for cut in ["", "a\n", "a\nend", "a\nend\nx"] {
            assert!(matches!(parts(cut.as_bytes()), Err(PlacesError::Unexpected { .. })), "{cut:?}");
        }
        assert_eq!(parts(b"a\n--\nend\n").unwrap(), [vec![b"a".to_vec()], vec![]]);
    }
}
