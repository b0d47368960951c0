//! PATCH paths and attribute paths that parse.

use super::{strict, tolerant};
use crate::{AttrPath, Filter, PatchPath, parse_attr_path_with, parse_path_with};

/// Both dialects read `text`, and `expected` is its canonical text.
#[track_caller]
fn check(text: &str, expected: &str) -> PatchPath {
    let path = parse_path_with(text, &strict()).unwrap();
    assert_eq!(parse_path_with(text, &tolerant()).unwrap(), path);
    assert_eq!(path.to_string(), expected);
    assert_eq!(parse_path_with(expected, &strict()).unwrap(), path);
    path
}

#[track_caller]
fn same(text: &str) -> PatchPath {
    check(text, text)
}

#[track_caller]
fn same_tolerant(text: &str) -> PatchPath {
    let path = parse_path_with(text, &tolerant()).unwrap();
    assert_eq!(path.to_string(), text);
    assert!(
        parse_path_with(text, &strict()).is_err(),
        "strict reads {text}"
    );
    path
}

fn attr(urn: Option<&str>, name: &str, sub: Option<&str>) -> AttrPath {
    AttrPath {
        urn: urn.map(str::to_owned),
        name: name.to_owned(),
        sub: sub.map(str::to_owned),
    }
}

#[test]
fn examples_of_the_rfc() {
    assert_eq!(same("members").attr, attr(None, "members", None));
    assert_eq!(
        same("name.familyName").attr,
        attr(None, "name", Some("familyName"))
    );

    let path = same(r#"addresses[type eq "work"]"#);
    assert_eq!(
        path.filter,
        Some(Filter::parse(r#"type eq "work""#).unwrap())
    );
    assert_eq!(path.sub, None);

    let path = same(r#"members[value eq "2819c223-7f76-453a-919d-413861904646"].displayName"#);
    assert_eq!(path.sub.as_deref(), Some("displayName"));
}

#[test]
fn forms() {
    same("emails.value");
    same("members.$ref");
    same(r#"members[$ref eq "https://example.com/Users/1"].$REF"#);
    same(r#"emails[type eq "work" and (primary eq true or not (value ew "x"))].value"#);
    same("urn:ietf:params:scim:schemas:core:2.0:User:userName");
    same("urn:ietf:params:scim:schemas:core:2.0:User:name.familyName");
    same(r#"urn:ietf:params:scim:schemas:core:2.0:User:emails[type eq "work"].value"#);
    same("URN:IETF:params:scim:schemas:extension:enterprise:2.0:User:MANAGER.value");
    check("  members ", "members");
    check(r#"emails[ type EQ "work" ]"#, r#"emails[type eq "work"]"#);
    // The grammar allows it; a schema has nothing that deep.
    same(r#"addresses.x[type eq "work"].y"#);
    same("not");
    same("and.or");
}

#[test]
fn a_schema_urn_alone() {
    assert_eq!(
        same("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User").attr,
        attr(
            Some("urn:ietf:params:scim:schemas:extension:enterprise:2.0"),
            "User",
            None
        )
    );
    assert_eq!(
        same("urn:example:acme.User").attr,
        attr(Some("urn:example"), "acme", Some("User"))
    );
    assert_eq!(
        same_tolerant("urn:example:acme:User:2.0").attr,
        attr(Some("urn:example:acme:User"), "2.0", None)
    );
    assert_eq!(
        same_tolerant("urn:example:acme.corp.User").attr,
        attr(Some("urn:example"), "acme.corp.User", None)
    );
    assert_eq!(
        same_tolerant("urn:example:1").attr,
        attr(Some("urn:example"), "1", None)
    );
    assert_eq!(
        same_tolerant("acme:User").attr,
        attr(Some("acme"), "User", None)
    );
}

#[test]
fn a_filter_never_takes_a_urn_alone() {
    assert!(Filter::parse("urn:example:acme:2.0 pr").is_err());
    assert!(PatchPath::parse("emails[urn:example:acme:2.0 pr]").is_err());
}

#[test]
fn attribute_paths() {
    for text in [
        "userName",
        "name.familyName",
        "urn:ietf:params:scim:schemas:core:2.0:User:name.familyName",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
    ] {
        for options in [strict(), tolerant()] {
            let path = parse_attr_path_with(text, &options).unwrap();
            assert_eq!(path.to_string(), text);
        }
        assert_eq!(text.parse::<AttrPath>().unwrap().to_string(), text);
    }
    for text in ["", " ", "a b", "emails[type pr]", "a,b", "a.b.c", "a."] {
        assert!(AttrPath::parse(text).is_err(), "{text}");
    }
}
