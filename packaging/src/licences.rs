//! The licences of what is linked into the program: the crates ask that their notices go where the program goes.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use serde::Deserialize;

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    repository: Option<String>,
    source: Option<String>,
    manifest_path: PathBuf,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    kind: Vec<String>,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<DependencyKind>,
}

#[derive(Deserialize)]
struct DependencyKind {
    kind: Option<String>,
}

/// One text: each crate with its licence and where it is from, and then every licence text once.
pub fn of_linked_crates() -> Result<String, Box<dyn Error>> {
    let metadata = metadata()?;
    let linked = linked(&metadata)?;
    let mut text =
        "The program stillpoint has these Rust packages linked into it, and their C sources. The texts of their \
                    licences follow the list.\n\n"
            .to_owned();
    let mut texts: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in &linked {
        let name = format!("{} {}", package.name, package.version);
        let licence = package.license.as_deref().unwrap_or("see its text");
        writeln!(text, "{name}: {licence}\n    {}", package.repository.as_deref().unwrap_or("crates.io"))?;
        let folder = package.manifest_path.parent().ok_or("a package without a folder")?;
        for file in licence_files(folder, 2)? {
            let words = String::from_utf8_lossy(&fs::read(&file)?).into_owned();
            texts.entry(words).or_default().insert(name.clone());
        }
    }
    for (licence, names) in texts {
        let names: Vec<String> = names.into_iter().collect();
        write!(text, "\n{:=<100}\n{}\n{:-<100}\n{}\n", "", names.join(", "), "", licence.trim_end())?;
    }
    Ok(text)
}

fn metadata() -> Result<Metadata, Box<dyn Error>> {
    let platform = format!("{}-unknown-linux-gnu", env::consts::ARCH);
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["metadata", "--format-version=1", "--locked", "--filter-platform", &platform]);
    let output = cargo.arg("--manifest-path").arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// The packages of others that the program is linked from, by name: what it needs at run time, less what only ran in the compiler.
fn linked(metadata: &Metadata) -> Result<Vec<&Package>, Box<dyn Error>> {
    let packages: BTreeMap<&str, &Package> = metadata.packages.iter().map(|package| (&*package.id, package)).collect();
    let nodes: BTreeMap<&str, &Node> = metadata.resolve.nodes.iter().map(|node| (&*node.id, node)).collect();
    let program =
        metadata.packages.iter().find(|package| package.name == "stillpoint").ok_or("no package stillpoint")?;
    let mut seen = BTreeSet::new();
    let mut ahead = vec![&*program.id];
    while let Some(id) = ahead.pop() {
        let macros_only = |package: &&Package| {
            package.targets.iter().any(|target| target.kind.iter().any(|kind| kind == "proc-macro"))
        };
        if packages.get(id).is_some_and(macros_only) || !seen.insert(id) {
            continue;
        }
        let needed = nodes.get(id).into_iter().flat_map(|node| &node.deps);
        let at_run_time = needed.filter(|need| need.dep_kinds.iter().any(|kind| kind.kind.is_none()));
        ahead.extend(at_run_time.map(|need| &*need.pkg));
    }
    let mut linked: Vec<&Package> =
        seen.iter().filter_map(|id| packages.get(id).copied()).filter(|package| package.source.is_some()).collect();
    linked.sort_by(|a, b| (&a.name, &a.version).cmp(&(&b.name, &b.version)));
    Ok(linked)
}

/// Files that are named like a licence, down to `depth` folders: C sources have theirs beside them.
fn licence_files(folder: &Path, depth: u8) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().to_ascii_uppercase();
        let is_licence = ["LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE", "UNLICENSE"]
            .iter()
            .any(|start| name.starts_with(start));
        match entry.file_type()? {
            kind if kind.is_file() && is_licence => files.push(entry.path()),
            kind if kind.is_dir() && depth > 0 => files.extend(licence_files(&entry.path(), depth - 1)?),
            _ => {}
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_linked_is_there_with_its_text_and_what_only_compiles_is_not() {
        let text = of_linked_crates().unwrap();
        for linked in ["zstd-sys 2", "tokio 1", "clap 4", "Meta Platforms"] {
            assert!(text.contains(linked), "{linked} is not there");
        }
        for compiling in ["\nserde_derive ", "\nproptest ", "\npulldown-cmark "] {
            assert!(!text.contains(compiling), "{compiling} is there");
        }
    }

    #[test]
    fn no_crate_is_linked_under_a_licence_that_binds_the_whole_program() {
        let metadata = metadata().unwrap();
        for package in linked(&metadata).unwrap() {
            let licence = package.license.as_deref().unwrap_or_default();
            let permissive = licence.split(" OR ").any(|choice| !choice.contains("GPL") && !choice.is_empty());
            assert!(permissive, "{} is under `{licence}`", package.name);
        }
    }
}
