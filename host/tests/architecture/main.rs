//! The house as it is drawn in ARCHITECTURE.md: who may know whom, and nobody in a circle. Reads the sources.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod sources;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use sources::Package;

const ARCHITECTURE: &str = include_str!("../../../ARCHITECTURE.md");

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The rows `| NAME | NAMES |` of the table behind this heading, with the backquotes taken off.
fn table(heading: &str) -> BTreeMap<String, BTreeSet<String>> {
    let (_, rest) = ARCHITECTURE.split_once(heading).unwrap_or_else(|| panic!("no `{heading}` in ARCHITECTURE.md"));
    let rows = rest.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|')).skip(2);
    let names = |cell: &str| -> BTreeSet<String> {
        cell.split('`').skip(1).step_by(2).map(|name| name.trim_end_matches('/').to_owned()).collect()
    };
    let mut table = BTreeMap::new();
    for row in rows {
        let cells: Vec<&str> = row.split('|').collect();
        for name in names(cells[1]) {
            table.insert(name, names(cells[2]));
        }
    }
    assert!(!table.is_empty(), "the table of `{heading}` is empty");
    table
}

/// The wing that a module of host is in: its folder, or itself where it stands on the ground.
fn wing(module: &str) -> &str {
    module.split('/').next().unwrap()
}

#[test]
fn every_wing_of_host_knows_only_those_that_it_may() {
    let may_know = table("### Who may know whom");
    let host = Package::read(&workspace().join("host/src"));
    let mut wrong = Vec::new();
    for module in host.modules().filter(|module| !module.is_empty()) {
        let known = may_know.get(wing(module)).unwrap_or_else(|| panic!("{module} stands in no wing that is drawn"));
        for other in host.uses(module) {
            if wing(&other) != wing(module) && !known.contains(wing(&other)) {
                wrong.push(format!("{module} uses {other}"));
            }
        }
    }
    assert_eq!(wrong, [""; 0], "not drawn in ARCHITECTURE.md");
}

#[test]
fn what_is_drawn_is_there() {
    let host = Package::read(&workspace().join("host/src"));
    let mut known: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for module in host.modules().filter(|module| !module.is_empty()) {
        let others = host.uses(module).into_iter().map(|other| wing(&other).to_owned());
        known.entry(wing(module).to_owned()).or_default().extend(others.filter(|other| other != wing(module)));
    }
    let drawn = table("### Who may know whom");
    assert_eq!(drawn.keys().collect::<Vec<_>>(), known.keys().collect::<Vec<_>>(), "wings");
    for (wing, others) in drawn {
        let idle: Vec<_> = others.difference(&known[&wing]).collect();
        assert!(idle.is_empty(), "{wing} may know {idle:?} and does not");
    }
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    for package in ["host/src", "host/lvm/src", "host/image/src", "guest-bridge/src", "fsprobe/src"] {
        let circles = Package::read(&workspace().join(package)).circles();
        assert!(circles.is_empty(), "{package}: {circles:#?}");
    }
}

#[test]
fn packages_know_only_those_that_they_may() {
    let ours = ["fsprobe", "guest-bridge", "image", "lvm", "stillpoint"];
    for (package, may_know) in table("### Packages that know each other") {
        let manifest = fs::read_to_string(workspace().join(&package).join("Cargo.toml")).unwrap();
        let dependencies = manifest.split("[dependencies]").nth(1).unwrap().split("\n[").next().unwrap();
        let known: BTreeSet<String> = dependencies
            .lines()
            .filter_map(|line| line.split_once('='))
            .map(|(name, _)| name.trim().to_owned())
            .filter(|name| ours.contains(&&**name))
            .collect();
        assert_eq!(known, may_know, "{package}");
    }
}
