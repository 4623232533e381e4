//! The header of an event, and what types there are (`Log_event_type` of MySQL's `mysql/binlog/event/binlog_event.h` and of
//! MariaDB's `sql/log_event.h`, which agree below 160).

use std::borrow::Cow;

use crate::bytes::{le16, le32, u8_at};

/// `LOG_EVENT_HEADER_LEN` of version 4.
pub(super) const HEADER_BYTES: usize = 19;
/// `LOG_EVENT_BINLOG_IN_USE_F`.
pub(super) const IN_USE: u16 = 1;
/// `LOG_EVENT_IGNORABLE_F`.
const IGNORABLE: u16 = 0x80;
const FLAGS_OFFSET: usize = 17;

pub(super) const START_V3: u8 = 1;
pub(super) const QUERY: u8 = 2;
pub(super) const STOP: u8 = 3;
pub(super) const ROTATE: u8 = 4;
pub(super) const FORMAT_DESCRIPTION: u8 = 15;
pub(super) const GTID_LOG: u8 = 33;
pub(super) const PREVIOUS_GTIDS: u8 = 35;
pub(super) const GTID_TAGGED: u8 = 42;
pub(super) const BINLOG_CHECKPOINT: u8 = 161;
pub(super) const MARIADB_GTID: u8 = 162;
pub(super) const GTID_LIST: u8 = 163;
pub(super) const START_ENCRYPTION: u8 = 164;

/// What a type of event does to the transaction that it is in, or not in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Nothing: it may stand anywhere.
    Neutral,
    /// It begins one, and names it or says that it has no name.
    Opens,
    /// It is a statement, whose words say what it does.
    Statement,
    /// It comes in front of a statement.
    BeforeStatement,
    /// It changes rows, or belongs to a change of rows.
    Change,
    /// It ends one.
    Ends,
    /// It is all of one.
    Whole,
    /// It says that something is missing.
    Incident,
    /// Not known.
    Unknown,
}

/// The types, by number: the name that the server has for it, and its role.
const TYPES: [(u8, &str, Role); 50] = [
    (QUERY, "Query", Role::Statement),
    (STOP, "Stop", Role::Neutral),
    (ROTATE, "Rotate", Role::Neutral),
    (5, "Intvar", Role::BeforeStatement),
    (6, "Load", Role::Change),
    (7, "Slave", Role::Neutral),
    (8, "Create_file", Role::Change),
    (9, "Append_block", Role::Change),
    (10, "Exec_load", Role::Change),
    (11, "Delete_file", Role::Neutral),
    (12, "New_load", Role::Change),
    (13, "RAND", Role::BeforeStatement),
    (14, "User var", Role::BeforeStatement),
    (FORMAT_DESCRIPTION, "Format_desc", Role::Neutral),
    (16, "Xid", Role::Ends),
    (17, "Begin_load_query", Role::Change),
    (18, "Execute_load_query", Role::Change),
    (19, "Table_map", Role::Change),
    (20, "Write_rows_pre_ga", Role::Change),
    (21, "Update_rows_pre_ga", Role::Change),
    (22, "Delete_rows_pre_ga", Role::Change),
    (23, "Write_rows_v1", Role::Change),
    (24, "Update_rows_v1", Role::Change),
    (25, "Delete_rows_v1", Role::Change),
    (26, "Incident", Role::Incident),
    (27, "Heartbeat", Role::Neutral),
    (28, "Ignorable", Role::Neutral),
    (29, "Rows_query", Role::BeforeStatement),
    (30, "Write_rows", Role::Change),
    (31, "Update_rows", Role::Change),
    (32, "Delete_rows", Role::Change),
    (GTID_LOG, "Gtid", Role::Opens),
    (34, "Anonymous_Gtid", Role::Opens),
    (PREVIOUS_GTIDS, "Previous_gtids", Role::Neutral),
    (36, "Transaction_context", Role::Neutral),
    (37, "View_change", Role::Change),
    (38, "XA_prepare", Role::Ends),
    (39, "Update_rows_partial", Role::Change),
    (40, "Transaction_payload", Role::Whole),
    (41, "Heartbeat_v2", Role::Neutral),
    (GTID_TAGGED, "Gtid_tagged", Role::Opens),
    (43, "Large_transaction_header", Role::Neutral),
    (160, "Annotate_rows", Role::BeforeStatement),
    (BINLOG_CHECKPOINT, "Binlog_checkpoint", Role::Neutral),
    (MARIADB_GTID, "Gtid", Role::Opens),
    (GTID_LIST, "Gtid_list", Role::Neutral),
    (START_ENCRYPTION, "Start_encryption", Role::Neutral),
    (165, "Query_compressed", Role::Statement),
    // 166 to 171 are rows, compressed.
    (166, "Rows_compressed", Role::Change),
    (169, "Rows_compressed", Role::Change),
];

fn known(kind: u8) -> Option<&'static (u8, &'static str, Role)> {
    let kind = match kind {
        166..=168 => 166,
        169..=171 => 169,
        kind => kind,
    };
    TYPES.iter().find(|(number, ..)| *number == kind)
}

/// What every event begins with, little-endian: `timestamp` 4 bytes, `type` 1, `server_id` 4, `event_length` 4,
/// `log_pos` 4 (where the event ends, modulo 2^32; 0 where it was made up on the way to a replica), `flags` 2.
#[derive(Debug, Clone, Copy)]
pub(super) struct Header {
    pub kind: u8,
    pub server_id: u32,
    pub length_bytes: u32,
    pub log_pos: u32,
    pub flags: u16,
}

impl Header {
    pub fn parse(bytes: &[u8]) -> Self {
        Self {
            kind: u8_at(bytes, 4),
            server_id: le32(bytes, 5),
            length_bytes: le32(bytes, 9),
            log_pos: le32(bytes, 13),
            flags: le16(bytes, FLAGS_OFFSET),
        }
    }

    /// The bytes of a header, without the flag that the server changes when it closes the file: checksums do without it.
    pub fn without_in_use(bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        if let Some(flags) = bytes.get_mut(FLAGS_OFFSET) {
            *flags &= !IN_USE.to_le_bytes()[0];
        }
        bytes
    }

    pub fn role(&self) -> Role {
        match known(self.kind) {
            Some((.., role)) => *role,
            None if self.flags & IGNORABLE != 0 => Role::Neutral,
            None => Role::Unknown,
        }
    }

    pub fn is_known(&self) -> bool {
        known(self.kind).is_some()
    }
}

/// What the server calls an event of that type; for who reads, not for programs.
pub(super) fn name(kind: u8) -> Cow<'static, str> {
    known(kind).map_or_else(|| format!("type {kind}").into(), |(_, name, _)| (*name).into())
}
