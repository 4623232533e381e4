//! What keeps an artifact from being made, or read.

use std::{io, path::PathBuf};

use thiserror::Error;

use crate::device::DeviceError;

/// Why an artifact cannot be made, or is not to be trusted.
#[derive(Debug, Error)]
pub enum ArtifactError {
    /// The name is no plain file name.
    #[error("{name:?} cannot be the name of a file: it is empty, too long, begins with a dot, or has a slash in it")]
    Name {
        /// As it was given.
        name: String,
    },
    /// The target folder is missing or cannot be entered.
    #[error("the target folder {} cannot be used: {source}", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The target folder is something else.
    #[error("the target {} is not a folder", folder.display())]
    NotAFolder {
        /// What was given as a folder.
        folder: PathBuf,
    },
    /// Nothing may be created in the target folder.
    #[error("the target folder {} is not writable: {source}", folder.display())]
    NotWritable {
        /// The folder.
        folder: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// A file there can get no name without replacing what has it.
    #[error(
        "the filesystem of {} can neither rename a file without replacing another nor give it a second name (a hard link), so that \
         nothing can appear there whole: {source}",
        folder.display()
    )]
    NoRename {
        /// The folder.
        folder: PathBuf,
        /// What the kernel said of the link.
        source: io::Error,
    },
    /// The name is taken. Nothing is ever overwritten.
    #[error("{} exists already; choose another name, or move it away", path.display())]
    Exists {
        /// The taken name.
        path: PathBuf,
    },
    /// A step of making the file failed.
    #[error("cannot {step} {}: {source}", path.display())]
    Io {
        /// What was being done: "create", "sync", "rename" and the like.
        step: &'static str,
        /// To what.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// Standard output is a terminal.
    #[error("will not write an image to a terminal; redirect standard output, or name a folder")]
    Terminal,
    /// The file or device cannot be opened.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The file is no seekable zstd file, or a broken one.
    #[error("no artifact, or a damaged one: {detail}")]
    Format {
        /// What is wrong, with the numbers.
        detail: String,
    },
    /// The file cannot be read.
    #[error("reading {size_bytes} bytes at byte {offset_bytes} of the artifact: {source}")]
    Read {
        /// Where.
        offset_bytes: u64,
        /// How much.
        size_bytes: u64,
        /// What the medium said.
        source: io::Error,
    },
    /// A frame does not unpack to what it should.
    #[error("frame {frame} (byte {offset_bytes} of the artifact) is damaged: {detail}")]
    Frame {
        /// Its number, from 0.
        frame: u32,
        /// Where it is stored.
        offset_bytes: u64,
        /// What zstd said.
        detail: String,
    },
}
