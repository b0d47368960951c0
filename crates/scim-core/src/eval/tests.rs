use jiff::Timestamp;
use serde_json::json;

use super::*;
use crate::name::ENTERPRISE_USER;
use crate::{Compatibility, Registry, filter};

/// Returns the first letters of the people who satisfy the filter.
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

// R7643-2.3.7-01, R7643-7-03, R7644-3.4.2.2-20, R7644-3.4.2.2-22, R7644-3.4.2.2-24,
// R7644-3.4.2.2-35, R7644-5-01, R7644-7.8-01
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
    check("emails ne null", "ab");
    check("emails.type ne null", "ab");
    check("emails.type eq null", "c");
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

// R7643-2.4-02, R7644-3.4.2.2-07, R7644-3.4.2.2-27, R7644-3.4.2.2-28, R7644-3.4.2.2-29,
// R7644-3.4.2.2-34
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

/// Returns whether a user with this content satisfies the filter.
fn holds_for(rt: &crate::ResourceType, document: &Value, text: &str) -> bool {
    let document = Document(document.as_object().unwrap().clone());
    let view = View {
        document: &document,
        meta: &Meta {
            resource_type: "User",
            created: Timestamp::UNIX_EPOCH,
            modified: Timestamp::UNIX_EPOCH,
            location: "https://x/Users/1",
            version: 1.into(),
        },
        members: &[],
        groups: &[],
    };
    let filter = filter::parse(rt, text, Compatibility::Tolerant).unwrap();
    matches(&filter, &view)
}

