//! What was found, as others read it.

use super::finding::{Finding, Weight};
use super::{Examination, FreezeTest};
use crate::backup::window::FreezeFacts;
use crate::clock::millis;
use crate::documents::diagnosis::{self as document, Diagnosis, Level};
use crate::grade::Grade;

impl Examination {
    /// The document of it.
    #[must_use]
    pub fn document(&self) -> Diagnosis {
        Diagnosis {
            format: document::FORMAT,
            vm: self.vm.clone(),
            require: self.require,
            at_best: self.at_best(),
            findings: self.findings.iter().map(|finding| finding.document(self.require)).collect(),
            freeze_test: self.freeze_test.as_ref().map(FreezeTest::document),
        }
    }
}

impl Finding {
    /// Where it stands among others: the worst has the highest.
    pub(super) fn rank(&self, require: Grade) -> (Level, Weight) {
        (self.level(require), self.weight)
    }

    fn level(&self, require: Grade) -> Level {
        match self.weight {
            Weight::Fine => Level::Fine,
            Weight::AtBest(grade) if grade < require => Level::KeepsFromGrade,
            Weight::Note | Weight::AtBest(_) => Level::Note,
            Weight::Stops | Weight::NeedsPerson => Level::Stops,
        }
    }

    fn document(&self, require: Grade) -> document::Finding {
        let some = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        document::Finding {
            level: self.level(require),
            check: self.check.to_string(),
            looked_at: self.looked_at,
            at_best: match self.weight {
                Weight::AtBest(grade) => Some(grade),
                _ => None,
            },
            what: self.what.clone(),
            why: some(&self.why),
            remedy: some(&self.remedy),
        }
    }
}

impl FreezeTest {
    fn document(&self) -> document::FreezeTest {
        let (frozen, thawed) = match self.facts {
            FreezeFacts::Counted { frozen, thawed } => (frozen, thawed),
            FreezeFacts::NoAgent | FreezeFacts::NotAsked => (0, None),
        };
        document::FreezeTest { freeze_ms: millis(self.froze), thaw_ms: millis(self.thawed), frozen, thawed }
    }
}
