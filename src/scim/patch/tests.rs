//! PATCH as tables: document, operations, document.

use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::scim::admit::{admit, replace};
use crate::scim::name::ENTERPRISE_USER as EU;
use crate::scim::{Member, Registry};

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
    parse(rt, &patch_op(operations.clone()))?.apply(rt, &complete(rt, document))
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
    let mut again = admit(&rt, &body).unwrap().document;
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
    let patch = parse(&group(), &patch_op(operations.clone())).unwrap();
    assert_eq!(patch.member_edits(), expected, "{operations}");
}

#[track_caller]
fn check_members_error(operations: Value, expected: ErrorKind) {
    let error = parse(&group(), &patch_op(operations.clone())).unwrap_err();
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

mod envelope {
    use super::*;

    fn check_body(body: Value, expected: Option<ErrorKind>) {
        let found = parse(&user(), &body).err().map(|error| error.kind);
        assert_eq!(found, expected, "{body}");
    }

    #[test]
    fn bodies() {
        let syntax = Some(ErrorKind::InvalidSyntax);
        let op = json!([{"op": "add", "value": {}}]);
        check_body(patch_op(op.clone()), None);
        check_body(
            json!({"SCHEMAS": [PATCH_OP.to_uppercase()], "operations": op}),
            None,
        );
        check_body(json!({"schemas": PATCH_OP, "Operations": op}), None);
        check_body(patch_op(json!([])), syntax);
        check_body(json!({"Operations": op}), syntax);
        check_body(json!({"schemas": [], "Operations": op}), syntax);
        check_body(json!({"schemas": ["urn:x"], "Operations": op}), syntax);
        check_body(json!({"schemas": [PATCH_OP]}), syntax);
        check_body(patch_op(json!({"op": "add"})), syntax);
        check_body(patch_op(json!(null)), syntax);
        check_body(patch_op(json!(["add"])), syntax);
        check_body(json!([]), syntax);
        check_body(
            json!({"schemas": [PATCH_OP], "Operations": op, "operations": op}),
            syntax,
        );
    }

    #[test]
    fn ops() {
        let syntax = ErrorKind::InvalidSyntax;
        let row = json!({"path": "nickName", "value": "A"});
        for op in [
            json!("move"),
            json!("test"),
            json!(null),
            json!(1),
            json!(""),
        ] {
            let mut operation = row.clone();
            operation["op"] = op;
            check_error(json!({}), json!([operation]), syntax);
        }
        check_error(json!({}), json!([row]), syntax);
        for op in ["Add", "ADD", "Replace", "rePlace"] {
            let operation = json!([{"OP": op, "Path": "nickName", "VALUE": "A"}]);
            check(json!({}), operation, json!({"nickName": "A"}));
        }
        check(
            json!({"nickName": "A"}),
            json!([{"op": "Remove", "path": "nickName"}]),
            json!({}),
        );
    }

    #[test]
    fn details_name_the_operation() {
        let operations = json!([
            {"op": "add", "path": "nickName", "value": "A"},
            {"op": "replace", "path": "emails[type eq \"x\"].value", "value": 5},
            {"op": "remove", "path": "userName"},
        ]);
        let error = run(&user(), &json!({}), &operations).unwrap_err();
        assert!(
            error.detail.starts_with("Operations[2]: userName"),
            "{error}"
        );
    }

    #[test]
    fn nothing_to_do() {
        let rt = group();
        let touches = |operations: Value| {
            let patch = parse(&rt, &patch_op(operations)).unwrap();
            patch.touches_document()
        };
        assert!(!touches(
            json!([{"op": "add", "path": "members", "value": {"value": "a"}}])
        ));
        assert!(!touches(
            json!([{"op": "replace", "value": {"meta": {}, "foo": 1}}])
        ));
        assert!(touches(
            json!([{"op": "replace", "value": {"displayName": "x"}}])
        ));
    }
}

mod paths {
    use super::*;

    #[test]
    fn malformed() {
        for path in [
            "",
            " ",
            "emails[",
            "name.",
            ".x",
            "emails[].value",
            "a b",
            "/name/givenName",
            "emails[0]",
            "emails]",
            "name..givenName",
            "emails[type eq]",
            "emails[type \"work\"]",
            "emails[type eq \"work\"]value",
            "emails[type eq \"work\"].value.x",
            "name.a.b",
            ":",
            "urn:",
        ] {
            for op in ["add", "replace", "remove"] {
                let operation = json!([{"op": op, "path": path, "value": "x"}]);
                check_error(emails(), operation, ErrorKind::InvalidPath);
            }
        }
        for path in [json!(1), json!(["nickName"]), json!({})] {
            let operation = json!([{"op": "add", "path": path, "value": "x"}]);
            check_error(json!({}), operation, ErrorKind::InvalidPath);
        }
    }

    #[test]
    fn unknown_attributes() {
        for path in [
            "foo",
            "members",
            "emails.foo",
            "userName.x",
            "name.foo",
            "emails[type eq \"work\"].foo",
            "name[givenName eq \"x\"]",
            "userName[value eq \"x\"]",
            "foo[value eq \"x\"]",
            "urn:ietf:params:scim:schemas:core:2.0:User:foo",
            "urn:ietf:params:scim:schemas:core:2.0:Group:displayName",
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:foo",
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.foo",
        ] {
            let operation = json!([{"op": "replace", "path": path, "value": "x"}]);
            check_error(emails(), operation, ErrorKind::InvalidPath);
        }
    }

    #[test]
    fn faulty_filters() {
        for path in [
            "emails[foo eq \"x\"]",
            "emails[foo eq \"x\"].value",
            "emails[type is \"work\"].value",
            "emails[primary gt true].value",
            "emails[value eq \"a\\u0000\"]",
        ] {
            let operation = json!([{"op": "replace", "path": path, "value": "x"}]);
            check_error(emails(), operation, ErrorKind::InvalidFilter);
        }
    }

    #[test]
    fn letter_case_and_urns() {
        for path in [
            "nickName",
            "NICKNAME",
            "urn:ietf:params:scim:schemas:core:2.0:User:nickName",
            "URN:IETF:params:scim:schemas:core:2.0:USER:NickName",
        ] {
            let operation = json!([{"op": "add", "path": path, "value": "A"}]);
            check(json!({}), operation, json!({"nickName": "A"}));
        }
        check(
            json!({}),
            json!([{"op": "add", "path": "NAME.GivenName", "value": "Ada"}]),
            json!({"name": {"givenName": "Ada"}}),
        );
        let path = "urn:ietf:params:scim:schemas:core:2.0:User:EMAILS[TYPE Eq \"WORK\"].VALUE";
        check(
            emails(),
            json!([{"op": "replace", "path": path, "value": "b@w.org"}]),
            json!({"emails": [
                {"value": "b@w.org", "type": "work", "primary": true},
                {"value": "a@h.org", "type": "home"},
            ]}),
        );
    }

    #[test]
    fn the_core_urn_alone() {
        check(
            json!({}),
            json!([{
                "op": "add", "path": "urn:ietf:params:scim:schemas:core:2.0:User",
                "value": {"nickName": "A"},
            }]),
            json!({"nickName": "A"}),
        );
        check_error(
            json!({}),
            json!([{"op": "remove", "path": "urn:ietf:params:scim:schemas:core:2.0:User"}]),
            ErrorKind::NoTarget,
        );
    }
}

mod add {
    use super::*;

    fn add(path: &str, value: Value) -> Value {
        json!([{"op": "add", "path": path, "value": value}])
    }

    #[test]
    fn singular() {
        check(json!({}), add("title", json!("Dr")), json!({"title": "Dr"}));
        check(
            json!({"title": "Ms"}),
            add("title", json!("Dr")),
            json!({"title": "Dr"}),
        );
        check(json!({}), add("title", json!(7)), json!({"title": "7"}));
        check(
            json!({}),
            add("title", json!([{"value": "Dr"}])),
            json!({"title": "Dr"}),
        );
        // Nothing to add is no change; an empty text clears.
        check(
            json!({"title": "Ms"}),
            add("title", json!(null)),
            json!({"title": "Ms"}),
        );
        check(
            json!({"title": "Ms"}),
            add("title", json!([])),
            json!({"title": "Ms"}),
        );
        check(json!({"title": "Ms"}), add("title", json!("")), json!({}));
        check(
            json!({}),
            add("active", json!("True")),
            json!({"active": true}),
        );
        check(
            json!({}),
            add("externalId", json!("00u1")),
            json!({"externalId": "00u1"}),
        );
    }

    #[test]
    fn complex() {
        check(
            json!({}),
            add("name.givenName", json!("Ada")),
            json!({"name": {"givenName": "Ada"}}),
        );
        let before = json!({"name": {"familyName": "Byron", "givenName": "A"}});
        check(
            before.clone(),
            add("name", json!({"givenName": "Ada"})),
            json!({"name": {"familyName": "Byron", "givenName": "Ada"}}),
        );
        check(
            before.clone(),
            add("name", json!({"givenName": null})),
            before.clone(),
        );
        check(
            before.clone(),
            add("name", json!({"givenName": ""})),
            json!({"name": {"familyName": "Byron"}}),
        );
        check(before.clone(), add("name", json!({})), before.clone());
        check(before.clone(), add("name", json!(null)), before);
    }

    #[test]
    fn multi_valued() {
        let other = json!({"value": "b@w.org", "type": "work"});
        let [work, home] = [&emails()["emails"][0], &emails()["emails"][1]].map(Clone::clone);
        let expected = json!({"emails": [work, home, other]});
        check(emails(), add("emails", json!([other])), expected.clone());
        check(emails(), add("emails", other.clone()), expected.clone());
        check(
            emails(),
            add("emails", json!([home, other, other])),
            expected,
        );
        check(
            json!({}),
            add("emails", home.clone()),
            json!({"emails": [home]}),
        );
        for same in [
            json!(null),
            json!([]),
            home.clone(),
            json!({"type": "home", "value": "a@h.org", "primary": false}),
            json!([work, home]),
        ] {
            check(emails(), add("emails", same), emails());
        }
        // The same value of the same type is the same value.
        check(
            emails(),
            add(
                "emails",
                json!({"value": "a@h.org", "type": "home", "display": "H"}),
            ),
            json!({"emails": [work, {"value": "a@h.org", "display": "H", "type": "home"}]}),
        );
    }

    #[test]
    fn primary_moves() {
        check(
            emails(),
            add("emails", json!({"value": "b@w.org", "primary": true})),
            json!({"emails": [
                {"value": "a@w.org", "type": "work", "primary": false},
                {"value": "a@h.org", "type": "home"},
                {"value": "b@w.org", "primary": true},
            ]}),
        );
        let moved = json!({"emails": [
            {"value": "a@w.org", "type": "work", "primary": false},
            {"value": "a@h.org", "type": "home", "primary": true},
        ]});
        check(
            emails(),
            add(
                "emails",
                json!({"value": "a@h.org", "type": "home", "primary": true}),
            ),
            moved.clone(),
        );
        check(
            emails(),
            add("emails[type eq \"home\"].primary", json!("true")),
            moved.clone(),
        );
        check(
            emails(),
            add("emails[type eq \"home\"]", json!({"primary": true})),
            moved,
        );
        check_error(
            emails(),
            add(
                "emails",
                json!([{"value": "x", "primary": true}, {"value": "y", "primary": true}]),
            ),
            ErrorKind::InvalidValue,
        );
        check_error(
            emails(),
            add("emails[value pr].primary", json!(true)),
            ErrorKind::InvalidValue,
        );
    }

    #[test]
    fn filtered() {
        let display = json!({"emails": [
            {"value": "a@w.org", "display": "W", "type": "work", "primary": true},
            {"value": "a@h.org", "type": "home"},
        ]});
        check(
            emails(),
            add("emails[type eq \"work\"].display", json!("W")),
            display.clone(),
        );
        check(
            emails(),
            add(
                "emails[type eq \"work\"]",
                json!({"display": "W", "type": null}),
            ),
            display,
        );
        check(
            json!({}),
            add("emails[type eq \"work\"].value", json!("a@w.org")),
            json!({"emails": [{"value": "a@w.org", "type": "work"}]}),
        );
        check(
            json!({}),
            add(
                "emails[type eq \"work\" and primary eq true]",
                json!({"value": "a@w.org"}),
            ),
            json!({"emails": [{"value": "a@w.org", "type": "work", "primary": true}]}),
        );
        check(
            emails(),
            add("emails[type eq \"work\"].value", json!(null)),
            emails(),
        );
        let no_target = ErrorKind::NoTarget;
        check_error(
            json!({}),
            add("emails[type ne \"work\"].value", json!("x")),
            ErrorKind::NoTarget,
        );
        check_error(
            json!({}),
            add("emails[type co \"w\"].value", json!("x")),
            no_target,
        );
        check_error(
            json!({}),
            add("emails[type eq \"a\" or type eq \"b\"].value", json!("x")),
            no_target,
        );
        check_error(
            json!({}),
            add("emails[value eq \"a\"].value", json!("b")),
            no_target,
        );
        check_error(
            json!({}),
            add(
                "emails[type eq \"work\"]",
                json!({"type": "home", "value": "x"}),
            ),
            no_target,
        );
        check_error(
            emails(),
            add("emails.value", json!("x")),
            ErrorKind::InvalidPath,
        );
    }

    #[test]
    fn wrong_values() {
        let invalid = ErrorKind::InvalidValue;
        check_error(json!({}), json!([{"op": "add", "path": "title"}]), invalid);
        check_error(json!({}), json!([{"op": "add"}]), invalid);
        check_error(json!({}), json!([{"op": "add", "value": "x"}]), invalid);
        check_error(json!({}), json!([{"op": "add", "value": null}]), invalid);
        check_error(
            json!({}),
            json!([{"op": "add", "value": [{"title": "x"}]}]),
            invalid,
        );
        check_error(json!({}), add("title", json!({"x": 1})), invalid);
        check_error(json!({}), add("title", json!(["x"])), invalid);
        check_error(json!({}), add("title", json!(true)), invalid);
        check_error(json!({}), add("title", json!("a\u{0}b")), invalid);
        check_error(json!({}), add("active", json!("yes")), invalid);
        check_error(json!({}), add("active", json!(1)), invalid);
        check_error(json!({}), add("name", json!("Ada")), invalid);
        check_error(json!({}), add("name.givenName", json!({})), invalid);
        check_error(json!({}), add("emails", json!("a@w.org")), invalid);
        check_error(json!({}), add("emails", json!([{"value": {}}])), invalid);
        check_error(
            emails(),
            add("emails[type eq \"work\"].primary", json!("x")),
            invalid,
        );
        check_error(
            emails(),
            add("emails[type eq \"work\"]", json!("x")),
            invalid,
        );
        check_error(
            json!({}),
            add("x509Certificates", json!([{"value": "%%%"}])),
            invalid,
        );
        check_error(json!({}), add("title", json!(1e300)), invalid);
        check_error(
            json!({}),
            add("userName", json!("a".repeat(2_001))),
            invalid,
        );
        check_error(
            json!({}),
            add("emails", json!([{"value": "a".repeat(2_001)}])),
            invalid,
        );
    }
}

mod remove {
    use super::*;

    fn remove(path: &str) -> Value {
        json!([{"op": "remove", "path": path}])
    }

    #[test]
    fn whole_attributes() {
        check(json!({"title": "Dr"}), remove("title"), json!({}));
        check(json!({}), remove("title"), json!({}));
        check(json!({"active": true}), remove("active"), json!({}));
        check(
            json!({"name": {"givenName": "A"}}),
            remove("name"),
            json!({}),
        );
        check(emails(), remove("emails"), json!({}));
        // A singular attribute is removed whatever the value says.
        check(
            json!({"title": "Dr"}),
            json!([{"op": "remove", "path": "title", "value": "x"}]),
            json!({}),
        );
        check(
            emails(),
            json!([{"op": "remove", "path": "emails", "value": null}]),
            json!({}),
        );
    }

    #[test]
    fn sub_attributes() {
        let name = json!({"name": {"familyName": "Byron", "givenName": "Ada"}});
        check(
            name,
            remove("name.givenName"),
            json!({"name": {"familyName": "Byron"}}),
        );
        check(
            json!({"name": {"givenName": "Ada"}}),
            remove("name.givenName"),
            json!({}),
        );
        check(json!({}), remove("name.givenName"), json!({}));
        check(
            emails(),
            remove("emails.type"),
            json!({"emails": [{"value": "a@w.org", "primary": true}, {"value": "a@h.org"}]}),
        );
        check(json!({}), remove("emails.type"), json!({}));
    }

    #[test]
    fn filtered() {
        let work = json!({"emails": [emails()["emails"][0]]});
        check(emails(), remove("emails[type eq \"home\"]"), work.clone());
        check(
            emails(),
            remove("emails[value eq \"A@H.ORG\"]"),
            work.clone(),
        );
        check(
            emails(),
            remove("emails[not (primary eq true)]"),
            work.clone(),
        );
        check(emails(), remove("emails[primary eq false]"), work);
        check(emails(), remove("emails[value pr]"), json!({}));
        check(emails(), remove("emails[type eq \"other\"]"), emails());
        check(json!({}), remove("emails[type eq \"other\"]"), json!({}));
        check(
            json!({}),
            remove("emails[type eq \"other\"].value"),
            json!({}),
        );
        check(
            json!({"emails": [{"value": "a", "type": "work"}]}),
            remove("emails[type eq \"work\"].type"),
            json!({"emails": [{"value": "a"}]}),
        );
        check(
            json!({"emails": [{"value": "a"}, {"value": "b"}]}),
            remove("emails[value eq \"a\"].value"),
            json!({"emails": [{"value": "b"}]}),
        );
        // Another element does not become primary.
        check(
            emails(),
            remove("emails[primary eq true]"),
            json!({"emails": [{"value": "a@h.org", "type": "home"}]}),
        );
    }

    #[test]
    fn listed() {
        let remove = |value: Value| json!([{"op": "remove", "path": "emails", "value": value}]);
        let work = json!({"emails": [emails()["emails"][0]]});
        check(
            emails(),
            remove(json!([{"value": "a@h.org"}])),
            work.clone(),
        );
        check(emails(), remove(json!({"value": "a@h.org"})), work.clone());
        check(emails(), remove(json!(["a@h.org"])), work.clone());
        check(emails(), remove(json!([{"type": "home"}])), work.clone());
        check(
            emails(),
            remove(json!([{"value": "a@h.org", "type": "home", "primary": false}])),
            work,
        );
        check(
            emails(),
            remove(json!([{"value": "a@h.org", "type": "work"}])),
            emails(),
        );
        check(emails(), remove(json!([{"value": "x"}])), emails());
        check(emails(), remove(json!([])), emails());
        check(emails(), remove(emails()["emails"].clone()), json!({}));
    }

    #[test]
    fn refused() {
        check_error(json!({}), json!([{"op": "remove"}]), ErrorKind::NoTarget);
        check_error(
            json!({}),
            json!([{"op": "remove", "value": {"title": "x"}}]),
            ErrorKind::NoTarget,
        );
        for path in [
            "userName",
            "id",
            "meta",
            "meta.created",
            "groups",
            "schemas",
            "groups[value eq \"x\"]",
            "groups.value",
            "schemas[value eq \"urn:x\"]",
        ] {
            check_error(json!({}), remove(path), ErrorKind::Mutability);
        }
        check_error(
            json!({}),
            remove(&format!("{EU}:manager.displayName")),
            ErrorKind::Mutability,
        );
        // Required even where an add follows.
        check_error(
            json!({}),
            json!([
                {"op": "remove", "path": "userName"},
                {"op": "add", "path": "userName", "value": "b"},
            ]),
            ErrorKind::Mutability,
        );
    }
}

mod replace_op {
    use super::*;

    fn replace(path: &str, value: Value) -> Value {
        json!([{"op": "replace", "path": path, "value": value}])
    }

    #[test]
    fn singular() {
        check(
            json!({"title": "Ms"}),
            replace("title", json!("Dr")),
            json!({"title": "Dr"}),
        );
        check(
            json!({}),
            replace("title", json!("Dr")),
            json!({"title": "Dr"}),
        );
        for nothing in [json!(null), json!(""), json!([])] {
            check(json!({"title": "Ms"}), replace("title", nothing), json!({}));
        }
        check(
            json!({}),
            replace("active", json!("False")),
            json!({"active": false}),
        );
        check(
            json!({}),
            replace("userName", json!("b")),
            json!({"userName": "b"}),
        );
    }

    #[test]
    fn complex_merges() {
        let before = json!({"name": {"familyName": "Byron", "givenName": "A"}});
        check(
            before.clone(),
            replace("name", json!({"GIVENNAME": "Ada", "unknown": 1})),
            json!({"name": {"familyName": "Byron", "givenName": "Ada"}}),
        );
        check(
            before.clone(),
            replace("name", json!({"givenName": null})),
            json!({"name": {"familyName": "Byron"}}),
        );
        check(before.clone(), replace("name", json!(null)), json!({}));
        check(before.clone(), replace("name", json!("")), json!({}));
        check(
            before.clone(),
            replace("name", json!([{"givenName": "Ada"}])),
            json!({"name": {"familyName": "Byron", "givenName": "Ada"}}),
        );
        check(
            before.clone(),
            replace("name", json!({"givenName": "", "familyName": ""})),
            json!({}),
        );
        check(
            before,
            replace("name.formatted", json!("Ada")),
            json!({"name": {"formatted": "Ada", "familyName": "Byron", "givenName": "A"}}),
        );
    }

    #[test]
    fn multi_valued() {
        let new = json!([{"value": "b@w.org"}]);
        check(
            emails(),
            replace("emails", new.clone()),
            json!({"emails": new}),
        );
        check(
            emails(),
            replace("emails", new[0].clone()),
            json!({"emails": new}),
        );
        check(
            json!({}),
            replace("emails", new.clone()),
            json!({"emails": new}),
        );
        check(
            emails(),
            replace("emails", json!([new[0], null, new[0], {}])),
            json!({"emails": new}),
        );
        check(emails(), replace("emails", json!([])), json!({}));
        check(emails(), replace("emails", json!(null)), json!({}));
        check(
            emails(),
            replace("emails.type", json!("other")),
            json!({"emails": [
                {"value": "a@w.org", "type": "other", "primary": true},
                {"value": "a@h.org", "type": "other"},
            ]}),
        );
        check_error(
            json!({}),
            replace("emails.type", json!("x")),
            ErrorKind::NoTarget,
        );
        check_error(
            emails(),
            replace("emails.primary", json!(true)),
            ErrorKind::InvalidValue,
        );
    }

    #[test]
    fn filtered() {
        let home = emails()["emails"][1].clone();
        check(
            emails(),
            replace("emails[type eq \"work\"].value", json!("b@w.org")),
            json!({"emails": [{"value": "b@w.org", "type": "work", "primary": true}, home]}),
        );
        check(
            emails(),
            replace("emails[type eq \"work\"].display", json!("W")),
            json!({"emails": [
                {"value": "a@w.org", "display": "W", "type": "work", "primary": true},
                home,
            ]}),
        );
        check(
            emails(),
            replace("emails[type eq \"work\"].primary", json!(null)),
            json!({"emails": [{"value": "a@w.org", "type": "work"}, home]}),
        );
        // The whole element is replaced.
        check(
            emails(),
            replace(
                "emails[type eq \"work\"]",
                json!({"value": "b@w.org", "type": "work"}),
            ),
            json!({"emails": [{"value": "b@w.org", "type": "work"}, home]}),
        );
        check(
            emails(),
            replace("emails[type eq \"work\"]", json!([{"value": "b@w.org"}])),
            json!({"emails": [{"value": "b@w.org"}, home]}),
        );
        check(
            emails(),
            replace("emails[type eq \"work\"]", json!(null)),
            json!({"emails": [home]}),
        );
        check(
            emails(),
            replace("emails[value pr]", json!({"value": "b", "primary": true})),
            json!({"emails": [{"value": "b", "primary": true}]}),
        );
        check(
            emails(),
            replace(
                "emails[type eq \"home\"]",
                json!({"value": "b", "primary": true}),
            ),
            json!({"emails": [
                {"value": "a@w.org", "type": "work", "primary": false},
                {"value": "b", "primary": true},
            ]}),
        );
    }

    #[test]
    fn filters_that_find_nothing() {
        let [work, home] = [&emails()["emails"][0], &emails()["emails"][1]].map(Clone::clone);
        check(
            emails(),
            replace("emails[type eq \"other\"].value", json!("o")),
            json!({"emails": [work, home, {"value": "o", "type": "other"}]}),
        );
        check(
            json!({}),
            replace("addresses[type eq \"work\"]", json!({"locality": "London"})),
            json!({"addresses": [{"locality": "London", "type": "work"}]}),
        );
        check(
            json!({}),
            replace(
                "emails[type eq \"Work\"]",
                json!({"value": "a", "type": "work"}),
            ),
            json!({"emails": [{"value": "a", "type": "work"}]}),
        );
        check(
            json!({}),
            replace("phoneNumbers[type eq \"fax\"].value", json!("")),
            json!({}),
        );
        check(
            emails(),
            replace(
                "emails[type eq \"other\" and primary eq true].value",
                json!("o"),
            ),
            json!({"emails": [
                {"value": "a@w.org", "type": "work", "primary": false},
                home,
                {"value": "o", "type": "other", "primary": true},
            ]}),
        );
        let no_target = ErrorKind::NoTarget;
        check_error(
            emails(),
            replace("emails[type sw \"o\"].value", json!("o")),
            no_target,
        );
        check_error(
            emails(),
            replace("emails[value eq \"x\"].value", json!("o")),
            no_target,
        );
        check_error(
            json!({}),
            replace("emails[type eq \"a\" and type eq \"b\"].value", json!("o")),
            no_target,
        );
    }

    #[test]
    fn refused() {
        let invalid = ErrorKind::InvalidValue;
        for nothing in [json!(null), json!(""), json!("  "), json!([])] {
            check_error(json!({}), replace("userName", nothing), invalid);
        }
        check_error(
            json!({}),
            json!([{"op": "replace", "path": "title"}]),
            invalid,
        );
        check_error(json!({}), replace("active", json!("maybe")), invalid);
        check_error(json!({}), replace("userName", json!("a\u{7}b")), invalid);
        let mutability = ErrorKind::Mutability;
        check_error(json!({}), replace("id", json!("x")), mutability);
        check_error(json!({}), replace("meta", json!({})), mutability);
        check_error(json!({}), replace("meta.version", json!("x")), mutability);
        check_error(json!({}), replace("groups", json!([])), mutability);
        check_error(
            json!({}),
            replace("groups[value eq \"x\"].display", json!("y")),
            mutability,
        );
        check_error(json!({}), replace("schemas", json!(["urn:x"])), mutability);
        check_error(
            json!({}),
            replace(&format!("{EU}:manager.displayName"), json!("x")),
            mutability,
        );
    }
}

mod without_path {
    use super::*;

    fn replace(value: Value) -> Value {
        json!([{"op": "replace", "value": value}])
    }

    #[test]
    fn merges_what_is_named() {
        check(
            json!({"active": true, "title": "Dr"}),
            replace(json!({"active": false})),
            json!({"active": false, "title": "Dr"}),
        );
        check(
            json!({"title": "Dr", "nickName": "A"}),
            replace(json!({"TITLE": null, "nickName": "B", "unknown": {"a": 1}})),
            json!({"nickName": "B"}),
        );
        check(
            json!({"title": "Dr"}),
            json!([{"op": "add", "value": {"title": null, "nickName": "B"}}]),
            json!({"title": "Dr", "nickName": "B"}),
        );
        check(
            json!({"name": {"familyName": "Byron"}}),
            json!([{"op": "add", "path": null, "value": {"name": {"givenName": "Ada"}}}]),
            json!({"name": {"familyName": "Byron", "givenName": "Ada"}}),
        );
        let new = json!({"emails": [{"value": "b@w.org"}]});
        check(emails(), replace(new.clone()), new.clone());
        let [work, home] = [&emails()["emails"][0], &emails()["emails"][1]].map(Clone::clone);
        check(
            emails(),
            json!([{"op": "add", "value": new}]),
            json!({"emails": [work, home, {"value": "b@w.org"}]}),
        );
        check(json!({}), replace(json!({})), json!({}));
        check_error(
            json!({}),
            replace(json!({"title": "a", "TITLE": "b"})),
            ErrorKind::InvalidSyntax,
        );
    }

    #[test]
    fn echoes_are_ignored() {
        check(
            json!({}),
            replace(json!({
                "schemas": ["urn:x"], "id": ID, "meta": {"version": "W/\"1\""},
                "groups": [{"value": "g"}], "nickName": "A",
            })),
            json!({"nickName": "A"}),
        );
        check(json!({}), replace(json!({"id": null})), json!({}));
        check_error(
            json!({}),
            replace(json!({"id": "other"})),
            ErrorKind::Mutability,
        );
        check_error(json!({}), replace(json!({"id": 7})), ErrorKind::Mutability);
        check(
            json!({}),
            json!([{"op": "add", "path": "schemas", "value": [EU]}]),
            json!({}),
        );
        let core = "urn:ietf:params:scim:schemas:core:2.0:User";
        check(
            json!({}),
            json!([{"op": "replace", "path": "schemas", "value": [core, EU]}]),
            json!({}),
        );
    }

    #[test]
    fn paths_as_names() {
        check(
            emails(),
            replace(json!({
                "name.givenName": "Ada",
                "emails[type eq \"work\"].value": "b@w.org",
                (format!("{EU}:department")): "Math",
                (format!("{EU}:manager.value")): "m1",
                "foo.bar": 1,
                "foo bar": 2,
            })),
            json!({
                "name": {"givenName": "Ada"},
                "emails": [
                    {"value": "b@w.org", "type": "work", "primary": true},
                    {"value": "a@h.org", "type": "home"},
                ],
                EU: {"department": "Math", "manager": {"value": "m1"}},
            }),
        );
        check_error(
            json!({}),
            replace(json!({"emails[": "x"})),
            ErrorKind::InvalidPath,
        );
        check(
            json!({}),
            replace(json!({"urn:ietf:params:scim:schemas:core:2.0:User": {"title": "Dr"}})),
            json!({"title": "Dr"}),
        );
    }
}

mod extensions {
    use super::*;

    #[test]
    fn attributes() {
        let department = format!("{EU}:department");
        let path = |op: &str, value: Value| json!([{"op": op, "path": department, "value": value}]);
        let math = json!({EU: {"department": "Math"}});
        check(json!({}), path("add", json!("Math")), math.clone());
        check(json!({}), path("replace", json!("Math")), math.clone());
        check(
            math.clone(),
            path("replace", json!("Art")),
            json!({EU: {"department": "Art"}}),
        );
        check(
            math.clone(),
            json!([{"op": "remove", "path": department}]),
            json!({}),
        );
        check(math.clone(), path("replace", json!(null)), json!({}));
        check(
            json!({EU: {"costCenter": "1", "department": "Math"}}),
            json!([{"op": "remove", "path": department.to_uppercase()}]),
            json!({EU: {"costCenter": "1"}}),
        );
        check_error(json!({}), path("add", json!(true)), ErrorKind::InvalidValue);
    }

    #[test]
    fn the_urn_as_path_and_as_name() {
        let both = json!({EU: {"costCenter": "1", "department": "Art"}});
        let before = json!({EU: {"costCenter": "1", "department": "Math"}});
        let value = json!({"DEPARTMENT": "Art", "unknown": true});
        check(
            before.clone(),
            json!([{"op": "replace", "path": EU, "value": value}]),
            both.clone(),
        );
        check(
            before.clone(),
            json!([{"op": "add", "value": {EU.to_uppercase(): value}}]),
            both.clone(),
        );
        check(
            before.clone(),
            json!([{"op": "replace", "value": {EU: {"department": null}}}]),
            json!({EU: {"costCenter": "1"}}),
        );
        check(
            before.clone(),
            json!([{"op": "remove", "path": EU}]),
            json!({}),
        );
        check(
            before.clone(),
            json!([{"op": "replace", "value": {EU: null}}]),
            json!({}),
        );
        check(
            before.clone(),
            json!([{"op": "add", "path": EU, "value": null}]),
            before.clone(),
        );
        check(json!({}), json!([{"op": "remove", "path": EU}]), json!({}));
        let invalid = ErrorKind::InvalidValue;
        check_error(
            json!({}),
            json!([{"op": "add", "path": EU, "value": "x"}]),
            invalid,
        );
        check_error(json!({}), json!([{"op": "add", "path": EU}]), invalid);
    }

    #[test]
    fn manager() {
        let manager = format!("{EU}:manager");
        let path = |value: Value| json!([{"op": "Replace", "path": manager, "value": value}]);
        let m1 = json!({EU: {"manager": {"value": "m1"}}});
        check(json!({}), path(json!("m1")), m1.clone());
        check(json!({}), path(json!([{"value": "m1"}])), m1.clone());
        check(
            json!({}),
            path(json!({"value": "m1", "displayName": "M"})),
            m1.clone(),
        );
        check(
            json!({}),
            path(json!(17)),
            json!({EU: {"manager": {"value": "17"}}}),
        );
        check(m1.clone(), path(json!("")), json!({}));
        check(m1.clone(), path(json!(null)), json!({}));
        check(
            m1.clone(),
            json!([{"op": "remove", "path": manager}]),
            json!({}),
        );
        check(
            json!({}),
            json!([{"op": "add", "path": format!("{manager}.value"), "value": "m1"}]),
            m1.clone(),
        );
        // The URI was that of the manager before.
        let referred = json!({EU: {"manager": {"value": "m0", "$ref": "../Users/m0"}}});
        check(referred.clone(), path(json!("m1")), m1);
        check(referred.clone(), path(json!("m0")), referred.clone());
        check(
            referred.clone(),
            path(json!({"displayName": "M"})),
            referred,
        );
    }

    #[test]
    fn unknown() {
        let acme = json!({ACME: {"costBand": "B2", "skills": ["rust"]}});
        check(
            json!({}),
            json!([{"op": "add", "value": acme.clone()}]),
            acme.clone(),
        );
        check(
            json!({}),
            json!([{"op": "replace", "path": ACME, "value": acme[ACME]}]),
            acme.clone(),
        );
        let path = |op: &str, name: &str, value: Value| json!([{"op": op, "path": format!("{ACME}:{name}"), "value": value}]);
        check(
            acme.clone(),
            path("replace", "COSTBAND", json!("C")),
            json!({ACME: {"costBand": "C", "skills": ["rust"]}}),
        );
        check(
            acme.clone(),
            path("add", "skills", json!(["rust", "sql"])),
            json!({ACME: {"costBand": "B2", "skills": ["rust", "sql"]}}),
        );
        check(
            acme.clone(),
            path("replace", "skills", json!(["sql"])),
            json!({ACME: {"costBand": "B2", "skills": ["sql"]}}),
        );
        check(
            acme.clone(),
            path("replace", "badge.number", json!(7)),
            json!({ACME: {"costBand": "B2", "skills": ["rust"], "badge": {"number": 7}}}),
        );
        check(
            acme.clone(),
            json!([{"op": "remove", "path": format!("{ACME}:skills")}]),
            json!({ACME: {"costBand": "B2"}}),
        );
        check(
            acme.clone(),
            json!([{"op": "remove", "path": ACME}]),
            json!({}),
        );
        check(
            acme.clone(),
            json!([{"op": "replace", "value": {ACME: null}}]),
            json!({}),
        );
        check(
            acme.clone(),
            json!([{"op": "replace", "value": {ACME.to_uppercase(): {"costBand": null}}}]),
            json!({ACME: {"skills": ["rust"]}}),
        );
        check(
            json!({}),
            path("add", "costBand", json!("B2")),
            json!({ACME: {"costBand": "B2"}}),
        );
        check(
            json!({}),
            json!([{"op": "add", "value": {format!("{ACME}:costBand"): "B2"}}]),
            json!({ACME: {"costBand": "B2"}}),
        );
        check_error(
            json!({}),
            path("add", "costBand", json!({"a": "\u{0}"})),
            ErrorKind::InvalidValue,
        );
        check_error(
            json!({}),
            path("add", "skills[value eq \"x\"]", json!("y")),
            ErrorKind::InvalidPath,
        );
    }
}

mod sequences {
    use super::*;

    #[test]
    fn in_order() {
        check(
            json!({}),
            json!([
                {"op": "add", "path": "nickName", "value": "a"},
                {"op": "replace", "path": "nickName", "value": "b"},
            ]),
            json!({"nickName": "b"}),
        );
        check(
            json!({}),
            json!([
                {"op": "add", "path": "emails", "value": {"value": "x"}},
                {"op": "replace", "path": "emails[value eq \"x\"].type", "value": "work"},
                {"op": "add", "path": "emails[type eq \"work\"].display", "value": "X"},
            ]),
            json!({"emails": [{"value": "x", "display": "X", "type": "work"}]}),
        );
        check(
            emails(),
            json!([
                {"op": "remove", "path": "emails"},
                {"op": "add", "path": "emails", "value": [{"value": "x"}]},
            ]),
            json!({"emails": [{"value": "x"}]}),
        );
        // Swapping types needs both operations to see the other's work.
        check(
            emails(),
            json!([
                {"op": "replace", "path": "emails[type eq \"work\"].type", "value": "other"},
                {"op": "replace", "path": "emails[type eq \"home\"].type", "value": "work"},
                {"op": "replace", "path": "emails[type eq \"other\"].type", "value": "home"},
            ]),
            json!({"emails": [
                {"value": "a@w.org", "type": "home", "primary": true},
                {"value": "a@h.org", "type": "work"},
            ]}),
        );
    }

    #[test]
    fn no_change_to_the_letter() {
        let rt = user();
        let mut document = complete(&rt, &emails());
        document.0.sort_keys();
        for operations in [
            json!([{"op": "add", "path": "emails", "value": emails()["emails"]}]),
            json!([{"op": "replace", "value": {"id": ID, "userName": "ada"}}]),
            json!([
                {"op": "add", "path": "title", "value": "x"},
                {"op": "remove", "path": "title"},
            ]),
        ] {
            let patch = parse(&rt, &patch_op(operations)).unwrap();
            let patched = patch.apply(&rt, &document).unwrap();
            assert_eq!(patched.document.to_string(), document.to_string());
        }
    }

    #[test]
    fn passwords() {
        let check = |operations: Value, expected: Option<Option<&str>>| {
            let patched = run(&user(), &json!({}), &operations).unwrap();
            let found = patched.password.as_ref().map(Option::as_deref);
            assert_eq!(found, expected, "{operations}");
            assert!(!patched.document.to_string().contains("password"));
        };
        check(
            json!([{"op": "replace", "value": {"password": "s3"}}]),
            Some(Some("s3")),
        );
        check(
            json!([{"op": "add", "path": "PASSWORD", "value": "s3"}]),
            Some(Some("s3")),
        );
        check(
            json!([{"op": "replace", "path": "password", "value": 5}]),
            Some(Some("5")),
        );
        check(
            json!([{"op": "replace", "path": "password", "value": null}]),
            Some(None),
        );
        check(json!([{"op": "remove", "path": "password"}]), Some(None));
        check(
            json!([{"op": "add", "path": "password", "value": null}]),
            None,
        );
        check(json!([{"op": "replace", "value": {"active": true}}]), None);
        check_error(
            json!({}),
            json!([{"op": "replace", "path": "password", "value": {}}]),
            ErrorKind::InvalidValue,
        );
    }

    #[test]
    fn a_thousand_operations_are_fast() {
        let rt = user();
        let operations: Vec<Value> = (0..1_000)
            .map(|n| json!({"op": "add", "path": "emails", "value": {"value": format!("{n}@x")}}))
            .collect();
        let patched = run(&rt, &json!({}), &json!(operations)).unwrap();
        assert_eq!(
            patched.document.0["emails"].as_array().unwrap().len(),
            1_000
        );
    }
}

mod limits {
    use super::*;

    #[test]
    fn too_much_work_is_refused() {
        let values: Vec<Value> = (0..50_000)
            .map(|n| json!({"value": n.to_string()}))
            .collect();
        let document = json!({"emails": values});
        let operations = |count: usize| {
            let operation = json!({"op": "remove", "path": "emails", "value": []});
            Value::Array(vec![operation; count])
        };
        assert!(run(&user(), &document, &operations(100)).is_ok());
        let error = run(&user(), &document, &operations(101)).unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidValue);
        assert!(error.detail.contains("too many operations"), "{error}");
    }
}

