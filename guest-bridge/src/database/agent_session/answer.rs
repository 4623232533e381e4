//! What the client in the guest prints: rows that end with a nonce, and errors.

use crate::agent::Finished;
use crate::database::{DatabaseError, Rows, Statement, net};

pub(super) fn parse(finished: &Finished, nonce: &str, statement: &str) -> Result<Rows, DatabaseError> {
    reply(&String::from_utf8_lossy(&finished.stdout), nonce).ok_or_else(|| DatabaseError::UnexpectedReply {
        statement: Statement::new(statement),
        detail: "the client's answer does not end as it should, or is too long".to_owned(),
    })
}

/// The rows before the nonce; `None` if it does not end with it.
fn reply(said: &str, nonce: &str) -> Option<Rows> {
    let rows = said.strip_suffix('\n')?.strip_suffix(nonce)?.strip_suffix("stillpoint\n")?;
    if rows.len() > Rows::MAX_BYTES {
        return None;
    }
    let mut lines = rows.lines();
    let columns = lines.next().map(|line| line.split('\t').map(unescape).collect()).unwrap_or_default();
    let rows =
        lines.map(|line| line.split('\t').map(|value| (value != "NULL").then(|| unescape(value))).collect()).collect();
    Some(Rows { columns, rows })
}

/// Undoes what `--batch` does to tabs, newlines, NUL bytes and backslashes.
fn unescape(value: &str) -> String {
    let mut plain = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(char) = chars.next() {
        match (char, if char == '\\' { chars.next() } else { None }) {
            ('\\', Some('t')) => plain.push('\t'),
            ('\\', Some('n')) => plain.push('\n'),
            ('\\', Some('0')) => plain.push('\0'),
            ('\\', Some(other)) => plain.push(other),
            (char, _) => plain.push(char),
        }
    }
    plain
}

/// `ERROR 1205 (HY000) at line 3: Lock wait timeout exceeded; try restarting transaction`
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ClientError<'s> {
    pub(super) code: u16,
    pub(super) message: &'s str,
    pub(super) line: &'s str,
}

impl<'s> ClientError<'s> {
    /// The first one that the client printed.
    pub(super) fn find(stderr: &'s str) -> Option<Self> {
        stderr.lines().find_map(|line| {
            let rest = line.strip_prefix("ERROR ")?;
            let (code, rest) = rest.split_once(' ')?;
            Some(Self { code: code.trim_end_matches(':').parse().ok()?, message: rest.split_once(": ")?.1, line })
        })
    }

    pub(super) fn ends_the_connection(&self) -> bool {
        // The client's own errors: gone away, lost connection, …
        (2000..3000).contains(&self.code) || net::ends_the_connection(self.code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_end_at_the_nonce() {
        let rows = reply("id\tname\n1\ta\\tb\\\\n\n2\tNULL\nstillpoint\nabc\n", "abc").unwrap();
        assert_eq!(rows, Rows::of(&["id", "name"], &[&[Some("1"), Some("a\tb\\n")], &[Some("2"), None]]));
        assert_eq!(reply("stillpoint\nabc\n", "abc"), Some(Rows::default()));
    }

    #[test]
    fn an_answer_without_its_own_nonce_is_none() {
        for said in ["", "id\n1\n", "id\n1\nstillpoint\nxyz\n", "id\n1\nstillpoint\nabc"] {
            assert_eq!(reply(said, "abc"), None, "{said:?}");
        }
    }

    #[test]
    fn errors_are_read_from_what_the_client_prints() {
        let stderr =
            "--------------\nBACKUP STAGE START\n--------------\n\nERROR 1205 (HY000) at line 3: Lock wait: late\n";
        let error = ClientError::find(stderr).unwrap();
        assert_eq!((error.code, error.message, error.ends_the_connection()), (1205, "Lock wait: late", false));
        let error = ClientError::find("ERROR 2002 (HY000): Can't connect").unwrap();
        assert!(error.ends_the_connection());
        assert_eq!(ClientError::find("ERROR: no number"), None);
    }
}
