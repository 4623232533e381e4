//! What `SHOW VARIABLES` and `SHOW STATUS` answer.

use crate::database::Rows;

/// Named values. One that is empty is none.
pub(super) struct Variables<'r>(pub(super) &'r Rows);

impl<'r> Variables<'r> {
    pub(super) fn get(&self, wanted: &str) -> Option<&'r str> {
        let row = (0..self.0.rows.len())
            .find(|row| self.0.get(*row, "Variable_name").is_some_and(|name| name.eq_ignore_ascii_case(wanted)))?;
        self.0.get(row, "Value").filter(|value| !value.is_empty())
    }

    pub(super) fn owned(&self, wanted: &str) -> Option<String> {
        self.get(wanted).map(str::to_owned)
    }

    pub(super) fn number(&self, wanted: &str) -> Option<u64> {
        self.get(wanted)?.parse().ok()
    }

    pub(super) fn is_on(&self, wanted: &str) -> bool {
        self.get(wanted).is_some_and(|value| matches!(value, "ON" | "1" | "YES"))
    }
}
