//! The first event: which server wrote the file, and whether its events have checksums
//! (`Format_description_event` of MySQL, `Format_description_log_event` of MariaDB).
//!
//! Behind the header: `binlog_version` 2 bytes, `server_version` 50, `create_timestamp` 4, `common_header_length` 1, the
//! length of the fixed part of each type of event a byte, and from servers that know checksums `checksum_algorithm` 1 and
//! the checksum of this event itself 4.

use super::error::BinlogError;
use super::event::{FORMAT_DESCRIPTION, HEADER_BYTES, Header, IN_USE, START_V3};
use super::reader::Reader;
use crate::bytes::{le16, le32, u8_at};

const MAGIC: [u8; 4] = *b"\xfebin";
/// MySQL's, since 8.0.14, with `binlog_encryption`.
const ENCRYPTED_MAGIC: [u8; 4] = *b"\xfdbin";
const VERSION_OFFSET: usize = HEADER_BYTES;
const SERVER_VERSION: std::ops::Range<usize> = 21..71;
const HEADER_LENGTH_OFFSET: usize = 75;
/// Up to where it is fixed.
const FIXED_BYTES: usize = 76;
/// That of MySQL 9 has 127.
const MAX_BYTES: usize = 1024;
pub(super) const CHECKSUM_BYTES: u32 = 4;

/// How to read the events.
#[derive(Debug)]
pub(super) struct Description {
    /// Unprintable bytes escaped.
    pub server_version: String,
    pub in_use: bool,
    /// Every event ends with its CRC-32.
    pub has_checksums: bool,
    /// Where the event ends.
    pub end_bytes: u64,
}

impl Description {
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, BinlogError> {
        let magic = reader.at(0, MAGIC.len())?;
        if magic == ENCRYPTED_MAGIC {
            return Err(BinlogError::Encrypted);
        }
        if magic != MAGIC {
            return Err(BinlogError::NotABinlog);
        }
        let start = MAGIC.len() as u64;
        let header = Header::parse(reader.at(start, HEADER_BYTES)?);
        if header.kind == START_V3 {
            return Err(BinlogError::UnknownVersion("it is that of a server before 5.0".into()));
        }
        if header.kind != FORMAT_DESCRIPTION {
            return Err(BinlogError::NoDescription("the first event is another one, or torn"));
        }
        let length = usize::try_from(header.length_bytes).unwrap_or(usize::MAX);
        if !(FIXED_BYTES..=MAX_BYTES).contains(&length) {
            return Err(BinlogError::NoDescription("its length is impossible"));
        }
        let event = reader.at(start, length)?.to_vec();
        if event.len() < length {
            return Err(BinlogError::NoDescription("the file ends in it"));
        }
        let (version, header_length) = (le16(&event, VERSION_OFFSET), u8_at(&event, HEADER_LENGTH_OFFSET));
        if version != 4 || usize::from(header_length) != HEADER_BYTES {
            let detail = format!("version {version}, with event headers of {header_length} bytes");
            return Err(BinlogError::UnknownVersion(detail));
        }
        let server_version = text(event.get(SERVER_VERSION).unwrap_or_default());
        let has_checksums = knows_checksums(&server_version) && has_checksums(&event)?;
        Ok(Self {
            server_version,
            in_use: header.flags & IN_USE != 0,
            has_checksums,
            end_bytes: start + u64::from(header.length_bytes),
        })
    }
}

/// What the algorithm says; the event's own checksum is there also where the others have none.
fn has_checksums(event: &[u8]) -> Result<bool, BinlogError> {
    let sum_at = event.len() - CHECKSUM_BYTES as usize;
    let (content, algorithm) = (event.get(..sum_at).unwrap_or_default(), u8_at(event, sum_at - 1));
    let is_whole = le32(event, sum_at) == crc32(&Header::without_in_use(content));
    match algorithm {
        _ if !is_whole => Err(BinlogError::NoDescription("its checksum is wrong")),
        0 => Ok(false),
        1 => Ok(true),
        other => Err(BinlogError::UnknownVersion(format!("checksums of the kind {other}"))),
    }
}

fn crc32(bytes: &[u8]) -> u32 {
    crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC).checksum(bytes)
}

/// MySQL since 5.6.1, MariaDB since 5.3.0.
fn knows_checksums(server_version: &str) -> bool {
    let mut numbers = server_version.split(|c: char| !c.is_ascii_digit()).map(|number| number.parse().unwrap_or(0_u32));
    let version = [(); 3].map(|()| numbers.next().unwrap_or(0));
    version >= if server_version.contains("MariaDB") { [5, 3, 0] } else { [5, 6, 1] }
}

fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).escape_debug().collect()
}