mod group_members {
    use super::*;

    #[test]
    fn whole_lists() {
        let a_and_b = || vec![member("a"), member("b")];
        let list = json!([{"value": "a"}, {"value": "b"}, {"value": "a"}]);
        check_members(
            json!([{"op": "add", "path": "members", "value": list}]),
            vec![MemberEdit::Add(a_and_b())],
        );
        check_members(
            json!([{"op": "replace", "path": "Members", "value": list}]),
            vec![MemberEdit::Replace(a_and_b())],
        );
        check_members(
            json!([{"op": "replace", "value": {"members": list, "displayName": "x"}}]),
            vec![MemberEdit::Replace(a_and_b())],
        );
        check_members(
            json!([{"op": "add", "value": {"MEMBERS": list}}]),
            vec![MemberEdit::Add(a_and_b())],
        );
        for nothing in [json!([]), json!(null)] {
            check_members(
                json!([{"op": "replace", "path": "members", "value": nothing}]),
                vec![MemberEdit::Replace(vec![])],
            );
            check_members(
                json!([{"op": "add", "path": "members", "value": nothing}]),
                vec![],
            );
        }
        check_members(
            json!([{"op": "remove", "path": "members"}]),
            vec![MemberEdit::RemoveAll],
        );
        check_members(
            json!([{"op": "add", "path": "members", "value": {"value": "a", "display": "A"}}]),
            vec![MemberEdit::Add(vec![Member {
                value: "a".to_owned(),
                display: Some("A".to_owned()),
            }])],
        );
    }

