//! The second half of `docs/formats.md`, every name of every document, made from the schemas.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::Value;

use crate::files::{repository, text};
use crate::schema::schemas;

const MANUAL: &str = "formats.md";
/// What is above it is written by hand.
const BEGIN: &str = "<!-- From here on made by fixtures/formats/record from docs/schema. -->\n";

/// Writes it anew.
pub fn record() {
    let manual = text("docs", MANUAL);
    let (by_hand, _) = manual.split_once(BEGIN).unwrap();
    std::fs::write(repository("docs").join(MANUAL), format!("{by_hand}{BEGIN}{}", made())).unwrap();
}

#[test]
fn the_manual_has_every_name_of_every_document() {
    assert_eq!(text("docs", MANUAL).split_once(BEGIN).unwrap().1, made(), "fixtures/formats/record makes it anew");
}

fn made() -> String {
    let mut made = String::new();
    let mut parts: BTreeMap<String, Value> = BTreeMap::new();
    for (name, schema) in schemas() {
        let schema = schema.as_value();
        write!(made, "\n## {}\n\n", schema["title"].as_str().unwrap().trim_start_matches("stillpoint ")).unwrap();
        writeln!(made, "`docs/schema/{name}`. {}\n", says(schema)).unwrap();
        describe(schema, &mut made);
        for (name, part) in schema["$defs"].as_object().into_iter().flatten() {
            let same = parts.entry(name.clone()).or_insert_with(|| part.clone());
            assert_eq!(same, part, "two parts are called {name}");
        }
    }
    made += "\n## Parts\n";
    for (name, part) in &parts {
        write!(made, "\n### {name}\n\n{}\n\n", says(part)).unwrap();
        describe(part, &mut made);
    }
    made
}

fn describe(part: &Value, made: &mut String) {
    names(part, made);
    let Some(choices) = part["oneOf"].as_array() else { return };
    if choices.iter().all(|choice| choice["properties"].is_null()) {
        *made += "| word | means |\n|---|---|\n";
        for choice in choices {
            writeln!(made, "| `{}` | {} |", choice["const"].as_str().unwrap(), says(choice)).unwrap();
        }
        return;
    }
    if !part["properties"].is_null() {
        *made += "\nand one of\n\n";
    }
    *made += "| | means | names |\n|---|---|---|\n";
    for choice in choices {
        let properties = choice["properties"].as_object().unwrap();
        let (tag, word) = properties.iter().find_map(|(name, value)| Some((name, value["const"].as_str()?))).unwrap();
        let name = |(name, value): (&String, &Value)| {
            format!("`{name}` {}: {}", kind(value, is_required(choice, name)), says(value))
        };
        let names: Vec<String> = properties.iter().filter(|(name, _)| *name != tag).map(name).collect();
        let names = if names.is_empty() { target(choice).unwrap_or_default() } else { names.join("<br>") };
        writeln!(made, "| `{tag}`: `{word}` | {} | {names} |", says(choice)).unwrap();
    }
}

fn names(part: &Value, made: &mut String) {
    let Some(properties) = part["properties"].as_object() else { return };
    *made += "| name | value | means |\n|---|---|---|\n";
    for (name, value) in properties {
        writeln!(made, "| `{name}` | {} | {} |", kind(value, is_required(part, name)), says(value)).unwrap();
    }
}

fn is_required(part: &Value, name: &str) -> bool {
    part["required"].as_array().into_iter().flatten().any(|required| required == name)
}

/// What kind of value it is.
fn kind(value: &Value, required: bool) -> String {
    let kind = match value {
        Value::Object(keys) if keys.contains_key("$ref") => target(value).unwrap(),
        _ => match (&value["type"], &value["anyOf"]) {
            (Value::String(kind), _) if kind == "array" => match value["prefixItems"].as_array() {
                Some(items) => {
                    format!("[{}]", items.iter().map(|item| self::kind(item, true)).collect::<Vec<_>>().join(", "))
                }
                None => format!("list of {}", self::kind(&value["items"], true)),
            },
            (Value::String(kind), _) => kind.clone(),
            (Value::Array(kinds), _) if kinds[0] == "array" => {
                format!("list of {}, or null", self::kind(&value["items"], true))
            }
            (Value::Array(kinds), _) => {
                kinds.iter().map(|kind| kind.as_str().unwrap()).collect::<Vec<_>>().join(" or ")
            }
            (_, Value::Array(kinds)) => kinds.iter().map(|one| self::kind(one, true)).collect::<Vec<_>>().join(" or "),
            other => panic!("what is {other:?}?"),
        },
    };
    if required { kind } else { format!("{kind}; may be left out") }
}

/// A link to the part that it is.
fn target(value: &Value) -> Option<String> {
    let name = value["$ref"].as_str()?.rsplit('/').next()?;
    Some(format!("[{name}](#{})", name.to_lowercase()))
}

fn says(value: &Value) -> String {
    value["description"].as_str().unwrap_or_default().replace('\n', " ").replace('|', "\\|")
}
