//! Steps that take something and steps that give it back, and their lines in the run log.

use serde_json::Value;

use crate::failure::{At, Cause, Failure};
use crate::run::log::RunLog;
use crate::step::Step;

impl RunLog {
    /// Runs a step that takes something: its intent is on disk before `work` begins, its outcome after.
    ///
    /// # Errors
    /// Where the intent cannot be made durable, and `work` is not begun; else those of `work`. Both carry the step.
    pub async fn take<T, E: Into<Cause>>(
        &self,
        step: Step,
        takes: Value,
        work: impl Future<Output = Result<T, E>>,
        detail: impl FnOnce(&T) -> Value,
    ) -> Result<T, Failure> {
        self.begin(step, &takes).at(step)?;
        self.finish(step, work.await, detail)
    }

    /// Runs a step that takes nothing that an earlier intent has not named, or gives something back. Nothing is written
    /// before it: a disk that is slow, full or gone must not keep a guest frozen. The intent to take stays in the log, and
    /// whoever recovers looks at what is.
    ///
    /// # Errors
    /// Those of `work`, with the step.
    pub async fn release<T, E: Into<Cause>>(
        &self,
        step: Step,
        work: impl Future<Output = Result<T, E>>,
        detail: impl FnOnce(&T) -> Value,
    ) -> Result<T, Failure> {
        self.finish(step, work.await, detail)
    }

    fn finish<T, E: Into<Cause>>(
        &self,
        step: Step,
        result: Result<T, E>,
        detail: impl FnOnce(&T) -> Value,
    ) -> Result<T, Failure> {
        match result.at(step) {
            Ok(value) => {
                let detail = detail(&value);
                tracing::info!("{step} done {}", if detail.is_null() { String::new() } else { detail.to_string() });
                self.end(step, Ok(detail));
                Ok(value)
            }
            Err(failure) => {
                tracing::warn!("{failure}");
                self.end(step, Err(failure.to_string()));
                Err(failure)
            }
        }
    }
}
