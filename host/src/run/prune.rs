//! Old run logs: of a run that is over and left nothing, nobody needs to know for ever.

use std::fs::{DirEntry, read_dir, remove_file};
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::record::RunRecord;

/// As long as anybody may ask how a backup went.
const KEPT: Duration = Duration::from_secs(90 * 24 * 3600);
/// A run that begins is kept waiting no longer than by these.
const AT_ONCE: usize = 100;

/// Removes logs in `folder` that were written to for the last time 90 days before `now`, of runs that came to their end and
/// left nothing. Each other one is the only record of what its run may hold: it stays until somebody has looked.
///
/// # Errors
/// Where the folder cannot be read, or a log in it not be removed.
pub(super) fn prune(folder: &Path, now: SystemTime) -> io::Result<()> {
    let logs = read_dir(folder)?.filter_map(Result::ok).filter(|entry| is_old(entry, now));
    logs.map(|entry| entry.path()).filter(|path| is_of_no_use(path)).take(AT_ONCE).try_for_each(remove_file)
}

fn is_old(entry: &DirEntry, now: SystemTime) -> bool {
    // Of the link, where it is one.
    let Ok(metadata) = entry.metadata() else { return false };
    let age = metadata.modified().ok().and_then(|written| now.duration_since(written).ok());
    metadata.is_file() && age.is_some_and(|age| age > KEPT)
}

fn is_of_no_use(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "jsonl")
        && RunRecord::read(path).is_ok_and(|record| record.is_closed() && record.held().is_empty())
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;
    use crate::clock::Clock;
    use crate::failure::exit::Exit;
    use crate::run::Run;
    use crate::run::event::Listeners;
    use crate::run::held::Held;
    use crate::step::Step;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    fn begin(state_dir: &Path) -> Run {
        Run::begin(state_dir, "db1", Clock::system(), Listeners::default()).unwrap()
    }

    fn cow() -> Held {
        Held::Cow { volume: "vg/stillpoint-r1-0".parse().unwrap(), origin: "vg/db".parse().unwrap() }
    }

    /// How many logs are left of one, so old when the next run begins.
    fn left_after(age: Duration, story: impl FnOnce(Run)) -> usize {
        let state_dir = tempfile::tempdir().unwrap();
        let runs = state_dir.path().join("runs");
        story(begin(state_dir.path()));
        for log in read_dir(&runs).unwrap() {
            let log = File::options().write(true).open(log.unwrap().path()).unwrap();
            log.set_modified(SystemTime::now() - age).unwrap();
        }
        begin(state_dir.path()).close(Exit::Done);
        read_dir(&runs).unwrap().count() - 1
    }

    #[test]
    fn the_log_of_a_run_that_left_nothing_goes_after_ninety_days() {
        assert_eq!(left_after(91 * DAY, |run| run.close(Exit::Done)), 0);
        assert_eq!(left_after(89 * DAY, |run| run.close(Exit::Done)), 1);
    }

    #[test]
    fn the_log_of_a_run_that_left_something_or_did_not_end_stays() {
        let left = |run: Run| {
            run.intend(Step::CowVolumes, vec![cow()]).unwrap();
            run.close(Exit::NeedsPerson);
        };
        assert_eq!(left_after(1000 * DAY, left), 1);
        assert_eq!(left_after(1000 * DAY, drop), 1);
    }

    #[test]
    fn what_is_no_run_log_stays() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.jsonl", "b.txt"] {
            std::fs::write(folder.path().join(name), "mine").unwrap();
        }
        std::os::unix::fs::symlink("/dev/null", folder.path().join("c.jsonl")).unwrap();
        prune(folder.path(), SystemTime::now() + 1000 * DAY).unwrap();
        assert_eq!(read_dir(folder.path()).unwrap().count(), 3);
    }
}
