//! Whether the agent answers, and in time; whether the guest is on, and not frozen.

use std::time::Duration;

use super::finding::{Check, Finding, Weight};
use super::seen::{AgentSeen, Seen, Unseen};
use crate::ask::job::Job;
use crate::grade::Grade;
use crate::show::amount::took;

/// An agent takes milliseconds. One that takes longer makes the window longer, by each of its answers in it.
const SLOW: Duration = Duration::from_secs(1);

pub fn check(job: &Job, seen: &Seen) -> Vec<Finding> {
    let mut found = vec![answers(job, seen)];
    if !job.freeze.value && !seen.survey.is_off {
        let what = "no freeze is asked for (--no-freeze)";
        found.push(
            Finding::at_best(Check::Frozen, Grade::Crash, what)
                .because("the journal of an image needs a replay, and what the guest had not written is not in it")
                .remedy("leave --no-freeze out"),
        );
    }
    found.extend(frozen(job, seen));
    found
}

fn answers(job: &Job, seen: &Seen) -> Finding {
    if seen.survey.is_off {
        let what = "the VM is off: its disks are open nowhere on this host, and no agent can be reached";
        return Finding::note(Check::Agent, what).because(
            "there is nothing to lock or to freeze; the grade is `clean` where its bytes show that it was shut down",
        );
    }
    match &seen.agent {
        None => Finding::note(Check::Agent, "the job has no agent").remedy("name one with --agent unix:PATH"),
        Some(Err(Unseen::Failed(cause))) => Finding::failed(Check::Agent, cause),
        Some(Err(why @ Unseen::NotAsked(_))) => Finding::unseen(Check::Agent, Weight::Stops, why),
        Some(Ok(AgentSeen { info, answers_in })) => {
            let endpoint = job.agent.value.as_ref().map(ToString::to_string).unwrap_or_default();
            let what = format!("qemu-ga {} at {endpoint} answers in {}", info.version, took(*answers_in));
            match *answers_in > SLOW {
                false => Finding::fine(Check::Agent, what),
                true => Finding::note(Check::Agent, what)
                    .because(format!(
                        "freeze and thaw wait for it, and it has {} for the thaw",
                        took(job.policy.first_thaw.value)
                    ))
                    .remedy("look what keeps the guest busy: load, memory, I/O"),
            }
        }
    }
}

fn frozen(job: &Job, seen: &Seen) -> Option<Finding> {
    match &seen.thawed {
        Ok(()) => Some(Finding::fine(Check::Frozen, "the guest is not frozen, by its agent's own word")),
        Err(Unseen::Failed(cause)) => Some(Finding::failed(Check::Frozen, cause)),
        // Whoever is off, or has no agent and is not to be frozen, is not asked.
        Err(Unseen::NotAsked(_)) if seen.survey.is_off || seen.agent.is_none() => None,
        Err(why) => {
            let weight = if job.freeze.value { Weight::Stops } else { Weight::Note };
            Some(Finding::unseen(Check::Frozen, weight, why))
        }
    }
}