    #[test]
    fn removing_some() {
        let remove = |value: Value| json!([{"op": "Remove", "path": "members", "value": value}]);
        let a_and_b = || vec![MemberEdit::Remove(ids(&["a", "b"]))];
        check_members(remove(json!([{"value": "a"}, {"value": "b"}])), a_and_b());
        check_members(remove(json!(["a", "b", "a"])), a_and_b());
        check_members(
            remove(json!({"value": "a"})),
            vec![MemberEdit::Remove(ids(&["a"]))],
        );
        check_members(remove(json!([])), vec![]);
        check_members(remove(json!(null)), vec![MemberEdit::RemoveAll]);
        let by_path = |path: &str| json!([{"op": "remove", "path": path}]);
        check_members(
            by_path("members[value eq \"a\"]"),
            vec![MemberEdit::Remove(ids(&["a"]))],
        );
        check_members(
            by_path("members[value eq \"a\" or VALUE EQ \"b\"]"),
            a_and_b(),
        );
        check_members(
            json!([{"op": "replace", "path": "members[value eq \"a\"]", "value": null}]),
            vec![MemberEdit::Remove(ids(&["a"]))],
        );
        for path in [
            "members[type eq \"User\"]",
            "members[value ne \"a\"]",
            "members[value sw \"a\"]",
        ] {
            let patch = parse(&group(), &patch_op(by_path(path))).unwrap();
            let edits = patch.member_edits();
            assert!(matches!(edits[..], [MemberEdit::RemoveWhere(_)]), "{path}");
        }
        let long: Vec<String> = (0..1_000).map(|n| format!("value eq \"{n}\"")).collect();
        let patch = by_path(&format!("members[{}]", long.join(" or ")));
        let patch = parse(&group(), &patch_op(patch)).unwrap();
        let [MemberEdit::Remove(ids)] = &patch.member_edits()[..] else {
            panic!("not one edit");
        };
        assert_eq!(ids.len(), 1_000);
    }

