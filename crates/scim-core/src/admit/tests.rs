//! Create and replace as tables: body, document.

use std::sync::{Arc, LazyLock};

use serde_json::{Value, json};

use super::*;
use crate::name::{ENTERPRISE_USER as EU, GROUP, USER};
use crate::schema::Schema;
use crate::{ErrorKind, Registry};

const ACME: &str = "urn:example:params:scim:schemas:extension:acme:2.0:User";

static REGISTRY: LazyLock<Registry> = LazyLock::new(Registry::standard);

fn user() -> Arc<ResourceType> {
    REGISTRY.by_name("User").unwrap().clone()
}

fn group() -> Arc<ResourceType> {
    REGISTRY.by_name("Group").unwrap().clone()
}

fn admit_user(body: &Value) -> Result<Admitted, ScimError> {
    let mut body = body.clone();
    if let Some(members) = body.as_object_mut()
        && !members
            .keys()
            .any(|name| name.eq_ignore_ascii_case("userName"))
    {
        members.insert("userName".to_owned(), json!("ada"));
    }
    admit(&user(), &body, Compatibility::Tolerant)
}

/// Checks a user's document; rows leave out `schemas` and `userName` if they have the usual values.
#[track_caller]
fn check(body: Value, expected: Value) {
    let document = admit_user(&body).unwrap().document;
    let mut complete = Map::new();
    complete.insert("schemas".to_owned(), json!([USER]));
    if let Some(id) = expected.get("externalId") {
        complete.insert("externalId".to_owned(), id.clone());
    }
    complete.insert("userName".to_owned(), json!("ada"));
    complete.extend(expected.as_object().unwrap().clone());
    assert_eq!(
        document.to_string(),
        Value::Object(complete).to_string(),
        "{body}"
    );
}

#[track_caller]
fn check_error(body: Value, kind: ErrorKind, detail: &str) {
    let error = admit_user(&body).unwrap_err();
    assert_eq!(error.kind, kind, "{body}: {error}");
    assert!(error.detail.contains(detail), "{body}: {error}");
}

#[track_caller]
fn check_invalid(body: Value, detail: &str) {
    check_error(body, ErrorKind::InvalidValue, detail);
}

/// A custom schema with the types that the standard ones do not use.
fn device() -> ResourceType {
    let text = r#"{"id": "urn:example:Device", "name": "Device", "attributes": [
        {"name": "serial", "required": true, "mutability": "immutable"},
        {"name": "count", "type": "integer"},
        {"name": "weight", "type": "decimal"},
        {"name": "bought", "type": "dateTime"},
        {"name": "key", "type": "binary"},
        {"name": "tags", "multiValued": true},
        {"name": "place", "type": "complex", "subAttributes": [
            {"name": "site", "mutability": "immutable"},
            {"name": "room", "required": true}
        ]},
        {"name": "state", "mutability": "readOnly"}
    ]}"#;
    let schema = Arc::new(Schema::parse(text).unwrap());
    ResourceType::new("Device", "/Devices", "", schema, Vec::new()).unwrap()
}

#[track_caller]
fn check_device(attribute: &str, value: Value, expected: Option<Value>) {
    let body = json!({"serial": "1", attribute: value});
    match (admit(&device(), &body, Compatibility::Tolerant), expected) {
        (Ok(admitted), expected) => {
            let expected = expected.unwrap_or_else(|| panic!("{body} was admitted"));
            let found = admitted.document.0.get(attribute);
            assert_eq!(found.unwrap_or(&Value::Null), &expected, "{body}");
        }
        (Err(error), None) => assert_eq!(error.kind, ErrorKind::InvalidValue, "{body}"),
        (Err(error), Some(_)) => panic!("{body}: {error}"),
    }
}

#[test]
fn bodies() {
    for body in [json!([]), json!("x"), json!(null), json!(1)] {
        let error = admit(&user(), &body, Compatibility::Tolerant).unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidSyntax);
    }
}

