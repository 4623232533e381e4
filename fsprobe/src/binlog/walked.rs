//! What a walk through a binary log found.

use std::collections::BTreeMap;
use std::fmt;

use super::gtids::Gtids;

/// What is in a binary log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Walked {
    /// The server that wrote it, unprintable bytes escaped.
    pub server_version: String,
    /// The server did not close it: it was running, or did not end in good order.
    pub in_use: bool,
    /// Its events have checksums, so that whole means right.
    pub has_checksums: bool,
    /// Where the last event ends that is whole.
    pub end_bytes: u64,
    /// Where the last event ends that is whole and not inside of a transaction that does not end.
    pub transactions_end_bytes: u64,
    /// The state at `transactions_end_bytes`.
    pub gtids: Gtids,
    /// What follows `end_bytes` and is no whole event; zeros only are none.
    pub torn: Option<Torn>,
    /// What is at the coordinates that were asked for.
    pub at: Option<AtCoordinates>,
}

/// Bytes behind the last whole event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Torn {
    /// How many there are.
    pub size_bytes: u64,
    /// Why they are no event.
    pub why: TornBy,
}

/// Why bytes are no event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TornBy {
    /// The file ends in the event.
    End,
    /// Its header cannot be one.
    Header,
    /// Its checksum is wrong.
    Checksum,
}

impl fmt::Display for Torn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = match self.why {
            TornBy::End => "an event that the file ends in",
            TornBy::Header => "something that is no event",
            TornBy::Checksum => "an event whose checksum is wrong",
        };
        write!(f, "the last {} bytes begin with {why}", self.size_bytes)
    }
}

/// What is at coordinates, and behind them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AtCoordinates {
    /// A whole event ends exactly there, or the log begins there.
    pub is_event_end: bool,
    /// Not between the beginning and the end of a transaction.
    pub is_outside_transaction: bool,
    /// The state there: of all transactions that end before.
    pub gtids: Gtids,
    /// The events that end behind them, by the server's name of their type, and how many there are of each. Those of
    /// MariaDB's that mean nothing to data (`Binlog_checkpoint`), and what says that the file ends, are not among them.
    pub beyond: BTreeMap<String, u64>,
    /// The server went on in another file behind them.
    pub is_rotated: bool,
    /// The server was shut down behind them.
    pub is_stopped: bool,
}
