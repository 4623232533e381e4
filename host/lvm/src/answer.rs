//! LVM's JSON reports (lvmreport(7)) as they come over its stdout, which is not theirs alone.
//!
//! LVM prints messages there too: before the report, and since some of its work is done while it reports, between two rows.

use serde::de::DeserializeOwned;
use serde_json::Value;

/// The bytes of an unreadable answer that an error shows.
const SHOWN_BYTES: usize = 120;

/// The rows of `{"report": [{"lv": [row, …]}]}`; a report for nothing has an empty list.
///
/// # Errors
/// What is wrong with the answer, and how it begins.
pub(super) fn rows<T: DeserializeOwned>(stdout: &[u8], section: &str) -> Result<Vec<T>, String> {
    read(stdout, section).map_err(|why| format!("{why}; it begins with {}", beginning(stdout)))
}

fn read<T: DeserializeOwned>(stdout: &[u8], section: &str) -> Result<Vec<T>, String> {
    let mut document: Value = serde_json::from_str(&without_messages(stdout)?).map_err(|error| error.to_string())?;
    let rows = document.pointer_mut(&format!("/report/0/{section}"));
    let rows = rows.ok_or_else(|| format!("it has no report of `{section}`"))?.take();
    serde_json::from_value(rows).map_err(|error| error.to_string())
}

/// The lines that are JSON, from the first that begins with a brace. A message that shares its line with a row would take the
/// row with it: what has a brace stays, and the answer is then unreadable instead of short.
fn without_messages(stdout: &[u8]) -> Result<String, String> {
    let text = std::str::from_utf8(stdout).map_err(|error| error.to_string())?;
    let report = text.lines().map(str::trim).skip_while(|line| !line.starts_with('{'));
    let json = report.filter(|line| line.starts_with(['{', '}', '[', ']', '"', ',']) || line.contains(['{', '}']));
    let json: Vec<&str> = json.collect();
    if json.is_empty() { Err("it has no JSON".to_owned()) } else { Ok(json.join("\n")) }
}

fn beginning(stdout: &[u8]) -> String {
    let shown = stdout.get(..SHOWN_BYTES).unwrap_or(stdout);
    let more = if shown.len() < stdout.len() { " ..." } else { "" };
    if shown.is_empty() { "nothing: it is empty".to_owned() } else { format!("`{}`{more}", shown.escape_ascii()) }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq, Eq)]
    struct Row {
        vg_name: String,
    }

    fn names(answer: &str) -> Result<Vec<String>, String> {
        Ok(rows::<Row>(answer.as_bytes(), "vg")?.into_iter().map(|row| row.vg_name).collect())
    }

    #[test]
    fn a_report_for_nothing_has_no_rows() {
        // As LVM 2.03.16 prints it.
        let nothing = "{\n    \"report\": [\n        {\n            \"vg\": [\n            ]\n        }\n    ]\n}\n";
        assert_eq!(names(nothing), Ok(vec![]));
    }

    // As LVM 2.03.16 prints it where the archive has thousands of files.
    #[test]
    fn messages_around_and_inside_the_report_are_no_part_of_it() {
        let answer = concat!(
            "  WARNING: Running as a non-root user. Functionality may be unavailable.\n",
            "  {\n      \"report\": [\n          {\n              \"vg\": [\n",
            "  Consider pruning vg-1 VG archive with more then 8 MiB in 9000 files (see archiving settings in lvm.conf).\n",
            "                  {\"vg_name\":\"vg-1\"},\n",
            "  Consider pruning vg-2 VG archive with more then 8 MiB in 9000 files (see archiving settings in lvm.conf).\n",
            "                  {\"vg_name\":\"vg-2\"}\n",
            "              ]\n          }\n      ]\n  }\n",
            "  Done.\n",
        );
        assert_eq!(names(answer), Ok(vec!["vg-1".to_owned(), "vg-2".to_owned()]));
    }

    #[test]
    fn a_row_behind_a_message_on_its_line_is_not_lost_unseen() {
        let answer = "{\"report\": [{\"vg\": [\nConsider pruning {\"vg_name\":\"vg-1\"},\n{\"vg_name\":\"vg-2\"}\n]}]}";
        assert!(names(answer).is_err());
    }

    #[test]
    fn the_log_that_lvm_may_report_as_well_is_no_part_of_the_rows() {
        let answer = "{\"report\": [{\"vg\": [{\"vg_name\":\"vg\"}]}],\n\"log\": [{\"log_seq_num\":\"1\"}]}";
        assert_eq!(names(answer), Ok(vec!["vg".to_owned()]));
    }

    #[test]
    fn an_answer_that_is_no_report_is_an_error() {
        for answer in ["", "{}", "{\"report\": []}", "{\"report\": [{\"vg\": 1}]}", "{\"report\": [{\"vg\": [{}]}]}"] {
            assert!(names(answer).is_err(), "{answer}");
        }
    }

    #[test]
    fn an_unreadable_answer_shows_how_it_begins_and_nothing_that_a_terminal_obeys() {
        assert_eq!(names("\u{1b}[2Jlvs {\n").unwrap_err(), "it has no JSON; it begins with `\\x1b[2Jlvs {\\n`");
        assert_eq!(names("").unwrap_err(), "it has no JSON; it begins with nothing: it is empty");
        let long = names(&"x".repeat(10_000)).unwrap_err();
        assert!(long.ends_with("xx` ...") && long.len() < 200, "{long}");
    }
}
