//! Comparing documents.

use serde_json::Value;

/// The first place where `whole` does not say what `part` says: a name may be added, none may go or change. A finding more
/// is a name more.
pub fn missing(part: &Value, whole: &Value) -> Option<String> {
    match (part, whole) {
        (Value::Object(part), Value::Object(whole)) => part.iter().find_map(|(name, value)| {
            let found = whole.get(name);
            if let (true, Value::Array(part), Some(Value::Array(whole))) = (name == "findings", value, found) {
                let lost = part.iter().find(|one| whole.iter().all(|other| missing(one, other).is_some()));
                return lost.map(|lost| format!(".{name}: {lost}"));
            }
            let deeper = found.map_or_else(|| Some(String::new()), |found| missing(value, found));
            deeper.map(|deeper| format!(".{name}{deeper}"))
        }),
        (Value::Array(part), Value::Array(whole)) if part.len() == whole.len() => {
            let pairs = part.iter().zip(whole).enumerate();
            pairs.into_iter().find_map(|(at, (part, whole))| Some(format!("[{at}]{}", missing(part, whole)?)))
        }
        _ => (part != whole).then(|| format!(": {part} is {whole}")),
    }
}

/// The same document of a program that has a name more in every object.
pub fn with_names_added(document: &Value) -> Value {
    match document {
        Value::Object(names) => {
            let mut names: serde_json::Map<_, _> =
                names.iter().map(|(name, value)| (name.clone(), with_names_added(value))).collect();
            names.insert("added_later".to_owned(), serde_json::json!({ "to": [1, "all"] }));
            Value::Object(names)
        }
        Value::Array(values) => values.iter().map(with_names_added).collect(),
        other => other.clone(),
    }
}

#[test]
fn a_name_that_went_or_changed_is_found_and_one_that_was_added_is_not() {
    let part = serde_json::json!({ "a": [{ "b": 1 }], "c": null });
    assert_eq!(missing(&part, &serde_json::json!({ "a": [{ "b": 1, "new": 2 }], "c": null, "d": 3 })), None);
    assert_eq!(missing(&part, &serde_json::json!({ "a": [{ "b": 2 }], "c": null })).unwrap(), ".a[0].b: 1 is 2");
    assert_eq!(missing(&part, &serde_json::json!({ "a": [{ "b": 1 }] })).unwrap(), ".c");
    assert!(missing(&part, &serde_json::json!({ "a": [], "c": null })).is_some());
    let found = |codes: &[&str]| serde_json::json!({ "findings": codes });
    assert_eq!(missing(&found(&["a"]), &found(&["new", "a"])), None);
    assert_eq!(missing(&found(&["a"]), &found(&["new"])).unwrap(), ".findings: \"a\"");
}
