//! What the doctor found, in words.

use super::line;
use crate::documents::diagnosis::{Diagnosis, Finding, Level};

/// A row for each finding, worst first, and below it what follows and what to do. In `columns`, where that is a terminal.
pub fn diagnosis(diagnosis: &Diagnosis, columns: Option<usize>) -> String {
    let of = |level| diagnosis.findings.iter().filter(|finding| finding.level == level).count();
    let outlook = match diagnosis.at_best {
        None => match of(Level::Stops) {
            1 => "it would fail: 1 thing stops it".to_owned(),
            several => format!("it would fail: {several} things stop it"),
        },
        Some(grade) if grade < diagnosis.require => format!("it would be of grade {grade} at best"),
        Some(grade) => format!("nothing that was looked at keeps it from grade {grade}"),
    };
    let head = format!("Backup of {}, required grade {}: {outlook}\n", diagnosis.vm, diagnosis.require);
    head + &diagnosis.findings.iter().map(|finding| rows(finding, columns)).collect::<String>()
}

fn rows(finding: &Finding, columns: Option<usize>) -> String {
    let Finding { level, check, looked_at: _, at_best, what, why, remedy } = finding;
    let label = match level {
        Level::Stops => "STOPS",
        Level::KeepsFromGrade => "weakens",
        Level::Note => "note",
        Level::Fine => "fine",
    };
    let at_best = at_best.map(|grade| format!(" (grade {grade} at best)")).unwrap_or_default();
    let row = |name: &str, value: &str| line(&format!("  {name:<8}"), value, columns);
    let mut rows = row(label, &format!("{check}: {what}{at_best}"));
    rows.extend(why.iter().map(|why| row("", &format!("because: {why}"))));
    rows.extend(remedy.iter().map(|remedy| row("", &format!("do: {remedy}"))));
    rows
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::documents::diagnosis::FORMAT;
    use crate::grade::Grade;

    fn finding(level: Level, check: &str, at_best: Option<Grade>, [what, why, remedy]: [&str; 3]) -> Finding {
        let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let looked_at = !what.starts_with("not looked at");
        Finding {
            level,
            check: check.to_owned(),
            looked_at,
            at_best,
            what: what.to_owned(),
            why: some(why),
            remedy: some(remedy),
        }
    }

    fn a_diagnosis() -> Diagnosis {
        let findings = vec![
            finding(
                Level::Stops,
                "loops",
                None,
                [
                    "the filesystem at /tmp in the guest lies in the file /usr/tmpDSK",
                    "the filesystem of that file is mounted at /home/virtfs/shop/usr later than /tmp, and the agent \
                     freezes what was \
                     mounted last first",
                    "in the guest: `umount /home/virtfs/shop/usr`",
                ],
            ),
            finding(
                Level::KeepsFromGrade,
                "commands",
                Some(Grade::Filesystem),
                ["the agent blocks guest-exec", "no watchdog can be armed in it", "allow it in the guest"],
            ),
            finding(Level::Note, "clock", None, ["not looked at: the agent does not offer guest-get-time", "", ""]),
            finding(Level::Fine, "agent", None, ["qemu-ga 7.2.22 at unix:/run/qga answers in 4 ms", "", ""]),
        ];
        Diagnosis {
            format: FORMAT,
            vm: "db1".to_owned(),
            require: Grade::Application,
            at_best: None,
            findings,
            freeze_test: None,
        }
    }

    #[test]
    fn the_worst_comes_first_with_what_to_do_about_it() {
        assert_snapshot!("diagnosis_pipe", diagnosis(&a_diagnosis(), None));
        assert_snapshot!("diagnosis_80", diagnosis(&a_diagnosis(), Some(80)));
    }

    #[test]
    fn the_first_line_says_what_a_backup_would_come_to() {
        let first =
            |at_best| diagnosis(&Diagnosis { at_best, ..a_diagnosis() }, None).lines().next().unwrap().to_owned();
        let said = [None, Some(Grade::Crash), Some(Grade::Application)].map(first);
        assert_eq!(
            said,
            [
                "Backup of db1, required grade application: it would fail: 1 thing stops it",
                "Backup of db1, required grade application: it would be of grade crash at best",
                "Backup of db1, required grade application: nothing that was looked at keeps it from grade application",
            ]
        );
    }

    #[test]
    fn several_things_stop_it_together() {
        let findings = [a_diagnosis().findings, a_diagnosis().findings].concat();
        let shown = diagnosis(&Diagnosis { findings, ..a_diagnosis() }, None);
        assert!(
            shown.starts_with("Backup of db1, required grade application: it would fail: 2 things stop it\n"),
            "{shown}"
        );
    }

    #[test]
    fn a_guest_cannot_forge_a_row() {
        let forged = finding(Level::Note, "loops", None, ["/tmp\n  fine    agent: all is well", "", ""]);
        let shown = diagnosis(&Diagnosis { findings: vec![forged], ..a_diagnosis() }, None);
        assert_eq!(shown.lines().count(), 2, "{shown}");
    }
}