#[test]
fn what_okta_creates() {
    let body = json!({
        "schemas": [USER],
        "userName": "ada.byron@example.com",
        "name": {"givenName": "Ada", "familyName": "Byron"},
        "emails": [{"primary": true, "value": "ada.byron@example.com", "type": "work"}],
        "displayName": "Ada Byron",
        "locale": "en-US",
        "externalId": "00u1a2b3c4D5e6F7g8h9",
        "groups": [],
        "password": "q7#Lm2xz",
        "active": true,
    });
    let admitted = admit(&user(), &body, Compatibility::Tolerant).unwrap();
    assert_eq!(admitted.password.as_deref(), Some("q7#Lm2xz"));
    assert_eq!(admitted.members, None);
    let expected = json!({
        "schemas": [USER],
        "externalId": "00u1a2b3c4D5e6F7g8h9",
        "userName": "ada.byron@example.com",
        "name": {"familyName": "Byron", "givenName": "Ada"},
        "displayName": "Ada Byron",
        "locale": "en-US",
        "active": true,
        "emails": [{"value": "ada.byron@example.com", "type": "work", "primary": true}],
    });
    assert_eq!(admitted.document.to_string(), expected.to_string());
}

// R7643-3-01, R7643-3-02, R7643-3-05, R7643-3-06
#[test]
fn schemas() {
    for schemas in [
        json!(null),
        json!([]),
        json!(USER),
        json!([USER]),
        json!([USER.to_uppercase()]),
        json!([EU, USER, USER]),
        json!([USER, "urn:example:unknown"]),
        // The endpoint says what the resource is, so a wrong list stops no provisioning.
        json!([GROUP]),
        json!([USER, GROUP]),
        json!([EU]),
        json!(["urn:scim:schemas:core:1.0"]),
        json!([1]),
        json!({"a": 1}),
        json!(true),
    ] {
        check(json!({"schemas": schemas}), json!({}));
    }
}

// R7643-2.1-01, R7643-2.1-02, R7643-3.3-02
#[test]
fn names() {
    check(json!({"USERNAME": "ada"}), json!({}));
    check(
        json!({"NAME": {"GIVENNAME": "Ada"}, "Emails": [{"VALUE": "a", "Type": "work"}]}),
        json!({"name": {"givenName": "Ada"}, "emails": [{"value": "a", "type": "work"}]}),
    );
    check(
        json!({EU.to_uppercase(): {"DEPARTMENT": "Math"}}),
        json!({"schemas": [USER, EU], EU: {"department": "Math"}}),
    );
    check(
        json!({"foo": 1, "Foo": {"bar": []}, "name": {"foo": 1}, "emails": [{"foo": 1}], "a.b": 1}),
        json!({}),
    );
    let twice = ErrorKind::InvalidSyntax;
    check_error(json!({"userName": "a", "username": "a"}), twice, "userName");
    check_error(json!({"title": null, "TITLE": "x"}), twice, "title");
    check_error(
        json!({"name": {"givenName": "a", "givenname": "a"}}),
        twice,
        "name.givenName",
    );
    check_error(
        json!({"emails": [{"value": "a", "Value": "a"}]}),
        twice,
        "emails[0].value",
    );
    check_error(json!({EU: {}, EU.to_lowercase(): {}}), twice, "urn:");
    check_error(json!({ACME: {}, ACME.to_uppercase(): {}}), twice, "URN:");
}

// R7643-3.1-06, R7643-4.3-02, R7644-3.3-02
#[test]
fn read_only_attributes_are_ignored() {
    check(
        json!({
            "id": "mine",
            "meta": "odd",
            "groups": [{"value": "g", "primary": true}, {"value": "h", "primary": true}],
            EU: {"manager": {"displayName": "M"}},
        }),
        json!({}),
    );
}

// R7643-2.5-01, R7643-2.5-03
#[test]
fn unassigned() {
    for nothing in [json!(null), json!(""), json!([])] {
        check(
            json!({
                "title": nothing, "active": nothing, "name": nothing, "emails": nothing,
                "externalId": nothing, "profileUrl": nothing, EU: nothing, "password": nothing,
            }),
            json!({}),
        );
        check(
            json!({"name": {"givenName": nothing}, EU: {"manager": nothing, "costCenter": nothing}}),
            json!({}),
        );
    }
    check(json!({"name": {}, "emails": [{}, null]}), json!({}));
    // Okta pushes empty fields as elements.
    check(
        json!({"phoneNumbers": [
            {"value": "", "type": "work", "primary": true},
            {"value": null, "type": "home", "display": "H"},
            {"value": "+1", "type": ""},
        ]}),
        json!({"phoneNumbers": [{"value": "+1"}]}),
    );
    check(
        json!({"emails": [{"type": "work"}]}),
        json!({"emails": [{"type": "work"}]}),
    );
}

