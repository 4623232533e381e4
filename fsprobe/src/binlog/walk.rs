//! From one event to the next, to the last that is whole.

use std::collections::BTreeMap;

use super::description::{CHECKSUM_BYTES, Description};
use super::error::BinlogError;
use super::event::{self, HEADER_BYTES, Header, Role};
use super::group::{Group, Statement, Step};
use super::gtid_set::MySqlGtid;
use super::gtids::{Gtids, MariaDbGtid};
use super::mysql_gtid::{gtid, previous_gtids, tagged_gtid};
use super::reader::Reader;
use super::walked::{AtCoordinates, Torn, TornBy, Walked};
use crate::bytes::{le16, le32, le64, u8_at};
use crate::{ProbeError, ReadAt};

/// What is read of an event that names one transaction.
const GTID_BYTES: usize = 256;
/// Lists of GTIDs that are read: a set with a million gaps.
const MAX_LIST_BYTES: u64 = 16 << 20;
/// The fixed part of a `Query` event.
const QUERY_BYTES: usize = 13;
/// Enough of a query to tell it by.
const QUERY_HEAD_BYTES: usize = 16;
/// MariaDB's `FL_STANDALONE`.
const STANDALONE: u8 = 1;
/// The number of entries of a `Gtid_list`; flags are above it.
const LIST_COUNT: u32 = (1 << 28) - 1;

/// Walks through `file`, and looks what is at `coordinates` (a position in bytes, as `SHOW MASTER STATUS` has it).
///
/// # Errors
/// [`BinlogError`] where it is none that can be read. That its end is torn is none.
pub fn walk(file: &dyn ReadAt, coordinates: Option<u64>) -> Result<Walked, BinlogError> {
    let mut reader = Reader::new(file);
    let description = Description::read(&mut reader)?;
    let mut walk = Walk {
        has_checksums: description.has_checksums,
        reader,
        group: Group::Outside,
        pending: None,
        gtids: Gtids::None,
        at: None,
    };
    let (mut end, mut transactions_end) = (description.end_bytes, description.end_bytes);
    // The magic number and the description are there before the first event.
    let is_before = coordinates.is_some_and(|at| at < description.end_bytes);
    if is_before {
        walk.arrive(coordinates == Some(4));
        walk.pass(event::FORMAT_DESCRIPTION);
    }
    let torn = loop {
        let event = match walk.event(end)? {
            Found::Event(event) => event,
            Found::End => break None,
            Found::Torn(why) => break Some(Torn { size_bytes: walk.reader.size_bytes - end, why }),
        };
        if event.header.kind == event::START_ENCRYPTION {
            return Err(BinlogError::Encrypted);
        }
        if let Some(coordinates) = coordinates.filter(|at| *at < event.end()) {
            if walk.at.is_none() {
                walk.arrive(coordinates == end);
            }
            walk.pass(event.header.kind);
        }
        walk.follow(&event)?;
        end = event.end();
        if walk.group == Group::Outside {
            transactions_end = end;
        }
    };
    if let Some(coordinates) = coordinates.filter(|_| walk.at.is_none()) {
        walk.arrive(coordinates == end);
    }
    Ok(Walked {
        server_version: description.server_version,
        in_use: description.in_use,
        has_checksums: description.has_checksums,
        end_bytes: end,
        transactions_end_bytes: transactions_end,
        gtids: walk.gtids,
        torn,
        at: walk.at,
    })
}

/// A whole event.
struct Event {
    header: Header,
    start: u64,
    /// Without its checksum.
    content_end: u64,
}

impl Event {
    fn end(&self) -> u64 {
        self.start + u64::from(self.header.length_bytes)
    }

    fn body(&self) -> u64 {
        self.start + HEADER_BYTES as u64
    }
}

enum Found {
    Event(Event),
    End,
    Torn(TornBy),
}

