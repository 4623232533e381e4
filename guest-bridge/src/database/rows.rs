//! What a statement returned.

use super::{DatabaseError, Statement};

/// A result set as text. Bytes that are not UTF-8 arrive as U+FFFD.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    /// Column names, in the server's order and spelling.
    pub columns: Vec<String>,
    /// One value a column; `None` is SQL's NULL.
    pub rows: Vec<Vec<Option<String>>>,
}

impl Rows {
    /// The most bytes that a session accepts as one reply. Nothing that is asked here comes near it.
    pub const MAX_BYTES: usize = 4 << 20;

    /// Rows from literals, for scripted peers.
    #[cfg(any(test, feature = "scripted"))]
    pub fn of(columns: &[&str], rows: &[&[Option<&str>]]) -> Self {
        Self {
            columns: columns.iter().map(ToString::to_string).collect(),
            rows: rows.iter().map(|row| row.iter().map(|value| value.map(str::to_owned)).collect()).collect(),
        }
    }

    /// The value in row `row` of the column named `column` (any case); `None` if it is NULL or not there.
    pub fn get(&self, row: usize, column: &str) -> Option<&str> {
        let index = self.columns.iter().position(|name| name.eq_ignore_ascii_case(column))?;
        self.rows.get(row)?.get(index)?.as_deref()
    }

    /// The first value of the first row, as a number.
    ///
    /// # Errors
    /// [`DatabaseError::UnexpectedReply`] where there is no such value.
    pub(super) fn number(&self, statement: &str) -> Result<u64, DatabaseError> {
        let value = self.rows.first().and_then(|row| row.first()).and_then(Option::as_deref);
        value.and_then(|text| text.parse().ok()).ok_or_else(|| DatabaseError::UnexpectedReply {
            statement: Statement::new(statement),
            detail: format!("a number was expected, not {value:?}"),
        })
    }
}