#[test]
fn null_beside_a_value() {
    check(
        json!({"title": [{"$ref": null, "value": "x"}], "active": [{"VALUE": "False", "display": null}]}),
        json!({"title": "x", "active": false}),
    );
    check_invalid(json!({"title": [{"$ref": "y", "value": "x"}]}), "title");
    check_invalid(json!({"title": [{"value": {"value": "x"}}]}), "title");
}

// R7643-2.3-01, R7643-2.3.6-01
#[test]
fn types() {
    check(json!({"title": 5}), json!({"title": "5"}));
    check(json!({"title": 1.5}), json!({"title": "1.5"}));
    check(json!({"title": [{"value": "Dr"}]}), json!({"title": "Dr"}));
    check(json!({"externalId": 17}), json!({"externalId": "17"}));
    check(json!({"active": "True"}), json!({"active": true}));
    check(json!({"active": "FALSE"}), json!({"active": false}));
    check(
        json!({"active": [{"value": "true"}]}),
        json!({"active": true}),
    );
    check(
        json!({"emails": {"value": "a", "primary": "True"}}),
        json!({"emails": [{"value": "a", "primary": true}]}),
    );
    check(
        json!({"name": [{"givenName": "Ada"}]}),
        json!({"name": {"givenName": "Ada"}}),
    );
    check(
        json!({"profileUrl": "not a uri", "addresses": [{"country": "USA"}]}),
        json!({"profileUrl": "not a uri", "addresses": [{"country": "USA"}]}),
    );
    check(
        json!({"x509Certificates": [{"value": "AQ"}, {"value": "AQ=="}, {"value": "MIIB\n AQ=="}]}),
        json!({"x509Certificates": [{"value": "AQ"}, {"value": "AQ=="}, {"value": "MIIB\n AQ=="}]}),
    );
    check_invalid(json!({"title": true}), "title must be text");
    check_invalid(json!({"title": {"value": "x"}}), "title must be text");
    check(json!({"title": ["x"]}), json!({"title": "x"}));
    check_invalid(json!({"title": [["x"]]}), "title must be text");
    check_invalid(json!({"title": ["x", "y"]}), "title must be text");
    check_invalid(json!({"title": [{"value": "x"}, {"value": "y"}]}), "title");
    check_invalid(json!({"title": [{"value": "x", "type": "y"}]}), "title");
    check_invalid(json!({"title": 1e300}), "too large");
    check_invalid(json!({"active": "yes"}), "active must be true or false");
    for (form, value) in [
        (json!(1), true),
        (json!("1"), true),
        (json!(0), false),
        (json!("0"), false),
        (json!([true]), true),
        (json!(["False"]), false),
    ] {
        check(json!({"active": form}), json!({"active": value}));
    }
    check_invalid(json!({"active": 2}), "active must be true or false, not 2");
    check_invalid(json!({"active": 1.5}), "active must be true or false");
    check_invalid(json!({"name": "Ada Byron"}), "name must be an object");
    check_invalid(json!({"name": true}), "name must be an object");
    check_invalid(json!({"name": [{}, {}]}), "name must be an object");
    check(
        json!({"emails": "a@W.org"}),
        json!({"emails": [{"value": "a@w.org"}]}),
    );
    check(
        json!({"emails": [{"value": "a"}, 5, "", "b"]}),
        json!({"emails": [{"value": "a"}, {"value": "5"}, {"value": "b"}]}),
    );
    check(
        json!({"emails": [{"value": ["a"]}]}),
        json!({"emails": [{"value": "a"}]}),
    );
    check_invalid(
        json!({"emails": [{"value": ["a", "b"]}]}),
        "emails[0].value must be text",
    );
    check_invalid(json!({"emails": [["a"]]}), "emails[0] must be an object");
    check_invalid(json!({"emails": true}), "emails[0] must be an object");
    // Without a `value` there is nothing that the text could be.
    check_invalid(
        json!({"addresses": ["Bern"]}),
        "addresses[0] must be an object",
    );
    check(
        json!({"roles": ["admin", "Admin", {"value": "ADMIN", "display": "A"}]}),
        json!({"roles": [{"value": "admin", "display": "A"}]}),
    );
    check_invalid(json!({"x509Certificates": [{"value": "%%%"}]}), "base64");
    check_invalid(json!({EU: "x"}), "must be an object");
    check_invalid(json!({EU: {"department": []}, "password": {}}), "password");
    check_invalid(json!({EU: {"department": {}}}), &format!("{EU}:department"));
}

