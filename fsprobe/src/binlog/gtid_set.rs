//! MySQL's sets of GTIDs: of each source, and tag, the numbers of its transactions.

use std::collections::BTreeMap;
use std::fmt;

use uuid::Uuid;

/// Intervals that are kept of all sources together: 80 MiB of memory at the most.
const MAX_INTERVALS: usize = 1 << 20;
/// `tag_max_length`.
pub(super) const MAX_TAG_BYTES: usize = 32;
/// `GNO_END`.
const END: u64 = i64::MAX as u64;

/// Who numbers transactions: a server, or a part of what it does, by a tag (MySQL 8.3 and later; empty where there is none).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Source {
    /// The server's UUID.
    pub uuid: Uuid,
    /// Lower-case letters, digits and underscores.
    pub tag: String,
}

impl Source {
    /// Tags are not told apart by case. `None` where it is not one.
    pub(super) fn new(uuid: Uuid, tag: &[u8]) -> Option<Self> {
        let is_tag = tag.len() <= MAX_TAG_BYTES && tag.iter().all(|&byte| byte == b'_' || byte.is_ascii_alphanumeric());
        let tag = String::from_utf8_lossy(tag).to_ascii_lowercase();
        is_tag.then_some(Self { uuid, tag })
    }
}

/// The name of one transaction, as `UUID:NUMBER` or `UUID:TAG:NUMBER`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MySqlGtid {
    /// Who gave it.
    pub source: Source,
    /// From 1 on.
    pub number: u64,
}

impl fmt::Display for MySqlGtid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Source { uuid, tag } = &self.source;
        let separator = if tag.is_empty() { "" } else { ":" };
        write!(f, "{uuid}{separator}{tag}:{}", self.number)
    }
}

/// A set of them. It prints as the server prints it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GtidSet {
    /// Of each source the intervals: first number to the one behind the last, apart from each other.
    sources: BTreeMap<Source, BTreeMap<u64, u64>>,
    intervals: usize,
}

impl GtidSet {
    /// Reads what the server prints: `UUID:1-5:7, UUID:TAG:1-3`. `None` where it is something else, or has too many parts.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut set = Self::default();
        for of_uuid in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let mut parts = of_uuid.split(':').map(str::trim);
            let mut source = Source::new(Uuid::parse_str(parts.next()?).ok()?, b"")?;
            for part in parts {
                if part.starts_with(|first: char| first == '_' || first.is_ascii_alphabetic()) {
                    source = Source::new(source.uuid, part.as_bytes())?;
                    continue;
                }
                let (first, last) = part.split_once('-').unwrap_or((part, part));
                let [first, last] = [first, last].map(|number| number.trim().parse::<u64>().ok());
                set.insert(&source, first?, last?.checked_add(1)?).then_some(())?;
            }
        }
        Some(set)
    }

    /// Whether `gtid` is in it.
    #[must_use]
    pub fn contains(&self, gtid: &MySqlGtid) -> bool {
        let intervals = self.sources.get(&gtid.source);
        let before = intervals.and_then(|intervals| intervals.range(..=gtid.number).next_back());
        before.is_some_and(|(_, end)| gtid.number < *end)
    }

    /// Whether all of `other` is in it that `own` did; where there is no `own`, all of it.
    #[must_use]
    pub fn includes(&self, other: &Self, own: Option<Uuid>) -> bool {
        let mut counted = other.sources.iter().filter(|(source, _)| own.is_none_or(|own| own == source.uuid));
        counted.all(|(source, intervals)| {
            let here = self.sources.get(source);
            intervals.iter().all(|(start, end)| {
                let around = here.and_then(|here| here.range(..=*start).next_back());
                around.is_some_and(|(_, here_end)| end <= here_end)
            })
        })
    }

    /// Both together; `None` where that has too many intervals.
    #[must_use]
    pub fn and(mut self, other: &Self) -> Option<Self> {
        for (source, intervals) in &other.sources {
            for (start, end) in intervals {
                self.insert(source, *start, *end).then_some(())?;
            }
        }
        Some(self)
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }

    /// Adds the numbers from `start` to before `end`. Not where those are none that can be, or there are too many intervals.
    #[must_use]
    pub(super) fn insert(&mut self, source: &Source, start: u64, end: u64) -> bool {
        if start == 0 || start >= end || end > END || self.intervals >= MAX_INTERVALS {
            return false;
        }
        if !self.sources.contains_key(source) {
            self.sources.insert(source.clone(), BTreeMap::new());
        }
        let Some(intervals) = self.sources.get_mut(source) else { return false };
        let (mut start, mut end) = (start, end);
        // Those that it touches become part of it.
        while let Some((&other_start, &other_end)) = intervals.range(..=end).next_back() {
            if other_end < start {
                break;
            }
            (start, end) = (start.min(other_start), end.max(other_end));
            intervals.remove(&other_start);
            self.intervals -= 1;
        }
        intervals.insert(start, end);
        self.intervals += 1;
        true
    }
}

