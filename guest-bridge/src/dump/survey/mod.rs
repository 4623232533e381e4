//! What a dump would meet on the server: looked for before the client is started, because some of it makes the client stop in the middle,
//! and some is not in its dump without a word.

mod ask;
mod privileges;
mod tablespaces;
mod views;
mod within;

pub use ask::survey;
pub use views::BrokenView;

use super::TableName;

/// What was found. Nothing was locked for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DumpSurvey {
    /// Views whose tables, columns, functions or definer are gone, or that this account may not use.
    pub broken_views: Vec<BrokenView>,
    /// Views that were not looked at: more than [`DumpSurvey::VIEWS_MAX`], or with a name that is no line.
    pub unchecked_views: u64,
    /// Tables in an engine without transactions, [`DumpSurvey::NAMES_MAX`] at most. A snapshot of the rows that changes while it is read.
    pub non_transactional: Vec<TableName>,
    /// How many there are of them.
    pub non_transactional_count: u64,
    /// The statements that make MySQL's general tablespaces, which no dump has: without them it cannot be loaded.
    pub create_tablespaces: Vec<String>,
    /// Whether the account may see those; `false` on MariaDB, which has none, says nothing.
    pub tablespaces_unseen: bool,
    /// MariaDB's system-versioned tables: their history needs a client of 10.11 or later.
    pub versioned_tables: u64,
    /// MySQL's spatial reference systems that somebody has defined: no dump has them.
    pub spatial_reference_systems: u64,
    /// About how many bytes the rows have, as the server estimates them; a dump is larger for binary values, and smaller for what is
    /// deleted. `None` where it does not say.
    pub estimated_bytes: Option<u64>,
    /// `@@GLOBAL.sql_select_limit`, where there is one: the client's own statements return no more rows than that, **and nothing says so**.
    pub row_limit: Option<u64>,
    /// `@@GLOBAL.net_write_timeout` of MariaDB, in seconds: a target that takes nothing for longer ends the dump.
    pub net_write_timeout_s: Option<u64>,
    /// What the account lacks of the privileges that the client needs.
    pub missing_privileges: Vec<&'static str>,
    /// The statement that gives them; `None` where none is missing.
    pub grant: Option<String>,
}

impl DumpSurvey {
    /// The most views that are looked at one by one.
    pub const VIEWS_MAX: usize = 1000;
    /// The most tables that are named.
    pub const NAMES_MAX: usize = 100;
}
