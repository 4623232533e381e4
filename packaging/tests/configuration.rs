//! What the documentation and the example say of the configuration is what the program takes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;

use stillpoint::ask::config::Config;
use stillpoint::ask::job::{Asked, Job};

const PAGE: &str = include_str!("../../docs/configuration.md");
const EXAMPLE: &str = include_str!("../stillpoint.toml");
/// Each table by its section of the page, and the start of a file that has a key in it.
const TABLES: [(&str, &str); 4] = [
    ("## The whole file", ""),
    ("## `[vm.NAME]`", "[vm.x]\n"),
    ("## `[vm.NAME.database]`", "[vm.x.database]\n"),
    ("## `[vm.NAME.policy]`", "[vm.x.policy]\n"),
];

fn config(text: &str) -> Config {
    toml::from_str(text).unwrap_or_else(|error| panic!("{error}\nin\n{text}"))
}

/// A job of each VM, by its name.
fn jobs(text: &str) -> Vec<Job> {
    let config = config(text);
    let job = |vm: &String| Job::new(Asked { vm: Some(vm.clone()), ..Asked::default() }, &config);
    config.vm.keys().map(|vm| job(vm).unwrap_or_else(|cause| panic!("{vm}: {cause}\nin\n{text}"))).collect()
}

fn toml_blocks(page: &str) -> Vec<&str> {
    page.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

/// `#key = value` and `#[table]` without their mark; prose has a space after it.
fn uncommented(line: &str) -> Option<&str> {
    line.strip_prefix('#').filter(|setting| setting.starts_with(|c: char| c.is_ascii_alphabetic() || c == '['))
}

/// The keys that the program knows in a table, by what it says of one that it does not know.
fn known_keys(table: &str) -> BTreeSet<String> {
    let error = toml::from_str::<Config>(&format!("{table}no_such_key = 1")).unwrap_err();
    let (_, expected) = error.message().split_once("expected").unwrap();
    expected.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn every_example_of_the_page_gives_a_job_for_each_vm_in_it() {
    let blocks = toml_blocks(PAGE);
    let jobs: usize = blocks.iter().map(|block| jobs(block).len()).sum();
    assert!(blocks.len() >= 9 && jobs >= 8, "{} examples with {jobs} VMs", blocks.len());
}

#[test]
fn every_key_that_the_program_knows_has_its_heading_and_no_other_has() {
    for (section, table) in TABLES {
        let (_, rest) = PAGE.split_once(&format!("{section}\n")).unwrap_or_else(|| panic!("no section {section}"));
        let text = rest.split("\n## ").next().unwrap();
        let described: BTreeSet<String> =
            text.lines().filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`')).map(str::to_owned).collect();
        // Tables have a section each.
        let mut known = known_keys(table);
        known.retain(|key| !["vm", "database", "policy"].contains(&&**key));
        assert_eq!(described, known, "{section}");
    }
}

#[test]
fn the_example_file_configures_nothing_as_it_is_installed() {
    let config = config(EXAMPLE);
    assert!(config.vm.is_empty() && config.state_dir.is_none());
}

#[test]
fn the_example_file_is_valid_with_every_line_uncommented_and_has_every_key() {
    let text: String = EXAMPLE.lines().filter_map(uncommented).flat_map(|line| [line, "\n"]).collect();
    assert_eq!(jobs(&text).len(), 1);
    for (_, table) in TABLES {
        for key in known_keys(table) {
            assert!(
                text.contains(&format!("{key} = "))
                    || text.contains(&format!("{key}]"))
                    || text.contains(&format!("[{key}.")),
                "{key}"
            );
        }
    }
}

#[test]
fn the_policy_that_the_example_file_shows_is_the_default() {
    let shown: String = EXAMPLE.lines().filter_map(uncommented).flat_map(|line| [line, "\n"]).collect();
    let (without, _) = shown.split_once("[vm.db1.policy]").unwrap();
    assert_eq!(jobs(&shown)[0].policy, jobs(without)[0].policy);
    assert_eq!(jobs(&shown)[0].state_dir, jobs(without.split_once('\n').unwrap().1)[0].state_dir);
}
