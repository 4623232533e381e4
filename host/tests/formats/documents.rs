//! Receipt, plan and check.

use serde::Serialize;
use serde_json::Value;
use stillpoint::documents::check::Checked;
use stillpoint::documents::clean::Clean;
use stillpoint::documents::diagnosis::Diagnosis;
use stillpoint::documents::plan::Plan;
use stillpoint::documents::receipt::Receipt;
use stillpoint::documents::recovery::Recovery;
use stillpoint::documents::{Document, DocumentError, read};

use crate::files::{RECEIPTS, first, present, value};
use crate::json::{missing, with_names_added};

fn assert_is_written_as_it_is_read<D: Document + Serialize>(name: &str) {
    let text = present(name);
    let read = read::<D>(text.as_bytes()).unwrap();
    assert_eq!(serde_json::to_string_pretty(&read).unwrap() + "\n", text, "{name}");
}

fn assert_nothing_is_lost<D: Document + Serialize>(name: &str) {
    let text = first(name);
    let read = read::<D>(text.as_bytes()).unwrap();
    assert_eq!(missing(&value(&text), &serde_json::to_value(read).unwrap()), None, "{name}");
}

fn assert_names_may_be_added<D: Document + Serialize>(name: &str) {
    let text = present(name);
    let newer = with_names_added(&value(&text)).to_string();
    let read = read::<D>(newer.as_bytes()).unwrap();
    assert_eq!(serde_json::to_value(read).unwrap(), value(&text), "{name}");
}

fn assert_another_format_is_refused_by_name<D: Document + std::fmt::Debug>(name: &str, what: &str) {
    for format in [0, u64::from(D::FORMAT) + 1, u64::MAX] {
        let mut newer = value(&present(name));
        newer["format"] = format.into();
        let error = read::<D>(newer.to_string().as_bytes()).unwrap_err();
        assert!(matches!(error, DocumentError::Format { .. }), "{error}");
        assert_eq!(
            error.to_string(),
            format!("it is a {what} of format {format}, and this program reads 1 to {}", D::FORMAT)
        );
    }
}

#[test]
fn a_document_of_the_present_format_is_written_again_in_the_same_bytes() {
    RECEIPTS.into_iter().for_each(assert_is_written_as_it_is_read::<Receipt>);
    assert_is_written_as_it_is_read::<Plan>("plan.json");
    assert_is_written_as_it_is_read::<Checked>("check.json");
    assert_is_written_as_it_is_read::<Diagnosis>("diagnosis.json");
    assert_is_written_as_it_is_read::<Recovery>("recovery.json");
    assert_is_written_as_it_is_read::<Clean>("clean.json");
}

#[test]
fn nothing_that_the_first_documents_say_is_lost() {
    RECEIPTS.into_iter().for_each(assert_nothing_is_lost::<Receipt>);
    assert_nothing_is_lost::<Plan>("plan.json");
    assert_nothing_is_lost::<Checked>("check.json");
}

#[test]
fn names_may_be_added_anywhere() {
    RECEIPTS.into_iter().for_each(assert_names_may_be_added::<Receipt>);
    assert_names_may_be_added::<Plan>("plan.json");
    assert_names_may_be_added::<Checked>("check.json");
    assert_names_may_be_added::<Diagnosis>("diagnosis.json");
    assert_names_may_be_added::<Recovery>("recovery.json");
    assert_names_may_be_added::<Clean>("clean.json");
}

#[test]
fn a_document_of_a_newer_format_is_refused_by_name_and_not_guessed_at() {
    assert_another_format_is_refused_by_name::<Receipt>("receipt.json", "receipt");
    assert_another_format_is_refused_by_name::<Plan>("plan.json", "plan");
    assert_another_format_is_refused_by_name::<Checked>("check.json", "check");
    assert_another_format_is_refused_by_name::<Diagnosis>("diagnosis.json", "diagnosis");
    assert_another_format_is_refused_by_name::<Recovery>("recovery.json", "recovery");
    assert_another_format_is_refused_by_name::<Clean>("clean.json", "clean");
}

/// What a newer form looks like is not known: its version is looked at before anything else.
#[test]
fn a_newer_format_is_refused_by_name_whatever_else_it_has() {
    let error = read::<Receipt>(br#"{ "format": 7, "grade": { "of": "another form" } }"#).unwrap_err();
    assert!(error.to_string().contains("format 7"), "{error}");
}

#[test]
fn what_is_none_of_these_documents_is_refused() {
    for text in ["", "[]", "{}", r#"{"format":1}"#, r#"{"format":"1"}"#, "\0", &"[".repeat(1 << 20)] {
        let error = read::<Receipt>(text.as_bytes()).unwrap_err();
        assert!(error.to_string().starts_with("it is no receipt: "), "{error}");
    }
    let half = present("receipt.json");
    assert!(read::<Receipt>(&half.as_bytes()[..half.len() / 2]).is_err());
}

/// A float holds 53 bits of a number; sizes and binlog positions may have 64.
#[test]
fn numbers_of_64_bits_are_read_as_they_are() {
    let mut receipt = value(&present("receipt.json"));
    let largest = Value::from(u64::MAX);
    receipt["window"]["coordinates"]["position"] = largest.clone();
    receipt["disks"][0]["raw_bytes"] = largest.clone();
    receipt["disks"][0]["evidence"]["volumes"][0]["ext4"]["blocks"] = largest.clone();
    receipt["disks"][0]["cow"]["points"][0][1] = largest;
    let read = read::<Receipt>(receipt.to_string().as_bytes()).unwrap();
    assert_eq!(serde_json::to_value(read).unwrap(), receipt);
    let mut check = value(&present("check.json"));
    check["size_bytes"] = u64::MAX.into();
    check["volumes"][0]["offset_bytes"] = (u64::MAX - 1).into();
    let read = stillpoint::documents::read::<Checked>(check.to_string().as_bytes()).unwrap();
    assert_eq!(serde_json::to_value(read).unwrap(), check);
}
