//! The real programs of this machine.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io::{self, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::{Invocation, Output, ProgramError, Programs};

/// How long a program may take to end itself after SIGTERM. LVM blocks signals while it holds the lock of a VG, and so never stops
/// between suspending and resuming a device; SIGKILL would.
const TERM_GRACE: Duration = Duration::from_secs(3);
/// How long the kernel may take to end it after SIGKILL.
const KILL_GRACE: Duration = Duration::from_secs(2);
/// How long the pipes may stay open after the program has ended, held by a process that it left behind.
const PIPE_GRACE: Duration = Duration::from_secs(1);
/// The longest sleep between two looks at the program; the first are shorter.
const POLL: Duration = Duration::from_millis(5);

/// Programs of this machine, each in a process group of its own: a Ctrl-C at the terminal reaches us, and never kills an LVM command
/// half way.
#[derive(Debug, Clone, Copy, Default)]
pub struct HostPrograms;

impl Programs for HostPrograms {
    fn output(&self, invocation: &Invocation) -> Result<Output, ProgramError> {
        let start = Instant::now();
        let mut child = spawn(invocation)?;
        let stdout = Capture::of(child.stdout.take());
        let stderr = Capture::of(child.stderr.take());
        let fail = |cause| ProgramError::Start { command: invocation.to_string(), cause };

        let waited = wait(&mut child, invocation.deadline()).map_err(fail)?;
        let timed_out = waited.is_none();
        let status = match waited {
            Some(status) => Some(status),
            None => end(&mut child).map_err(fail)?,
        };
        let closed_by = Instant::now() + PIPE_GRACE;
        let output = Output {
            exit_code: status.and_then(|status| status.code()).unwrap_or(-1),
            stdout: stdout.take(closed_by),
            stderr: stderr.take(closed_by),
        };
        tracing::debug!(command = %invocation, exit_code = output.exit_code, ms = start.elapsed().as_millis(), "ran");

        let command = invocation.to_string();
        let said = output.last_words();
        if timed_out {
            let (deadline, gone) = (invocation.deadline(), status.is_some());
            return Err(ProgramError::TimedOut { command, deadline, gone, said });
        }
        match status.and_then(|status| status.signal()) {
            Some(signal) => Err(ProgramError::Signalled { command, signal, said }),
            None => Ok(output),
        }
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

/// Waits until the child ends or the time is over. A look every few milliseconds, because neither std nor nix can wait for a child
/// with a limit, and a helper thread that waits would race with the signals that we send.
fn wait(child: &mut Child, limit: Duration) -> io::Result<Option<ExitStatus>> {
    let start = Instant::now();
    let mut pause = Duration::from_micros(200);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        let left = limit.saturating_sub(start.elapsed());
        if left.is_zero() {
            return Ok(None);
        }
        thread::sleep(pause.min(left));
        pause = (pause * 2).min(POLL);
    }
}

/// Ends the child and everything that it started; `None` if the kernel does not let go of it.
fn end(child: &mut Child) -> io::Result<Option<ExitStatus>> {
    let Ok(group) = i32::try_from(child.id()).map(Pid::from_raw) else { return Ok(None) };
    for (signal, grace) in [(Signal::SIGTERM, TERM_GRACE), (Signal::SIGKILL, KILL_GRACE)] {
        // Fails only if no process of the group is left, which the wait finds out.
        killpg(group, signal).ok();
        if let Some(status) = wait(child, grace)? {
            killpg(group, Signal::SIGKILL).ok();
            return Ok(Some(status));
        }
    }
    Ok(None)
}

/// A stream that is read to its end on a thread, and kept up to [`Output::CAP_BYTES`].
struct Capture {
    kept: Arc<Mutex<Vec<u8>>>,
    reader: Option<thread::JoinHandle<()>>,
}

impl Capture {
    fn of(stream: Option<impl Read + Send + 'static>) -> Self {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let reader = stream.map(|mut stream| {
            let kept = Arc::clone(&kept);
            thread::spawn(move || {
                let mut buffer = vec![0; 64 << 10];
                loop {
                    match stream.read(&mut buffer) {
                        Ok(0) => break,
                        Ok(read) => {
                            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                            let room = Output::CAP_BYTES.saturating_sub(kept.len());
                            kept.extend_from_slice(buffer.get(..read.min(room)).unwrap_or_default());
                        }
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                        Err(_) => break,
                    }
                }
            })
        });
        Self { kept, reader }
    }

    /// What was read by the time that the stream closed, or by `closed_by` if something still holds it.
    fn take(self, closed_by: Instant) -> Vec<u8> {
        while self.reader.as_ref().is_some_and(|reader| !reader.is_finished()) && Instant::now() < closed_by {
            thread::sleep(Duration::from_micros(500));
        }
        std::mem::take(&mut self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The Debian package of each program that stillpoint starts.
fn package_of(program: &str) -> Option<&'static str> {
    Some(match program {
        "lvs" | "vgs" | "pvs" | "lvcreate" | "lvconvert" | "lvremove" | "lvchange" | "lvextend" | "lvmconfig" => "lvm2",
        "dmsetup" => "dmsetup",
        "udevadm" => "udev",
        "qemu-img" => "qemu-utils",
        "innochecksum" | "mariadbd" | "mariadb-install-db" => "mariadb-server",
        "mariadb" | "mariadb-dump" => "mariadb-client",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

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