    #[test]
    fn neighbours_are_joined() {
        check_members(
            json!([
                {"op": "remove", "path": "members[value eq \"a\"]"},
                {"op": "remove", "path": "members[value eq \"b\"]"},
                {"op": "replace", "value": {"id": ID, "displayName": "x"}},
                {"op": "remove", "path": "members", "value": [{"value": "a"}]},
                {"op": "add", "path": "members", "value": [{"value": "c"}]},
                {"op": "add", "path": "members", "value": [{"value": "d"}, {"value": "c"}]},
                {"op": "remove", "path": "members[value eq \"c\"]"},
            ]),
            vec![
                MemberEdit::Remove(ids(&["a", "b"])),
                MemberEdit::Add(vec![member("c"), member("d")]),
                MemberEdit::Remove(ids(&["c"])),
            ],
        );
    }

    #[test]
    fn one_member_by_filter() {
        let path = "members[value eq \"a\"]";
        for op in ["add", "replace"] {
            for value in [
                json!({"value": "a"}),
                json!([{"value": "a"}]),
                json!({"type": "User"}),
            ] {
                check_members(
                    json!([{"op": op, "path": path, "value": value}]),
                    vec![MemberEdit::Add(vec![member("a")])],
                );
            }
            for value in [json!({"value": "b"}), json!("a"), json!([{}, {}])] {
                check_members_error(
                    json!([{"op": op, "path": path, "value": value}]),
                    ErrorKind::Mutability,
                );
            }
        }
    }

