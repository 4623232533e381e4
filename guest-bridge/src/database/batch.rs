//! Statements that travel together: one round trip, whatever the wire.

use std::{collections::VecDeque, time::Duration};

use super::{DatabaseError, Rows, Statement};

/// A statement, and how long its answer may take once the one before it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timed {
    /// The statement, without a semicolon.
    pub statement: String,
    /// Its own time.
    pub deadline: Duration,
    /// Whether its time began with that of the one before it, which then have theirs together.
    pub shared: bool,
}

impl Timed {
    /// `statement`, with `deadline`.
    pub fn new(statement: impl Into<String>, deadline: Duration) -> Self {
        Self { statement: statement.into(), deadline, shared: false }
    }

    /// `statement`, which has what the one before it has left of `deadline`.
    pub fn sharing(statement: impl Into<String>, deadline: Duration) -> Self {
        Self { shared: true, ..Self::new(statement, deadline) }
    }

    /// How the statement is shown.
    pub(super) fn shown(&self) -> Statement {
        Statement::new(&self.statement)
    }
}

/// All of their times.
pub(super) fn longest(batch: &[Timed]) -> Duration {
    let own = batch.iter().filter(|timed| !timed.shared);
    own.fold(Duration::ZERO, |sum, timed| sum.saturating_add(timed.deadline))
}

/// The answers to a batch, in its order. The first one that is neither rows nor [`DatabaseError::Server`] is the last: it has ended
/// the session.
#[derive(Debug, Default)]
#[must_use = "an answer may be a refusal"]
pub struct Answers(VecDeque<Result<Rows, DatabaseError>>);

impl Answers {
    /// The answer to the next statement. Behind the last there is [`DatabaseError::Closed`].
    ///
    /// # Errors
    /// The answer, where it is one.
    #[expect(clippy::should_implement_trait, reason = "past its end it has an answer, too")]
    pub fn next(&mut self) -> Result<Rows, DatabaseError> {
        let none = || Err(DatabaseError::Closed { statement: Statement::new("the rest of a batch") });
        self.0.pop_front().unwrap_or_else(none)
    }

    /// Adds one. Whether the session goes on after it.
    pub(super) fn push(&mut self, answer: Result<Rows, DatabaseError>) -> bool {
        let goes_on = matches!(answer, Ok(_) | Err(DatabaseError::Server { .. }));
        self.0.push_back(answer);
        goes_on
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// What ended the session.
    pub(super) fn end(&self) -> Option<&DatabaseError> {
        match self.0.back() {
            None | Some(Ok(_) | Err(DatabaseError::Server { .. })) => None,
            Some(Err(error)) => Some(error),
        }
    }
}

impl From<DatabaseError> for Answers {
    fn from(error: DatabaseError) -> Self {
        Self([Err(error)].into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_one_answer_of_many_and_whatever_else_fails_is_the_last() {
        let statement = || Statement::new("SELECT 1");
        let refused = DatabaseError::Server { statement: statement(), code: 1227, message: statement() };
        let mut answers = Answers::default();
        assert!(answers.push(Ok(Rows::default())) && answers.push(Err(refused)));
        assert!(answers.end().is_none());
        assert!(!answers.push(Err(DatabaseError::Lost { statement: statement(), problem: "gone".into() })));
        assert!(matches!(answers.end(), Some(DatabaseError::Lost { .. })));
        assert!(answers.next().is_ok());
        assert!(matches!(answers.next(), Err(DatabaseError::Server { code: 1227, .. })));
        assert!(matches!(answers.next(), Err(DatabaseError::Lost { .. })));
        assert!(matches!(answers.next(), Err(DatabaseError::Closed { .. })));
    }
}
