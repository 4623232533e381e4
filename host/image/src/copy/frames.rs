//! Which frames a disk is cut into, and what each has to read.

use fsprobe::Extent;

use super::{CopyError, Options};

/// Smallest and largest raw frame, in bytes. Powers of two keep every frame one whole subtree of the blake3 tree.
const FRAME_SIZES_BYTES: std::ops::RangeInclusive<u32> = 64 << 10..=crate::artifact::MAX_FRAME_BYTES;

/// A disk cut into frames of one size (the last may be shorter), and the ranges of it that are allocated.
#[derive(Debug)]
pub(super) struct Frames<'a> {
    disk_bytes: u64,
    frame_bytes: u32,
    count: u32,
    allocated: &'a [Extent],
}

impl<'a> Frames<'a> {
    pub(super) fn new(disk_bytes: u64, allocated: &'a [Extent], options: &Options) -> Result<Self, CopyError> {
        let frame_bytes = options.frame_size_bytes;
        if !frame_bytes.is_power_of_two() || !FRAME_SIZES_BYTES.contains(&frame_bytes) {
            return Err(CopyError::Options(format!(
                "a frame of {frame_bytes} bytes: it has to be a power of two from 64 KiB to 64 MiB"
            )));
        }
        let count = u32::try_from(disk_bytes.div_ceil(frame_bytes.into())).ok();
        let Some(count) = count.filter(|&count| count <= crate::artifact::MAX_FRAMES) else {
            return Err(CopyError::Options(format!(
                "a disk of {disk_bytes} bytes needs larger frames than {frame_bytes} bytes: an artifact has {} at most",
                crate::artifact::MAX_FRAMES
            )));
        };
        let mut end_bytes = 0;
        for &Extent { offset_bytes, size_bytes } in allocated {
            let end = offset_bytes.checked_add(size_bytes).filter(|&end| end <= disk_bytes);
            let Some(end) = end.filter(|_| offset_bytes >= end_bytes) else {
                return Err(CopyError::Ranges { offset_bytes, size_bytes, disk_bytes });
            };
            end_bytes = end;
        }
        Ok(Self { disk_bytes, frame_bytes, count, allocated })
    }

    pub(super) fn count(&self) -> u32 {
        self.count
    }

    pub(super) fn disk_bytes(&self) -> u64 {
        self.disk_bytes
    }

    pub(super) fn allocated_bytes(&self) -> u64 {
        self.allocated.iter().map(|extent| extent.size_bytes).sum()
    }

    pub(super) fn offset_bytes(&self, index: u32) -> u64 {
        u64::from(index) * u64::from(self.frame_bytes)
    }

    pub(super) fn size_bytes(&self, index: u32) -> u32 {
        let rest = self.disk_bytes.saturating_sub(self.offset_bytes(index));
        u32::try_from(rest).unwrap_or(u32::MAX).min(self.frame_bytes)
    }

    pub(super) fn is_allocated(&self, index: u32) -> bool {
        self.ranges(index).next().is_some()
    }

    /// The allocated ranges inside a frame, in bytes from the frame's start.
    pub(super) fn ranges(&self, index: u32) -> impl Iterator<Item = std::ops::Range<usize>> {
        let start = self.offset_bytes(index);
        let end = start + u64::from(self.size_bytes(index));
        let end_of = |extent: &Extent| extent.offset_bytes + extent.size_bytes;
        let first = self.allocated.partition_point(|extent| end_of(extent) <= start);
        self.allocated[first..]
            .iter()
            .take_while(move |extent| extent.offset_bytes < end)
            .map(move |extent| {
                let from = extent.offset_bytes.max(start) - start;
                let to = end_of(extent).min(end) - start;
                from as usize..to as usize
            })
            .filter(|range| !range.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: u64 = 1024;

    fn options() -> Options {
        Options { frame_size_bytes: 64 << 10, ..Options::default() }
    }

    fn extent(offset_bytes: u64, size_bytes: u64) -> Extent {
        Extent { offset_bytes, size_bytes }
    }

    #[test]
    fn a_range_across_two_frames_is_cut_between_them() {
        let allocated = [extent(60 * KIB, 8 * KIB), extent(100 * KIB, KIB)];
        let frames = Frames::new(150 * KIB, &allocated, &options()).unwrap();
        let ranges = |index| frames.ranges(index).map(|range| (range.start, range.end)).collect::<Vec<_>>();
        assert_eq!((frames.count(), frames.size_bytes(1), frames.size_bytes(2)), (3, 64 << 10, 22 << 10));
        assert_eq!(ranges(0), [(60 << 10, 64 << 10)]);
        assert_eq!(ranges(1), [(0, 4 << 10), (36 << 10, 37 << 10)]);
        assert!(!frames.is_allocated(2));
    }

    #[test]
    fn an_empty_range_allocates_no_frame() {
        let allocated = [extent(0, 0), extent(70 * KIB, 0)];
        let frames = Frames::new(128 * KIB, &allocated, &options()).unwrap();
        assert!(!frames.is_allocated(0) && !frames.is_allocated(1));
    }

    #[test]
    fn ranges_out_of_order_overlapping_or_past_the_end_are_refused() {
        for allocated in [
            [extent(10, 1), extent(5, 1)],
            [extent(0, 10), extent(9, 1)],
            [extent(0, 1), extent(100, 1)],
            [extent(0, 1), extent(u64::MAX, 2)],
        ] {
            assert!(matches!(Frames::new(100, &allocated, &options()), Err(CopyError::Ranges { .. })), "{allocated:?}");
        }
    }

    #[test]
    fn a_frame_size_that_is_no_power_of_two_or_too_large_is_refused() {
        for frame_size_bytes in [0, 1, 100_000, 128 << 20] {
            let options = Options { frame_size_bytes, ..Options::default() };
            assert!(matches!(Frames::new(100, &[], &options), Err(CopyError::Options(_))), "{frame_size_bytes}");
        }
    }
}
