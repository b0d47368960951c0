use jiff::Timestamp;
use serde_json::json;

use super::*;
use crate::scim::name::ENTERPRISE_USER;
use crate::scim::{Compatibility, Registry, filter};

/// Which of the people satisfy the filter, by their first letters.
fn users(text: &str) -> String {
    let people = [
        json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", ENTERPRISE_USER],
            "id": "A1", "externalId": "00uA", "userName": "ÅSA@example.com", "displayName": "Åsa 100%",
            "active": true, "title": "Chef", "name": {"familyName": "Öberg"},
            "profileUrl": "https://example.com/Asa",
            "emails": [
                {"value": "Asa@Work.example", "type": "work", "primary": true},
                {"value": "asa@home.example", "type": "home"},
            ],
            ENTERPRISE_USER: {"department": "R&D", "manager": {"value": "B1"}},
        }),
        json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
            "id": "B1", "externalId": "00ub", "userName": "bob", "active": false,
            "emails": [{"value": "bob@work.example", "type": "home"}, {"display": "Bob"}],
        }),
        json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
            "id": "C1", "userName": "cy", "name": {}, "title": "", "emails": [],
        }),
    ];
    let registry = Registry::standard();
    let filter = filter::parse(
        registry.by_name("User").unwrap(),
        text,
        Compatibility::Tolerant,
    )
    .unwrap();
    let admins = |direct| GroupView {
        value: "g1".to_owned(),
        display: Some("Admins".to_owned()),
        reference: "https://x/Groups/g1".to_owned(),
        direct,
    };
    let groups = [vec![admins(true)], vec![admins(false)], vec![]];
    let found = people.iter().zip(groups).filter(|(person, groups)| {
        let document = Document(person.as_object().unwrap().clone());
        let id = person["id"].as_str().unwrap();
        let view = View {
            document: &document,
            meta: &Meta {
                resource_type: "User",
                created: Timestamp::from_microsecond(1_000_000).unwrap(),
                modified: Timestamp::from_microsecond(2_000_001).unwrap(),
                location: &format!("https://x/Users/{id}"),
                version: 3.into(),
            },
            members: &[],
            groups,
        };
        matches(&filter, &view)
    });
    found
        .map(|(person, _)| {
            person["id"]
                .as_str()
                .unwrap()
                .trim_end_matches('1')
                .to_lowercase()
        })
        .collect()
}

fn check(text: &str, expected: &str) {
    assert_eq!(users(text), expected, "{text}");
}

