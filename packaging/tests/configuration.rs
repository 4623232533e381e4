//! What the documentation and the example file say of the configuration is what the program takes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;

use stillpoint::ask::config::Config;
use stillpoint::ask::job::{Asked, Job};
use stillpoint::ask::setting::Given;

const PAGE: &str = include_str!("../../docs/configuration.md");
const README: &str = include_str!("../../README.md");
const EXAMPLE: &str = include_str!("../stillpoint.toml");
const POLICY: &str = "## `[vm.NAME.policy]`";
/// Each table by its section of the page, the start of a file that has a key in it, and which of its keys are described
/// elsewhere: tables have a section each, and a key that may stand in two has one of them.
const TABLES: [(&str, &str, fn(&str) -> bool); 5] = [
    ("## The whole file", "", |key| matches!(key, "defaults" | "vm")),
    ("## `[defaults]`", "[defaults]\n", |key| key != "target"),
    ("## `[vm.NAME]`", "[vm.x]\n", |key| matches!(key, "database" | "policy")),
    ("## `[vm.NAME.database]`", "[vm.x.database]\n", |_| false),
    (POLICY, "[vm.x.policy]\n", |key| key == "target"),
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

/// A job with a database, of a VM of which the file says nothing.
fn job_by(file: &str) -> Result<Job, String> {
    let flags = |text: &str| Some(text.to_owned());
    let asked =
        Asked { disks: vec!["vg/x".into()], agent: flags("unix:/x"), database: flags("agent"), ..Asked::default() };
    Job::new(asked, &toml::from_str(file).map_err(|error| error.to_string())?).map_err(|cause| cause.to_string())
}

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

/// `#key = value` and `#[table]` without their mark; prose has a space after it.
fn uncommented(line: &str) -> Option<&str> {
    line.strip_prefix('#').filter(|setting| setting.starts_with(|c: char| c.is_ascii_alphabetic() || c == '['))
}

/// The example file with every setting of it in force.
fn shown() -> String {
    EXAMPLE.lines().filter_map(uncommented).flat_map(|line| [line, "\n"]).collect()
}

/// The keys that the program knows in a table, by what it says of one that it does not know.
fn known_keys(table: &str) -> BTreeSet<String> {
    let error = toml::from_str::<Config>(&format!("{table}no_such_key = 1")).unwrap_err();
    let (_, expected) = error.message().split_once("expected").unwrap();
    expected.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn every_example_of_the_page_and_the_readme_gives_a_job_for_each_vm_in_it() {
    let blocks = [toml_blocks(README), toml_blocks(PAGE)].concat();
    let jobs: usize = blocks.iter().map(|block| jobs(block).len()).sum();
    assert!(blocks.len() >= 11 && jobs >= 10, "{} examples with {jobs} VMs", blocks.len());
}

#[test]
fn every_key_that_the_program_knows_has_its_heading_and_no_other_has() {
    for (heading, table, is_elsewhere) in TABLES {
        let headings = section(heading).lines().filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`'));
        let mut known = known_keys(table);
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
    for stated in built_in.stated().iter().filter(|stated| !matches!(stated.key, "require" | "cow_size")) {
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
    assert!(said_of("cow_size").contains("By default `20%`"));
    assert_eq!(Ok(job_by("").unwrap().policy.cow_size.value), "20%".parse());
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
    for (heading, table, is_elsewhere) in TABLES.iter().filter(|(heading, ..)| *heading != POLICY) {
        let (_, rest) = text.split_once(&format!("\n{}", table.replace('x', "db1"))).unwrap();
        let lines = rest.split("\n[").next().unwrap().lines();
        let keys = lines.filter_map(|line| line.split_once(" = ")).map(|(key, _)| key.to_owned());
        let mut known = known_keys(table);
        known.retain(|key| *table == "[defaults]\n" || !is_elsewhere(key));
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
