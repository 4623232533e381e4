//! Runs that died, and what they may hold.

use super::finding::{Check, Finding, Weight};
use super::seen::Seen;
use crate::recover::LeftRun;

pub fn check(seen: &Seen) -> Vec<Finding> {
    match &seen.left {
        Err(error) => vec![Finding::unseen(Check::Runs, Weight::Note, format!("run logs: {error}"))],
        Ok(left) if left.is_empty() => vec![Finding::fine(Check::Runs, "no run that died has left anything")],
        Ok(left) => left.iter().map(of).collect(),
    }
}

fn of(LeftRun { path, held }: &LeftRun) -> Finding {
    let log = path.display();
    match held {
        Ok(held) => {
            let held: Vec<String> = held.iter().map(ToString::to_string).collect();
            Finding::note(Check::Runs, format!("the run of {log} died, and may hold {}", held.join(", ")))
                .because("the next backup gives it back before it begins")
                .remedy("`stillpoint recover` does it now")
        }
        Err(why) => Finding::note(
            Check::Runs,
            format!("the run log {log} cannot be read, and says nothing of what is held: {why}"),
        )
        .remedy("look whether its guest answers, and for volumes named stillpoint-*; then move the log away"),
    }
}
