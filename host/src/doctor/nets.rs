//! The nets below a backup's own thaw: the watchdog in the guest, and the guardian on the host.

use super::finding::{Check, Finding, Weight};
use super::seen::{Seen, Unseen};
use crate::ask::job::Job;
use crate::ask::policy::WatchdogWish;

pub fn check(job: &Job, seen: &Seen) -> Vec<Finding> {
    let mut found = vec![guardian(seen)];
    if job.freeze.value && !seen.survey.is_off {
        found.push(watchdog(job.policy.watchdog.value, seen));
    }
    found
}

fn guardian(seen: &Seen) -> Finding {
    match &seen.guardian {
        Ok(program) => Finding::fine(Check::Guardian, format!("a guardian of the run can be started, by {program}")),
        Err(Unseen::Failed(cause)) => Finding::note(Check::Guardian, format!("no guardian can be started: {cause}"))
            .because(
                "should a backup be killed, nobody thaws until `stillpoint recover` is called, or the watchdog \
                 in the guest acts",
            )
            .remedy(cause.hint()),
        Err(why) => Finding::unseen(Check::Guardian, Weight::Note, why),
    }
}

fn watchdog(wish: WatchdogWish, seen: &Seen) -> Finding {
    let without = if wish == WatchdogWish::Require { Weight::Stops } else { Weight::Note };
    match &seen.watchdog {
        _ if wish == WatchdogWish::None => {
            Finding::note(Check::Watchdog, "no watchdog in the guest is wanted (`watchdog` is none)")
                .because("should this host be lost in the window, nobody thaws the guest")
        }
        Ok(possible) => Finding::fine(
            Check::Watchdog,
            format!(
                "a watchdog can be armed in the guest: in {}, thawing by {}",
                possible.place.display().to_string().escape_default(),
                possible.fsfreeze.display().to_string().escape_default()
            ),
        ),
        Err(Unseen::Failed(cause)) => Finding::new(Check::Watchdog, without, cause.to_string())
            .because("without one nobody thaws the guest, should this host be lost in the window")
            .remedy(cause.hint()),
        Err(why) => Finding::unseen(Check::Watchdog, without, why),
    }
}
