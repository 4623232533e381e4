//! Byte ranges, and a set of them that stays small.

use serde::{Deserialize, Serialize};

/// A range of bytes of a disk or volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Extent {
    /// Its first byte.
    pub offset_bytes: u64,
    /// Its length.
    pub size_bytes: u64,
}

impl Extent {
    /// `size_bytes` from `offset_bytes` on.
    #[must_use]
    pub fn new(offset_bytes: u64, size_bytes: u64) -> Self {
        Self { offset_bytes, size_bytes }
    }

    /// The first byte after it.
    #[must_use]
    pub fn end_bytes(&self) -> u64 {
        self.offset_bytes.saturating_add(self.size_bytes)
    }
}

/// A set of extents in bounded memory: where there are too many, those closest to each other grow together.
///
/// It may come to hold more bytes than were put in, never fewer: right for "what has to be copied".
#[derive(Debug, Clone)]
pub struct ExtentSet {
    extents: Vec<Extent>,
    limit: usize,
    /// Extents no further apart than this are one.
    gap_bytes: u64,
}

impl Default for ExtentSet {
    fn default() -> Self {
        Self::with_limit(Self::LIMIT)
    }
}

impl ExtentSet {
    /// Extents kept apart, 16 bytes each (64 MiB).
    pub const LIMIT: usize = 4 << 20;

    /// An empty set that keeps at most `limit` extents (two at least).
    #[must_use]
    pub fn with_limit(limit: usize) -> Self {
        Self { extents: Vec::new(), limit: limit.max(2), gap_bytes: 0 }
    }

    /// Adds one. Cheapest when they come in order.
    pub fn insert(&mut self, extent: Extent) {
        if extent.size_bytes == 0 {
            return;
        }
        if let Some(last) = self.extents.last_mut()
            && extent.offset_bytes >= last.offset_bytes
            && extent.offset_bytes <= last.end_bytes().saturating_add(self.gap_bytes)
        {
            last.size_bytes = last.end_bytes().max(extent.end_bytes()) - last.offset_bytes;
            return;
        }
        self.extents.push(extent);
        if self.extents.len() > self.limit {
            self.merge();
            // Only half full afterwards, so that the next merge is far away.
            while self.extents.len() > self.limit / 2 && self.extents.len() > 1 {
                self.gap_bytes = (self.gap_bytes * 2).max(4096);
                self.merge();
            }
        }
    }

    /// The extents, sorted, none touching another.
    #[must_use]
    pub fn into_sorted(mut self) -> Vec<Extent> {
        self.merge();
        self.extents
    }

    fn merge(&mut self) {
        self.extents.sort_unstable();
        let gap_bytes = self.gap_bytes;
        self.extents.dedup_by(|next, kept| {
            let touches = next.offset_bytes <= kept.end_bytes().saturating_add(gap_bytes);
            if touches {
                kept.size_bytes = kept.end_bytes().max(next.end_bytes()) - kept.offset_bytes;
            }
            touches
        });
    }
}

impl Extend<Extent> for ExtentSet {
    fn extend<T: IntoIterator<Item = Extent>>(&mut self, extents: T) {
        extents.into_iter().for_each(|extent| self.insert(extent));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlapping_and_touching_extents_become_one() {
        let mut set = ExtentSet::default();
        set.extend([Extent::new(100, 50), Extent::new(0, 10), Extent::new(10, 5), Extent::new(120, 10)]);
        assert_eq!(set.into_sorted(), [Extent::new(0, 15), Extent::new(100, 50)]);
    }

    #[test]
    fn too_many_extents_grow_together_and_lose_no_byte() {
        let mut set = ExtentSet::with_limit(8);
        let put: Vec<_> = (0..1000).map(|i| Extent::new(i * 10_000, 10)).collect();
        set.extend(put.iter().copied());
        let kept = set.into_sorted();
        assert!(kept.len() <= 8, "{} extents kept", kept.len());
        for extent in put {
            assert!(
                kept.iter().any(|k| k.offset_bytes <= extent.offset_bytes && extent.end_bytes() <= k.end_bytes()),
                "{extent:?} is lost"
            );
        }
    }
}