    #[test]
    fn refused() {
        for sub in ["value", "display", "type", "$ref"] {
            for op in ["add", "replace", "remove"] {
                for path in [
                    format!("members[value eq \"a\"].{sub}"),
                    format!("members.{sub}"),
                ] {
                    check_members_error(
                        json!([{"op": op, "path": path, "value": "x"}]),
                        ErrorKind::Mutability,
                    );
                }
            }
        }
        let invalid = ErrorKind::InvalidValue;
        check_members_error(json!([{"op": "add", "path": "members"}]), invalid);
        check_members_error(
            json!([{"op": "add", "path": "members", "value": ["a"]}]),
            invalid,
        );
        check_members_error(
            json!([{"op": "add", "path": "members", "value": [{}]}]),
            invalid,
        );
        check_members_error(
            json!([{"op": "remove", "path": "members", "value": [{}]}]),
            invalid,
        );
        check_members_error(
            json!([{"op": "add", "path": "members[value eq \"a\"]"}]),
            invalid,
        );
        check_members_error(
            json!([{"op": "remove", "path": "members[foo eq \"a\"]"}]),
            ErrorKind::InvalidFilter,
        );
        check_members_error(
            json!([{"op": "remove", "path": "members[value eq \"\\u0000\"]"}]),
            ErrorKind::InvalidFilter,
        );
        check_members_error(
            json!([{"op": "remove", "path": "displayName"}]),
            ErrorKind::Mutability,
        );
    }

