//! What a block device was given to write, as the kernel counts it: an upper bound of what its snapshot's COW takes.

use std::fs::{metadata, read_to_string};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::time::{Duration, Instant};

use lvm::{Bytes, Sectors};
use nix::sys::stat::{major, minor};

/// The kernel's count of what was written to a block device, at one moment.
#[derive(Clone, Copy, Debug)]
pub struct WriteCount {
    written: Bytes,
    at: Instant,
}

/// How much was written to a block device in some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriteRate {
    /// Bytes a second. Every write is counted, also those of a chunk that was written before.
    pub per_second: Bytes,
    /// How long was looked.
    pub over: Duration,
}

impl WriteCount {
    /// What the kernel has counted of the block device at `path`; `None` where it is none, or the kernel does not say.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        let node = metadata(path).ok().filter(|node| node.file_type().is_block_device())?;
        let (major, minor) = (major(node.rdev()), minor(node.rdev()));
        let text = read_to_string(format!("/sys/dev/block/{major}:{minor}/stat")).ok()?;
        Some(Self { written: written(&text)?, at: Instant::now() })
    }

    /// What was written since `before`, the same device's.
    #[must_use]
    pub fn since(&self, before: &Self) -> Option<WriteRate> {
        let over = self.at.checked_duration_since(before.at)?;
        // A device that was made anew counts from nothing.
        let written = self.written.0.checked_sub(before.written.0)?;
        let per_second = u128::from(written) * 1000 / over.as_millis().max(1);
        Some(WriteRate { per_second: Bytes(u64::try_from(per_second).ok()?), over })
    }
}

/// Of a `stat` file (the kernel's Documentation/block/stat.rst): the seventh number is of sectors written. A write of less than a chunk of
/// the COW, 4 KiB, costs a whole one, so that the fifth, of writes, counts where these are more.
fn written(stat: &str) -> Option<Bytes> {
    let mut numbers = stat.split_ascii_whitespace().map(str::parse::<u64>);
    let writes = numbers.nth(4)?.ok()?;
    let sectors = numbers.nth(1)?.ok()?;
    Some(Sectors(sectors).bytes().max(Bytes(writes.saturating_mul(4096))))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str =
        "    6271     3102   458370     3208    20480     9912  1638400    10403        0     5972    13844\n";

    #[test]
    fn sectors_written_are_the_seventh_number() {
        assert_eq!(written(STAT), Some(Bytes(1_638_400 * 512)));
    }

    #[test]
    fn each_write_takes_a_chunk_at_least() {
        assert_eq!(written(&STAT.replace("1638400", "20480")), Some(Bytes(20_480 * 4096)));
    }

    #[test]
    fn a_file_that_is_cut_short_says_nothing() {
        assert_eq!(written("1 2 3 4 5 6"), None);
        assert_eq!(written("1 2 3 4 many 6 7"), None);
    }

    #[test]
    fn a_rate_is_what_was_written_by_the_time() {
        let at = Instant::now();
        let (first, second) = (
            WriteCount { written: Bytes(1000), at },
            WriteCount { written: Bytes(7000), at: at + Duration::from_secs(3) },
        );
        let rate = WriteRate { per_second: Bytes(2000), over: Duration::from_secs(3) };
        assert_eq!(second.since(&first), Some(rate));
        assert_eq!(first.since(&second), None);
    }

    #[test]
    fn what_is_no_block_device_has_no_count() {
        assert!(WriteCount::of(Path::new("/dev/null")).is_none());
        assert!(WriteCount::of(Path::new("/")).is_none());
    }
}
