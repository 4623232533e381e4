//! Whether a dump is whole.

use super::{Ended, NotWhole};
use crate::agent::{Exit, guest_text};

/// The client's last line, of both products; with the date behind it unless `--skip-dump-date` is given.
const MARK: &[u8] = b"-- Dump completed";
const SIGPIPE: i64 = 13;

/// Whole is a dump only where the client's exit code, its last line and the count of bytes all agree: each of them alone is there also for
/// dumps that are not. Neither product's client says so of itself.
///
/// # Errors
/// [`NotWhole`]: what comes first, in the order of what is the cause of what.
pub fn verdict(ended: &Ended) -> Result<(), NotWhole> {
    match ended.exit {
        Exit::Code(0) => {}
        Exit::Signal(signal) if signal != SIGPIPE => return Err(NotWhole::Killed { signal }),
        exit => return Err(of_a_failure(exit, &ended.stderr)),
    }
    let Ended { counted_bytes, received_bytes, .. } = *ended;
    if counted_bytes != received_bytes {
        return Err(NotWhole::BytesDiffer { counted_bytes, received_bytes });
    }
    if !ends_with_mark(&ended.tail) {
        return Err(NotWhole::NoMark);
    }
    match errors(&ended.stderr).next() {
        None => Ok(()),
        Some(line) => Err(NotWhole::SpokeOfAnError { said: guest_text(line) }),
    }
}

fn of_a_failure(exit: Exit, stderr: &str) -> NotWhole {
    let Some(line) = errors(stderr).next().or_else(|| stderr.lines().rfind(|line| !line.trim().is_empty())) else {
        return match exit {
            Exit::Signal(signal) => NotWhole::Killed { signal },
            exit => NotWhole::Failed { exit, said: "it says nothing".to_owned() },
        };
    };
    let said = guest_text(line);
    match code(line) {
        // Lost, gone away, shut down, killed; no server at all.
        Some(2002 | 2003 | 2006 | 2013 | 1053 | 1927 | 1317 | 4031) => NotWhole::ServerGone { said },
        // Of accounts, schemas, tables, columns, routines, privileges.
        Some(1044 | 1045 | 1142 | 1143 | 1227 | 1370 | 1698 | 3159 | 4151) => NotWhole::Denied { said },
        Some(1356 | 1449) => NotWhole::BrokenView { said },
        // The table's definition is another; it is gone.
        Some(1412 | 1146) => NotWhole::Changed { said },
        // MySQL's client drops some numbers.
        None if line.contains("denied") => NotWhole::Denied { said },
        Some(1049) => NotWhole::NotFound { said },
        _ if line.contains("Couldn't find table") => NotWhole::NotFound { said },
        _ if line.contains("field count") => NotWhole::Changed { said },
        _ if line.contains("on write") || exit == Exit::Signal(SIGPIPE) => NotWhole::Output { said },
        _ => NotWhole::Failed { exit, said },
    }
}

/// What speaks of an error; warnings, such as that of a password, do not.
fn errors(stderr: &str) -> impl Iterator<Item = &str> {
    const SPEAKS: [&str; 4] = ["Error", "error", "Couldn't", "Got errno"];
    stderr.lines().filter(|line| !line.contains("[Warning]") && SPEAKS.iter().any(|words| line.contains(words)))
}

/// The server's or the client's number in `Error 2013: …`, `Error: 1146: …`, `Got error: 1045: …`, or `… (1356)` at the end.
fn code(line: &str) -> Option<u16> {
    let behind = ["Got error: ", "Error: ", "Error "].iter().find_map(|words| Some(line.split_once(words)?.1));
    let number = behind.and_then(|rest| rest.split(|char: char| !char.is_ascii_digit()).next()?.parse().ok());
    let in_brackets = || line.trim_end().strip_suffix(')')?.rsplit_once('(')?.1.parse().ok();
    number.or_else(in_brackets)
}

