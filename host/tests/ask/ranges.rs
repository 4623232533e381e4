//! A number out of its range is refused, and the refusal says which, from where, how much, and what it may be.

use std::time::Duration;

use stillpoint::ask::asked::Asked;

use super::{DB1, db1, job, refusal};

/// Key, least, most, unit.
const RANGES: [(&str, u64, u64, &str); 16] = [
    ("level", 1, 19, ""),
    ("threads", 1, 256, ""),
    ("survey_agent_deadline_s", 1, 600, " s"),
    ("survey_database_deadline_s", 1, 600, " s"),
    ("guest_sync_deadline_s", 1, 3600, " s"),
    ("marker_deadline_s", 1, 600, " s"),
    ("lock_deadline_s", 1, 600, " s"),
    ("dump_progress_deadline_s", 5, 3600, " s"),
    ("dump_deadline_s", 60, 604_800, " s"),
    ("statement_deadline_s", 1, 600, " s"),
    ("window_deadline_s", 1, 600, " s"),
    ("freeze_deadline_s", 1, 600, " s"),
    ("attach_deadline_s", 1, 300, " s"),
    ("first_thaw_deadline_s", 1, 60, " s"),
    ("thaw_deadline_s", 10, 3600, " s"),
    ("node_deadline_s", 1, 600, " s"),
];

#[test]
fn the_ends_of_each_range_are_in_it_and_their_neighbours_are_not() {
    for (key, least, most, unit) in RANGES {
        let vm = |value: u64| format!("{DB1}[vm.db1.policy]\n{key} = {value}\n");
        let defaults = |value: u64| format!("[defaults]\n{key} = {value}\n{DB1}");
        for value in [least, most] {
            assert!(job(db1(), &vm(value)).is_ok(), "{key} = {value}");
        }
        for value in [least - 1, most + 1] {
            let range = format!("is {value}{unit}: out of the range of {least}{unit} to {most}{unit}");
            assert_eq!(refusal(db1(), &vm(value)), format!("`{key}` in [vm.db1.policy] {range}"));
            assert_eq!(refusal(db1(), &defaults(value)), format!("`{key}` in [defaults] {range}"));
        }
    }
}

#[test]
fn no_number_of_the_policy_is_without_a_range() {
    let job = job(db1(), DB1).unwrap();
    let keys = job.policy.stated().into_iter().map(|setting| setting.key);
    let missing: Vec<_> = keys.filter(|key| RANGES.iter().all(|range| range.0 != *key)).collect();
    assert_eq!(missing, ["require", "cow_size", "cow_max", "vg_reserve", "watchdog", "lock", "dump"]);
}

#[test]
fn a_number_of_the_command_line_is_refused_by_its_flag() {
    let short = Asked { lock_deadline: Some(Duration::from_millis(500)), ..db1() };
    assert_eq!(refusal(short, DB1), "--lock-deadline is 0.5 s: out of the range of 1 s to 600 s");
    let long = Asked { freeze_deadline: Some(Duration::MAX), ..db1() };
    assert!(refusal(long, DB1).starts_with("--freeze-deadline is "));
    let level = Asked { level: Some(-5), ..db1() };
    assert_eq!(refusal(level, DB1), "--level is -5: out of the range of 1 to 19");
}

#[test]
fn a_number_that_a_stronger_source_overrides_is_not_looked_at() {
    let config = format!("[defaults]\nlevel = 99\n{DB1}[vm.db1.policy]\nlevel = 3\n");
    assert_eq!(job(db1(), &config).unwrap().policy.level.value, 3);
}
