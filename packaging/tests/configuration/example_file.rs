//! The file that is installed.

use std::collections::BTreeSet;

use crate::{POLICY, TABLES, Table, config, job_by, jobs, known_keys};

const EXAMPLE: &str = include_str!("../../stillpoint.toml");

/// `#key = value` and `#[table]` without their mark; prose has a space after it.
fn uncommented(line: &str) -> Option<&str> {
    line.strip_prefix('#').filter(|setting| setting.starts_with(|c: char| c.is_ascii_alphabetic() || c == '['))
}

/// The example file with every setting of it in force.
fn shown() -> String {
    EXAMPLE.lines().filter_map(uncommented).flat_map(|line| [line, "\n"]).collect()
}

#[test]
fn the_example_file_configures_nothing_as_it_is_installed() {
    let config = config(EXAMPLE);
    assert!(config.vm.is_empty() && config.state_dir.is_none());
    assert_eq!(job_by(EXAMPLE).unwrap().policy, job_by("").unwrap().policy);
}

#[test]
fn the_example_file_is_valid_with_every_line_uncommented_and_has_every_key() {
    let text = format!("\n{}", shown());
    assert_eq!(jobs(&text).len(), 1);
    // [defaults] has what a policy may have, so that the VM's needs to show none of it.
    for Table { heading, header, is_elsewhere } in TABLES.iter().filter(|table| table.heading != POLICY) {
        let (_, rest) = text.split_once(&format!("\n{}", header.replace('x', "db1"))).unwrap();
        let lines = rest.split("\n[").next().unwrap().lines();
        let keys = lines.filter_map(|line| line.split_once(" = ")).map(|(key, _)| key.to_owned());
        let mut known = known_keys(header);
        known.retain(|key| *header == "[defaults]\n" || !is_elsewhere(key));
        assert_eq!(keys.collect::<BTreeSet<_>>(), known, "{heading}");
    }
}

#[test]
fn what_the_example_file_shows_as_built_in_is_built_in() {
    let values = |file: &str| {
        let policy = job_by(file).unwrap().policy;
        // Of `threads` it says that the host decides.
        let stated = policy.stated().into_iter().filter(|stated| stated.key != "threads");
        stated.map(|stated| (stated.key, stated.value)).collect::<Vec<_>>()
    };
    let text = shown();
    assert_eq!(values(&text), values(""));
    assert_eq!(job_by(&text).unwrap().state_dir.value, job_by("").unwrap().state_dir.value);
}
