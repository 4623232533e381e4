//! The folder for artifacts, and how much room it has.

use lvm::Bytes;

use super::finding::{Check, Finding, Weight};
use super::folders::FolderSeen;
use super::seen::Seen;
use crate::ask::job::{Job, Target};

pub fn check(job: &Job, seen: &Seen) -> Vec<Finding> {
    match (&job.target.value, &seen.target) {
        (_, Some(folder)) => vec![of(folder, seen)],
        (Some(Target::Stdout), _) => {
            vec![Finding::note(Check::Target, "the image goes to standard output: how much it takes is not known")]
        }
        (Some(Target::Folder(_)) | None, None) => vec![
            Finding::note(Check::Target, "no target is named")
                .because("a backup does not begin without one")
                .remedy("name it with --to, or as `target` in the configuration"),
        ],
    }
}

fn of(FolderSeen { path, takes_files, free_bytes }: &FolderSeen, seen: &Seen) -> Finding {
    if let Err(cause) = takes_files {
        return Finding::failed(Check::Target, cause);
    }
    let path = path.display();
    let free = match free_bytes {
        Ok(0) => {
            return Finding::stops(Check::Target, format!("{path} is full"))
                .remedy("free some room there, or name another target");
        }
        Ok(free) => *free,
        Err(error) => {
            return Finding::unseen(Check::Target, Weight::Note, format!("how much room {path} has: {error}"));
        }
    };
    let whole: u64 = seen.survey.disks.iter().map(|disk| disk.origin.size.0).fold(0, u64::saturating_add);
    let used = used_bytes(seen).unwrap_or(whole).min(whole);
    let of = if used < whole { "the guest uses, by its own word" } else { "the disks have" };
    let what = format!("{path} has {} free, and {of} {}", Bytes(free), Bytes(used));
    match free >= used {
        true => Finding::fine(Check::Target, what),
        false => Finding::note(Check::Target, what)
            .because(
                "how far it can be compressed is not known beforehand; where it does not fit the backup fails, \
                 and leaves nothing partial",
            )
            .remedy("free some room there, or name another target with --to"),
    }
}

/// What the guest's filesystems have in use, each once; `None` where one does not tell.
fn used_bytes(seen: &Seen) -> Option<u64> {
    let guest = seen.survey.guest.as_ref().filter(|guest| guest.unlisted.is_none() && !guest.filesystems.is_empty())?;
    let mut used = std::collections::BTreeMap::new();
    for filesystem in &guest.filesystems {
        used.insert(&filesystem.name, filesystem.used_bytes?);
    }
    Some(used.values().fold(0, |sum, one| sum.saturating_add(*one)))
}
