//! Steps that take something and steps that give it back, and their lines in the run log.

use super::Run;
use super::entry::{Fact, Mark};
use super::held::Held;
use crate::failure::{At, Cause, Failure};
use crate::step::Step;

impl Run {
    /// Says that `step` is about to take something. It is on the disk when this returns.
    ///
    /// # Errors
    /// Where it cannot be made durable: the step must not begin then.
    pub fn intend(&self, step: Step, takes: Vec<Held>) -> Result<(), Failure> {
        self.write_synced(Mark::Intent { step, takes }).at(step)
    }

    /// Runs a step whose intent is new: where it takes something it is on disk before `work` begins, the outcome is written
    /// after. What a step that failed has taken may still be held.
    ///
    /// # Errors
    /// Where an intent to take something cannot be made durable, and `work` is not begun; else those of `work`. Both carry
    /// the step.
    pub async fn take<T, E: Into<Cause>>(
        &self,
        step: Step,
        takes: Vec<Held>,
        work: impl Future<Output = Result<T, E>>,
        fact: impl FnOnce(&T) -> Option<Fact>,
    ) -> Result<T, Failure> {
        if takes.is_empty() {
            // Whoever recovers has nothing to look for: a log that is full must not cost a snapshot that is there.
            self.write(Mark::Intent { step, takes });
        } else {
            self.intend(step, takes)?;
        }
        self.step(step, work, fact).await
    }

    /// Runs a step that takes nothing that an earlier intent has not named. Nothing is written before it: a disk that is
    /// slow, full or gone must not keep a guest frozen.
    ///
    /// # Errors
    /// Those of `work`, with the step.
    pub async fn step<T, E: Into<Cause>>(
        &self,
        step: Step,
        work: impl Future<Output = Result<T, E>>,
        fact: impl FnOnce(&T) -> Option<Fact>,
    ) -> Result<T, Failure> {
        self.release(step, Vec::new(), work, fact).await
    }

    /// Runs a step that takes what an earlier intent has named, and holds nothing of it where it fails.
    ///
    /// # Errors
    /// Those of `work`, with the step.
    pub async fn take_or_nothing<T, E: Into<Cause>>(
        &self,
        step: Step,
        takes: Vec<Held>,
        work: impl Future<Output = Result<T, E>>,
        fact: impl FnOnce(&T) -> Option<Fact>,
    ) -> Result<T, Failure> {
        self.end(step, Vec::new(), takes, work, fact).await
    }

    /// Runs a step after which `frees` is not held any more, where it succeeds.
    ///
    /// # Errors
    /// Those of `work`, with the step.
    pub async fn release<T, E: Into<Cause>>(
        &self,
        step: Step,
        frees: Vec<Held>,
        work: impl Future<Output = Result<T, E>>,
        fact: impl FnOnce(&T) -> Option<Fact>,
    ) -> Result<T, Failure> {
        self.end(step, frees, Vec::new(), work, fact).await
    }

    /// Runs `work`, and says what is not held any more after it: `frees` where it succeeds, `frees_failed` where it does not.
    async fn end<T, E: Into<Cause>>(
        &self,
        step: Step,
        frees: Vec<Held>,
        frees_failed: Vec<Held>,
        work: impl Future<Output = Result<T, E>>,
        fact: impl FnOnce(&T) -> Option<Fact>,
    ) -> Result<T, Failure> {
        let outcome = work.await.at(step);
        match &outcome {
            Ok(value) => self.done(step, frees, fact(value)),
            Err(failure) => self.failed(step, frees_failed, failure),
        }
        outcome
    }

    /// Says that a step failed, and that nothing of `frees` is held after it.
    pub fn failed(&self, step: Step, frees: Vec<Held>, failure: &Failure) {
        self.write(Mark::Failed { step, frees, error: failure.to_string() });
    }

    /// Says that a step ended as it should, and that nothing of `frees` is held after it.
    pub fn done(&self, step: Step, frees: Vec<Held>, detail: Option<Fact>) {
        self.write(Mark::Done { step, frees, detail });
    }
}
