//! Reading a run log: who ran, whether it still does, and what it may hold.
//!
//! A log says what was intended; what is there is for whoever acts on it to see. Its last line may be torn.

use std::fs::{File, TryLockError};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use lvm::LvName;
use serde::Deserialize;

use super::entry::{Begun, Entry, FORMAT, Mark};
use super::format1;
use super::held::Held;

/// A run log has some tens of lines. More than this is none.
pub(super) const MAX_BYTES: u64 = 4 << 20;

/// A run, as its log has it.
#[derive(Clone, Debug, PartialEq)]
pub struct RunRecord {
    /// Who ran.
    pub begun: Begun,
    /// Every line after the first, in order.
    pub entries: Vec<Entry>,
    /// The last line is not whole: the run ended while it wrote.
    pub torn: bool,
}

/// A file that cannot be taken for a run log.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// It cannot be read.
    #[error("run log {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is longer than any log.
    #[error("run log {}: longer than {MAX_BYTES} bytes", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
    },
    /// A line of it is not understood, and it is not a torn last one.
    #[error("run log {}, line {line}: {why}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// What is wrong with it.
        why: String,
    },
}

impl RunRecord {
    /// Reads the log at `path`, of this format or an older one.
    ///
    /// # Errors
    /// [`RecordError`]. A log that is not understood says nothing of what is held: a person has to look.
    pub fn read(path: &Path) -> Result<Self, RecordError> {
        let fail = |source| RecordError::Read { path: path.to_owned(), source };
        let mut text = Vec::new();
        File::open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut text)).map_err(fail)?;
        if text.len() as u64 > MAX_BYTES {
            return Err(RecordError::TooLong { path: path.to_owned() });
        }
        Self::parse(&text).map_err(|(line, why)| RecordError::Line { path: path.to_owned(), line, why })
    }

    /// Whether the run that writes `path` lives: it holds the file locked.
    ///
    /// # Errors
    /// Where that cannot be found out.
    pub fn is_alive(path: &Path) -> io::Result<bool> {
        match File::open(path)?.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// What the run may still hold, first taken first; of one that came to its end, what it could not give back.
    #[must_use]
    pub fn held(&self) -> Vec<Held> {
        let mut held = Vec::new();
        self.entries.iter().for_each(|entry| entry.mark.apply_to(&mut held));
        held
    }

    /// The guest's disks on this host, as far as it made COW volumes for them.
    #[must_use]
    pub fn origins(&self) -> Vec<LvName> {
        let takes = self.entries.iter().filter_map(|entry| match &entry.mark {
            Mark::Intent { takes, .. } => Some(takes),
            _ => None,
        });
        let mut origins: Vec<LvName> = takes.flatten().filter_map(Held::origin).cloned().collect();
        origins.dedup();
        origins
    }

    /// Whether it came to its end, whatever that was.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.entries.iter().any(|entry| matches!(entry.mark, Mark::Closed { .. }))
    }

    fn parse(text: &[u8]) -> Result<Self, (usize, String)> {
        // A line is whole only with its end.
        let whole = text.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        let (whole, rest) = text.split_at(whole);
        let mut lines = (1..).zip(whole.split(|&byte| byte == b'\n')).filter(|(_, line)| !line.is_empty());
        let (_, first) = lines.next().ok_or((1, "it has no first line".to_owned()))?;
        let read = match format(first).map_err(|why| (1, why))? {
            1 => format1::read(first, lines)?,
            FORMAT => {
                let Mark::Begun(begun) = entry(first).map_err(|why| (1, why))?.mark else {
                    return Err((1, "it does not say who runs".to_owned()));
                };
                let entries = lines.map(|(number, line)| entry(line).map_err(|why| (number, why)));
                (begun, entries.collect::<Result<_, _>>()?)
            }
            0 => return Err((1, "there is no format 0".to_owned())),
            newer => return Err((1, format!("format {newer} is newer than this program"))),
        };
        Ok(Self { begun: read.0, entries: read.1, torn: !rest.is_empty() })
    }
}

fn entry(line: &[u8]) -> Result<Entry, String> {
    serde_json::from_slice(line).map_err(|error| error.to_string())
}

/// The first format did not name itself.
fn format(first: &[u8]) -> Result<u32, String> {
    #[derive(Deserialize)]
    struct Format {
        #[serde(default = "first_format")]
        format: u32,
    }
    fn first_format() -> u32 {
        1
    }
    serde_json::from_slice::<Format>(first).map(|line| line.format).map_err(|error| error.to_string())
}
