//! The guardian of a run: a process of its own that waits for the run's end, by the lock on its log, and gives back what the run did
//! not. It learns of any end: SIGKILL, the OOM killer, a panic, a power cut of nobody but us.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use lvm::LvmError;
use lvm::programs::{Invocation, Programs};

use crate::failure::{Cause, Kind};

/// It starts in milliseconds; through systemd, and on a busy host, it takes longer.
const STARTS: Duration = Duration::from_secs(10);

const SYSTEMD: &str = "systemd-run";

/// The program that starts a guardian on this host.
fn starter() -> &'static str {
    if Path::new("/run/systemd/system").is_dir() { SYSTEMD } else { "setsid" }
}

/// Whether the program that starts a guardian is there, and which it is. None is started.
///
/// # Errors
/// Where it does not run.
pub fn can_start(programs: &dyn Programs) -> Result<&'static str, Cause> {
    programs.run(&Invocation::new(starter(), STARTS).arg("--version")).map_err(LvmError::from)?;
    Ok(starter())
}

/// Where a guardian says that it waits.
#[must_use]
pub fn ready_mark(log: &Path) -> PathBuf {
    log.with_extension("guarded")
}

/// Starts the guardian of the run whose log is `log`, as `program`, and waits until it waits.
///
/// Where systemd is process 1 it gets a unit, and with it a control group, of its own: what ends a service ends everything in its
/// group. Elsewhere it is a session of its own.
///
/// # Errors
/// Where it does not come to wait in time.
pub fn start(programs: &dyn Programs, program: &Path, log: &Path) -> Result<(), Cause> {
    let name = log.file_stem().unwrap_or_default().to_string_lossy();
    let unit = format!("--unit=stillpoint-guardian-{name}");
    let words =
        [program.as_os_str(), "guardian".as_ref(), log.as_os_str()].map(|word| word.to_string_lossy().into_owned());
    let starter = Invocation::new(starter(), STARTS);
    let starter = match starter.program() {
        SYSTEMD => starter.args(["--quiet", "--collect", "--property=Type=exec", &unit]).args(words),
        _ => starter.args(["--fork"]).args(words),
    };
    let began = Instant::now();
    programs.run(&starter).map_err(LvmError::from)?;
    let mark = ready_mark(log);
    while !mark.exists() {
        if began.elapsed() > STARTS {
            let what = format!("the guardian of this run does not wait for its end after {} s", STARTS.as_secs());
            return Err(Cause::plain(Kind::ProgramTimeout, what));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}
