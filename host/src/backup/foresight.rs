//! What there is to know beforehand of a disk's writes and of its copy: for the forecast of its COW. It reads, and changes nothing.

use std::path::Path;
use std::time::{Duration, Instant};

use fsprobe::{Disk as Layout, Extent, ReadAt as _};
use image::device::Device;
use lvm::{Bytes, Origin};

use crate::ask::job::Job;
use crate::blocking::blocking;
use crate::cow::forecast::Known;
use crate::cow::history::History;
use crate::cow::writes::WriteCount;
use crate::stop::{Stop, Stopped};

/// A guest that commits once a second is seen to write.
const LOOK: Duration = Duration::from_secs(3);

/// Each read of the test of how fast a disk is read.
const PIECE_BYTES: u64 = 1 << 20;
/// How many, all over what is in use.
const PIECES: u64 = 64;
/// A disk that is slow is known to be by then.
const READING: Duration = Duration::from_secs(1);

/// What is known beforehand of a disk.
#[derive(Clone, Debug, Default)]
pub struct Foresight {
    /// What was written to it when the survey began; `None` where the kernel does not say.
    pub before: Option<WriteCount>,
    /// Its earlier snapshots, and its writes now.
    pub known: Known,
    /// What there is to copy; `None` where that could not be seen.
    pub allocated: Option<Bytes>,
    /// At how many bytes a second it is read where it is in use; `None` where earlier copies know better, or nobody looked.
    pub read_speed: Option<f64>,
}

impl Foresight {
    /// The beginning of a look at the disk at `path`.
    #[must_use]
    pub fn begin(path: &Path) -> Self {
        Self { before: WriteCount::of(path), ..Self::default() }
    }
}

/// Ends the look at each of `disks`, which takes a few seconds from its beginning.
///
/// # Errors
/// Only where a signal came.
pub async fn look<'d>(
    job: &Job,
    disks: impl IntoIterator<Item = (&'d Origin, &'d Layout, &'d mut Foresight)>,
    begun: Instant,
    stop: &Stop,
) -> Result<(), Stopped> {
    let disks: Vec<_> = disks.into_iter().collect();
    if disks.iter().any(|(_, _, foresight)| foresight.before.is_some()) {
        stop.or(tokio::time::sleep(LOOK.saturating_sub(begun.elapsed()))).await?;
    }
    for (origin, layout, foresight) in disks {
        let earlier = History::below(&job.state_dir.value).of(&job.vm, &origin.name);
        let now = foresight.before.and_then(|before| WriteCount::of(&origin.device_path)?.since(&before));
        foresight.known = Known { earlier, now };
        blocking(|| foresight.look_at_the_copy(origin, layout));
    }
    Ok(())
}

impl Foresight {
    /// How much there is to copy, and how fast that may be. Of no use where nothing is known of the writes.
    fn look_at_the_copy(&mut self, origin: &Origin, layout: &Layout) {
        let Known { earlier, now } = &self.known;
        if earlier.is_empty() && now.is_none() {
            return;
        }
        let Ok(device) = Device::open_for_copy(&origin.device_path) else { return };
        // Of a filesystem that lives: a number, and no list to copy by.
        let Ok(extents) = fsprobe::allocated(&device, layout) else { return };
        self.allocated = Some(total(&extents));
        if !earlier.iter().any(|run| run.speed().is_some()) {
            self.read_speed = read_speed(&device, &extents);
        }
    }
}

fn total(extents: &[Extent]) -> Bytes {
    Bytes(extents.iter().fold(0, |sum, extent| sum.saturating_add(extent.size_bytes)))
}

/// How fast `device` is read at places all over `extents`.
fn read_speed(device: &Device, extents: &[Extent]) -> Option<f64> {
    let step = (total(extents).0 / PIECES).max(PIECE_BYTES);
    let mut buffer = vec![0; PIECE_BYTES as usize];
    let (start, mut read, mut skip) = (Instant::now(), 0_u64, 0_u64);
    for extent in extents {
        while skip < extent.size_bytes {
            let size = PIECE_BYTES.min(extent.size_bytes - skip);
            device.read_exact_at(&mut buffer[..size as usize], extent.offset_bytes + skip).ok()?;
            read += size;
            skip += step;
            if start.elapsed() > READING {
                return Some(read as f64 / start.elapsed().as_secs_f64());
            }
        }
        skip -= extent.size_bytes;
    }
    (read > 0).then(|| read as f64 / start.elapsed().as_secs_f64().max(1e-6))
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn a_disk_is_read_where_it_is_in_use() {
        let file = tempfile::NamedTempFile::new().unwrap();
        File::options().write(true).open(file.path()).unwrap().set_len(8 << 20).unwrap();
        let device = Device::open(file.path()).unwrap();
        assert!(read_speed(&device, &[Extent::new(0, 3 << 20), Extent::new(5 << 20, 3 << 20)]).unwrap() > 0.0);
        assert_eq!(read_speed(&device, &[]), None);
        assert_eq!(read_speed(&device, &[Extent::new(7 << 20, 2 << 20)]), None, "beyond its end");
    }
}