impl fmt::Display for GtidSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut last = None;
        for (source, intervals) in &self.sources {
            match last {
                Some(uuid) if uuid == source.uuid => {}
                Some(_) => write!(f, ",{}", source.uuid)?,
                None => write!(f, "{}", source.uuid)?,
            }
            last = Some(source.uuid);
            if !source.tag.is_empty() {
                write!(f, ":{}", source.tag)?;
            }
            for (start, end) in intervals {
                if *end == start + 1 { write!(f, ":{start}")? } else { write!(f, ":{start}-{}", end - 1)? }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
    const B: &str = "4e11fa47-71ca-11e1-9e33-c80aa9429562";

    #[test]
    fn a_set_prints_as_the_server_prints_it() {
        let text = format!("{A}:1-5:7,{B}:1:alpha:3-4");
        assert_eq!(GtidSet::parse(&text).unwrap().to_string(), text);
    }

    #[test]
    fn neighbours_and_overlaps_become_one_interval() {
        let set = GtidSet::parse(&format!(" {A}:9 : 1-3:4-6,\n{}:5-8", A.to_uppercase())).unwrap();
        assert_eq!(set.to_string(), format!("{A}:1-9"));
    }

    #[test]
    fn a_set_includes_what_a_server_did_itself_whatever_others_did() {
        let set = |text: &str| GtidSet::parse(text).unwrap();
        let own = Uuid::parse_str(A).unwrap();
        let log = set(&format!("{A}:1-9:12-20"));
        for (told, all, of_own) in [
            (String::new(), true, true),
            (format!("{A}:2-9:13"), true, true),
            (format!("{A}:2-10"), false, false),
            (format!("{A}:21"), false, false),
            (format!("{A}:tag:1"), false, false),
            (format!("{A}:1-9,{B}:1"), false, true),
        ] {
            assert_eq!(
                (log.includes(&set(&told), None), log.includes(&set(&told), Some(own))),
                (all, of_own),
                "{told}"
            );
        }
    }

    #[test]
    fn two_sets_together_have_what_either_has() {
        let set = |text: &str| GtidSet::parse(text).unwrap();
        let both = set(&format!("{A}:1-5,{B}:1")).and(&set(&format!("{A}:4-9"))).unwrap();
        assert_eq!(both.to_string(), format!("{A}:1-9,{B}:1"));
    }

    #[test]
    fn what_is_no_set_is_refused() {
        for text in ["x", A, &format!("{A}:0"), &format!("{A}:5-1"), &format!("{A}:1-"), &format!("{A}:{}", u64::MAX)] {
            assert!(GtidSet::parse(text).is_none_or(|set| set.is_empty()), "{text}");
        }
    }

    #[test]
    fn a_gtid_is_found_by_source_tag_and_number() {
        let set = GtidSet::parse(&format!("{A}:1-5:Tag:7")).unwrap();
        let gtid =
            |tag: &[u8], number| MySqlGtid { source: Source::new(Uuid::parse_str(A).unwrap(), tag).unwrap(), number };
        assert!(set.contains(&gtid(b"", 5)) && set.contains(&gtid(b"tag", 7)));
        assert!(!set.contains(&gtid(b"", 6)) && !set.contains(&gtid(b"", 7)) && !set.contains(&gtid(b"tag", 5)));
        assert_eq!(gtid(b"tag", 7).to_string(), format!("{A}:tag:7"));
    }
}
