//! Which of the commands that a backup uses the agent blocks, and what each costs.

use super::finding::{Check, Finding};
use super::seen::Seen;
use crate::ask::job::Job;
use crate::backup::survey::{EXEC_COMMANDS, refuse_blocked};
use crate::grade::Grade;

/// Where a distribution blocks commands.
const ALLOW: &str = "allow it in the guest: FILTER_RPC_ARGS, BLOCK_RPCS or BLACKLIST_RPC in /etc/sysconfig/qemu-ga, \
                     block-rpcs or \
                     allow-rpcs in qemu-ga.conf; then restart qemu-guest-agent";

/// What is lost without a command that a backup can do without.
const COSTS: [(&str, &str); 2] = [
    ("guest-get-fsinfo", "whether the guest has disks that the job does not name is seen by guest-exec alone"),
    ("guest-get-time", "whether the clocks of host and guest agree cannot be seen; a backup does not ask for it"),
];

pub fn check(job: &Job, seen: &Seen) -> Vec<Finding> {
    let Some(info) = seen.agent_info() else { return Vec::new() };
    // While it is frozen an agent offers next to nothing, whatever its configuration says.
    if seen.thawed.is_err() && info.supports("guest-fsfreeze-status") {
        return vec![Finding::unseen(Check::Commands, super::finding::Weight::Note, "the guest is frozen, or may be")];
    }
    let mut found = Vec::new();
    if let Err(cause) = refuse_blocked(job, info) {
        found.push(Finding::failed(Check::Commands, &cause));
    }
    let blocked = info.missing(&EXEC_COMMANDS);
    if !blocked.is_empty() && job.freeze.value {
        found.push(
            Finding::at_best(Check::Commands, Grade::Filesystem, format!("the agent blocks {}", blocked.join(" and ")))
                .because(
                    "that the disks are the guest's, with its database on them, cannot be proven; no watchdog can \
                     be armed in it; \
                     and its dirty pages are not written out beforehand, so the freeze takes longer",
                )
                .remedy(ALLOW),
        );
    }
    for (command, costs) in COSTS.iter().filter(|(command, _)| !info.supports(command)) {
        found.push(
            Finding::note(Check::Commands, format!("the agent does not offer {command}")).because(*costs).remedy(ALLOW),
        );
    }
    if found.is_empty() {
        found.push(Finding::fine(
            Check::Commands,
            "the agent offers all that a backup uses; of guest-file-* it uses none",
        ));
    }
    found
}
