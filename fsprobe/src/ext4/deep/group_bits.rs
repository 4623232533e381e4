//! One bit for each item of each group, in memory only where one is set.

/// Bits by group and index in it. A group costs a pointer until its first bit is set, then a bit an item.
pub(super) struct GroupBits {
    groups: Vec<Option<Box<[u64]>>>,
    words_per_group: usize,
}

impl GroupBits {
    pub(super) fn new(groups: u32, bits_per_group: u32) -> Self {
        let mut empty = Vec::new();
        empty.resize_with(groups as usize, || None);
        Self { groups: empty, words_per_group: bits_per_group.div_ceil(64) as usize }
    }

    /// Sets a bit; `false` where it was set already. One that does not exist is left alone.
    pub(super) fn set(&mut self, group: u32, index: u32) -> bool {
        self.set_range(group, index..index.saturating_add(1)).is_none()
    }

    /// Sets bits of one group and returns the first that was set before.
    pub(super) fn set_range(&mut self, group: u32, range: std::ops::Range<u32>) -> Option<u32> {
        let words_per_group = self.words_per_group;
        let bits = self.groups.get_mut(group as usize)?;
        let words = bits.get_or_insert_with(|| vec![0; words_per_group].into_boxed_slice());
        let mut first_set = None;
        let mut start = range.start;
        while start < range.end {
            let end = range.end.min((start | 63).saturating_add(1));
            let mask = (u64::MAX >> (64 - (end - start))) << (start % 64);
            let word = words.get_mut(start as usize / 64)?;
            let before = *word & mask;
            if before != 0 && first_set.is_none() {
                first_set = Some(start - start % 64 + before.trailing_zeros());
            }
            *word |= mask;
            start = end;
        }
        first_set
    }

    pub(super) fn is_set(&self, group: u32, index: u32) -> bool {
        self.word(group, index / 64) >> (index % 64) & 1 != 0
    }

    /// Bits `64 * index` and following of a group, the first one least significant.
    pub(super) fn word(&self, group: u32, index: u32) -> u64 {
        let words = self.groups.get(group as usize).and_then(Option::as_deref);
        words.and_then(|words| words.get(index as usize)).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_sets_its_bits_only_and_says_the_first_that_was_set() {
        let mut bits = GroupBits::new(2, 200);
        assert_eq!(bits.set_range(1, 60..130), None);
        assert_eq!((0..200).filter(|&index| bits.is_set(1, index)).collect::<Vec<_>>(), (60..130).collect::<Vec<_>>());
        assert_eq!(bits.set_range(1, 0..64), Some(60));
        assert_eq!(bits.set_range(1, 129..131), Some(129));
        assert!(!bits.set(1, 130) && bits.set(0, 130) && !bits.is_set(0, 60));
        assert_eq!(bits.word(1, 1), u64::MAX);
        assert_eq!(bits.word(7, 0), 0);
    }
}
