//! PATCH as tables: document, operations, document.

use std::sync::{Arc, LazyLock};

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::admit::{admit, replace};
use crate::message::PATCH_OP;
use crate::name::ENTERPRISE_USER as EU;
use crate::registry::Extension;
use crate::schema::Schema;
use crate::test_cases::default_times;
use crate::{ErrorKind, Member, Registry};

const ID: &str = "2819c223";
const ACME: &str = "urn:example:params:scim:schemas:extension:acme:2.0:User";
/// Its schema is [`resident`]'s.
const HOME: &str = "urn:example:Home";
/// No schema describes it.
const X: &str = "urn:acme:x";

static REGISTRY: LazyLock<Registry> = LazyLock::new(Registry::standard);

fn user() -> Arc<ResourceType> {
    REGISTRY.by_name("User").unwrap().clone()
}

fn group() -> Arc<ResourceType> {
    REGISTRY.by_name("Group").unwrap().clone()
}

fn patch_op(operations: Value) -> Value {
    json!({"schemas": [PATCH_OP], "Operations": operations})
}

/// Completes a document with the attributes that every row of the tables leaves out.
fn complete(rt: &ResourceType, attributes: &Value) -> Document {
    let mut members = attributes.as_object().unwrap().clone();
    let name = if rt.name == "User" {
        "userName"
    } else {
        "displayName"
    };
    members
        .entry(name.to_owned())
        .or_insert_with(|| json!("ada"));
    members.insert("id".to_owned(), json!(ID));
    let mut document = Document(members);
    document.arrange(rt);
    document
}

fn run(rt: &ResourceType, document: &Value, operations: &Value) -> Result<Patched, ScimError> {
    parse(rt, &patch_op(operations.clone()), Compatibility::Tolerant)?
        .apply(rt, &complete(rt, document))
}

#[track_caller]
fn check(document: Value, operations: Value, expected: Value) {
    let rt = user();
    let patched = run(&rt, &document, &operations).unwrap();
    let expected = complete(&rt, &expected);
    assert_eq!(
        patched.document.to_string(),
        expected.to_string(),
        "{operations}"
    );
    // A PUT of the result of a PATCH changes nothing.
    let body = Value::Object(patched.document.0.clone());
    let mut again = admit(&rt, &body, Compatibility::Tolerant).unwrap().document;
    again.set_id(ID);
    assert_eq!(
        again.to_string(),
        expected.to_string(),
        "admitted: {operations}"
    );
}

#[track_caller]
fn check_error(document: Value, operations: Value, expected: ErrorKind) {
    let rt = user();
    match run(&rt, &document, &operations) {
        Ok(patched) => panic!("{operations} gave {}", patched.document),
        Err(error) => assert_eq!(error.kind, expected, "{operations}: {error}"),
    }
}

#[track_caller]
fn check_members(operations: Value, expected: Vec<MemberEdit>) {
    let patch = parse(
        &group(),
        &patch_op(operations.clone()),
        Compatibility::Tolerant,
    )
    .unwrap();
    assert_eq!(patch.member_edits(), expected, "{operations}");
}

#[track_caller]
fn check_members_error(operations: Value, expected: ErrorKind) {
    let error = parse(
        &group(),
        &patch_op(operations.clone()),
        Compatibility::Tolerant,
    )
    .unwrap_err();
    assert_eq!(error.kind, expected, "{operations}: {error}");
}

fn member(value: &str) -> Member {
    Member {
        value: value.to_owned(),
        display: None,
    }
}

fn ids(ids: &[&str]) -> Vec<String> {
    ids.iter().map(|&id| id.to_owned()).collect()
}

fn emails() -> Value {
    json!({"emails": [
        {"value": "a@w.org", "type": "work", "primary": true},
        {"value": "a@h.org", "type": "home"},
    ]})
}

/// A user with lists of texts: as an attribute, within one complex value, and within each of
/// several.
fn resident() -> ResourceType {
    let text = r#"{"id": "urn:example:Home", "name": "Home", "attributes": [
        {"name": "devices", "multiValued": true},
        {"name": "codes", "multiValued": true, "caseExact": true},
        {"name": "badge"},
        {"name": "home", "type": "complex", "subAttributes": [
            {"name": "street"}, {"name": "rooms", "multiValued": true}
        ]},
        {"name": "places", "type": "complex", "multiValued": true, "subAttributes": [
            {"name": "value"}, {"name": "type"}, {"name": "primary", "type": "boolean"},
            {"name": "tags", "multiValued": true}
        ]}
    ]}"#;
    let standard = user();
    let mut extensions = standard.extensions.clone();
    extensions.push(Extension {
        schema: Arc::new(Schema::parse(text).unwrap()),
        required: false,
    });
    let schema = standard.schema.clone();
    ResourceType::new("User", "/Users", "", schema, extensions).unwrap()
}

fn patched(
    rt: &ResourceType,
    document: &Value,
    operations: &Value,
    compatibility: Compatibility,
) -> Result<Document, ScimError> {
    let patch = parse(rt, &patch_op(operations.clone()), compatibility)?;
    Ok(patch.apply(rt, &complete(rt, document))?.document)
}

/// For a tolerant tenant, and for a strict one unless only a tolerant one takes it.
#[track_caller]
fn check_lists(document: &Value, operation: Value, expected: &Value, strict: bool) {
    let rt = resident();
    let operations = json!([operation]);
    for compatibility in [Compatibility::Tolerant, Compatibility::Strict] {
        let found = patched(&rt, document, &operations, compatibility);
        if compatibility.is_strict() && !strict {
            assert!(found.is_err(), "strict: {operations}");
            continue;
        }
        let found = found.unwrap_or_else(|error| panic!("{operations}: {error}"));
        assert_eq!(
            found.to_string(),
            complete(&rt, expected).to_string(),
            "{operations}"
        );
    }
}

#[track_caller]
fn check_tolerant(document: &Value, operation: Value, expected: Value) {
    check_lists(document, operation, &expected, false);
}

#[track_caller]
fn check_everywhere(document: &Value, operation: Value, expected: Value) {
    check_lists(document, operation, &expected, true);
}

fn home(rooms: Value) -> Value {
    json!({HOME: {"home": {"street": "s", "rooms": rooms}}})
}

fn operation(op: &str, path: &str, value: Value) -> Value {
    json!({"op": op, "path": path, "value": value})
}

/// For a tolerant tenant.
#[track_caller]
fn check_unchanged(document: &Value, operation: Value) {
    let rt = resident();
    let operations = json!([operation]);
    let found = patched(&rt, document, &operations, Compatibility::Tolerant).unwrap();
    assert_eq!(found, complete(&rt, document), "{operations}");
}

mod add;
mod details;
mod envelope;
mod extensions;
mod group_members;
mod limits;
mod list_properties;
mod lists;
mod names;
mod paths;
mod properties;
mod remove;
mod replace_op;
mod sequences;
mod strict;
mod undeclared;
mod without_path;