// R7643-2.3-01, R7643-2.3.4-01, R7643-2.3.5-01, R7643-2.3.6-01
#[test]
fn types_of_custom_schemas() {
    check_device("count", json!(5), Some(json!(5)));
    check_device("count", json!("5"), Some(json!(5)));
    check_device("count", json!(""), Some(json!(null)));
    check_device("count", json!(1.0), None);
    check_device("count", json!("1.5"), None);
    check_device("count", json!(u64::MAX), None);
    check_device("weight", json!(1.5), Some(json!(1.5)));
    check_device("weight", json!(1), Some(json!(1)));
    check_device("weight", json!("1.5"), Some(json!(1.5)));
    check_device("weight", json!("inf"), None);
    check_device("weight", json!("x"), None);
    let utc = "2011-05-13T04:42:34Z";
    check_device("bought", json!(utc), Some(json!(utc)));
    check_device("bought", json!("2011-05-13T04:42:34"), Some(json!(utc)));
    let local = "2011-05-13T04:42:34.123+02:00";
    check_device("bought", json!(local), Some(json!(local)));
    for wrong in [
        "2011-05-13",
        "2011-05-13 04:42:34Z",
        "2011-13-13T04:42:34Z",
        "x",
        "2011-05-13T",
    ] {
        check_device("bought", json!(wrong), None);
    }
    check_device("bought", json!(1_305_261_754), None);
    check_device("key", json!("AQ"), Some(json!("AQ")));
    check_device("key", json!("A"), None);
    check_device("key", json!(" "), None);
    check_device(
        "tags",
        json!(["a", "b", "a", null, ""]),
        Some(json!(["a", "b"])),
    );
    check_device("tags", json!("a"), Some(json!(["a"])));
    check_device("tags", json!([{"value": "a"}]), Some(json!(["a"])));
    check_device(
        "tags",
        json!([{"value": "a", "type": "x"}, "A", {"VALUE": "b"}]),
        Some(json!(["a", "b"])),
    );
    check_device("tags", json!([{"name": "a"}]), None);
    check_device("tags", json!([["a"]]), None);
    check_device("place", json!({"room": "1"}), Some(json!({"room": "1"})));
    check_device("place", json!({"site": "1"}), None);
    check_device("place", json!({"site": "1", "room": " "}), None);
    check_device("place", json!("1"), None);
    check_device("state", json!("x"), Some(json!(null)));
}

// R7643-2.4-01, R7643-2.4-05, R7643-2.4-06
#[test]
fn lists() {
    check(
        json!({"emails": [
            {"value": "a", "type": "work"},
            {"type": "work", "value": "a"},
            {"value": "a", "type": "work", "primary": false},
            {"value": "a", "type": "home"},
            {"value": "A", "type": "Work"},
        ]}),
        json!({"emails": [
            {"value": "a", "type": "work"},
            {"value": "a", "type": "home"},
        ]}),
    );
    // Okta maps two phones of one type, distinguished by `primary`.
    let phones = json!({"phoneNumbers": [
        {"value": "+1", "type": "work", "primary": true},
        {"value": "+2", "type": "work", "primary": false},
    ]});
    check(phones.clone(), phones);
    check_invalid(
        json!({"emails": [{"value": "a", "primary": true}, {"value": "b", "primary": "true"}]}),
        "emails marks more than one value as primary",
    );
}

// R7643-4.1.1-01, R7643-4.2-01, R7644-3.3-07, R7644-3.5.1-06
#[test]
fn required_attributes() {
    for body in [
        json!({}),
        json!({"userName": ""}),
        json!({"userName": " \t"}),
        json!({"userName": null}),
    ] {
        let error = admit(&user(), &body, Compatibility::Tolerant).unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidValue);
        assert!(error.detail.contains("userName"), "{error}");
    }
    for body in [
        json!({}),
        json!({"displayName": " "}),
        json!({"members": []}),
    ] {
        let error = admit(&group(), &body, Compatibility::Tolerant).unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidValue);
        assert!(error.detail.contains("displayName"), "{error}");
    }
    assert!(admit(&device(), &json!({}), Compatibility::Tolerant).is_err());
}