    #[test]
    fn names_and_members_apart() {
        let rt = group();
        let body = patch_op(json!([{
            "op": "replace", "value": {"id": ID, "displayName": "Surveyors West"},
        }]));
        let patch = parse(&rt, &body).unwrap();
        assert!(patch.member_edits().is_empty());
        let patched = patch.apply(&rt, &complete(&rt, &json!({}))).unwrap();
        assert_eq!(patched.document.0["displayName"], "Surveyors West");
        let same = patch.apply(&rt, &patched.document).unwrap();
        assert_eq!(same.document, patched.document);
    }

    #[test]
    fn many_are_fast() {
        let operations: Vec<Value> = (0..1_000)
            .map(|n| json!({"op": "remove", "path": format!("members[value eq \"{n}\"]")}))
            .collect();
        let patch = parse(&group(), &patch_op(json!(operations))).unwrap();
        assert!(
            matches!(&patch.member_edits()[..], [MemberEdit::Remove(ids)] if ids.len() == 1_000)
        );
    }
}

mod properties {
    use super::*;

    /// Values that look enough like a client's to get past the first check.
    fn json_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "\\PC{0,6}".prop_map(Value::from),
            prop::sample::select(vec!["", "work", "a@w.org", "true", "a\u{0}", "urn:x:y"])
                .prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
                prop::collection::vec((name(), inner), 0..5)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    fn name() -> impl Strategy<Value = String> {
        let known = vec![
            "userName",
            "USERNAME",
            "displayName",
            "emails",
            "name",
            "givenName",
            "value",
            "type",
            "primary",
            "display",
            "active",
            "members",
            "groups",
            "schemas",
            "id",
            "meta",
            "password",
            "x509Certificates",
            "addresses",
            "manager",
            "department",
            "$ref",
            EU,
            ACME,
            "externalId",
            "emails[type eq \"work\"].value",
            "name.givenName",
            "roles",
            "op",
            "path",
            "value",
        ];
        prop_oneof![
            8 => prop::sample::select(known).prop_map(str::to_owned),
            1 => "\\PC{0,6}",
            1 => "urn:[a-z]{1,3}:[a-z]{1,3}",
        ]
    }

