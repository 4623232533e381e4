//! The page, which is a man page too.

use std::collections::BTreeSet;

use stillpoint::ask::config::Config;
use stillpoint::ask::job::{Asked, Job};
use stillpoint::ask::setting::Given;

use crate::{POLICY, TABLES, Table, config, job_by, jobs, known_keys};

const PAGE: &str = include_str!("../../../docs/configuration.md");
const README: &str = include_str!("../../../README.md");

fn toml_blocks(page: &str) -> Vec<&str> {
    page.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

/// What the page says in a section, up to the next.
fn section(heading: &str) -> &'static str {
    let (_, rest) = PAGE.split_once(&format!("{heading}\n")).unwrap_or_else(|| panic!("no section {heading}"));
    rest.split("\n## ").next().unwrap()
}

/// What the page says of a key of the policy, in one line.
fn said_of(key: &str) -> String {
    let (_, rest) = section(POLICY).split_once(&format!("### `{key}`\n")).unwrap_or_else(|| panic!("nothing on {key}"));
    rest.split("\n### ").next().unwrap().trim().replace('\n', " ")
}

#[test]
fn every_example_of_the_page_and_the_readme_gives_a_job_for_each_vm_in_it() {
    let blocks = [toml_blocks(README), toml_blocks(PAGE)].concat();
    let jobs: usize = blocks.iter().map(|block| jobs(block).len()).sum();
    assert!(blocks.len() >= 11 && jobs >= 10, "{} examples with {jobs} VMs", blocks.len());
}

#[test]
fn every_key_that_the_program_knows_has_its_heading_and_no_other_has() {
    for Table { heading, header, is_elsewhere } in TABLES {
        let headings = section(heading).lines().filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`'));
        let mut known = known_keys(header);
        known.retain(|key| !is_elsewhere(key));
        assert_eq!(headings.map(str::to_owned).collect::<BTreeSet<_>>(), known, "{heading}");
    }
}

#[test]
fn defaults_take_the_keys_of_a_policy_and_a_policy_takes_no_target() {
    assert_eq!(known_keys("[defaults]\n"), known_keys("[vm.x.policy]\n"));
    assert!(toml::from_str::<Config>("[vm.x.policy]\ntarget = \"/backup\"").is_err());
}

#[test]
fn every_number_has_the_default_and_the_range_that_the_page_says() {
    let built_in = job_by("").unwrap().policy;
    for stated in built_in.stated().iter().filter(|stated| {
        !matches!(stated.key, "require" | "cow_size" | "cow_max" | "vg_reserve" | "watchdog" | "lock" | "dump")
    }) {
        let (key, said) = (stated.key, said_of(stated.key));
        let (unit, numbers) =
            if key.ends_with("_s") { (" s", "Whole number, seconds, ") } else { ("", "Whole number, ") };
        let rest = said.strip_prefix(numbers).unwrap_or_else(|| panic!("{key}: {said}"));
        let (range, rest) = rest.split_once("; by default ").unwrap_or_else(|| panic!("{key}: {said}"));
        let (least, most) = range.split_once(" to ").unwrap_or_else(|| panic!("{key}: {said}"));
        let (least, most): (i64, i64) = (least.parse().unwrap(), most.parse().unwrap());
        for (number, is_taken) in [(least - 1, false), (least, true), (most, true), (most + 1, false)] {
            let taken = job_by(&format!("[defaults]\n{key} = {number}"));
            assert_eq!(taken.is_ok(), is_taken, "{key} = {number}: {:?}", taken.err());
        }
        // What is built in for `threads` is this host's.
        if key != "threads" {
            assert_eq!(
                rest.split('.').next().map(|number| format!("{number}{unit}")).as_ref(),
                Some(&stated.value),
                "{key}"
            );
        }
    }
}

#[test]
fn the_default_of_what_is_no_number_is_as_the_page_says() {
    assert!(said_of("require").contains("By default `application` where the VM has a database, else `filesystem`"));
    let mut asked = Asked { disks: vec!["vg/x".into()], agent: Some("unix:/x".into()), ..Asked::default() };
    let grade = |asked: &Asked| Job::new(asked.clone(), &Config::default()).unwrap().policy.require.value.to_string();
    assert_eq!(grade(&asked), "filesystem");
    asked.database = Some("agent".into());
    assert_eq!(grade(&asked), "application");
    assert!(said_of("cow_size").contains("By default `auto`"));
    assert_eq!(Ok(job_by("").unwrap().policy.cow_size.value), "auto".parse());
}

#[test]
fn who_decides_is_what_the_page_says() {
    let said = section("## Who decides");
    let file = toml_blocks(PAGE)[0];
    let asked = |vm: &str, cow_size: Option<&str>| {
        let cow_size = cow_size.map(|size| size.parse().unwrap());
        let job = Job::new(Asked { vm: Some(vm.to_owned()), cow_size, ..Asked::default() }, &config(file)).unwrap();
        job.policy.cow_size
    };
    for (setting, words, from) in [
        (asked("db1", None), "10% of COW from `[defaults]`", Given::Defaults),
        (asked("web1", None), "2 GiB of its own", Given::Vm("web1".to_owned())),
        (asked("web1", Some("4G")), "4 GiB this once", Given::Flag("--cow-size".to_owned())),
    ] {
        assert!(said.replace('\n', " ").contains(words), "{words}");
        let amount = setting.value.to_string();
        assert!(words.starts_with(amount.split(" of").next().unwrap()) && setting.from == from, "{words}: {setting:?}");
    }
    for shown in [Given::BuiltIn, Given::Defaults, Given::Vm("db1".to_owned()), Given::Flag("--cow-size".to_owned())] {
        assert!(said.contains(&format!("`{shown}`")), "{shown}");
    }
}