// R7643-6-02
#[test]
fn a_required_extension() {
    let extension = Schema::parse(
        r#"{"id": "urn:example:Ext", "name": "Ext", "attributes": [{"name": "a", "required": true}, {"name": "b"}]}"#,
    );
    let extension = Extension {
        schema: Arc::new(extension.unwrap()),
        required: true,
    };
    let core = r#"{"id": "urn:example:Core", "name": "Core", "attributes": [{"name": "c"}]}"#;
    let core = Arc::new(Schema::parse(core).unwrap());
    let rt = ResourceType::new("Thing", "/Things", "", core, vec![extension]).unwrap();
    let kind = |body: Value| {
        admit(&rt, &body, Compatibility::Tolerant)
            .err()
            .map(|error| error.kind)
    };
    let invalid = Some(ErrorKind::InvalidValue);
    assert_eq!(kind(json!({"c": "x"})), invalid);
    assert_eq!(kind(json!({"urn:example:Ext": {"b": "x"}})), invalid);
    assert_eq!(kind(json!({"urn:example:Ext": {"a": "x"}})), None);
}

#[test]
fn texts_that_cannot_be_stored() {
    check_invalid(
        json!({"title": "a\u{0}"}),
        "title holds the character U+0000",
    );
    check_invalid(
        json!({"emails": [{"display": "\u{0}"}]}),
        "emails[0].display",
    );
    check_invalid(json!({"password": "\u{0}"}), "U+0000");
    check_invalid(json!({ACME: {"a": [{"b": "\u{0}"}]}}), "U+0000");
    check_invalid(json!({ACME: {"a\u{0}": 1}}), "U+0000");
    check_invalid(json!({"urn:x\u{0}:y": {"a": 1}}), "U+0000");
    check_invalid(json!({"userName": "a\u{1b}"}), "U+001B");
    check_invalid(json!({"userName": "a\u{200b}da"}), "U+200B");
    let nested = |levels: usize| (0..levels).fold(json!(1), |inner, _| json!([inner]));
    check_invalid(json!({ACME: {"a": nested(49)}}), "deeper than 50 levels");
    assert!(admit_user(&json!({ACME: {"a": nested(48)}})).is_ok());
    let long = "é".repeat(1_001);
    for body in [
        json!({"userName": long}),
        json!({"externalId": long}),
        json!({"displayName": long}),
        json!({"name": {"familyName": long}}),
        json!({"emails": [{"value": "a"}, {"value": long}]}),
        json!({EU: {"manager": long}}),
        json!({EU: {"employeeNumber": long}}),
    ] {
        check_invalid(body, "longer than 2000 bytes");
    }
    // The length of the folded text counts; without an index, length is not limited.
    check_invalid(json!({"displayName": "\u{130}".repeat(800)}), "longer");
    check(
        json!({"title": long, "displayName": "e".repeat(2_000)}),
        json!({"displayName": "e".repeat(2_000), "title": long}),
    );
}

// R7643-3.3-01, R7643-3.3-02
#[test]
fn extensions() {
    let acme =
        json!({"costBand": "B2", "skills": ["rust", null, []], "Mixed": {"a": null}, "n": 1e3});
    check(
        json!({ACME: acme, EU: {"department": "Math"}}),
        json!({"schemas": [USER, EU, ACME], EU: {"department": "Math"}, ACME: acme}),
    );
    check(
        json!({"z:y": {"a": 1}, "urn:b": {"a": 1}, "urn:a": {"a": null, "b": [], "c": ""}}),
        json!({"schemas": [USER, "urn:a", "urn:b", "z:y"], "urn:a": {"c": ""}, "urn:b": {"a": 1}, "z:y": {"a": 1}}),
    );
    check(
        json!({ACME: {}, "urn:b": null, "urn:c": "x", "urn:d": [1], USER: {"title": "x"}}),
        json!({"title": "x"}),
    );
    let okta = json!({"displayName": "x", "urn:okta:custom:group:1.0": {"description": "d"}});
    let document = admit(&group(), &okta, Compatibility::Tolerant)
        .unwrap()
        .document;
    assert_eq!(
        document.0["schemas"],
        json!([GROUP, "urn:okta:custom:group:1.0"])
    );
}