    fn path() -> impl Strategy<Value = String> {
        let known = [
            "userName",
            "emails",
            "emails.value",
            "emails.primary",
            "emails[type eq \"work\"]",
            "emails[type eq \"work\"].value",
            "emails[primary eq true].primary",
            "name",
            "name.givenName",
            "active",
            "password",
            "members",
            "members[value eq \"a\"]",
            "addresses[type eq \"home\"]",
            "roles[value pr].display",
            "externalId",
            "emails[value ne \"x\"]",
            "schemas",
            "displayName",
            "x509Certificates",
        ];
        let mut known: Vec<String> = known.iter().map(|&path| path.to_owned()).collect();
        known.extend([
            EU.to_owned(),
            ACME.to_owned(),
            format!("{EU}:manager"),
            format!("{EU}:manager.value"),
            format!("{ACME}:costBand"),
            format!("{ACME}:badge.number"),
        ]);
        prop_oneof![12 => prop::sample::select(known), 1 => "\\PC{0,12}", 1 => name()]
    }

    fn operation() -> impl Strategy<Value = Value> {
        let op = prop::sample::select(vec!["add", "replace", "remove"]);
        let path = prop::option::weighted(0.8, path());
        (op, path, prop::option::weighted(0.9, json_value())).prop_map(|(op, path, value)| {
            let mut operation = json!({"op": op});
            if let Some(path) = path {
                operation["path"] = Value::from(path);
            }
            if let Some(value) = value {
                operation["value"] = value;
            }
            operation
        })
    }

