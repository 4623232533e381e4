//! What came of a copy.

use std::collections::BTreeMap;

use serde::Serialize;

use super::trouble::Trouble;
use crate::failure::exit::{Exit, worse};
use crate::show::printable::{printable, printable_text};

/// Errors that are kept one by one; the rest is counted.
const MAX_ERRORS: usize = 1000;

/// What came of a copy.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// What was copied.
    pub copied: Copied,
    /// What this host or the options did not let be copied, by its kind.
    pub left_out: BTreeMap<&'static str, LeftOut>,
    /// Files that were not copied whole, or without their attributes.
    pub errors: Vec<FileError>,
    /// Errors beyond those.
    pub more_errors: u64,
    /// The filesystem is damaged.
    pub is_damaged: bool,
}

/// Counts of what was copied.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Copied {
    /// Folders made.
    pub folders: u64,
    /// Regular files.
    pub files: u64,
    /// Symlinks.
    pub symlinks: u64,
    /// Further names of files.
    pub hard_links: u64,
    /// Device nodes, FIFOs and sockets.
    pub special_files: u64,
    /// Content, without holes.
    pub data_bytes: u64,
}

/// Something of the same kind that several files went without.
#[derive(Clone, Debug, Serialize)]
pub struct LeftOut {
    /// How many times.
    pub count: u64,
    /// The first file, escaped.
    pub first_path: String,
    /// Why.
    pub why: String,
}

/// What kept one file from being copied.
#[derive(Clone, Debug, Serialize)]
pub struct FileError {
    /// Below the destination, escaped.
    pub path: String,
    /// One sentence.
    pub error: String,
}

impl Report {
    pub(super) fn fail(&mut self, way: &[Vec<u8>], trouble: &Trouble) {
        self.is_damaged |= trouble.is_damage();
        if self.errors.len() < MAX_ERRORS {
            self.errors.push(FileError { path: path(way), error: printable_text(&trouble.to_string()) });
        } else {
            self.more_errors += 1;
        }
    }

    pub(super) fn leave_out(&mut self, what: &'static str, way: &[Vec<u8>], why: &str) {
        let first = || LeftOut { count: 0, first_path: path(way), why: printable_text(why) };
        self.left_out.entry(what).or_insert_with(first).count += 1;
    }

    /// How the command ends, where `best` is the best that it could.
    #[must_use]
    pub fn exit(&self, best: Exit) -> Exit {
        let own = match (self.is_damaged, self.errors.is_empty()) {
            (true, _) => Exit::Damaged,
            (false, false) => Exit::Failed,
            (false, true) => Exit::Done,
        };
        worse(best, own)
    }

    /// One line for each error and each kind of what was left out.
    pub fn complaints(&self) -> impl Iterator<Item = String> {
        let errors = self.errors.iter().map(|error| format!("{}: {}", error.path, error.error));
        let more = (self.more_errors > 0).then(|| format!("and {} errors more", self.more_errors));
        let left_out = self.left_out.iter().map(|(what, left)| {
            format!("{what} left out, {} in all: first at {}: {}", left.count, left.first_path, left.why)
        });
        errors.chain(more).chain(left_out)
    }

    /// The counts in one line.
    #[must_use]
    pub fn summary(&self) -> String {
        let Copied { folders, files, symlinks, hard_links, special_files, data_bytes } = self.copied;
        format!(
            "copied {files} files ({data_bytes} bytes), {folders} folders, {symlinks} symlinks, \
             {hard_links} hard links, {special_files} special files; {} errors\n",
            self.errors.len() as u64 + self.more_errors
        )
    }
}

fn path(way: &[Vec<u8>]) -> String {
    if way.is_empty() { "/".to_owned() } else { printable(&way.join(&b'/')) }
}
