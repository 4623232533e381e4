//! Whatever stands in the configuration, there is a job or a refusal.

use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use stillpoint::ask::asked::Asked;
use stillpoint::ask::config::Config;
use stillpoint::ask::job::Job;
use stillpoint::ask::lock_expiry::lock_expiry;

const NUMBERS: [&str; 12] = [
    "level",
    "threads",
    "survey_agent_deadline_s",
    "survey_database_deadline_s",
    "guest_sync_deadline_s",
    "lock_deadline_s",
    "statement_deadline_s",
    "freeze_deadline_s",
    "attach_deadline_s",
    "first_thaw_deadline_s",
    "thaw_deadline_s",
    "node_deadline_s",
];
/// What may be written for the other keys: right, and nearly so.
const VALUES: [(&str, &[&str], &[&str]); 8] = [
    ("agent", &["\"unix:/run/qga\"", "\"tcp:[::1]:4444\"", "\"vsock:3:1\""], &["\"qga\"", "\"\""]),
    ("disks", &["[\"vg/a\"]", "[\"vg/a\", \"vg/b\"]"], &["[\"vg/a\", \"/dev/vg/a\"]", "[\"\\u0000\"]", "[]"]),
    ("database", &["{ via = \"agent\" }", "{ via = \"none\" }", "{ via = \"agent:/s\" }"], &["{ via = \"\" }"]),
    ("target", &["\"/backup\""], &["\"-\"", "\"\\u202e\""]),
    ("cow_size", &["\"auto\"", "\"10G\"", "\"100%\"", "\"16777215T\""], &["\"16777216T\"", "\"%\"", "\"0\""]),
    ("cow_max", &["\"10G\"", "\"100%\""], &["\"16777216T\"", "\"101%\"", "\"auto\""]),
    ("vg_reserve", &["\"0\"", "\"5%\""], &["\"-1\"", "\"101%\"", "\"auto\""]),
    ("require", &["\"crash\"", "\"application\""], &["\"damaged\"", "\"\""]),
];

/// A value that is mostly of the right kind for `key`, at times at the edge of it, and at times anything.
fn value(key: &'static str) -> BoxedStrategy<String> {
    let right = match VALUES.iter().find(|(name, ..)| *name == key) {
        Some((_, right, nearly)) => {
            prop_oneof![20 => select(*right), 1 => select(*nearly)].prop_map(str::to_owned).boxed()
        }
        None => prop_oneof![60 => 10..=19i64, 1 => any::<i64>()].prop_map(|number| number.to_string()).boxed(),
    };
    let any = prop_oneof![
        any::<String>().prop_map(|text| toml::Value::String(text).to_string()),
        any::<f64>().prop_map(|number| toml::Value::Float(number).to_string()),
        select(&["true", "[]", "{}", "1979-05-27", ""][..]).prop_map(str::to_owned),
    ];
    prop_oneof![100 => right, 1 => any].boxed()
}

/// A table with some of these keys.
fn table(header: &'static str, keys: Vec<&'static str>) -> impl Strategy<Value = String> {
    let most = keys.len();
    subsequence(keys, 0..=most)
        .prop_flat_map(|keys| {
            keys.into_iter().map(|key| value(key).prop_map(move |v| format!("{key} = {v}\n"))).collect::<Vec<_>>()
        })
        .prop_map(move |lines| format!("{header}\n{}", lines.concat()))
}

fn config() -> impl Strategy<Value = String> {
    let policy = || [&NUMBERS[..], &["cow_size", "cow_max", "vg_reserve", "require"]].concat();
    let defaults = table("[defaults]", [policy(), vec!["target"]].concat());
    let vm = table("[vm.db1]", vec!["agent", "disks", "database", "target"]);
    let others = select(&["", "[vm.\"../x\"]\n", "[vm.\"\"]\n", "[[vm.db1]]\n", "[defaults]\n"][..]);
    let others = prop_oneof![20 => Just(""), 1 => others];
    (defaults, vm, table("[vm.db1.policy]", policy()), others)
        .prop_map(|(defaults, vm, policy, others)| [&*defaults, &*vm, &*policy, others].concat())
}

fn asked() -> impl Strategy<Value = Asked> {
    let text = |right: &'static [&'static str]| {
        let given = prop_oneof![4 => select(right).prop_map(str::to_owned), 1 => any::<String>()];
        prop::option::weighted(0.3, given)
    };
    let time = || {
        prop::option::weighted(0.2, prop_oneof![4 => 1..600_000u64, 1 => any::<u64>()].prop_map(Duration::from_millis))
    };
    let disks = prop::collection::vec(text(&["vg/a", "vg/b", "vg/c"]), 0..4);
    (
        prop_oneof![8 => Just(Some("db1".to_owned())), 1 => Just(None), 1 => any::<String>().prop_map(Some)],
        disks.prop_map(|disks| disks.into_iter().flatten().collect()),
        text(&["unix:/run/qga"]),
        any::<bool>(),
        text(&["agent", "none", "tcp:db:3306"]),
        text(&["-", "/backup"]),
        (time(), time()),
        prop::option::weighted(0.1, any::<i32>()),
    )
        .prop_map(|(vm, disks, agent, no_freeze, database, to, (lock_deadline, freeze_deadline), level)| Asked {
            vm,
            disks,
            agent,
            no_freeze,
            database,
            to: to.map(Into::into),
            lock_deadline,
            freeze_deadline,
            level,
            ..Asked::default()
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_configuration_makes_a_job_or_a_refusal(config in config(), asked in asked()) {
        let Ok(config) = toml::from_str::<Config>(&config) else { return Ok(()) };
let Ok(job) = Job::new(asked, &config) else { return Ok(()) };
        // What else a job promises: something to back up, an agent to freeze through, numbers within reach of arithmetic.
prop_assert!(!job.disks.value.is_empty());
        prop_assert_eq!(job.freeze.value, job.freeze_through().is_some());
        prop_assert!(lock_expiry(&job.policy).after > job.policy.window.value);
    }
}