// L-04, R7643-4.3-02
#[test]
fn managers() {
    let manager = json!({"schemas": [USER, EU], EU: {"manager": {"value": "m1"}}});
    for form in [
        json!("m1"),
        json!({"value": "m1", "displayName": "M"}),
        json!([{"value": "m1"}]),
        json!({"VALUE": "m1", "$ref": ""}),
    ] {
        check(json!({EU: {"manager": form}}), manager.clone());
    }
    check(
        json!({EU: {"manager": 7}}),
        json!({"schemas": [USER, EU], EU: {"manager": {"value": "7"}}}),
    );
    for nothing in [
        json!(""),
        json!(null),
        json!({}),
        json!({"value": ""}),
        json!([]),
    ] {
        check(json!({EU: {"manager": nothing}}), json!({}));
    }
}

#[test]
fn group_members() {
    let members = |body: Value| {
        admit(&group(), &body, Compatibility::Tolerant)
            .unwrap()
            .members
    };
    assert_eq!(members(json!({"displayName": "x"})), None);
    assert_eq!(
        members(json!({"displayName": "x", "members": []})),
        Some(vec![])
    );
    assert_eq!(
        members(json!({"displayName": "x", "MEMBERS": null})),
        Some(vec![])
    );
    let body = json!({"displayName": "x", "members": [
        {"value": "a", "display": "ada"}, {"value": "a"}, {"value": "b", "display": null, "type": "User"},
    ]});
    let admitted = admit(&group(), &body, Compatibility::Tolerant).unwrap();
    assert!(!admitted.document.0.contains_key("members"));
    let found = admitted.members.unwrap();
    assert_eq!(found.len(), 2);
    assert_eq!(found[0].display.as_deref(), Some("ada"));
    let error = admit(
        &group(),
        &json!({"displayName": "x", "members": [{"value": "a"}, {}]}),
        Compatibility::Tolerant,
    );
    assert!(error.unwrap_err().detail.contains("members[1]"));
    // For a user it is an unknown attribute.
    check(json!({"members": "x"}), json!({}));
}

#[test]
fn many_members() {
    let members: Vec<Value> = (0..50_000)
        .map(|n| json!({"value": format!("id-{n}"), "display": "x"}))
        .collect();
    let body = json!({"displayName": "x", "members": members});
    let admitted = admit(&group(), &body, Compatibility::Tolerant).unwrap();
    assert_eq!(admitted.members.unwrap().len(), 50_000);
}

// R7644-3.3-03
#[test]
fn defaults_of_a_user() {
    let active = |body: Value| {
        let mut admitted = admit_user(&body).unwrap();
        defaults(&user(), &mut admitted);
        admitted.document.0["active"].clone()
    };
    assert_eq!(active(json!({})), true);
    assert_eq!(active(json!({"active": null})), true);
    assert_eq!(active(json!({"active": false})), false);
    let body = json!({"displayName": "x"});
    let mut admitted = admit(&group(), &body, Compatibility::Tolerant).unwrap();
    defaults(&group(), &mut admitted);
    assert!(!admitted.document.0.contains_key("active"));
}

#[test]
fn forms_of_lists_and_texts() {
    check(json!({"addresses": [""]}), json!({}));
    check(
        json!({"ims": [{"value": "Some  One"}, {"value": "plain"}]}),
        json!({"ims": [{"value": "someone"}, {"value": "plain"}]}),
    );
    check(
        json!({"ims": [{"value": "  "}]}),
        json!({"ims": [{"value": "  "}]}),
    );
    check_invalid(json!({"title": {}}), "title must be text, not an object");
    let enterprise = |value: Value| json!({EU: value});
    for nothing in [json!(null), json!(""), json!([])] {
        check(enterprise(nothing), json!({}));
    }
    check_invalid(enterprise(json!("x")), "must be an object");
    check_invalid(enterprise(json!(["x", "y"])), "must be an object");
    check(
        json!({"title": 9_007_199_254_740_993_u64}),
        json!({"title": "9007199254740993"}),
    );
    check(
        json!({"title": u64::MAX}),
        json!({"title": "18446744073709551615"}),
    );
    check(
        json!({"title": i64::MIN}),
        json!({"title": "-9223372036854775808"}),
    );
    check_invalid(json!({"title": 9.1e15}), "too large for a number");
    check_invalid(
        json!({"title": 9_007_199_254_740_992.0}),
        "too large for a number",
    );
    check(
        json!({"emails": [{"value": "a", "type": "work"}, {"value": "", "type": "x"}, {"type": "y"}]}),
        json!({"emails": [{"value": "a", "type": "work"}, {"type": "y"}]}),
    );
    check_invalid(json!({"title": [["a"]]}), "title must be text, not a list");
    check_invalid(
        json!({"active": "yes"}),
        "active must be true or false, not this text",
    );
    check_invalid(json!({"active": 7}), "active must be true or false, not 7");
    check_invalid(json!({"name": true}), "name must be an object, not true");
}

