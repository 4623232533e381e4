//! The real programs of this machine.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use super::running::Running;
use super::{Invocation, Output, ProgramError, Programs, Started};
use crate::dm_control::{self, DmStatus};

/// Programs of this machine, each in a process group of its own: a Ctrl-C at the terminal reaches us, and never kills an LVM command
/// half way.
#[derive(Debug, Clone, Copy, Default)]
pub struct HostPrograms;

impl Programs for HostPrograms {
    fn output(&self, invocation: &Invocation) -> Result<Output, ProgramError> {
        self.start(invocation)?.wait(invocation.deadline())
    }

    fn start(&self, invocation: &Invocation) -> Result<Box<dyn Started>, ProgramError> {
        Ok(Box::new(Running::new(invocation, spawn(invocation)?)))
    }

    fn dm_statuses(&self, of: Option<&str>) -> Option<io::Result<Vec<DmStatus>>> {
        Some(dm_control::statuses(of))
    }
}

fn spawn(invocation: &Invocation) -> Result<Child, ProgramError> {
    let program = invocation.program();
    // A clean environment: credentials that came to us in ours are none of a program's business.
    let ours = env::vars_os().filter(|(name, _)| {
        let name = name.to_string_lossy();
        name.starts_with("LVM_") || name.starts_with("DM_")
    });
    Command::new(program)
        .args(invocation.arguments())
        .env_clear()
        .envs(ours)
        .env("PATH", search_path(env::var_os("PATH").as_deref()))
        .env("LC_ALL", "C")
        .env("LVM_SUPPRESS_FD_WARNINGS", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(|cause| match cause.kind() {
            io::ErrorKind::NotFound => {
                ProgramError::Missing { program: program.to_owned(), package: package_of(program) }
            }
            _ => ProgramError::Start { command: invocation.to_string(), cause },
        })
}

/// Where the programs are on every host; `su` without a dash leaves the sbin folders out.
const FOLDERS: [&str; 4] = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// The folders of `path`, and those that every host has. An empty or relative one would be looked for below the current folder,
/// which belongs to whoever we were started by: it is left out.
fn search_path(path: Option<&OsStr>) -> OsString {
    let theirs = path.map(env::split_paths).into_iter().flatten().filter(|folder| folder.is_absolute());
    let mut joined = OsString::new();
    for folder in theirs.chain(FOLDERS.map(PathBuf::from)) {
        if !joined.is_empty() {
            joined.push(":");
        }
        joined.push(folder);
    }
    joined
}

/// The Debian package of each program that stillpoint starts.
fn package_of(program: &str) -> Option<&'static str> {
    Some(match program {
        "lvm" | "lvs" | "vgs" | "pvs" | "lvcreate" | "lvconvert" | "lvremove" | "lvchange" | "lvextend"
        | "lvmconfig" => "lvm2",
        "dmsetup" => "dmsetup",
        "udevadm" => "udev",
        "umount" | "losetup" => "mount",
        "qemu-img" => "qemu-utils",
        "innochecksum" | "mariadbd" | "mariadb-install-db" => "mariadb-server",
        "mariadb" | "mariadb-dump" => "mariadb-client",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn sh(script: &str, deadline: Duration) -> Invocation {
        Invocation::new("sh", deadline).args(["-c", script])
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn a_failure_shows_the_command_its_exit_code_and_its_last_words() {
        let error = HostPrograms.run(&sh("echo first >&2; echo '  it broke' >&2; exit 5", LONG)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`sh -c 'echo first >&2; echo '\\''  it broke'\\'' >&2; exit 5'` failed with exit code 5: first; it broke"
        );
    }

    #[test]
    fn programs_are_not_looked_for_in_the_current_folder() {
        let fixed = "/usr/sbin:/usr/bin:/sbin:/bin";
        for path in [None, Some(""), Some(":"), Some("."), Some("bin:../sbin")] {
            assert_eq!(search_path(path.map(OsStr::new)), fixed, "{path:?}");
        }
        let path = search_path(Some(OsStr::new(":/opt/lvm/bin::bin:/usr/local/sbin:")));
        assert_eq!(path.to_str(), Some(&*format!("/opt/lvm/bin:/usr/local/sbin:{fixed}")));
    }

    #[test]
    fn a_missing_program_is_told_from_one_that_fails() {
        let error = HostPrograms.output(&Invocation::new("stillpoint-no-such-program", LONG)).unwrap_err();
        assert!(matches!(error, ProgramError::Missing { package: None, .. }), "{error:?}");
        assert_eq!(error.to_string(), "stillpoint-no-such-program is not installed");
        assert_eq!(package_of("lvs"), Some("lvm2"));
    }

    #[test]
    fn a_program_that_passes_its_deadline_is_ended_with_all_that_it_started() {
        let (reader, writer) = io::pipe().unwrap();
        // The grandchild would hold the pipe for a minute; end of file says that it is gone.
        let script =
            format!("sleep 60 >/proc/{}/fd/{} & wait", std::process::id(), std::os::fd::AsRawFd::as_raw_fd(&writer));
        let error = HostPrograms.output(&sh(&script, Duration::from_millis(300))).unwrap_err();
        assert!(matches!(error, ProgramError::TimedOut { gone: true, .. }), "{error}");
        drop(writer);
        assert_eq!(io::read_to_string(reader).unwrap(), "");
    }

    #[test]
    fn what_was_said_before_the_deadline_is_kept() {
        let error =
            HostPrograms.output(&sh("echo waiting for lock >&2; sleep 60", Duration::from_millis(300))).unwrap_err();
        assert!(error.to_string().ends_with("was ended: waiting for lock"), "{error}");
    }

    #[test]
    fn output_without_end_is_capped() {
        let output = HostPrograms.output(&sh("head -c 20000000 /dev/zero", LONG)).unwrap();
        assert_eq!((output.exit_code, output.stdout.len()), (0, Output::CAP_BYTES));
    }

    #[test]
    fn a_program_gets_no_input_and_none_of_our_environment() {
        let output = HostPrograms.output(&sh("cat; env", LONG)).unwrap();
        let environment = String::from_utf8(output.stdout).unwrap();
        assert!(environment.lines().any(|line| line == "LC_ALL=C"), "{environment}");
        assert!(environment.lines().all(|line| !line.starts_with("CARGO")), "{environment}");
    }

    #[test]
    fn a_program_is_in_a_process_group_of_its_own() {
        let output =
            HostPrograms.output(&sh("read -r _ _ _ _ group _ </proc/self/stat; echo $group $$", LONG)).unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let (group, pid) = said.trim().split_once(' ').unwrap();
        assert_eq!(group, pid);
    }

    #[test]
    fn a_daemon_that_keeps_the_pipes_open_does_not_keep_us() {
        let output = HostPrograms.output(&sh("setsid sleep 20 & echo done", LONG)).unwrap();
        assert_eq!((output.exit_code, output.stdout.as_slice()), (0, b"done\n".as_slice()));
    }
}
