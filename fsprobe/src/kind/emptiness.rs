//! Whether anything but zeros is in a volume, as far as a look at some of its places can tell.

use std::iter::once;
use std::ops::Range;

use super::{Found, Kind};
use crate::read_at::read;
use crate::{Finding, ProbeError, ReadAt};

const MIB: u64 = 1 << 20;
/// Read from the start and from the end: where filesystems, tables and RAID members have their superblocks.
const HEAD_BYTES: u64 = 2 * MIB;
const TAIL_BYTES: u64 = MIB;
/// Spread over what is between.
const SAMPLES: u64 = 64;
const SAMPLE_BYTES: u64 = 16 << 10;
/// A volume of no more is read whole.
const WHOLE_BYTES: u64 = 4 * MIB;
/// Read at once.
const CHUNK_BYTES: u64 = 256 << 10;

/// A volume without any signature: empty, or not known.
pub(super) fn look(volume: &dyn ReadAt) -> Result<Found, ProbeError> {
    Ok(match first_data(volume, 0..volume.size_bytes())? {
        None => Found { kind: Kind::Empty, finding: None },
        Some(at) if at < MIB => Found { kind: Kind::Unknown, finding: None },
        Some(at) => {
            let at = at & !511;
            let detail = format!(
                "no signature is at its place, and the first MiB is zero, but the sector at byte {at} holds data: a table or a start that \
                 was overwritten, or data of a kind that keeps nothing there"
            );
            Found { kind: Kind::Unknown, finding: Some(Finding::unknown("data-behind-zeros", "content", detail)) }
        }
    })
}

/// In words, what [`first_data`] has looked at where it found nothing.
pub(crate) fn looked_at(range: &Range<u64>) -> String {
    let size = range.end.saturating_sub(range.start);
    if size <= WHOLE_BYTES {
        return "all of it is zero".to_owned();
    }
    format!(
        "its first {} MiB and last {} MiB are zero, and so are {SAMPLES} places of {} KiB between; the rest was not looked at",
        HEAD_BYTES / MIB,
        TAIL_BYTES / MIB,
        SAMPLE_BYTES >> 10
    )
}

/// The first byte that is not zero among those of `range` that are looked at.
pub(crate) fn first_data(volume: &dyn ReadAt, range: Range<u64>) -> Result<Option<u64>, ProbeError> {
    let Range { start, end } = range;
    let size = end.saturating_sub(start);
    if size <= WHOLE_BYTES {
        return first_in(volume, start..end);
    }
    let (head_end, tail_start) = (start + HEAD_BYTES, end - TAIL_BYTES);
    let step = (tail_start - head_end) / SAMPLES;
    let samples = (0..SAMPLES).map(|sample| {
        // On a boundary of 4 KiB, as the blocks of filesystems are.
        let at = (head_end + sample * step) & !0xfff;
        at..(at + SAMPLE_BYTES).min(tail_start)
    });
    for range in once(start..head_end).chain(samples).chain(once(tail_start..end)) {
        if let Some(at) = first_in(volume, range)? {
            return Ok(Some(at));
        }
    }
    Ok(None)
}

fn first_in(volume: &dyn ReadAt, Range { start, end }: Range<u64>) -> Result<Option<u64>, ProbeError> {
    const ZEROS: [u8; 4096] = [0; 4096];
    let mut at = start;
    while at < end {
        let length = usize::try_from((end - at).min(CHUNK_BYTES)).unwrap_or(0);
        let bytes = read(volume, at, length, "content")?;
        // Pages first: a comparison of slices is fast in every build.
        let page = bytes.chunks(ZEROS.len()).zip((at..).step_by(ZEROS.len()));
        let mut data = page.filter(|(page, _)| ZEROS.get(..page.len()) != Some(*page));
        if let Some((page, page_at)) = data.next() {
            let within = page.iter().position(|&byte| byte != 0).unwrap_or(0);
            return Ok(Some(page_at + within as u64));
        }
        at += length as u64;
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Zeros, but for one byte.
    struct OneByte {
        size_bytes: u64,
        at: u64,
    }

    impl ReadAt for OneByte {
        fn size_bytes(&self) -> u64 {
            self.size_bytes
        }

        fn read_exact_at(&self, buf: &mut [u8], offset_bytes: u64) -> std::io::Result<()> {
            crate::read_at::end_of_read(buf, offset_bytes, self.size_bytes)?;
            buf.fill(0);
            if let Some(byte) = self.at.checked_sub(offset_bytes).and_then(|at| buf.get_mut(usize::try_from(at).ok()?))
            {
                *byte = 1;
            }
            Ok(())
        }
    }

    fn found(size_bytes: u64, at: u64) -> Option<u64> {
        first_data(&OneByte { size_bytes, at }, 0..size_bytes).unwrap()
    }

    #[test]
    fn in_a_small_volume_every_byte_is_found() {
        for at in [0, 1, 4095, 4096, MIB - 1, 2 * MIB + 77, WHOLE_BYTES - 1] {
            assert_eq!(found(WHOLE_BYTES, at), Some(at));
        }
        assert_eq!(found(WHOLE_BYTES, WHOLE_BYTES), None);
        assert_eq!(found(0, 0), None);
    }

    #[test]
    fn in_a_large_volume_start_end_and_samples_are_found() {
        let size = 1 << 40;
        for at in [MIB, 2 * MIB - 1, size - MIB, size - 1] {
            assert_eq!(found(size, at), Some(at));
        }
        let hits = (0..1000).filter(|i| found(64 * MIB, 3 * MIB + i * 60 * 1024).is_some()).count();
        assert!(hits > 10, "{hits} of 1000 places are looked at");
        assert!(looked_at(&(0..size)).contains("the rest was not looked at"));
    }
}
