//! Where the bytes of a volume are on its disk.

use std::io;

use crate::{Extent, ReadAt};

/// A volume as pieces of its disk, in logical order. Stripes are worked out when they are needed, never listed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Map {
    segments: Vec<Segment>,
    size_bytes: u64,
}

#[derive(Debug, Clone)]
struct Segment {
    start_bytes: u64,
    size_bytes: u64,
    place: Place,
}

/// Where one run of a volume is.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    /// In one piece from that byte of the disk on.
    Linear(u64),
    /// Unit by unit in turn over areas that begin at these bytes of the disk.
    Striped { stripe_size_bytes: u64, areas: Vec<u64> },
    /// Not on this disk, or in a form that cannot be read from it.
    Elsewhere,
}

impl Map {
    /// One piece.
    pub fn linear(extent: Extent) -> Self {
        let mut map = Self::default();
        map.push(extent.size_bytes, Place::Linear(extent.offset_bytes));
        map
    }

    /// Appends a run. Runs that follow each other on the disk become one.
    pub fn push(&mut self, size_bytes: u64, place: Place) {
        if size_bytes == 0 {
            return;
        }
        let start_bytes = self.size_bytes;
        self.size_bytes = self.size_bytes.saturating_add(size_bytes);
        if let (Some(last), Place::Linear(next)) = (self.segments.last_mut(), &place)
            && let Place::Linear(previous) = last.place
            && previous.checked_add(last.size_bytes) == Some(*next)
        {
            last.size_bytes += size_bytes;
            return;
        }
        self.segments.push(Segment { start_bytes, size_bytes, place });
    }

    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// The first byte of the volume on the disk.
    pub fn offset_bytes(&self) -> Option<u64> {
        Some(self.run(0)?.0?.offset_bytes)
    }

    /// The one extent that the volume is, where it is one.
    pub fn contiguous(&self) -> Option<Extent> {
        match self.segments.as_slice() {
            [Segment { size_bytes, place: Place::Linear(offset), .. }] => Some(Extent::new(*offset, *size_bytes)),
            _ => None,
        }
    }

    /// Whether every byte is on this disk.
    pub fn is_whole(&self) -> bool {
        !self.segments.iter().any(|segment| matches!(segment.place, Place::Elsewhere))
    }

    /// The runs in order: start and length within the volume, and the place.
    pub fn segments(&self) -> impl Iterator<Item = (Extent, &Place)> {
        self.segments.iter().map(|segment| (Extent::new(segment.start_bytes, segment.size_bytes), &segment.place))
    }

    /// The longest run from `logical_bytes` on that is in one piece; no extent where it is elsewhere. `None` past the end.
    fn run(&self, logical_bytes: u64) -> Option<(Option<Extent>, u64)> {
        let after = self.segments.partition_point(|segment| segment.start_bytes <= logical_bytes);
        let segment = self.segments.get(after.checked_sub(1)?)?;
        let within = logical_bytes - segment.start_bytes;
        let left = segment.size_bytes.checked_sub(within).filter(|left| *left > 0)?;
        match &segment.place {
            Place::Elsewhere => Some((None, left)),
            Place::Linear(offset) => Some((Some(Extent::new(offset.saturating_add(within), left)), left)),
            Place::Striped { stripe_size_bytes, areas } => {
                let unit = within.checked_div(*stripe_size_bytes)?;
                let count = areas.len() as u64;
                let area = areas.get(usize::try_from(unit.checked_rem(count)?).ok()?)?;
                let in_unit = within % stripe_size_bytes;
                let in_area = (unit / count).saturating_mul(*stripe_size_bytes).saturating_add(in_unit);
                let length = left.min(stripe_size_bytes - in_unit);
                Some((Some(Extent::new(area.saturating_add(in_area), length)), length))
            }
        }
    }

    /// The pieces of the disk that hold `range` of the volume, in order, without what is elsewhere.
    pub fn pieces(&self, range: Extent) -> impl Iterator<Item = Extent> {
        let mut at = range.offset_bytes;
        let end = range.end_bytes();
        std::iter::from_fn(move || {
            while at < end {
                let (piece, length) = self.run(at)?;
                let length = length.min(end - at);
                at += length;
                if let Some(piece) = piece {
                    return Some(Extent::new(piece.offset_bytes, length));
                }
            }
            None
        })
    }

    /// Every part of the disk that the volume uses, whole areas of stripes.
    pub fn areas(&self) -> impl Iterator<Item = Extent> {
        self.segments.iter().flat_map(|segment| match &segment.place {
            Place::Elsewhere => Vec::new(),
            Place::Linear(offset) => vec![Extent::new(*offset, segment.size_bytes)],
            Place::Striped { areas, .. } => {
                let each = segment.size_bytes / (areas.len() as u64).max(1);
                areas.iter().map(|offset| Extent::new(*offset, each)).collect()
            }
        })
    }

    /// Reads `buf` from `offset_bytes` of the volume.
    pub fn read_exact_at(&self, disk: &dyn ReadAt, mut buf: &mut [u8], offset_bytes: u64) -> io::Result<()> {
        let mut at = offset_bytes;
        while !buf.is_empty() {
            let (piece, length) = self.run(at).ok_or(io::ErrorKind::UnexpectedEof)?;
            let piece =
                piece.ok_or_else(|| io::Error::new(io::ErrorKind::Unsupported, "this part is not on this disk"))?;
            let length = usize::try_from(length).unwrap_or(usize::MAX).min(buf.len());
            let (head, rest) = buf.split_at_mut(length);
            disk.read_exact_at(head, piece.offset_bytes)?;
            buf = rest;
            at += length as u64;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stripes_are_read_in_turn() {
        let disk: Vec<u8> = (0..64).collect();
        let mut map = Map::default();
        map.push(4, Place::Linear(60));
        map.push(16, Place::Striped { stripe_size_bytes: 4, areas: vec![0, 32] });
        let mut read = vec![0; 18];
        map.read_exact_at(&disk, &mut read, 2).unwrap();
        assert_eq!(read, [62, 63, 0, 1, 2, 3, 32, 33, 34, 35, 4, 5, 6, 7, 36, 37, 38, 39]);
        let pieces: Vec<_> = map.pieces(Extent::new(6, 10)).collect();
        assert_eq!(pieces, [Extent::new(2, 2), Extent::new(32, 4), Extent::new(4, 4)]);
        assert!(map.read_exact_at(&disk, &mut [0; 2], 19).is_err());
    }

    #[test]
    fn what_is_elsewhere_is_an_error_to_read_and_no_piece() {
        let disk = vec![7_u8; 16];
        let mut map = Map::default();
        map.push(4, Place::Elsewhere);
        map.push(4, Place::Linear(8));
        assert_eq!(map.read_exact_at(&disk, &mut [0; 2], 3).unwrap_err().kind(), io::ErrorKind::Unsupported);
        assert_eq!(map.pieces(Extent::new(0, 8)).collect::<Vec<_>>(), [Extent::new(8, 4)]);
        assert_eq!(map.offset_bytes(), None);
    }
}
