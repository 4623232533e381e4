//! The folder for run logs: without a log nothing is taken.

use super::finding::{Check, Finding, Weight};
use super::folders::FolderSeen;
use super::seen::Seen;

/// A run log has some tens of lines.
const A_LOG_BYTES: u64 = 1 << 20;

pub fn check(seen: &Seen) -> Vec<Finding> {
    vec![of(&seen.state_dir)]
}

fn of(FolderSeen { path, takes_files, free_bytes }: &FolderSeen) -> Finding {
    let path = path.display();
    match (takes_files, free_bytes) {
        (Err(cause), _) => Finding::failed(Check::StateDir, cause),
        (Ok(()), Ok(free)) if *free < A_LOG_BYTES => {
            Finding::stops(Check::StateDir, format!("{path} has {free} bytes free, and run logs are kept there"))
                .because("nothing is taken whose intent cannot be written down first")
                .remedy("free some room there, or name another folder with --state-dir")
        }
        (Ok(()), Ok(_)) => Finding::fine(Check::StateDir, format!("run logs can be written to {path}")),
        (Ok(()), Err(error)) => {
            Finding::unseen(Check::StateDir, Weight::Note, format!("how much room {path} has: {error}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_is_full_stops_a_backup() {
        let folder =
            |free| FolderSeen { path: "/var/lib/stillpoint".into(), takes_files: Ok(()), free_bytes: Ok(free) };
        assert_eq!(of(&folder(4096)).weight, Weight::Stops);
        assert_eq!(of(&folder(1 << 30)).weight, Weight::Fine);
    }
}
