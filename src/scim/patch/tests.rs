//! PATCH as tables: document, operations, document.

use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::scim::admit::{admit, replace};
use crate::scim::name::ENTERPRISE_USER as EU;
use crate::scim::{ErrorKind, Member, Registry};

const ID: &str = "2819c223";
const ACME: &str = "urn:example:params:scim:schemas:extension:acme:2.0:User";

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

/// The document with what every row of the tables leaves out.
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
    // What a PATCH makes is what a PUT of it would make.
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

mod add;
mod envelope;
mod extensions;
mod group_members;
mod limits;
mod lists;
mod paths;
mod properties;
mod remove;
mod replace_op;
mod sequences;
mod strict;
mod without_path;