fn ends_with_mark(tail: &[u8]) -> bool {
    let Some(rest) = tail.strip_suffix(b"\n") else { return false };
    rest.rsplit(|byte| *byte == b'\n').next().is_some_and(|line| line.starts_with(MARK))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole() -> Ended {
        let tail = b"UNLOCK TABLES;\n\n-- Dump completed on 2026-01-02  3:04:05\n".to_vec();
        Ended {
            exit: Exit::Code(0),
            stderr: String::new(),
            counted_bytes: 900,
            received_bytes: 900,
            head: Vec::new(),
            tail,
        }
    }

    fn failed(code: i64, stderr: &str) -> NotWhole {
        let ended = Ended { exit: Exit::Code(code), stderr: stderr.to_owned(), tail: b"half".to_vec(), ..whole() };
        verdict(&ended).unwrap_err()
    }

    #[test]
    fn whole_is_what_exit_code_end_mark_and_count_agree_on() {
        assert_eq!(verdict(&whole()), Ok(()));
        assert_eq!(verdict(&Ended { tail: b"\n-- Dump completed\n".to_vec(), ..whole() }), Ok(()));
        let warned =
            "mysqldump: [Warning] unknown variable 'loose-x=0'.\n-- Warning: column statistics not supported\n";
        assert_eq!(verdict(&Ended { stderr: warned.to_owned(), ..whole() }), Ok(()));
    }

    #[test]
    fn exit_code_0_without_the_end_mark_is_not_whole() {
        for tail in
            ["", "-- Dump completed on 2026", "-- Dump completed\n\n", "INSERT INTO t VALUES ('-- Dump completed');\n"]
        {
            assert_eq!(verdict(&Ended { tail: tail.into(), ..whole() }), Err(NotWhole::NoMark), "{tail:?}");
        }
    }

    #[test]
    fn an_end_mark_with_another_exit_code_is_not_whole() {
        let forced = Ended { exit: Exit::Code(2), stderr: "mysqldump: Error: x (1356)".to_owned(), ..whole() };
        assert!(matches!(verdict(&forced), Err(NotWhole::BrokenView { .. })));
    }

    #[test]
    fn bytes_that_were_lost_are_told() {
        let lost = Ended { received_bytes: 899, ..whole() };
        assert_eq!(verdict(&lost), Err(NotWhole::BytesDiffer { counted_bytes: 900, received_bytes: 899 }));
    }

    #[test]
    fn exit_code_0_with_an_error_beside_the_dump_is_not_whole() {
        let spoke = Ended { stderr: "mysqldump: Got error: 9999: what\n".to_owned(), ..whole() };
        assert!(matches!(verdict(&spoke), Err(NotWhole::SpokeOfAnError { .. })));
    }

    #[test]
    fn a_client_that_was_killed_names_the_signal() {
        let killed = Ended { exit: Exit::Signal(9), tail: Vec::new(), ..whole() };
        assert_eq!(verdict(&killed), Err(NotWhole::Killed { signal: 9 }));
    }

    #[test]
    fn each_failure_is_told_by_the_clients_words() {
        let lost =
            "mysqldump: Error 2013: Lost connection to MySQL server during query when dumping table `t` at row: 283\n";
        assert!(matches!(failed(3, lost), NotWhole::ServerGone { .. }));
        let shut = "mysqldump: Error 1053: Server shutdown in progress when dumping table `t` at row: 7\n";
        assert!(matches!(failed(3, shut), NotWhole::ServerGone { .. }));
        let full = "mysqldump: Got errno 28 on write\n";
        assert!(matches!(failed(5, full), NotWhole::Output { .. }));
        let view =
            "mariadb-dump: Couldn't execute 'SHOW FIELDS FROM `v`': View 'a.v' references invalid table(s) (1356)\n";
        assert!(matches!(failed(2, view), NotWhole::BrokenView { .. }));
        let denied = "mysqldump: Got error: 1045: \"Access denied for user 'a'@'b'\" when trying to connect\n";
        assert!(matches!(failed(2, denied), NotWhole::Denied { .. }));
        let unnumbered = "mysqldump: Error: 'Access denied; you need PROCESS' when trying to dump tablespaces\n";
        assert!(matches!(failed(2, unnumbered), NotWhole::Denied { .. }));
        let none = "mariadb-dump: Couldn't find table: \"visits\"\n";
        assert!(matches!(failed(6, none), NotWhole::NotFound { .. }));
        assert!(matches!(failed(7, "what\n"), NotWhole::Failed { exit: Exit::Code(7), .. }));
    }

    #[test]
    fn only_a_table_that_changed_is_worth_a_retry() {
        let changed = [
            (3, "mysqldump: Error in field count for table: `t` !  Aborting.\n"),
            (
                3,
                "mariadb-dump: Error 1412: Table definition has changed, please retry transaction when dumping table `t` at row: 0\n",
            ),
        ];
        for (code, said) in changed {
            assert!(failed(code, said).is_worth_a_retry(), "{said}");
        }
        assert!(!failed(2, "mysqldump: Got errno 28 on write\n").is_worth_a_retry());
    }

    #[test]
    fn the_guests_words_are_bounded_and_cannot_repaint_a_terminal() {
        let said = failed(2, &format!("Error: \u{1b}[2J{}", "x".repeat(10_000))).to_string();
        assert!(said.len() < 700 && !said.contains('\u{1b}'), "{said}");
    }
}