/// A transaction that has a name and no end yet.
enum Pending {
    MariaDb(u32, MariaDbGtid),
    /// `None` where its name is not understood.
    MySql(Option<MySqlGtid>),
}

struct Walk<'f> {
    reader: Reader<'f>,
    has_checksums: bool,
    group: Group,
    pending: Option<Pending>,
    gtids: Gtids,
    at: Option<AtCoordinates>,
}

impl Walk<'_> {
    /// What is at `start`.
    fn event(&mut self, start: u64) -> Result<Found, ProbeError> {
        if start >= self.reader.size_bytes {
            return Ok(Found::End);
        }
        let found = self.verified(start)?;
        // A file that was given more room than was written to ends in zeros.
        let is_end = matches!(found, Found::Torn(_)) && self.reader.is_zero_from(start)?;
        Ok(if is_end { Found::End } else { found })
    }

    fn verified(&mut self, start: u64) -> Result<Found, ProbeError> {
        let bytes = self.reader.at(start, HEADER_BYTES)?;
        if bytes.len() < HEADER_BYTES {
            return Ok(Found::Torn(TornBy::End));
        }
        let header = Header::parse(bytes);
        let bytes =
            if header.kind == event::FORMAT_DESCRIPTION { Header::without_in_use(bytes) } else { bytes.to_vec() };
        let sum_bytes = if self.has_checksums { CHECKSUM_BYTES } else { 0 };
        let end = start + u64::from(header.length_bytes);
        let Some(content_bytes) = header.length_bytes.checked_sub(sum_bytes + HEADER_BYTES as u32) else {
            return Ok(Found::Torn(TornBy::Header));
        };
        // What it says of its own place is all there is to tell an event without a checksum by.
        let is_here = header.log_pos == 0 || u64::from(header.log_pos) == end & u64::from(u32::MAX);
        if !is_here || header.kind == 0 || !(self.has_checksums || header.is_known()) {
            return Ok(Found::Torn(TornBy::Header));
        }
        if end > self.reader.size_bytes {
            return Ok(Found::Torn(TornBy::End));
        }
        let event = Event { header, start, content_end: end - u64::from(sum_bytes) };
        if self.has_checksums {
            let computed = self.reader.checksum(&bytes, event.body(), content_bytes.into())?;
            if le32(self.reader.at(event.content_end, CHECKSUM_BYTES as usize)?, 0) != computed {
                return Ok(Found::Torn(TornBy::Checksum));
            }
        }
        Ok(Found::Event(event))
    }

    /// Notes what is where the coordinates are.
    fn arrive(&mut self, is_event_end: bool) {
        self.at = Some(AtCoordinates {
            is_event_end,
            is_outside_transaction: self.group == Group::Outside,
            gtids: self.gtids.clone(),
            beyond: BTreeMap::new(),
            is_rotated: false,
            is_stopped: false,
        });
    }

    /// Counts an event that is behind them.
    fn pass(&mut self, kind: u8) {
        let Some(at) = &mut self.at else { return };
        match kind {
            event::ROTATE => at.is_rotated = true,
            event::STOP => at.is_stopped = true,
            event::BINLOG_CHECKPOINT => {}
            kind => *at.beyond.entry(event::name(kind).into_owned()).or_default() += 1,
        }
    }

    /// Takes over what an event does to the transaction and to the GTIDs.
    fn follow(&mut self, event: &Event) -> Result<(), ProbeError> {
        let before = self.group;
        let step = match (event.header.kind, event.header.role()) {
            (event::MARIADB_GTID, _) => {
                let body = self.body(event, GTID_BYTES)?;
                let gtid = MariaDbGtid { server_id: event.header.server_id, sequence: le64(&body, 0) };
                self.pending = Some(Pending::MariaDb(le32(&body, 8), gtid));
                Step::MariaDbGtid { is_standalone: u8_at(&body, 12) & STANDALONE != 0 }
            }
            (event::QUERY, _) => Step::Statement(self.statement(event)?),
            // Compressed are long ones only.
            (_, Role::Statement) => Step::Statement(Statement::Other),
            (kind, role) => {
                self.read_gtids(kind, role, event)?;
                Step::Event(role)
            }
        };
        self.group = before.after(step);
        if self.group == Group::Outside && before != Group::Outside {
            match self.pending.take() {
                Some(Pending::MariaDb(domain, gtid)) => self.gtids.add_mariadb(domain, gtid),
                Some(Pending::MySql(gtid)) => self.gtids.add_mysql(gtid),
                None => {}
            }
        }
        Ok(())
    }

    fn read_gtids(&mut self, kind: u8, role: Role, event: &Event) -> Result<(), ProbeError> {
        match kind {
            event::GTID_LOG => self.pending = Some(Pending::MySql(gtid(&self.body(event, GTID_BYTES)?))),
            event::GTID_TAGGED => self.pending = Some(Pending::MySql(tagged_gtid(&self.body(event, GTID_BYTES)?))),
            event::PREVIOUS_GTIDS => {
                let logged = self.list(event)?.and_then(|body| previous_gtids(&body));
                self.gtids = Gtids::MySql { last: None, logged };
            }
            event::GTID_LIST => {
                self.gtids = self.list(event)?.and_then(|body| gtid_list(&body)).unwrap_or(Gtids::Unknown);
            }
            _ if role == Role::Opens => self.pending = None,
            _ => {}
        }
        Ok(())
    }

    /// The first bytes behind the header: 64 KiB at most.
    fn body(&mut self, event: &Event, most: usize) -> Result<Vec<u8>, ProbeError> {
        let length = usize::try_from(event.content_end - event.body()).unwrap_or(usize::MAX);
        Ok(self.reader.at(event.body(), length.min(most))?.to_vec())
    }

    /// All bytes behind the header; `None` where they are too many.
    fn list(&mut self, event: &Event) -> Result<Option<Vec<u8>>, ProbeError> {
        if event.content_end - event.body() > MAX_LIST_BYTES {
            return Ok(None);
        }
        let mut body = Vec::new();
        let mut at = event.body();
        while at < event.content_end {
            let piece = self.reader.at(at, usize::try_from(event.content_end - at).unwrap_or(usize::MAX))?;
            body.extend_from_slice(piece);
            at += piece.len().max(1) as u64;
        }
        Ok(Some(body))
    }

    /// `thread_id` 4 bytes, `exec_time` 4, `db_length` 1, `error_code` 2, `status_vars_length` 2; the status variables, the
    /// database's name and a zero, and the query.
    fn statement(&mut self, event: &Event) -> Result<Statement, ProbeError> {
        let fixed = self.body(event, QUERY_BYTES)?;
        let names = u64::from(le16(&fixed, 11)) + u64::from(u8_at(&fixed, 8)) + 1;
        let query = event.body() + QUERY_BYTES as u64 + names;
        let length = event.content_end.saturating_sub(query);
        let head_bytes = usize::try_from(length).unwrap_or(usize::MAX).min(QUERY_HEAD_BYTES);
        Ok(Statement::of(self.reader.at(query, head_bytes)?, length))
    }
}

/// How many there are in 4 bytes; of each `domain_id` 4 bytes, `server_id` 4, `seq_no` 8. The last of a domain is the newest.
fn gtid_list(body: &[u8]) -> Option<Gtids> {
    let count = usize::try_from(le32(body, 0) & LIST_COUNT).ok()?;
    let entries = body.get(4..)?.get(..count.checked_mul(16)?)?;
    let mut gtids = Gtids::MariaDb(BTreeMap::new());
    for entry in entries.chunks_exact(16) {
        gtids.add_mariadb(le32(entry, 0), MariaDbGtid { server_id: le32(entry, 4), sequence: le64(entry, 8) });
    }
    Some(gtids)
}
