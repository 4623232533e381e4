//! What the database's account may not.

use super::finding::{Check, Finding, Weight};
use super::seen::{Seen, Unseen};
use crate::grade::Grade;

pub fn check(seen: &Seen) -> Vec<Finding> {
    let Some(server) = &seen.survey.server else { return Vec::new() };
    let mut found = Vec::new();
    if server.table_directories_seen != Some(true) {
        let what = "the database account has no PROCESS";
        found.push(
            Finding::at_best(Check::Account, Grade::Filesystem, what)
                .because("whether it has tables outside of its data directory (DATA DIRECTORY) cannot be seen")
                .remedy("on the server: GRANT PROCESS ON *.* TO the account"),
        );
    }
    match &seen.account {
        // It has the GRANT as its hint.
        Err(Unseen::Failed(cause)) => found.push(Finding::failed(Check::Account, cause)),
        Err(why) => found.push(Finding::unseen(Check::Account, Weight::Stops, why)),
        Ok(remarks) => {
            found.extend(remarks.iter().map(|remark| {
                match remark.weakens {
                    true => Finding::at_best(Check::Account, Grade::Filesystem, &*remark.text)
                        .remedy("give the account that privilege: docs/configuration.md has the GRANT by product"),
                    false => Finding::note(Check::Account, &*remark.text),
                }
            }));
            if found.is_empty() {
                let what = "the account may do all that a backup asks of it";
                found.push(Finding::fine(Check::Account, what));
            }
        }
    }
    found
}
