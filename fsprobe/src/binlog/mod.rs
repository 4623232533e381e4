//! Binary logs of MySQL and MariaDB: how far they are whole, where transactions end in them, and which GTIDs they hold.
//!
//! Format: "MySQL Internals", binary log, version 4 (MySQL and MariaDB since 5.0); `sql/log_event.h` of MariaDB, and
//! `mysql/binlog/event/*.h` of MySQL. A file is a magic number and events one behind the other, each with a header of 19 bytes
//! that says where the next begins, and a CRC-32 at its end where the first event says so. All integers are little-endian.
//!
//! What a server wrote last before it stopped may be torn: size and content of the file then do not agree. So every event is
//! verified, and the walk ends at the first that is not whole. Without checksums only its header is there to say so.

mod description;
mod error;
mod event;
mod group;
mod gtid_set;
mod gtids;
mod mysql_gtid;
mod reader;
mod walk;
mod walked;

pub use error::BinlogError;
pub use gtid_set::{GtidSet, MySqlGtid, Source};
pub use gtids::{Gtids, MariaDbGtid};
pub use walk::walk;
pub use walked::{AtCoordinates, Torn, TornBy, Walked};
