//! A flag before the VM's table, that before `[defaults]`, and what is built in last: for every setting of the policy.

use std::thread;
use std::time::Duration;

use guest_bridge::database::lock_method::LockWish;
use stillpoint::ask::asked::Asked;
use stillpoint::ask::cow_size::CowSize;
use stillpoint::ask::policy::{DumpWish, WatchdogWish};
use stillpoint::ask::share::Share;
use stillpoint::grade::Grade;

use super::{DB1, db1, job, stated};

/// A flag, what sets it, and how the value is shown.
type Flag = (&'static str, fn(&mut Asked), &'static str);

struct Case {
    key: &'static str,
    built_in: &'static str,
    /// In `[defaults]`, and how it is shown.
    defaults: (&'static str, &'static str),
    /// In `[vm.db1.policy]`, and how it is shown.
    vm: (&'static str, &'static str),
    flag: Option<Flag>,
}

const fn seconds(key: &'static str, built_in: &'static str, flag: Option<Flag>) -> Case {
    Case { key, built_in, defaults: ("41", "41 s"), vm: ("42", "42 s"), flag }
}

const CASES: [Case; 22] = [
    Case {
        key: "require",
        built_in: "filesystem",
        defaults: ("\"crash\"", "crash"),
        vm: ("\"logical\"", "logical"),
        flag: Some(("--require", |asked| asked.require = Some(Grade::Application), "application")),
    },
    Case {
        key: "cow_size",
        built_in: "auto",
        defaults: ("\"30%\"", "30% of the origin"),
        vm: ("\"10G\"", "10 GiB"),
        flag: Some(("--cow-size", |asked| asked.cow_size = Some(CowSize::Of(Share::Percent(50))), "50% of the origin")),
    },
    Case { key: "cow_max", built_in: "100%", defaults: ("\"50%\"", "50%"), vm: ("\"10G\"", "10 GiB"), flag: None },
    Case { key: "vg_reserve", built_in: "0 B", defaults: ("\"5%\"", "5%"), vm: ("\"10G\"", "10 GiB"), flag: None },
    Case {
        key: "watchdog",
        built_in: "auto",
        defaults: ("\"require\"", "require"),
        vm: ("\"none\"", "none"),
        flag: Some(("--watchdog", |asked| asked.watchdog = Some(WatchdogWish::Require), "require")),
    },
    Case {
        key: "lock",
        built_in: "auto",
        defaults: ("\"tables\"", "tables"),
        vm: ("\"none\"", "none"),
        flag: Some(("--lock", |asked| asked.lock = Some(LockWish::Require), "require")),
    },
    Case {
        key: "dump",
        built_in: "auto",
        defaults: ("\"only\"", "only"),
        vm: ("\"never\"", "never"),
        flag: Some(("--dump", |asked| asked.dump = Some(DumpWish::Only), "only")),
    },
    seconds("dump_progress_deadline_s", "60 s", None),
    Case { key: "dump_deadline_s", built_in: "86400 s", defaults: ("61", "61 s"), vm: ("62", "62 s"), flag: None },
    Case {
        key: "level",
        built_in: "1",
        defaults: ("2", "2"),
        vm: ("3", "3"),
        flag: Some(("--level", |asked| asked.level = Some(4), "4")),
    },
    seconds("survey_agent_deadline_s", "10 s", None),
    seconds("survey_database_deadline_s", "15 s", None),
    seconds("guest_sync_deadline_s", "120 s", None),
    seconds("marker_deadline_s", "15 s", None),
    seconds(
        "lock_deadline_s",
        "30 s",
        Some(("--lock-deadline", |asked| asked.lock_deadline = Some(Duration::from_millis(1500)), "1.5 s")),
    ),
    seconds("statement_deadline_s", "15 s", None),
    seconds(
        "window_deadline_s",
        "10 s",
        Some(("--window-deadline", |asked| asked.window_deadline = Some(Duration::from_millis(1500)), "1.5 s")),
    ),
    seconds(
        "freeze_deadline_s",
        "10 s",
        Some(("--freeze-deadline", |asked| asked.freeze_deadline = Some(Duration::from_secs(43)), "43 s")),
    ),
    seconds("attach_deadline_s", "30 s", None),
    seconds("first_thaw_deadline_s", "5 s", None),
    seconds("thaw_deadline_s", "60 s", None),
    seconds("node_deadline_s", "30 s", None),
];

/// The sources that speak, the weakest first, and which of them is followed.
#[test]
fn the_strongest_source_of_each_setting_is_followed_and_named() {
    for Case { key, built_in, defaults, vm, flag } in CASES {
        let defaults_table = format!("[defaults]\n{key} = {}\n", defaults.0);
        let vm_table = format!("{DB1}[vm.db1.policy]\n{key} = {}\n", vm.0);
        let mut expected = vec![
            (db1(), DB1.to_owned(), built_in, "built in"),
            (db1(), format!("{defaults_table}{DB1}"), defaults.1, "[defaults]"),
            (db1(), vm_table.clone(), vm.1, "[vm.db1]"),
            (db1(), format!("{defaults_table}{vm_table}"), vm.1, "[vm.db1]"),
        ];
        if let Some((name, set, shown)) = flag {
            let mut flagged = db1();
            set(&mut flagged);
            expected.push((flagged.clone(), DB1.to_owned(), shown, name));
            expected.push((flagged, format!("{defaults_table}{vm_table}"), shown, name));
        }
        for (asked, config, value, from) in expected {
            let job = job(asked, &config).unwrap();
            assert_eq!(stated(&job, key), (value.to_owned(), from.to_owned()), "{key} in\n{config}");
        }
    }
}

#[test]
fn half_of_the_cores_copy_where_nobody_says_otherwise() {
    let half = (thread::available_parallelism().unwrap().get() / 2).clamp(1, 8).to_string();
    assert_eq!(stated(&job(db1(), DB1).unwrap(), "threads"), (half, "built in".to_owned()));
    let two = format!("[defaults]\nthreads = 2\n{DB1}");
    assert_eq!(stated(&job(db1(), &two).unwrap(), "threads"), ("2".to_owned(), "[defaults]".to_owned()));
    let three = format!("{two}[vm.db1.policy]\nthreads = 3\n");
    assert_eq!(stated(&job(db1(), &three).unwrap(), "threads"), ("3".to_owned(), "[vm.db1]".to_owned()));
}

#[test]
fn no_setting_of_the_policy_is_left_out_of_these_tests() {
    let job = job(db1(), DB1).unwrap();
    let keys = job.policy.stated().into_iter().map(|setting| setting.key);
    let untested: Vec<_> = keys.filter(|key| *key != "threads" && CASES.iter().all(|case| case.key != *key)).collect();
    assert_eq!(untested, [""; 0]);
}

#[test]
fn another_vm_says_nothing_of_this_one() {
    let config = format!("{DB1}[vm.db2.policy]\nlevel = 9\n");
    assert_eq!(stated(&job(db1(), &config).unwrap(), "level").1, "built in");
}

#[test]
fn defaults_hold_also_for_a_vm_that_flags_alone_describe() {
    let asked = Asked { disks: vec!["vg/db".into()], agent: Some("unix:/run/qga".into()), ..Asked::default() };
    assert_eq!(stated(&job(asked, "[defaults]\nlevel = 9\n").unwrap(), "level").1, "[defaults]");
}
