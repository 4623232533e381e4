//! What the documentation and the example file say of the configuration is what the program takes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod example_file;
mod page;

use std::collections::BTreeSet;

use stillpoint::ask::config::Config;
use stillpoint::ask::job::{Asked, Job};

const POLICY: &str = "## `[vm.NAME.policy]`";
const TABLES: [Table; 5] = [
    table("## The whole file", "", |key| matches!(key, "defaults" | "vm")),
    table("## `[defaults]`", "[defaults]\n", |key| key != "target"),
    table("## `[vm.NAME]`", "[vm.x]\n", |key| matches!(key, "database" | "policy")),
    table("## `[vm.NAME.database]`", "[vm.x.database]\n", |_| false),
    table(POLICY, "[vm.x.policy]\n", |key| key == "target"),
];

/// A table of the configuration.
struct Table {
    /// Its section of the page.
    heading: &'static str,
    /// The start of a file that has a key in it.
    header: &'static str,
    /// Whether a key is described in another: tables have a section each, and a key that may stand in two has one of them.
    is_elsewhere: fn(&str) -> bool,
}

const fn table(heading: &'static str, header: &'static str, is_elsewhere: fn(&str) -> bool) -> Table {
    Table { heading, header, is_elsewhere }
}

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

/// The keys that the program knows in a table, by what it says of one that it does not know.
fn known_keys(header: &str) -> BTreeSet<String> {
    let error = toml::from_str::<Config>(&format!("{header}no_such_key = 1")).unwrap_err();
    let (_, expected) = error.message().split_once("expected").unwrap();
    expected.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}