    /// Documents as other requests have left them.
    fn document() -> impl Strategy<Value = Document> {
        let body = prop::collection::vec((name(), json_value()), 0..6);
        body.prop_map(|members| {
            let rt = user();
            let mut body: Map<String, Value> = members.into_iter().collect();
            body.retain(|name, _| !["schemas", "username"].contains(&&*name.to_lowercase()));
            body.insert("userName".to_owned(), json!("ada"));
            let mut document = match admit(&rt, &Value::Object(body)) {
                Ok(admitted) => admitted.document,
                Err(_) => complete(&rt, &emails()),
            };
            document.set_id(ID);
            document
        })
    }

    fn readmitted(rt: &ResourceType, document: &Document) -> String {
        let body = Value::Object(document.0.clone());
        let mut again = admit(rt, &body).unwrap().document;
        again.set_id(ID);
        again.to_string()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(600))]

        #[test]
        fn whatever_comes_is_answered(body in json_value()) {
            for rt in [user(), group()] {
                let _ = admit(&rt, &body);
                let _ = parse(&rt, &body);
                let _ = parse(&rt, &patch_op(body.clone()));
                if let Ok(patch) = parse(&rt, &patch_op(json!([{"op": "add", "value": body}]))) {
                    let _ = patch.apply(&rt, &complete(&rt, &json!({})));
                }
            }
        }

        #[test]
        fn admitted_documents_admit_to_themselves(document in document()) {
            prop_assert_eq!(readmitted(&user(), &document), document.to_string());
        }

        #[test]
        fn patched_documents_admit_to_themselves(
            document in document(),
            operations in prop::collection::vec(operation(), 1..4),
        ) {
            let rt = user();
            let patch = parse(&rt, &patch_op(Value::Array(operations)));
            if let Ok(patched) = patch.and_then(|patch| patch.apply(&rt, &document)) {
                let text = patched.document.to_string();
                prop_assert_eq!(readmitted(&rt, &patched.document), text);
            }
        }

        #[test]
        fn replacing_an_attribute_is_a_put_with_it(
            document in document(),
            name in prop::sample::select(vec!["title", "emails", "active", "roles", "externalId"]),
            value in json_value(),
        ) {
            let rt = user();
            let mut body = document.0.clone();
            body.insert(name.to_owned(), value.clone());
            let put = admit(&rt, &Value::Object(body))
                .and_then(|admitted| replace(&rt, &document, &admitted.document));
            let operation = json!([{"op": "replace", "path": name, "value": value}]);
            let patch = parse(&rt, &patch_op(operation));
            let patched = patch.and_then(|patch| patch.apply(&rt, &document));
            match (put, patched) {
                (Ok(put), Ok(patched)) => {
                    prop_assert_eq!(put.to_string(), patched.document.to_string());
                }
                (Err(put), Err(patched)) => prop_assert_eq!(put.kind, patched.kind),
                (put, patched) => prop_assert!(false, "{put:?} but {patched:?}"),
            }
        }
    }
}
