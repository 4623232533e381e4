//! The sources of a package as text: which file takes which name from which.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// A package's files by their module path (`backup/window`), and what each takes from which others.
pub struct Package {
    files: BTreeMap<String, String>,
}

impl Package {
    /// Reads every file below `src`, without comments and without its unit tests.
    pub fn read(src: &Path) -> Self {
        let mut files = BTreeMap::new();
        collect(src, src, &mut files);
        assert!(files.len() > 1, "no sources in {}", src.display());
        Self { files }
    }

    /// Module paths, `""` for the root.
    pub fn modules(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// The modules of this package whose definitions `module` uses.
    pub fn uses(&self, module: &str) -> BTreeSet<String> {
        let paths = paths(&self.files[module]);
        let used = paths.iter().filter_map(|path| self.resolve(module, path));
        used.filter(|other| other != module).collect()
    }

    /// The file that defines what `path` names in `module`; `None` where that is no path into this package.
    fn resolve(&self, module: &str, path: &[String]) -> Option<String> {
        let (first, mut rest) = path.split_first()?;
        let mut at = match &**first {
            "crate" => String::new(),
            "self" => module.to_owned(),
            "super" => parent(module),
            _ => return None,
        };
        while let [first, further @ ..] = rest {
            let inner = if first == "super" { parent(&at) } else { join(&at, first) };
            if first != "super" && !self.files.contains_key(&inner) {
                break;
            }
            (at, rest) = (inner, further);
        }
        // A name that the module only hands on is its definition's.
        let handed_on = rest.first().and_then(|name| self.handed_on(&at, name));
        Some(handed_on.unwrap_or(at))
    }

    fn handed_on(&self, module: &str, name: &str) -> Option<String> {
        let text = &self.files[module];
        let exports = text.split("pub use ").skip(1).filter_map(|rest| rest.split(';').next());
        let mut path = exports.flat_map(expand).find(|path| path.last().is_some_and(|last| last == name))?;
        if self.files.contains_key(&join(module, path.first()?)) {
            path.insert(0, "self".to_owned());
        }
        self.resolve(module, &path)
    }

    /// Every circle of imports, each as its modules in order. What a file takes from the head of its own folder closes none:
    /// the two are one room, whose pieces stand in files of their own.
    pub fn circles(&self) -> Vec<Vec<String>> {
        let is_head = |head: &str, module: &str| head.is_empty() || module.starts_with(&format!("{head}/"));
        let uses = |module| self.uses(module).into_iter().filter(|other| !is_head(other, module)).collect();
        let uses: BTreeMap<&str, BTreeSet<String>> = self.modules().map(|module| (module, uses(module))).collect();
        let mut circles: Vec<Vec<String>> = Vec::new();
        for start in self.modules() {
            let found = way_back(start, &uses);
            let known = |circle: &Vec<String>| circles.iter().any(|other| same(other, circle));
            if let Some(circle) = found.filter(|circle| !known(circle)) {
                circles.push(circle);
            }
        }
        circles
    }
}

fn same(one: &[String], other: &[String]) -> bool {
    one.iter().collect::<BTreeSet<_>>() == other.iter().collect::<BTreeSet<_>>()
}

/// The shortest way from `start` to itself.
fn way_back(start: &str, uses: &BTreeMap<&str, BTreeSet<String>>) -> Option<Vec<String>> {
    let mut ways: Vec<Vec<String>> = vec![vec![start.to_owned()]];
    let mut seen = BTreeSet::new();
    while let Some(way) = (!ways.is_empty()).then(|| ways.remove(0)) {
        for next in uses.get(&**way.last()?)? {
            if next == start {
                return Some(way);
            }
            if seen.insert(next.clone()) {
                ways.push(way.iter().cloned().chain([next.clone()]).collect());
            }
        }
    }
    None
}

fn collect(src: &Path, folder: &Path, files: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(src, &path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let relative = path.strip_prefix(src).unwrap().with_extension("");
            let module = relative.to_str().unwrap();
            let module = module.strip_suffix("mod").map_or(module, |folder| folder.trim_end_matches('/'));
            let module = if matches!(module, "lib" | "main") { "" } else { module };
            let text = fs::read_to_string(&path).unwrap();
            let text = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
            let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
            let code: String = code.flat_map(|line| [line, "\n"]).collect();
            // The binary's root says nothing that the library's does not.
            files.entry(module.to_owned()).and_modify(|all| all.push_str(&code)).or_insert(code);
        }
    }
}

/// Every path that begins with `crate`, `self` or `super`, those in braces each by itself.
fn paths(code: &str) -> Vec<Vec<String>> {
    let mut paths = Vec::new();
    for start in ["crate::", "self::", "super::"] {
        for (at, _) in code.match_indices(start) {
            let before = code[..at].chars().next_back();
            if before.is_some_and(|before| before.is_alphanumeric() || matches!(before, '_' | ':')) {
                continue;
            }
            paths.extend(expand(until_end(&code[at..])));
        }
    }
    paths
}

/// The path at the beginning of `text`, with what is in its braces.
fn until_end(text: &str) -> &str {
    let mut depth = 0_u32;
    let end = text.char_indices().find(|(_, c)| {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            _ => {}
        }
        let is_path = c.is_alphanumeric() || matches!(c, '_' | ':' | '{' | '}');
        depth == 0 && !is_path || *c == ';'
    });
    &text[..end.map_or(text.len(), |(end, _)| end)]
}

/// `a::{b, c::d}` as `a::b` and `a::c::d`; a new name (`as`) is dropped.
fn expand(text: &str) -> Vec<Vec<String>> {
    let text = text.trim();
    let Some((before, inner)) = text.split_once('{') else {
        let path = text.split(" as ").next().unwrap_or_default();
        return vec![path.split("::").map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()];
    };
    let inner = inner.rsplit_once('}').map_or(inner, |(inner, _)| inner);
    let before: Vec<String> =
        before.split("::").map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect();
    let all = |part: &str| expand(part).into_iter().map(|rest| before.iter().cloned().chain(rest).collect()).collect();
    split_at_commas(inner).into_iter().flat_map(|part| -> Vec<Vec<String>> { all(part) }).collect()
}

fn split_at_commas(text: &str) -> Vec<&str> {
    let mut depth = 0_u32;
    let outer = |c: char| {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    };
    text.split(outer).map(str::trim).filter(|part| !part.is_empty()).collect()
}

fn join(module: &str, name: &str) -> String {
    if module.is_empty() { name.to_owned() } else { format!("{module}/{name}") }
}

fn parent(module: &str) -> String {
    module.rsplit_once('/').map_or("", |(parent, _)| parent).to_owned()
}