#[test]
fn names_of_undeclared_members_have_no_letter_case() {
    let registry = Registry::standard();
    let rt = registry.by_name("User").unwrap();
    let user = json!({"urn:Acme:X": {"Text": "a"}, "title": "x"});
    assert!(holds_for(rt, &user, r#"urn:acme:x:TEXT eq "a""#));
    let shouted = json!({ENTERPRISE_USER: {"DEPARTMENT": "x"}});
    assert!(!holds_for(
        rt,
        &shouted,
        &format!("{ENTERPRISE_USER}:department pr")
    ));
    assert!(holds_for(
        rt,
        &json!({"name": {"givenName": "A"}}),
        "name pr"
    ));
    assert!(!holds_for(
        rt,
        &json!({"name": {"givenName": ""}}),
        "name pr"
    ));
}

#[test]
fn other_types_may_have_members_and_groups() {
    let text = r#"{"id": "urn:x:A", "attributes": [{"name": "members"}, {"name": "groups"}]}"#;
    let schema = std::sync::Arc::new(crate::schema::Schema::parse(text).unwrap());
    let rt = crate::ResourceType::new("A", "/As", "", schema, vec![]).unwrap();
    let team = json!({"members": "x", "groups": "y"});
    assert!(holds_for(&rt, &team, r#"members eq "x" and groups eq "y""#));
}

#[test]
fn members_of_a_group() {
    let registry = Registry::standard();
    let group = registry.by_name("Group").unwrap();
    let document = Document(json!({"displayName": "G"}).as_object().unwrap().clone());
    let meta = Meta {
        resource_type: "Group",
        created: Timestamp::UNIX_EPOCH,
        modified: Timestamp::UNIX_EPOCH,
        location: "https://x/Groups/1",
        version: 1.into(),
    };
    let member = MemberView {
        value: "u1".to_owned(),
        display: None,
        kind: "User".to_owned(),
        reference: "https://x/Users/u1".to_owned(),
    };
    let check = |text: &str, mentioned: bool, with: bool, without: bool| {
        let filter = filter::parse(group, text, Compatibility::Strict).unwrap();
        assert_eq!(mentions(&filter, "members"), mentioned, "{text}");
        let empty = View::new(&document, &meta);
        assert_eq!(matches(&filter, &empty), without, "{text}");
        let members = std::slice::from_ref(&member);
        assert_eq!(matches(&filter, &View { members, ..empty }), with, "{text}");
    };
    check(r#"members.value eq "u1""#, true, true, false);
    check(r#"members[type eq "User"]"#, true, true, false);
    check("not (members pr)", true, false, true);
    check(
        r#"displayName eq "g" and members.type eq "Group""#,
        true,
        false,
        false,
    );
    check(r#"displayName eq "g""#, false, true, true);
}

#[test]
fn undeclared_extensions() {
    let registry = Registry::standard();
    let rt = registry.by_name("User").unwrap();
    let user = json!({
        "urn:Acme:X": {
            "text": "Ab", "number": 5, "truth": true, "empty": [],
            "list": ["b", "C", 7],
            "Things": [{"type": "t", "value": "v1"}, {"Type": "u", "value": "v2", "tags": ["p", "q"]}],
            "obj": {"sub": "s", "list": ["x", "y"], "things": [{"type": "t", "n": 1}]},
        },
    });
    let check = |text: &str, expected: bool| {
        assert_eq!(holds_for(rt, &user, text), expected, "{text}");
        let not = format!("not ({text})");
        assert_eq!(holds_for(rt, &user, &not), !expected, "{not}");
    };
    check(r#"urn:acme:x:TEXT eq "Ab""#, true);
    check(r#"urn:acme:x:text eq "ab""#, false);
    check(r#"urn:acme:x:text ne "Ab""#, false);
    check(r#"urn:acme:x:text ne "ab""#, true);
    check("urn:acme:x:text eq 5", false);
    check("urn:acme:x:number eq 5", true);
    check("urn:acme:x:number gt 4.5", true);
    check(r#"urn:acme:x:number eq "5""#, false);
    check("urn:acme:x:truth eq true", true);
    check("urn:acme:x:truth ne true", false);
    check("urn:acme:x:empty pr", false);
    check("urn:acme:x:empty eq null", true);
    check("urn:acme:x:none pr", false);
    check("urn:acme:y:text pr", false);
    check(r#"urn:acme:y:text ne "a""#, true);
    // Lists.
    check(r#"urn:acme:x:list eq "b""#, true);
    check(r#"urn:acme:x:list eq "c""#, false);
    check(r#"urn:acme:x:list ne "b""#, true);
    check(r#"urn:acme:x:list[value eq "C"]"#, true);
    check(r#"urn:acme:x:list[value eq "b" and value eq "C"]"#, false);
    check("urn:acme:x:list[value ge 7]", true);
    check("urn:acme:x:list[type pr]", false);
    // Lists of objects.
    check(r#"urn:acme:x:things eq "v2""#, true);
    check(r#"urn:acme:x:things.type eq "u""#, true);
    check(r#"urn:acme:x:things[type eq "t" and value sw "v"]"#, true);
    check(r#"urn:acme:x:things[type eq "t" and value eq "v2"]"#, false);
    check(r#"urn:acme:x:things[tags eq "p" and tags eq "q"]"#, true);
    check(r#"urn:acme:x:things[tags eq "p"].value eq "v2""#, true);
    check(r#"urn:acme:x:things[type eq "t" and tags pr]"#, false);
    // Objects.
    check(r#"urn:acme:x:obj.sub eq "s""#, true);
    check(r#"urn:acme:x:obj.SUB co "S""#, false);
    check(r#"urn:acme:x:obj.list eq "y""#, true);
    check(r#"urn:acme:x:obj.list[value eq "y"]"#, true);
    check(r#"urn:acme:x:obj.things[type eq "t" and n eq 1]"#, true);
    check(r#"urn:acme:x:obj.things[type eq "t" and n eq 2]"#, false);
    check("urn:acme:x:obj.none pr", false);
    check("urn:acme:x:obj pr", true);
    // Nothing is known of `primary` here.
    check("urn:acme:x:things[primary eq false]", false);
}

#[test]
fn elements_of_undeclared_lists() {
    let check = |sub: Option<&str>, inner: &str, element: Value, expected: bool| {
        let inner = scim_filter_parser::Filter::parse(inner).unwrap();
        let (path, filter) =
            filter::resolve_undeclared("urn:acme:X", "list", sub, &inner, Compatibility::Tolerant)
                .unwrap();
        assert_eq!(path.container.as_deref(), Some("urn:acme:X"));
        let found = element_matches(&filter, &path, &element);
        assert_eq!(found, expected, "{inner} {element}");
    };
    check(None, r#"value eq "b""#, json!("b"), true);
    check(None, r#"VALUE eq "b""#, json!("b"), true);
    check(None, r#"value eq "b""#, json!("B"), false);
    check(None, r#"value eq "b""#, json!({"Value": "b"}), true);
    check(None, r#"value eq "5""#, json!(5), false);
    check(None, "value eq 5", json!(5), true);
    check(None, "value eq true", json!(true), true);
    check(None, r#"type eq "t""#, json!({"type": ["s", "t"]}), true);
    check(None, r#"type eq "t""#, json!("t"), false);
    check(Some("sub"), r#"value eq "b""#, json!("b"), true);
    check(Some("sub"), r#"value eq "b""#, json!({"value": "b"}), true);
    check(Some("sub"), r#"type eq "t""#, json!({"type": "t"}), true);
    check(Some("sub"), r#"sub eq "b""#, json!("b"), false);
    check(Some("sub"), r#"not (value eq "b")"#, json!("c"), true);
}

const LISTS: &str = r#"{"id":"urn:x:E","name":"E","attributes":[
    {"name":"home","type":"complex","subAttributes":[
        {"name":"rooms","multiValued":true},{"name":"sizes","type":"integer","multiValued":true}]},
    {"name":"places","type":"complex","multiValued":true,"subAttributes":[
        {"name":"tags","multiValued":true},{"name":"type"},{"name":"shut","type":"boolean"}]}]}"#;

#[test]
fn sub_attributes_with_several_values() {
    let standard = Registry::standard();
    let user = standard.by_name("User").unwrap();
    let schema = crate::schema::Schema::parse(LISTS).unwrap();
    let extension = crate::registry::Extension {
        schema: std::sync::Arc::new(schema),
        required: false,
    };
    let rt = crate::ResourceType::new(
        "User",
        "/Users",
        "",
        std::sync::Arc::clone(&user.schema),
        vec![extension],
    )
    .unwrap();
    let someone = json!({"urn:x:E": {
        "home": {"rooms": ["R0", "r1"], "sizes": [3, 9]},
        "places": [{"type": "a", "tags": ["x", "y"]}, {"type": "b", "tags": ["z"]}, {"type": "c"}],
    }});
    let check = |text: &str, expected: bool| {
        let text = text.replace('%', "urn:x:E:");
        assert_eq!(holds_for(&rt, &someone, &text), expected, "{text}");
        let not = format!("not ({text})");
        assert_eq!(holds_for(&rt, &someone, &not), !expected, "{not}");
    };
    check(r#"%home.rooms eq "r0""#, true);
    check(r#"%home.rooms eq "r1""#, true);
    check(r#"%home.rooms eq "r2""#, false);
    check(r#"%home.rooms ne "r0""#, true);
    check(r#"%home.rooms co "1""#, true);
    check(r#"%home.rooms sw "R""#, true);
    check(r#"%home.rooms ew "2""#, false);
    check(r#"%home.rooms gt "r0""#, true);
    check("%home.rooms pr", true);
    check("%home.rooms eq null", false);
    check("%home.sizes ge 9", true);
    check("%home.sizes lt 3", false);
    check(r#"%home.rooms[value eq "r1"]"#, true);
    check(r#"%home.rooms[value sw "r" and value ew "1"]"#, true);
    check(r#"%home.rooms[value ew "0" and value ew "1"]"#, false);
    check(r#"%home.rooms[not (value eq "r1")]"#, true);
    check(r#"%home.rooms[value eq "r1"].value ew "1""#, true);
    check(r#"%places.tags eq "y""#, true);
    check(r#"%places.tags[value eq "z"]"#, true);
    check(r#"%places[tags eq "x" and tags eq "y"]"#, true);
    check(r#"%places[tags eq "x" and tags eq "z"]"#, false);
    check(r#"%places[tags eq "y" and type eq "a"]"#, true);
    check(r#"%places[tags eq "y" and type eq "b"]"#, false);
    check(r#"%places[tags ne "z" and type eq "b"]"#, false);
    check(r#"%places[tags ne "z" and type eq "c"]"#, true);
    check(r#"%places[not (tags eq "z") and type eq "b"]"#, false);
    check(r#"%places[tags eq null]"#, true);
    check(r#"%places[type eq "b"].tags eq "z""#, true);

    // Only `primary` is assumed to be false.
    let flags = json!({"urn:x:E": {"places": [{"type": "a"}, {"type": "", "tags": []}]}});
    assert!(!holds_for(&rt, &flags, "urn:x:E:places.shut eq false"));
    assert!(!holds_for(&rt, &flags, "urn:x:E:places[shut eq false]"));
    let nothing = json!({"emails": [{"value": ""}]});
    assert!(!holds_for(&rt, &nothing, "emails.primary eq false"));
    assert!(!holds_for(&rt, &nothing, "emails[primary eq false]"));

    let rooms = rt.attr_by_key("urn:x:E:home.rooms").unwrap();
    let inner = scim_filter_parser::Filter::parse(r#"value eq "R1""#).unwrap();
    for compatibility in [Compatibility::Tolerant, Compatibility::Strict] {
        let inner = filter::resolve_element(&rt, &rooms, &inner, compatibility).unwrap();
        assert!(element_matches(&inner, &rooms, &json!("r1")));
        assert!(!element_matches(&inner, &rooms, &json!("r0")));
        for wrong in [
            r#"urn:x:E:home[rooms eq "r"]"#,
            r#"urn:x:E:home.rooms[rooms eq "r"]"#,
            r#"urn:x:E:places.type[value eq "a"]"#,
        ] {
            assert!(filter::parse(&rt, wrong, compatibility).is_err(), "{wrong}");
        }
    }
}
