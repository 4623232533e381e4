//! Filesystems in files of others: where a freeze comes to the file's filesystem first, it waits for ever.

use guest_bridge::agent::AgentInfo;
use guest_bridge::places::LoopMount;

use super::finding::{Check, Finding};
use super::seen::Seen;

/// qemu-ga lists every mount until 9.1, bind mounts too; later ones list each filesystem once, where it was mounted first.
const LISTS_EACH_ONCE: (u32, u32) = (9, 2);

pub fn check(seen: &Seen) -> Vec<Finding> {
    let Ok(places) = &seen.survey.places else { return Vec::new() };
    let found: Vec<Finding> =
        places.loops.iter().filter(|one| !one.read_only).map(|one| of(one, seen.agent_info())).collect();
    match found.is_empty() {
        true => vec![Finding::fine(Check::Loops, "no filesystem that can be written to lies in a file of another one")],
        false => found,
    }
}

fn of(one: &LoopMount, agent: Option<&AgentInfo>) -> Finding {
    let mountpoint = one.mountpoint.escape_default();
    let file = one.file.as_ref().map_or("a file of another one".to_owned(), |file| {
        format!("the file {}", file.display().to_string().escape_default())
    });
    let what = format!("the filesystem at {mountpoint} in the guest lies in {file}");
    match &one.deadlocks_by {
        Some(later) if !agent.is_some_and(lists_each_once) => {
            let later = later.escape_default();
            let why = format!(
                "the filesystem of that file is mounted at {later} later than {mountpoint}, and the agent freezes what was mounted \
                 last first: {mountpoint} would then wait for ever for what it has to write to its file, and only the \
                 watchdog in the guest could end that"
            );
            Finding::stops(Check::Loops, what).because(why).remedy(format!(
                "in the guest: `umount {later}`, or mount {mountpoint} anew after it; or give \
                 {mountpoint} a volume of its own"
            ))
        }
        Some(_) => Finding::note(Check::Loops, what).because(
            "this agent freezes each filesystem once, first mounted last: that way round it does not deadlock",
        ),
        None if one.file.is_some() => Finding::note(Check::Loops, what)
            .because("the agent freezes it before what it lies in; the other way round a freeze would wait for ever"),
        None => Finding::note(Check::Loops, what)
            .because("which file is not told: a freeze that comes to the file's filesystem first would wait for ever")
            .remedy("`losetup -l` and `findmnt` in the guest name the file, and the order in which both are mounted"),
    }
}

/// By the version that the agent says it has; one that says none is taken for an old one.
fn lists_each_once(agent: &AgentInfo) -> bool {
    let mut numbers = agent.version.split('.').map(|number| number.parse().ok());
    let version = numbers.next().flatten().zip(numbers.next().flatten());
    version.is_some_and(|version: (u32, u32)| version >= LISTS_EACH_ONCE)
}

#[cfg(test)]
mod tests {
    use super::super::finding::Weight;
    use super::*;

    fn agent(version: &str) -> AgentInfo {
        AgentInfo { version: version.to_owned(), supported: Default::default() }
    }

    fn loop_mount(deadlocks_by: Option<&str>) -> LoopMount {
        let deadlocks_by = deadlocks_by.map(str::to_owned);
        LoopMount { mountpoint: "/tmp".to_owned(), read_only: false, file: Some("/tmp.img".into()), deadlocks_by }
    }

    #[test]
    fn a_freeze_that_would_deadlock_stops_a_backup_and_the_mount_is_named() {
        let found = of(&loop_mount(Some("/jail")), Some(&agent("7.2.22")));
        assert_eq!(found.weight, Weight::Stops);
        assert!(found.what.contains("/tmp in the guest lies in the file /tmp.img"), "{}", found.what);
        assert!(found.why.contains("mounted at /jail later than /tmp"), "{}", found.why);
    }

    #[test]
    fn an_agent_that_lists_each_filesystem_once_does_not_deadlock_and_one_of_no_known_version_might() {
        let weight = |version: Option<&str>| of(&loop_mount(Some("/jail")), version.map(agent).as_ref()).weight;
        assert_eq!((weight(Some("9.2.0")), weight(Some("10.0.2"))), (Weight::Note, Weight::Note));
        assert_eq!(
            (weight(Some("9.1.9")), weight(Some("x")), weight(None)),
            (Weight::Stops, Weight::Stops, Weight::Stops)
        );
    }

    #[test]
    fn one_in_the_usual_order_is_named_all_the_same() {
        let found = of(&loop_mount(None), Some(&agent("7.2.22")));
        assert_eq!((found.weight, found.what.contains("/tmp")), (Weight::Note, true));
    }
}
