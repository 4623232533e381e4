//! Who would keep the lock waiting, were it asked for now.

use std::time::Duration;

use guest_bridge::database::holder::Holder;
use guest_bridge::database::lock_method::LockMethod;

use super::finding::{Check, Finding, Weight};
use super::seen::Seen;
use crate::ask::job::Job;
use crate::show::amount::took;

/// What is over sooner, the lock outwaits.
const LONG_S: u64 = 10;

pub fn check(job: &Job, seen: &Seen) -> Vec<Finding> {
    let Some(server) = &seen.survey.server else { return Vec::new() };
    match &seen.busy {
        Err(why) => vec![Finding::unseen(Check::Busy, Weight::Note, format!("who would keep the lock waiting: {why}"))],
        Ok(holders) => {
            of(holders, LockMethod::choose(server, job.policy.lock_wish.value).method, job.policy.lock.value)
        }
    }
}

fn of(holders: &[Holder], method: LockMethod, lock_deadline: Duration) -> Vec<Finding> {
    // Replication's own threads run for as long as the server does.
    let is_long = |holder: &&Holder| holder.seconds >= LONG_S && !holder.user.starts_with("system user");
    let found: Vec<Finding> =
        holders.iter().filter(is_long).map(|holder| finding(holder, method, lock_deadline)).collect();
    match found.is_empty() {
        false => found,
        true => vec![Finding::fine(
            Check::Busy,
            format!("no transaction and no statement has been going on for {LONG_S} s or longer just now"),
        )],
    }
}

fn finding(holder: &Holder, method: LockMethod, lock_deadline: Duration) -> Finding {
    let what = holder.to_string();
    let deadline = took(lock_deadline);
    let kill = format!("let it end, or `KILL {}`; or wait longer with --lock-deadline", holder.thread_id);
    let outlasts = holder.seconds >= lock_deadline.as_secs();
    let (weight, why) = match method {
        LockMethod::FlushTablesWithReadLock if !holder.is_idle && outlasts => (
            Weight::Stops,
            format!(
                "FLUSH TABLES WITH READ LOCK waits for every running statement, and all writers queue behind it: \
                 while this one goes \
                 on a backup fails after {deadline}"
            ),
        ),
        LockMethod::FlushTablesWithReadLock if !holder.is_idle => (
            Weight::Note,
            format!(
                "FLUSH TABLES WITH READ LOCK waits for every running statement, {deadline} at most, and all writers \
                 queue behind it"
            ),
        ),
        LockMethod::BackupStage => (
            Weight::Note,
            format!(
                "BACKUP STAGE does not wait for what writes to InnoDB; for another backup, for ALTER TABLE and its \
                 like and for writes \
                 to tables without transactions it does, {deadline} at most"
            ),
        ),
        LockMethod::InstanceForBackup => {
            (Weight::Note, "LOCK INSTANCE FOR BACKUP waits for DDL only, and nobody's writes wait behind it".to_owned())
        }
        LockMethod::None => (Weight::Note, "nothing is locked, so that nothing waits for it".to_owned()),
        LockMethod::FlushTablesWithReadLock | LockMethod::PerconaBackupLocks => {
            (Weight::Note, format!("the lock may have to wait for it, {deadline} at most"))
        }
    };
    Finding::new(Check::Busy, weight, what).because(why).remedy(kill)
}

#[cfg(test)]
mod tests {
    use super::*;
    use guest_bridge::database::Statement;

    const DEADLINE: Duration = Duration::from_secs(30);

    fn holder(seconds: u64, is_idle: bool) -> Holder {
        Holder {
            thread_id: 7,
            user: "shop@localhost".to_owned(),
            seconds,
            statement: Statement::new(if is_idle { "(idle, no statement running)" } else { "SELECT SLEEP(99)" }),
            is_idle,
            reason: "has an open transaction".to_owned(),
        }
    }

    fn weight(holder: Holder, method: LockMethod) -> Weight {
        of(&[holder], method, DEADLINE)[0].weight
    }

    #[test]
    fn a_long_transaction_is_named_with_its_thread_and_what_ends_it() {
        let found = of(&[holder(41, true)], LockMethod::BackupStage, DEADLINE);
        assert_eq!((found.len(), found[0].weight), (1, Weight::Note));
        assert!(found[0].what.starts_with("thread 7 of shop@localhost, 41 s"), "{}", found[0].what);
        assert!(found[0].remedy.contains("`KILL 7`"), "{}", found[0].remedy);
    }

    #[test]
    fn what_a_read_lock_would_wait_for_longer_than_it_may_stops_a_backup_and_no_other_lock() {
        assert_eq!(weight(holder(31, false), LockMethod::FlushTablesWithReadLock), Weight::Stops);
        assert_eq!(weight(holder(29, false), LockMethod::FlushTablesWithReadLock), Weight::Note);
        assert_eq!(weight(holder(31, true), LockMethod::FlushTablesWithReadLock), Weight::Note);
        assert_eq!(weight(holder(31, false), LockMethod::BackupStage), Weight::Note);
    }

    #[test]
    fn what_has_just_begun_and_replications_own_threads_are_nobodys_trouble() {
        let replication = Holder { user: "system user@".to_owned(), ..holder(9000, false) };
        assert_eq!(weight(holder(9, false), LockMethod::FlushTablesWithReadLock), Weight::Fine);
        assert_eq!(weight(replication, LockMethod::FlushTablesWithReadLock), Weight::Fine);
    }
}
