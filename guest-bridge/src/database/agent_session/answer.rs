//! What the client in the guest prints: rows that end with a nonce, and errors.

use crate::database::{Rows, Statement, net};

/// The rows of each statement that was answered: those before each nonce. What comes behind the last is no answer yet.
pub(super) fn replies(said: &str, nonce: &str) -> Vec<Rows> {
    let end = format!("stillpoint\n{nonce}\n");
    let mut replies: Vec<&str> = said.split(&end).collect();
    replies.pop();
    replies.into_iter().map(rows).collect()
}

/// What may be behind an answer that is none, for the end of a sentence; nothing where nothing was said.
pub(super) fn otherwise_formed(said: &str) -> String {
    let first = said.lines().find(|line| !line.trim().is_empty());
    first.map_or_else(String::new, |line| {
        format!("; an option file of the guest's client may change its output: {}", Statement::new(line))
    })
}

fn rows(said: &str) -> Rows {
    let mut lines = said.lines();
    let columns = lines.next().map(|line| line.split('\t').map(unescape).collect()).unwrap_or_default();
    let rows =
        lines.map(|line| line.split('\t').map(|value| (value != "NULL").then(|| unescape(value))).collect()).collect();
    Rows { columns, rows }
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
    /// Where the statement began, counted over all that the client was ever given. Not where there was none.
    pub(super) at_line: Option<u64>,
    pub(super) message: &'s str,
    pub(super) line: &'s str,
}

impl<'s> ClientError<'s> {
    /// Those that the client printed.
    pub(super) fn all(stderr: &'s str) -> impl Iterator<Item = Self> {
        stderr.lines().filter_map(|line| {
            let (code, rest) = line.strip_prefix("ERROR ")?.split_once(' ')?;
            let (place, message) = rest.split_once(": ")?;
            let at_line = place.rsplit_once("at line ").and_then(|(_, number)| number.parse().ok());
            Some(Self { code: code.trim_end_matches(':').parse().ok()?, at_line, message, line })
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
        let said = "id\tname\n1\ta\\tb\\\\n\n2\tNULL\nstillpoint\nabc\n";
        let rows = Rows::of(&["id", "name"], &[&[Some("1"), Some("a\tb\\n")], &[Some("2"), None]]);
        assert_eq!(replies(said, "abc"), [rows]);
        assert_eq!(replies("stillpoint\nabc\n", "abc"), [Rows::default()]);
    }

    #[test]
    fn each_statement_has_the_rows_before_its_own_nonce() {
        let said = "stillpoint\nabc\nid\n7\nstillpoint\nabc\nhalf\n1";
        assert_eq!(replies(said, "abc"), [Rows::default(), Rows::of(&["id"], &[&[Some("7")]])]);
    }

    #[test]
    fn an_answer_without_its_own_nonce_is_none() {
        for said in ["", "id\n1\n", "id\n1\nstillpoint\nxyz\n", "id\n1\nstillpoint\nabc"] {
            assert_eq!(replies(said, "abc"), [], "{said:?}");
        }
    }

    #[test]
    fn errors_are_read_from_what_the_client_prints() {
        let stderr = "--------------\nBACKUP STAGE START\n--------------\n\nERROR 1205 (HY000) at line 3: Lock wait: late\n\
                      ERROR 2002 (HY000): Can't connect\nERROR: no number\n";
        let errors: Vec<_> = ClientError::all(stderr).collect();
        let read: Vec<_> =
            errors.iter().map(|it| (it.code, it.at_line, it.message, it.ends_the_connection())).collect();
        assert_eq!(read, [(1205, Some(3), "Lock wait: late", false), (2002, None, "Can't connect", true)]);
    }
}
