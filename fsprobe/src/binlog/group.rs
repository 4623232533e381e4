//! Where transactions begin and end: MySQL's `Transaction_boundary_parser`, and `is_part_of_group` of MariaDB.

use super::event::Role;

/// What the words of a statement do to a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Statement {
    /// `BEGIN`, `XA START`.
    Begins,
    /// `COMMIT`, `ROLLBACK`, and those of `XA`.
    Ends,
    /// Anything else.
    Other,
}

impl Statement {
    /// By the first bytes of the query, and its length.
    pub fn of(head: &[u8], length_bytes: u64) -> Self {
        let is = |word: &[u8]| head == word && length_bytes == word.len() as u64;
        let begins = |words: &[u8]| head.get(..words.len()).is_some_and(|start| start.eq_ignore_ascii_case(words));
        if is(b"BEGIN") || begins(b"XA START") {
            Self::Begins
        } else if is(b"COMMIT")
            || (begins(b"ROLLBACK") && !begins(b"ROLLBACK TO "))
            || begins(b"XA ROLLBACK")
            || begins(b"XA COMMIT")
        {
            Self::Ends
        } else {
            Self::Other
        }
    }
}

/// Where in a transaction the log is after an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Group {
    /// Outside.
    Outside,
    /// Behind its name: a statement that does not begin one is all of it.
    Opened,
    /// Behind the name of one that MariaDB says has a single statement.
    Standalone,
    /// Inside: something has to end it.
    Within,
}

/// What an event does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Event(Role),
    Statement(Statement),
    /// MariaDB's name of a transaction, which is its beginning too.
    MariaDbGtid {
        is_standalone: bool,
    },
}

impl Group {
    /// Where the log is behind `step`.
    pub fn after(self, step: Step) -> Self {
        match (step, self) {
            (Step::MariaDbGtid { is_standalone: true }, _) => Self::Standalone,
            (Step::MariaDbGtid { is_standalone: false }, _) | (Step::Statement(Statement::Begins), _) => Self::Within,
            (Step::Event(Role::Opens), _) => Self::Opened,
            (Step::Statement(Statement::Ends) | Step::Event(Role::Ends | Role::Whole), _) => Self::Outside,
            (Step::Statement(Statement::Other), Self::Within) => Self::Within,
            (Step::Statement(Statement::Other), _) => Self::Outside,
            (Step::Event(Role::Incident), Self::Opened | Self::Standalone) => Self::Outside,
            (Step::Event(Role::BeforeStatement | Role::Unknown), Self::Outside) => Self::Opened,
            (Step::Event(Role::Change), _) => Self::Within,
            (Step::Event(_), group) => group,
        }
    }
}