// R7643-2.3.7-01, R7643-7-03, R7644-3.4.2.2-20, R7644-3.4.2.2-22, R7644-3.4.2.2-24, R7644-3.4.2.2-35, R7644-5-01,
// R7644-7.8-01
#[test]
fn strings() {
    check(r#"userName eq "åsa@EXAMPLE.com""#, "a");
    check(r#"userName eq "A\u030asa@example.com""#, "a");
    check(r#"userName eq "ｂｏｂ""#, "b");
    check(r#"displayName eq "ｂｏｂ""#, "");
    check(r#"externalId eq "00ua""#, "");
    check(r#"externalId eq "00uA""#, "a");
    check(r#"displayName co "0%""#, "a");
    check(r#"displayName co "_sa""#, "");
    check(r#"userName sw "B" or userName ew "Y""#, "bc");
    check(r#"userName sw "bob" and userName ew "bob""#, "b");
    check(r#"userName gt "bob""#, "ac");
    check(r#"userName ge "bob""#, "abc");
    check(r#"userName lt "bob""#, "");
    check(r#"userName le "BOB""#, "b");
    check(r#"profileUrl co "example.com/asa""#, "");
    check(r#"profileUrl co "example.com/Asa""#, "a");
}

// R7643-2.5-01, R7644-3.4.2.2-21, R7644-3.4.2.2-23, R7644-3.4.2.2-26
#[test]
fn unassigned() {
    check("title pr", "a");
    check("name pr", "a");
    check("emails pr", "ab");
    check("emails.type pr", "ab");
    check("emails.primary pr", "a");
    check("active pr", "ab");
    check("title eq null", "bc");
    check("title ne null", "a");
    check("emails eq null", "c");
    check("name.familyName eq null", "bc");
    check(r#"title ne "chef""#, "bc");
    check(r#"title ne "cook""#, "abc");
    check(r#"not (title eq "chef")"#, "bc");
    check(r#"title eq """#, "");
    check(r#"title ne """#, "abc");
    check(r#"title sw """#, "a");
    check(r#"title le "zzz""#, "a");
    check("active ne true", "bc");
    check("active eq false", "b");
}

// R7643-2.4-02, R7644-3.4.2.2-07, R7644-3.4.2.2-27, R7644-3.4.2.2-28, R7644-3.4.2.2-29, R7644-3.4.2.2-34
#[test]
fn several_values() {
    check(r#"emails co "work.example""#, "ab");
    // One value may satisfy the one half, and another the other.
    check(
        r#"emails.type eq "home" and emails.value sw "asa@work""#,
        "a",
    );
    check(r#"emails[type eq "home" and value sw "asa@work"]"#, "");
    check(r#"emails[type eq "work"].value co "WORK""#, "a");
    check(r#"emails.type ne "home""#, "ac");
    check(r#"emails.type ne "work""#, "abc");
    check(r#"not (emails.type eq "home")"#, "c");
    check(r#"emails[type ne "home"]"#, "ab");
    check(r#"emails[not (type pr)]"#, "b");
    check("emails.primary eq true", "a");
    check("emails.primary eq false", "ab");
    check("emails.primary ne false", "ac");
    check("emails[primary eq false]", "ab");
    check(r#"emails[primary eq false and type eq "home"]"#, "ab");
    check("emails[primary eq null]", "ab");
    check(r#"emails[display eq "bob"]"#, "b");
}

// R7644-3.4.2.2-20, R7644-3.4.2.2-24, R7644-3.4.2.2-33
#[test]
fn meta_and_extensions() {
    check(
        r#"schemas eq "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User""#,
        "a",
    );
    check(r#"schemas[value co ":core:"]"#, "abc");
    check(&format!(r#"{ENTERPRISE_USER}:department eq "r&d""#), "a");
    check(&format!(r#"{ENTERPRISE_USER}:manager eq "B1""#), "a");
    check(&format!("{ENTERPRISE_USER}:manager pr"), "a");
    check(&format!(r#"{ENTERPRISE_USER}:manager.value ne "B1""#), "bc");
    check(r#"meta.resourceType eq "User""#, "abc");
    check(r#"meta.resourceType eq "user""#, "");
    check(r#"meta.created eq "1970-01-01T01:00:01+01:00""#, "abc");
    check(r#"meta.lastModified gt "1970-01-01T00:00:02Z""#, "abc");
    check(r#"meta.version eq "W/\"3\"""#, "abc");
    check(r#"meta.location ew "/Users/C1""#, "c");
    check("meta pr", "abc");
    check(r#"id eq "A1" or id eq "c1""#, "a");
}

// R7643-2.4-07, R7643-2.3.7-01
#[test]
fn groups_of_a_user() {
    check(r#"groups eq "G1""#, "ab");
    check(r#"groups.type eq "direct""#, "a");
    check(r#"groups[display eq "admins" and type eq "Indirect"]"#, "b");
    check(r#"groups.$ref co "/Groups/""#, "ab");
    check(r#"groups.$ref eq "https://x/v2/Groups/g1""#, "ab");
    check(r#"groups[$ref eq "https://x/v1/Groups/g1"]"#, "ab");
    check(r#"groups.$ref eq "https://x/v2/groups/g1""#, "");
    check("groups pr", "ab");
    check(r#"groups.value ne "g1""#, "c");
}

// R7644-3.4.2.2-07
#[test]
fn one_element() {
    let registry = Registry::standard();
    let check = |kind: &str, attribute: &str, inner: &str, element: Value, expected: bool| {
        let rt = registry.by_name(kind).unwrap();
        let path = rt.attr_by_key(attribute).unwrap();
        let text = format!("{attribute}[{inner}]");
        let Filter::Element { filter, .. } =
            filter::parse(rt, &text, Compatibility::Tolerant).unwrap()
        else {
            panic!("not a value filter")
        };
        assert_eq!(
            element_matches(&filter, &path, &element),
            expected,
            "{text} {element}"
        );
    };
    check(
        "User",
        "emails",
        r#"type eq "WORK""#,
        json!({"type": "Work"}),
        true,
    );
    check(
        "User",
        "emails",
        r#"type eq "work""#,
        json!({"value": "work"}),
        false,
    );
    check(
        "User",
        "emails",
        "primary eq false",
        json!({"value": "a"}),
        true,
    );
    check(
        "User",
        "emails",
        "primary eq false",
        json!({"primary": true}),
        false,
    );
    check(
        "User",
        "emails",
        r#"value eq "a" or type pr"#,
        json!({"type": "x"}),
        true,
    );
    check(
        "User",
        "emails",
        r#"not (value eq "a")"#,
        json!({"value": "A"}),
        false,
    );
    check(
        "User",
        "schemas",
        r#"value eq "urn:x""#,
        json!("urn:x"),
        true,
    );
    check(
        "Group",
        "members",
        r#"value eq "u1""#,
        json!({"value": "u1", "type": "User"}),
        true,
    );
    check(
        "Group",
        "members",
        r#"type eq "group""#,
        json!({"value": "u1", "type": "User"}),
        false,
    );
}

#[test]
fn mentioned() {
    let registry = Registry::standard();
    let group = registry.by_name("Group").unwrap();
    let check = |text: &str, expected: bool| {
        let filter = filter::parse(group, text, Compatibility::Tolerant).unwrap();
        assert_eq!(mentions(&filter, "members"), expected, "{text}");
    };
    check(r#"displayName eq "members""#, false);
    check(r#"displayName eq "a" or not (members.value eq "b")"#, true);
    check(r#"members[value eq "b"]"#, true);
    check("members pr", true);
}
