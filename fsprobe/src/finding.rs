//! What was seen on a disk, and what it does to the verdict.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize};

/// How far a volume can be trusted as it is. Ordered: the worst of several is the greatest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Sound as it is.
    #[default]
    Consistent,
    /// Nothing in the bytes tells; or, read from a file, a newer version's word.
    Unknown,
    /// Sound only after its journal is replayed.
    Replay,
    /// Not sound, or not readable.
    Damaged,
}

impl<'de> Deserialize<'de> for Verdict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match &*String::deserialize(deserializer)? {
            "consistent" => Self::Consistent,
            "replay" => Self::Replay,
            "damaged" => Self::Damaged,
            _ => Self::Unknown,
        })
    }
}

/// How much a finding weighs. Ordered, least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know.
    Note,
    /// Someone should look at it; the data is sound.
    Warning,
    /// It keeps the volume from being judged. So does a weight that is a newer version's.
    Unknown,
    /// The journal has to be replayed.
    Replay,
    /// Something is broken.
    Damage,
}

impl Severity {
    /// The best verdict that a volume with such a finding can have.
    #[must_use]
    pub fn verdict(self) -> Verdict {
        match self {
            Self::Note | Self::Warning => Verdict::Consistent,
            Self::Unknown => Verdict::Unknown,
            Self::Replay => Verdict::Replay,
            Self::Damage => Verdict::Damaged,
        }
    }
}

impl<'de> Deserialize<'de> for Severity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match &*String::deserialize(deserializer)? {
            "note" => Self::Note,
            "warning" => Self::Warning,
            "replay" => Self::Replay,
            "damage" => Self::Damage,
            _ => Self::Unknown,
        })
    }
}

/// One thing that was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Finding {
    /// A stable name for programs, as `gpt-primary-crc`.
    pub code: Cow<'static, str>,
    /// The structure and its place, as `inode 12` or `primary GPT header at byte 512`.
    #[serde(rename = "where")]
    pub place: String,
    /// One sentence, with the numbers.
    pub detail: String,
    /// How much it weighs.
    pub severity: Severity,
}

impl Finding {
    /// A finding of the given weight.
    pub fn new(severity: Severity, code: &'static str, place: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { code: code.into(), place: place.into(), detail: detail.into(), severity }
    }

    /// A [`Severity::Note`].
    pub fn note(code: &'static str, place: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(Severity::Note, code, place, detail)
    }

    /// A [`Severity::Warning`].
    pub fn warning(code: &'static str, place: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(Severity::Warning, code, place, detail)
    }

    /// A [`Severity::Unknown`].
    pub fn unknown(code: &'static str, place: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(Severity::Unknown, code, place, detail)
    }

    /// A [`Severity::Replay`].
    pub fn replay(code: &'static str, place: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(Severity::Replay, code, place, detail)
    }

    /// A [`Severity::Damage`].
    pub fn damage(code: &'static str, place: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(Severity::Damage, code, place, detail)
    }
}

/// The findings of one volume, kept to a number that a person can still read.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    kept: Vec<Finding>,
    dropped: u64,
    dropped_worst: Option<Severity>,
}

impl Findings {
    /// Findings kept one by one; the rest is counted.
    pub const LIMIT: usize = 1000;

    /// Adds one.
    pub fn push(&mut self, finding: Finding) {
        if self.kept.len() < Self::LIMIT {
            self.kept.push(finding);
        } else {
            self.dropped = self.dropped.saturating_add(1);
            self.dropped_worst = self.dropped_worst.max(Some(finding.severity));
        }
    }

    /// The verdict that all of them, the uncounted ones too, leave.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let kept = self.kept.iter().map(|finding| finding.severity);
        kept.chain(self.dropped_worst).map(Severity::verdict).max().unwrap_or_default()
    }

    /// The findings in the order they came, with one more that says how many were left out.
    #[must_use]
    pub fn into_vec(mut self) -> Vec<Finding> {
        if let Some(severity) = self.dropped_worst {
            let detail = format!("{} further findings are not listed", self.dropped);
            self.kept.push(Finding::new(severity, "more-findings", "this volume", detail));
        }
        self.kept
    }
}

impl Extend<Finding> for Findings {
    fn extend<T: IntoIterator<Item = Finding>>(&mut self, findings: T) {
        findings.into_iter().for_each(|finding| self.push(finding));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damaged_wins_over_replay_over_unknown_over_consistent() {
        assert!(Verdict::Damaged > Verdict::Replay);
        assert!(Verdict::Replay > Verdict::Unknown);
        assert!(Verdict::Unknown > Verdict::Consistent);
    }

    #[test]
    fn findings_beyond_the_limit_are_counted_and_still_weigh() {
        let mut findings = Findings::default();
        findings.extend((0..Findings::LIMIT).map(|i| Finding::note("n", i.to_string(), "")));
        findings.push(Finding::damage("bad", "inode 12", "broken"));
        findings.push(Finding::note("n", "inode 13", "fine"));

        assert_eq!(findings.verdict(), Verdict::Damaged);
        let listed = findings.into_vec();
        assert_eq!(listed.len(), Findings::LIMIT + 1);
        let last = listed.last().unwrap();
        assert_eq!((&*last.code, last.severity), ("more-findings", Severity::Damage));
        assert_eq!(last.detail, "2 further findings are not listed");
    }
}
