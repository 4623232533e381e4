//! Arming.

use std::{path::PathBuf, time::Duration};

use super::{Token, WatchdogError, script::ask};
use crate::agent::{Agent, guest_text};

/// How many filesystems one watchdog thaws, and how long their paths may be together: they are arguments of a program.
const MAX_MOUNTPOINTS: usize = 1000;
const MAX_BYTES: usize = 100 << 10;

/// A watchdog that waits in the guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Armed {
    /// Its folder in the guest, in memory.
    pub directory: PathBuf,
    /// The guest's program that thaws.
    pub fsfreeze: PathBuf,
    /// From where it runs that.
    pub programs: Programs,
    /// The mountpoints that it will thaw.
    pub thaws: Vec<String>,
    /// Those that it cannot.
    pub cannot_thaw: Vec<CannotThaw>,
}

/// From where a watchdog runs what it needs: its shell, `sleep` and `fsfreeze`, with their libraries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Programs {
    /// Copies in its folder: it opens nothing of the guest's disks but the mountpoints.
    InMemory,
    /// The guest's own. They were run once, and so were in the page cache then; what the guest has dropped of them meanwhile is read from its
    /// disk, which a frozen filesystem allows and a suspended disk does not.
    InPageCache,
}

/// A mountpoint that a watchdog does not reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CannotThaw {
    /// Where.
    pub mountpoint: String,
    /// Why.
    pub reason: String,
}

/// Starts a watchdog in the guest. It thaws `mountpoints` (which should be those of filesystems on block devices) `after` this time, in
/// whole seconds of a clock that stands still with the VM, and for a minute from then on, every two seconds: a freeze may come late. If
/// the agent is stopped by its service manager, with all that it started, the watchdog does not wait any longer.
///
/// Whatever this returns, also an error, [`disarm`](super::disarm) has to follow, once the guest is thawed.
///
/// # Errors
/// See [`WatchdogError`].
pub async fn arm(
    agent: &mut dyn Agent,
    token: &Token,
    mountpoints: &[String],
    after: Duration,
    deadline: Duration,
) -> Result<Armed, WatchdogError> {
    if let Some(reason) = what_is_wrong_with(mountpoints) {
        return Err(WatchdogError::Mountpoints { count: mountpoints.len(), reason });
    }
    let after_s = whole_seconds(after).to_string();
    let words: Vec<&str> =
        [token.as_str(), &after_s].into_iter().chain(mountpoints.iter().map(String::as_str)).collect();
    read(&ask(agent, "arm", &words, deadline).await?, mountpoints)
}

fn what_is_wrong_with(mountpoints: &[String]) -> Option<&'static str> {
    match () {
        () if mountpoints.is_empty() => Some("there is nothing to thaw"),
        () if mountpoints.len() > MAX_MOUNTPOINTS => Some("a thousand at most"),
        () if mountpoints.iter().map(String::len).sum::<usize>() > MAX_BYTES => Some("their paths are too long"),
        () if mountpoints.iter().any(|point| point.contains('\0')) => Some("one has a NUL byte"),
        () if !mountpoints.iter().all(|point| point.starts_with('/')) => Some("one does not begin with /"),
        () => None,
    }
}

/// Rounded up: never earlier than asked.
fn whole_seconds(after: Duration) -> u64 {
    after.as_secs().saturating_add(u64::from(after.subsec_nanos() > 0)).max(1)
}

/// `directory PATH`, `fsfreeze PATH`, `programs memory` or `programs cache`, and of each mountpoint in its order `ok NUMBER` or
/// `no NUMBER WHY`.
fn read(lines: &[String], mountpoints: &[String]) -> Result<Armed, WatchdogError> {
    let odd = || WatchdogError::answer("this is no answer of a watchdog", &lines.join(" "));
    let [directory, fsfreeze, programs, told @ ..] = lines else { return Err(odd()) };
    if told.len() != mountpoints.len() {
        return Err(odd());
    }
    let path = |line: &str, name: &str| line.strip_prefix(name).map(PathBuf::from).ok_or_else(odd);
    let mut armed = Armed {
        directory: path(directory, "directory ")?,
        fsfreeze: path(fsfreeze, "fsfreeze ")?,
        programs: match programs.as_str() {
            "programs memory" => Programs::InMemory,
            "programs cache" => Programs::InPageCache,
            _ => return Err(odd()),
        },
        thaws: Vec::new(),
        cannot_thaw: Vec::new(),
    };
    for (number, (line, mountpoint)) in told.iter().zip(mountpoints).enumerate() {
        if *line == format!("ok {number}") {
            armed.thaws.push(mountpoint.clone());
        } else if let Some(reason) = line.strip_prefix(&format!("no {number} ")) {
            armed.cannot_thaw.push(CannotThaw { mountpoint: mountpoint.clone(), reason: guest_text(reason) });
        } else {
            return Err(odd());
        }
    }
    Ok(armed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Result<Armed, WatchdogError> {
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        read(&lines, &["/".into(), "/srv".into()])
    }

    #[test]
    fn it_is_told_where_it_is_and_what_it_can_thaw() {
        let armed =
            told("directory /run/x\nfsfreeze /sbin/fsfreeze\nprograms cache\nok 0\nno 1 no such folder").unwrap();
        assert_eq!((armed.directory, armed.programs), ("/run/x".into(), Programs::InPageCache));
        assert_eq!((armed.fsfreeze, armed.thaws), ("/sbin/fsfreeze".into(), vec!["/".to_owned()]));
        assert_eq!(
            (armed.cannot_thaw[0].mountpoint.as_str(), armed.cannot_thaw[0].reason.as_str()),
            ("/srv", "no such folder")
        );
    }

    #[test]
    fn an_answer_that_leaves_a_mountpoint_out_is_none() {
        let head = "directory /run/x\nfsfreeze /sbin/fsfreeze\nprograms memory\n";
        for odd in ["ok 0", "ok 1\nok 0", "ok 0\nno 1", "ok 0\nok 1\nok 2", "ok 0\nok 0"] {
            assert!(matches!(told(&format!("{head}{odd}")), Err(WatchdogError::Unexpected { .. })), "{odd}");
        }
        told("directory /run/x\nprograms memory\nfsfreeze /sbin/fsfreeze\nok 0\nok 1").unwrap_err();
    }

    #[test]
    fn mountpoints_that_are_no_arguments_are_refused_before_anything_is_sent() {
        for odd in
            [vec![], vec!["x".into()], vec!["/a\0b".into()], vec!["/x".into(); 1001], vec!["/".repeat(200 << 10)]]
        {
            assert!(what_is_wrong_with(&odd).is_some(), "{} mountpoints", odd.len());
        }
        assert_eq!(what_is_wrong_with(&["/".into(), "/a b\n".into()]), None);
    }

    #[test]
    fn it_never_thaws_earlier_than_asked() {
        let seconds = |ms| whole_seconds(Duration::from_millis(ms));
        assert_eq!((seconds(0), seconds(1), seconds(30_000), seconds(30_001)), (1, 1, 30, 31));
    }
}
