//! `docs/schema`: JSON Schemas, made from the types that write the documents.

use jsonschema::Validator;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde_json::{Value, json};
use stillpoint::cow::history::{self, Line};
use stillpoint::documents::check::{self, Checked};
use stillpoint::documents::clean::{self, Clean};
use stillpoint::documents::diagnosis::{self, Diagnosis};
use stillpoint::documents::plan::{self, Plan};
use stillpoint::documents::receipt::{self, Receipt};
use stillpoint::documents::recovery::{self, Recovery};
use stillpoint::documents::watch::{self, Sample};
use stillpoint::failure::report;
use stillpoint::run::entry::{self, Entry};

use crate::files::{RECEIPTS, RUN_LOGS, present, repository, text, value};

/// One that says what this program writes: every name that is always there is required. Names may be added.
fn schema<T: JsonSchema>(title: String) -> Schema {
    let generator = SchemaSettings::draft2020_12().for_serialize().into_generator();
    let mut schema = generator.into_root_schema_for::<T>();
    schema.insert("title".to_owned(), title.into());
    schema
}

pub fn schemas() -> [(&'static str, Schema); 10] {
    let title = |what: &str, format: u32| format!("stillpoint {what}, format {format}");
    [
        ("receipt.json", schema::<Receipt>(title("receipt", receipt::FORMAT))),
        ("plan.json", schema::<Plan>(title("plan", plan::FORMAT))),
        ("check.json", schema::<Checked>(title("check", check::FORMAT))),
        ("diagnosis.json", schema::<Diagnosis>(title("diagnosis", diagnosis::FORMAT))),
        ("recovery.json", schema::<Recovery>(title("recovery", recovery::FORMAT))),
        ("clean.json", schema::<Clean>(title("clean", clean::FORMAT))),
        ("run-log.json", schema::<Entry>(title("run log, one line", entry::FORMAT))),
        ("watch.json", schema::<Sample>(title("watch, one line", watch::FORMAT))),
        ("history.json", schema::<Line>(title("history, one line", history::FORMAT))),
        ("failure.json", schema::<report::Document<'static>>("stillpoint failure".to_owned())),
    ]
}

/// Writes them all.
pub fn record() {
    for (name, schema) in schemas() {
        let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
        std::fs::write(repository("docs/schema").join(name), text).unwrap();
    }
}

fn validator(name: &str) -> Validator {
    let schema = value(&text("docs/schema", name));
    jsonschema::meta::validate(&schema).unwrap();
    jsonschema::draft202012::new(&schema).unwrap()
}

fn assert_fits(validator: &Validator, name: &str, document: &Value) {
    let errors: Vec<String> =
        validator.iter_errors(document).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert_eq!(errors, [""; 0], "{name}: {document}");
}

#[test]
fn the_schemas_are_those_of_the_code() {
    for (name, schema) in schemas() {
        let schema = serde_json::to_string_pretty(&schema).unwrap() + "\n";
        assert_eq!(text("docs/schema", name), schema, "docs/schema/{name}: fixtures/formats/record writes it anew");
    }
}

#[test]
fn every_document_of_the_present_format_fits_its_schema() {
    let receipt = validator("receipt.json");
    RECEIPTS.iter().for_each(|name| assert_fits(&receipt, name, &value(&present(name))));
    for name in ["plan.json", "check.json", "diagnosis.json", "clean.json", "failure.json"] {
        assert_fits(&validator(name), name, &value(&present(name)));
    }
}

#[test]
fn every_line_of_a_run_log_of_the_present_format_fits_its_schema() {
    let line = validator("run-log.json");
    for name in RUN_LOGS {
        present(name).lines().for_each(|text| assert_fits(&line, name, &value(text)));
    }
}

/// A schema that takes everything would fit as well.
#[test]
fn a_document_that_lacks_a_name_or_has_another_kind_of_value_does_not_fit() {
    for name in ["receipt.json", "plan.json", "check.json", "diagnosis.json", "clean.json", "failure.json"] {
        let (validator, whole) = (validator(name), value(&present(name)));
        // What not every disk has, or was added later, may be left out.
        let may_lack = ["mount_hints", "table_uuid"];
        for required in whole.as_object().unwrap().keys().filter(|name| !may_lack.contains(&&***name)) {
            let mut lacking = whole.clone();
            lacking.as_object_mut().unwrap().remove(required);
            assert!(!validator.is_valid(&lacking), "{name} without {required}");
            let mut other = whole.clone();
            other[required] = json!([{}]);
            assert!(!validator.is_valid(&other), "{name} with another {required}");
        }
    }
    let line = validator("run-log.json");
    let first = present("run-good.jsonl");
    for text in [
        "{}".to_owned(),
        first.lines().next().unwrap().replace("begun", "started"),
        first.lines().nth(1).unwrap().replace(r#""held":"partial""#, r#""held":"port""#),
    ] {
        assert!(!line.is_valid(&value(&text)), "{text}");
    }
}

#[test]
fn a_schema_says_what_every_name_means() {
    fn undescribed(at: &str, schema: &Value, found: &mut Vec<String>) {
        let Value::Object(keys) = schema else { return };
        for (name, property) in keys.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let tag = property.get("const").is_some();
            let named = property.get("description").is_some() || property.get("$ref").is_some();
            if !(named || tag) {
                found.push(format!("{at}.{name}"));
            }
        }
        for (key, inner) in keys {
            match inner {
                Value::Array(all) => all.iter().for_each(|one| undescribed(&format!("{at}/{key}"), one, found)),
                inner => undescribed(&format!("{at}/{key}"), inner, found),
            }
        }
    }
    for (name, schema) in schemas() {
        let mut found = Vec::new();
        undescribed(name, schema.as_value(), &mut found);
        assert_eq!(found, [""; 0]);
    }
}
