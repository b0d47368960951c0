use super::*;

// R7644-3.5.2-21, R7644-3.5.2-26
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

// R7644-3.5.2-22, R7644-3.5.2-23
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

// R7644-3.5.2-21, R7644-3.5.2-23
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

// R7644-3.5.2-20
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
