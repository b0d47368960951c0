//! Sample data for the document: people and groups of an invented company, in the forms that Okta
//! sends.

use scim_core::ResourceType;
use scim_core::message::{LIST_RESPONSE, PATCH_OP};
use scim_core::name::{ENTERPRISE_USER, GROUP, USER};
use serde_json::{Value, json};
use utoipa::openapi::example::{Example, ExampleBuilder};

/// Examples by name.
pub type Named = Vec<(&'static str, Example)>;

const USER_ID: &str = "0199f3a2-6b1e-7c40-8a51-2f6d0c9e7b13";
const OTHER_ID: &str = "0199f3a2-6b44-7d0f-9c02-5be1f7a3d864";
const GROUP_ID: &str = "0199f3a2-70c8-7a96-b3f4-81d29e05c6aa";

/// Bodies of POST and PUT.
pub fn create(rt: &ResourceType) -> Named {
    match rt.schema.id.as_str() {
        USER => vec![("okta", named("As Okta creates a user", okta_user()))],
        GROUP => vec![
            (
                "okta",
                named(
                    "As Okta pushes a group, members to follow",
                    okta_group(&json!([])),
                ),
            ),
            (
                "members",
                named(
                    "With its members",
                    okta_group(&json!([{ "value": USER_ID }, { "value": OTHER_ID }])),
                ),
            ),
        ],
        _ => Vec::new(),
    }
}

/// Bodies of PATCH.
pub fn patch(rt: &ResourceType) -> Named {
    match rt.schema.id.as_str() {
        USER => vec![
            (
                "deactivate",
                operations(
                    "Deactivate, as Okta does",
                    json!([{ "op": "replace", "value": { "active": false } }]),
                ),
            ),
            (
                "email",
                operations(
                    "Correct the work address",
                    json!([{
                        "op": "replace",
                        "path": "emails[type eq \"work\"].value",
                        "value": "mira.okafor@example.org",
                    }]),
                ),
            ),
        ],
        GROUP => vec![
            (
                "push",
                operations(
                    "Push memberships, as Okta does",
                    json!([
                        { "op": "remove", "path": format!("members[value eq \"{OTHER_ID}\"]") },
                        {
                            "op": "add",
                            "path": "members",
                            "value": [{ "value": USER_ID, "display": "mira.okafor@example.com" }],
                        },
                    ]),
                ),
            ),
            (
                "rename",
                operations(
                    "Rename",
                    json!([{ "op": "replace", "value": { "displayName": "Harbour Crew" } }]),
                ),
            ),
        ],
        _ => Vec::new(),
    }
}

/// A resource in a response.
pub fn answered(rt: &ResourceType) -> Option<Value> {
    match rt.schema.id.as_str() {
        USER => Some(answered_user()),
        GROUP => Some(answered_group()),
        _ => None,
    }
}

/// A page of one resource.
pub fn page(rt: &ResourceType) -> Option<Value> {
    answered(rt).map(|resource| {
        json!({
            "schemas": [LIST_RESPONSE],
            "totalResults": 1,
            "startIndex": 1,
            "itemsPerPage": 1,
            "Resources": [resource],
        })
    })
}

fn named(summary: &str, value: Value) -> Example {
    ExampleBuilder::new()
        .summary(summary)
        .value(Some(value))
        .build()
}

fn operations(summary: &str, operations: Value) -> Example {
    named(
        summary,
        json!({ "schemas": [PATCH_OP], "Operations": operations }),
    )
}

fn okta_user() -> Value {
    json!({
        "schemas": [USER, ENTERPRISE_USER],
        "userName": "mira.okafor@example.com",
        "externalId": "00u4harbour7Kd0Xq5d7",
        "name": { "givenName": "Mira", "familyName": "Okafor" },
        "displayName": "Mira Okafor",
        "emails": [{ "value": "mira.okafor@example.com", "type": "work", "primary": true }],
        "phoneNumbers": [{ "value": "+49 30 5550143", "type": "mobile", "primary": true }],
        "locale": "en-US",
        "active": true,
        "groups": [],
        ENTERPRISE_USER: {
            "employeeNumber": "70143",
            "department": "Harbour Operations",
            "manager": { "value": OTHER_ID },
        },
    })
}

fn answered_user() -> Value {
    json!({
        "schemas": [USER, ENTERPRISE_USER],
        "id": USER_ID,
        "externalId": "00u4harbour7Kd0Xq5d7",
        "userName": "mira.okafor@example.com",
        "name": { "familyName": "Okafor", "givenName": "Mira" },
        "displayName": "Mira Okafor",
        "locale": "en-US",
        "active": true,
        "emails": [{ "value": "mira.okafor@example.com", "type": "work", "primary": true }],
        "phoneNumbers": [{ "value": "+49 30 5550143", "type": "mobile", "primary": true }],
        ENTERPRISE_USER: {
            "employeeNumber": "70143",
            "department": "Harbour Operations",
            "manager": { "value": OTHER_ID },
        },
        "groups": [{
            "value": GROUP_ID,
            "$ref": format!("https://scim.example.com/scim/v2/Groups/{GROUP_ID}"),
            "display": "Harbour Crew",
            "type": "direct",
        }],
        "meta": {
            "resourceType": "User",
            "created": "2026-03-02T09:15:00Z",
            "lastModified": "2026-03-02T09:15:00Z",
            "location": format!("https://scim.example.com/scim/v2/Users/{USER_ID}"),
            "version": "W/\"1\"",
        },
    })
}

fn okta_group(members: &Value) -> Value {
    json!({ "schemas": [GROUP], "displayName": "Harbour Crew", "members": members })
}

fn answered_group() -> Value {
    json!({
        "schemas": [GROUP],
        "id": GROUP_ID,
        "displayName": "Harbour Crew",
        "members": [{
            "value": USER_ID,
            "display": "mira.okafor@example.com",
            "type": "User",
            "$ref": format!("https://scim.example.com/scim/v2/Users/{USER_ID}"),
        }],
        "meta": {
            "resourceType": "Group",
            "created": "2026-03-02T09:20:00Z",
            "lastModified": "2026-03-02T09:20:00Z",
            "location": format!("https://scim.example.com/scim/v2/Groups/{GROUP_ID}"),
            "version": "W/\"2\"",
        },
    })
}
