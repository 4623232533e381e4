//! The journal of systemd, by its native protocol: a datagram a record, `NAME=value` a line. What is written to stderr gets
//! there too, but as text; only a record has fields of its own, and it is thirty lines.
//!
//! A record that the journal does not take now, because it is busy or the record too long, goes to stderr, so that nothing
//! waits and nothing is lost.

use std::os::unix::net::UnixDatagram;
use std::path::Path;

use tracing::Level;

/// Where it listens.
const SOCKET: &str = "/run/systemd/journal/socket";

/// A name and a value.
pub type Field = (String, String);

/// Whether stderr is the journal: systemd names its device and inode in `JOURNAL_STREAM`, and a shell may have redirected
/// stderr since.
#[must_use]
pub fn is_stderr() -> bool {
    let Ok(named) = std::env::var("JOURNAL_STREAM") else { return false };
    rustix::fs::fstat(std::io::stderr()).is_ok_and(|stderr| named == format!("{}:{}", stderr.st_dev, stderr.st_ino))
}

/// The journal's socket, where there is one.
#[must_use]
pub fn connect() -> Option<UnixDatagram> {
    connect_to(Path::new(SOCKET)).ok()
}

fn connect_to(path: &Path) -> std::io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    socket.connect(path)?;
    Ok(socket)
}

/// A record of `message`, with `fields` as `STILLPOINT_NAME`.
#[must_use]
pub fn record(level: Level, message: &str, fields: &[Field]) -> Vec<u8> {
    let mut record = Vec::new();
    append(&mut record, "MESSAGE", message);
    append(&mut record, "PRIORITY", &priority(level).to_string());
    append(&mut record, "SYSLOG_IDENTIFIER", "stillpoint");
    for (name, value) in fields {
        let known = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
        append(&mut record, &format!("STILLPOINT_{}", name.chars().map(known).collect::<String>()), value);
    }
    record
}

/// As syslog counts.
#[must_use]
pub fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        _ => 7,
    }
}

/// A value with a newline in it has its length before it, little-endian, in eight bytes.
fn append(record: &mut Vec<u8>, name: &str, value: &str) {
    record.extend_from_slice(name.as_bytes());
    if value.contains('\n') {
        record.push(b'\n');
        record.extend_from_slice(&(value.len() as u64).to_le_bytes());
    } else {
        record.push(b'=');
    }
    record.extend_from_slice(value.as_bytes());
    record.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_arrives_with_its_fields() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let journal = UnixDatagram::bind(&path).unwrap();
        let fields = [("window-ms".to_owned(), "310".to_owned()), ("error".to_owned(), "a\nb".to_owned())];
        connect_to(&path).unwrap().send(&record(Level::WARN, "thawed", &fields)).unwrap();
        let mut received = [0; 200];
        let length = journal.recv(&mut received).unwrap();
        let wanted = "MESSAGE=thawed\nPRIORITY=4\nSYSLOG_IDENTIFIER=stillpoint\nSTILLPOINT_WINDOW_MS=310\n\
                      STILLPOINT_ERROR\n\u{3}\0\0\0\0\0\0\0a\nb\n";
        assert_eq!(String::from_utf8_lossy(&received[..length]), wanted);
    }
}