#[test]
fn only_a_user_stays_active_in_a_put() {
    let text = r#"{"id": "urn:x:A", "attributes": [{"name": "active", "type": "boolean"}]}"#;
    let schema = Arc::new(Schema::parse(text).unwrap());
    let rt = ResourceType::new("A", "/As", "", schema, vec![]).unwrap();
    let put = |rt: &ResourceType, before: Value, body: Value| {
        let before = Document(before.as_object().unwrap().clone());
        let incoming = admit(rt, &body, Compatibility::Tolerant).unwrap();
        replace(rt, &before, &incoming)
            .unwrap()
            .0
            .get("active")
            .cloned()
    };
    assert_eq!(put(&rt, json!({"active": false}), json!({})), None);
    let before = json!({"userName": "a", "active": false});
    let user = user();
    assert_eq!(
        put(&user, before.clone(), json!({"userName": "a"})),
        Some(json!(false))
    );
    let body = json!({"userName": "a", "active": true});
    assert_eq!(put(&user, before, body), Some(json!(true)));
}

#[test]
fn members_are_unmentioned_unless_a_name_adds_some() {
    let admitted = |body: Value| admit(&group(), &body, Compatibility::Tolerant).unwrap();
    let other = admitted(json!({"displayName": "x", "urn:acme:x:a": 1, "foo": 1}));
    assert_eq!(other.members, None);
    let urn = format!("{GROUP}:members");
    let members = admitted(json!({"displayName": "x", urn: [{"value": "a"}]})).members;
    assert_eq!(members.map(|members| members.len()), Some(1));
}

#[test]
fn null_elsewhere_leaves_the_default_of_active() {
    let body = json!({"schemas": [USER], "userName": "a", "title": null});
    let admitted = create(&user(), &body, Compatibility::Strict).unwrap();
    assert_eq!(admitted.document.0["active"], true);
    let body = json!({"schemas": [USER], "userName": "a", "active": null});
    let admitted = create(&user(), &body, Compatibility::Strict).unwrap();
    assert!(!admitted.document.0.contains_key("active"));
}

#[test]
fn types_of_the_strict() {
    let schema = r#"{"id": "urn:x:A", "attributes": [
        {"name": "i", "type": "integer"}, {"name": "d", "type": "decimal"},
        {"name": "t", "type": "dateTime"}, {"name": "c", "type": "complex", "subAttributes": [
            {"name": "a"}, {"name": "l", "multiValued": true}]}]}"#;
    let schema = Arc::new(Schema::parse(schema).unwrap());
    let rt = ResourceType::new("A", "/As", "", schema, vec![]).unwrap();
    for (name, value, is_ok) in [
        ("i", json!(7), true),
        ("i", json!(7.5), false),
        ("i", json!("7"), false),
        ("d", json!(7.5), true),
        ("d", json!("7.5"), false),
        ("t", json!("2026-01-31T12:00:00Z"), true),
        ("t", json!("yesterday"), false),
        ("c", json!({"a": "x", "l": ["y"]}), true),
        ("c", json!({"a": ["x"]}), false),
        ("c", json!({"l": "y"}), false),
        ("c", json!("x"), false),
    ] {
        let body = json!({"schemas": ["urn:x:A"], name: value});
        let admitted = admit(&rt, &body, Compatibility::Strict);
        assert_eq!(admitted.is_ok(), is_ok, "{body}");
    }
}

