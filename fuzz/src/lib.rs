//! Turns the bytes of a fuzzer into hostile disks, and looks at them with everything that `fsprobe` offers.
//!
//! An input is a seed's number and a list of patches to it. Checksums are made right again afterwards, so that the
//! parsers behind them are reached. An input whose first byte is 0xff is the disk itself.

mod artifact;
mod binlog;
mod checksums;
mod disk;
mod files;
mod look;
mod redo;

use std::sync::OnceLock;

use fsprobe::ReadAt;

pub use artifact::read as read_artifact;
pub use binlog::read as read_binlog;
use disk::{Image, Seed};
pub use redo::read as read_redo;

/// No input may make the process hold more. A filesystem of a few MiB needs far less than one of a TiB.
const MEMORY_BYTES: usize = 256 << 20;

#[global_allocator]
static ALLOCATOR: cap::Cap<std::alloc::System> = cap::Cap::new(std::alloc::System, MEMORY_BYTES);

const RAW: u8 = 0xff;

/// The images of one target, by the names that `make-seeds` gives them.
pub struct Seeds {
    names: &'static [&'static str],
    loaded: OnceLock<Vec<Seed>>,
}

impl Seeds {
    /// Loaded at the first input.
    #[must_use]
    pub const fn new(names: &'static [&'static str]) -> Self {
        Self { names, loaded: OnceLock::new() }
    }

    /// Builds the disk that `input` describes and asks everything of it.
    pub fn run(&self, input: &[u8]) {
        self.run_with(input, look::at);
    }

    /// Builds the disk that `input` describes and reads every file on it.
    pub fn read_files(&self, input: &[u8]) {
        self.run_with(input, files::read_all);
    }

    fn run_with(&self, input: &[u8], look: impl Fn(&dyn ReadAt)) {
        let Some((&first, patches)) = input.split_first() else { return };
        if first == RAW {
            return look(&patches.to_vec());
        }
        let seeds = self.loaded.get_or_init(|| self.names.iter().map(|name| Seed::load(name)).collect());
        let seed = &seeds[usize::from(first) % seeds.len()];
        let mut image = Image::new(seed);
        image.patch(patches);
        checksums::make_right(&mut image);
        look(&image);
    }
}
