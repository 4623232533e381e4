//! Files inside of a disk: which volume, which path, and how they are shown to a person.

mod listing;
mod place;

use std::path::Path;

use fsprobe::ext4::files::LookupError;
use fsprobe::ext4::{Fault, Filesystem};
use fsprobe::{Disk, Finding, Severity, Volume, ext4};

pub use self::listing::{Attributes, Listed, Listing};
pub use self::place::Place;
use crate::failure::exit::Exit;
use crate::failure::{At, Cause, Failure, Kind};
use crate::show::printable::{printable, printable_text};
use crate::step::Step;
use image::artifact::open_disk;

const NO_FILES: &str = "`stillpoint check` lists the volumes; files are read from ext2, ext3 and ext4";

/// A filesystem whose files can be read, and what is to be known about it.
pub struct Source<'s> {
    /// The volume, as `check` names it.
    pub volume: &'s str,
    /// As its journal leaves it.
    pub filesystem: Filesystem<'s>,
    /// What a reader of its files has to be told, one line each.
    pub warnings: Vec<String>,
    /// The best that any use of it can end with.
    pub exit: Exit,
}

/// Opens the filesystem that `place` names in `target` and gives it to `read`.
///
/// # Errors
/// Where the target cannot be opened, or the volume is not there or is nothing whose files can be read.
pub fn with_source<T>(
    target: &Path,
    place: &Place,
    read: impl FnOnce(&Source<'_>) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let disk = open_disk(target).at(Step::Files)?;
    let layout = fsprobe::layout(&*disk).at(Step::Files)?;
    let volume = pick(&layout, place.volume()).at(Step::Files)?;
    let content = volume.open(&*disk);
    let opened = ext4::open(&content).map_err(|error| error.in_volume(&volume.path)).at(Step::Files)?;
    let told = |finding: &Finding| finding.severity >= Severity::Unknown;
    let mut warnings: Vec<String> =
        opened.findings.iter().filter(|finding| told(finding)).map(|finding| say(&volume.path, finding)).collect();
    let filesystem = match opened.filesystem() {
        Some(filesystem) if opened.is_interpretable() => filesystem,
        _ => {
            let why = if warnings.is_empty() { format!("volume {}", volume.path) } else { warnings.join("; ") };
            return Err(Cause::refused(format!("{why}: its files cannot be read"), NO_FILES)).at(Step::Files);
        }
    };
    if let Some(extent) = opened.replay_extent() {
        warnings.push(format!("volume {}: read as its journal leaves it ({extent})", volume.path));
    }
    let exit = match opened.findings.iter().map(|finding| finding.severity).max() {
        Some(Severity::Damage) => Exit::Damaged,
        Some(Severity::Unknown) => Exit::Weaker,
        _ => Exit::Done,
    };
    read(&Source { volume: &volume.path, filesystem, warnings, exit })
}

/// The volume that is called `path`; where none is named, the only one with a filesystem that can be read.
fn pick<'l>(layout: &'l Disk, path: Option<&str>) -> Result<&'l Volume, Cause> {
    let readable = || layout.volumes.iter().filter(|volume| volume.kind.is_ext());
    let Some(path) = path else {
        let mut all = readable();
        return match (all.next(), all.next()) {
            (Some(only), None) => Ok(only),
            (None, _) => Err(Cause::refused("no volume of it is ext2, ext3 or ext4", NO_FILES)),
            (Some(_), Some(_)) => {
                let paths: Vec<String> = readable().map(|volume| format!("{}:/", volume.path)).collect();
                let what = format!("it has {} filesystems: {}", paths.len(), paths.join(", "));
                Err(Cause::usage(printable_text(&what), "name the volume before the path, as in 1:/etc"))
            }
        };
    };
    match layout.volumes.iter().find(|volume| volume.path == path) {
        Some(volume) if volume.kind.is_ext() => Ok(volume),
        Some(volume) => Err(Cause::refused(format!("volume {path} is {}", volume.kind), NO_FILES)),
        None => Err(Cause::usage(format!("there is no volume {}", printable(path.as_bytes())), NO_FILES)),
    }
}

fn say(volume: &str, finding: &Finding) -> String {
    printable_text(&format!("volume {volume}: {}: {} ({})", finding.place, finding.detail, finding.code))
}

impl Source<'_> {
    /// The failure to find `path`.
    #[must_use]
    pub fn lookup_failure(&self, path: &[u8], error: &LookupError) -> Failure {
        let exit = match error {
            LookupError::Fault(fault) => exit_of(fault),
            LookupError::NotFound { .. } | LookupError::NotAFolder { .. } | LookupError::TooManySymlinks => {
                Exit::Failed
            }
        };
        self.failure(path, error, exit)
    }

    /// A failure that has to do with `path`.
    pub fn failure(&self, path: &[u8], what: &dyn std::fmt::Display, exit: Exit) -> Failure {
        let kind = if exit == Exit::Damaged { Kind::Damaged } else { Kind::File };
        let what = printable_text(&format!("volume {}: {}: {what}", self.volume, printable(path)));
        Failure::new(Step::Files, Cause::plain(kind, what))
    }
}

/// The exit code that a fault asks for.
#[must_use]
pub fn exit_of(fault: &Fault) -> Exit {
    match fault {
        Fault::Bad(finding) if finding.severity == Severity::Damage => Exit::Damaged,
        Fault::Bad(_) | Fault::Io(_) => Exit::Failed,
    }
}