#[test]
fn the_type_of_an_entitlement() {
    let schema = crate::registry::known_schema(name::OKTA_ENTITLEMENT).unwrap();
    let rt = ResourceType::new("License", "/Licenses", "", schema, vec![]).unwrap();
    for body in [
        json!({"displayName": "x"}),
        json!({"displayName": "x", "type": "own"}),
    ] {
        let admitted = create(&rt, &body, Compatibility::Tolerant).unwrap();
        assert_eq!(admitted.document.0["type"], "License");
    }
    let schema = Schema::parse(r#"{"id": "urn:x:A", "attributes": [{"name": "type"}]}"#).unwrap();
    let rt = ResourceType::new("A", "/As", "", Arc::new(schema), vec![]).unwrap();
    let admitted = create(&rt, &json!({"type": "own"}), Compatibility::Tolerant).unwrap();
    assert_eq!(admitted.document.0["type"], "own");
}

#[test]
fn read_only_attributes_of_an_extension_have_no_form() {
    let text = r#"{"id": "urn:x:E", "attributes": [{"name": "own", "mutability": "readOnly"}]}"#;
    let extension = Extension {
        schema: Arc::new(Schema::parse(text).unwrap()),
        required: false,
    };
    let schema = user().schema.clone();
    let rt = ResourceType::new("User", "/Users", "", schema, vec![extension]).unwrap();
    let body = json!({"schemas": [name::USER, "urn:x:E"], "userName": "a", "urn:x:E": {"own": 7}});
    let admitted = admit(&rt, &body, Compatibility::Strict).unwrap();
    assert!(!admitted.document.0.contains_key("urn:x:E"));
}

fn current() -> Document {
    let body = json!({
        "userName": "ada", "externalId": "00u1", "title": "Dr", "active": true,
        "emails": [{"value": "a", "type": "work", "primary": true}],
        "name": {"givenName": "Ada", "familyName": "Byron"},
        EU: {"department": "Math", "manager": {"value": "m1"}},
        ACME: {"b": 1, "a": 2},
    });
    let mut document = admit(&user(), &body, Compatibility::Tolerant)
        .unwrap()
        .document;
    document.set_id("u1");
    document
}

// L-09, R7644-3.5.1-04
#[test]
fn an_echo_changes_nothing() {
    let current = current();
    let mut echo = current.0.clone();
    echo.insert(
        "meta".to_owned(),
        json!({"version": "W/\"7\"", "created": "odd"}),
    );
    echo.insert("groups".to_owned(), json!([{"value": "g", "display": "G"}]));
    echo.insert("id".to_owned(), json!("another"));
    let schemas = echo.get_mut("schemas").unwrap().as_array_mut().unwrap();
    schemas.reverse();
    for sorted in [false, true] {
        if sorted {
            echo.sort_keys();
            echo["name"].as_object_mut().unwrap().sort_keys();
            echo[ACME].as_object_mut().unwrap().sort_keys();
        }
        let incoming = admit(
            &user(),
            &Value::Object(echo.clone()),
            Compatibility::Tolerant,
        )
        .unwrap();
        let document = replace(&user(), &current, &incoming).unwrap();
        assert_eq!(document.to_string(), current.to_string());
    }
}

// R7644-3.5.1-02, R7644-3.5.1-03, R7644-3.5.1-07, R7644-3.5.1-10
#[test]
fn a_replace_clears_what_it_leaves_out() {
    let incoming = admit(
        &user(),
        &json!({"userName": "Ada", "title": ""}),
        Compatibility::Tolerant,
    )
    .unwrap();
    let document = replace(&user(), &current(), &incoming).unwrap();
    // `active` stays: a PUT that does not mention it must not let a leaver back in.
    let expected = json!({"schemas": [USER], "id": "u1", "userName": "Ada", "active": true});
    assert_eq!(document.to_string(), expected.to_string());
}

// R7643-7-04, R7644-3.5.1-05, R7644-3.5.1-11
#[test]
fn a_replace_guards_attributes() {
    let rt = device();
    let mut current = admit(
        &rt,
        &json!({"serial": "1", "place": {"site": "S", "room": "1"}}),
        Compatibility::Tolerant,
    )
    .unwrap()
    .document;
    current.0.insert("state".to_owned(), json!("on"));
    let put = |body: Value| {
        let incoming = admit(&rt, &body, Compatibility::Tolerant)?;
        replace(&rt, &current, &incoming).map(|document| document.0)
    };
    let document = put(json!({"serial": "1", "state": "off", "place": {"room": "2"}})).unwrap();
    assert_eq!(document["state"], "on");
    assert_eq!(document["place"], json!({"site": "S", "room": "2"}));
    let refused = |body: Value| put(body).unwrap_err().kind;
    assert_eq!(refused(json!({"serial": "2"})), ErrorKind::Mutability);
    assert_eq!(
        refused(json!({"serial": "1", "place": {"site": "T", "room": "1"}})),
        ErrorKind::Mutability
    );
    assert!(!put(json!({"serial": "1"})).unwrap().contains_key("place"));
}

mod strict;
