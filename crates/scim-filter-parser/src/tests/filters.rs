//! Filters that parse, by their canonical text; the shape of a few trees.

use super::{strict, tolerant};
use crate::{
    AttrPath, CompareOp, Comparison, ElementFilter, ElementTail, Filter, Value, parse_filter_with,
};

/// Both dialects read `text` as `expected`.
#[track_caller]
fn check(text: &str, expected: &str) {
    for options in [strict(), tolerant()] {
        let filter = parse_filter_with(text, &options).unwrap();
        assert_eq!(filter.to_string(), expected);
        assert_eq!(parse_filter_with(expected, &options).unwrap(), filter);
    }
}

/// Only the tolerant dialect reads `text`, as `expected`.
#[track_caller]
fn check_tolerant(text: &str, expected: &str) {
    let filter = parse_filter_with(text, &tolerant()).unwrap();
    assert_eq!(filter.to_string(), expected);
    assert_eq!(parse_filter_with(expected, &tolerant()).unwrap(), filter);
    assert!(
        parse_filter_with(text, &strict()).is_err(),
        "strict reads {text}"
    );
}

#[track_caller]
fn same(text: &str) {
    check(text, text);
}

fn path(name: &str) -> AttrPath {
    AttrPath {
        urn: None,
        name: name.to_owned(),
        sub: None,
    }
}

fn present(name: &str) -> Filter {
    Filter::Present(path(name))
}

#[test]
fn examples_of_the_rfc() {
    same(r#"userName eq "bjensen""#);
    same(r#"name.familyName co "O'Malley""#);
    same(r#"userName sw "J""#);
    same(r#"urn:ietf:params:scim:schemas:core:2.0:User:userName sw "J""#);
    same("title pr");
    same(r#"meta.lastModified gt "2011-05-13T04:42:34Z""#);
    same(r#"title pr and userType eq "Employee""#);
    same(r#"title pr or userType eq "Intern""#);
    same(r#"schemas eq "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User""#);
    same(
        r#"userType eq "Employee" and (emails co "example.com" or emails.value co "example.org")"#,
    );
    check(
        r#"userType ne "Employee" and not (emails co "example.com" or emails.value co "example.org")"#,
        r#"userType ne "Employee" and not (emails co "example.com" or emails.value co "example.org")"#,
    );
    check(
        r#"userType eq "Employee" and (emails.type eq "work")"#,
        r#"userType eq "Employee" and emails.type eq "work""#,
    );
    same(r#"userType eq "Employee" and emails[type eq "work" and value co "@example.com"]"#);
    same(
        r#"emails[type eq "work" and value co "@example.com"] or ims[type eq "xmpp" and value co "@foo.com"]"#,
    );
}

// R7644-3.4.2.2-08, R7644-3.4.2.2-09, R7644-3.4.2.2-10, L-12, L-16
#[test]
fn what_clients_send() {
    same(r#"userName eq "a.b@example.com""#);
    same(r#"displayName eq "Group \"A\" (all), [x]""#);
    same(
        r#"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value eq "26118915""#,
    );
    same(r#"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department eq "R and D""#);
    same(r#"members[value eq "2819c223-7f76-453a-919d-413861904646"]"#);
    same("members.$ref pr");
    same("$ref pr");
    same("x-y_z$1 pr");
}

// R7644-3.4.2.2-02, R7644-3.4.2.2-12
#[test]
fn case_and_blanks() {
    check(r#"USERNAME Eq "A""#, r#"USERNAME eq "A""#);
    check("a PR AND b Pr oR NOT (c pR)", "a pr and b pr or not (c pr)");
    check(r#"  a   eq    "x"  "#, r#"a eq "x""#);
    check("a pr   and   b pr", "a pr and b pr");
    check("( a pr )", "a pr");
    check("not(a pr)", "not (a pr)");
    check("not   (  a pr  )", "not (a pr)");
    check(r#"emails[  type eq "work"  ]"#, r#"emails[type eq "work"]"#);
    check_tolerant("a\tpr\r\nand b pr", "a pr and b pr");
}

#[test]
fn every_operator() {
    for op in ["eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le"] {
        check(&format!("a {op} 1"), &format!("a {op} 1"));
        check(&format!("a {} 1", op.to_uppercase()), &format!("a {op} 1"));
    }
}

// R7644-3.4.2.2-04
#[test]
fn precedence_and_flattening() {
    check("a pr or b pr and c pr", "a pr or b pr and c pr");
    check("(a pr or b pr) and c pr", "(a pr or b pr) and c pr");
    check("a pr or (b pr and c pr)", "a pr or b pr and c pr");
    check("(a pr and b pr) and c pr", "a pr and b pr and c pr");
    check(
        "a pr or ((b pr or c pr) or d pr)",
        "a pr or b pr or c pr or d pr",
    );
    check("not (a pr) and b pr", "not (a pr) and b pr");
    check("not (not ((a pr)))", "not (not (a pr))");
    check("((a pr))", "a pr");

    let filter = Filter::parse("a pr or b pr and not (c pr) or (d pr or e pr)").unwrap();
    assert_eq!(
        filter,
        Filter::Or(vec![
            present("a"),
            Filter::And(vec![present("b"), Filter::Not(Box::new(present("c"))),]),
            present("d"),
            present("e"),
        ])
    );
}

// R7644-3.4.2.2-07
#[test]
fn elements() {
    check(
        r#"emails[(type eq "work" or type eq "home") and not (primary eq true)]"#,
        r#"emails[(type eq "work" or type eq "home") and not (primary eq true)]"#,
    );
    check(
        r#"emails[type pr] and emails[value pr]"#,
        r#"emails[type pr] and emails[value pr]"#,
    );
    same(r#"not (emails[type eq "work"])"#);
    same(r#"urn:example:acme:1.0:User:badges[kind eq "a]b"]"#);
    check_tolerant(
        r#"emails[type eq "work"].value CO "x""#,
        r#"emails[type eq "work"].value co "x""#,
    );
    check_tolerant(
        r#"emails[type eq "work"].value pr and a pr"#,
        r#"emails[type eq "work"].value pr and a pr"#,
    );
    check_tolerant(
        r#"emails[type eq work].value eq bob@example.com"#,
        r#"emails[type eq "work"].value eq "bob@example.com""#,
    );

    let filter = Filter::parse(r#"emails[type eq "work"].value co "x""#).unwrap();
    assert_eq!(
        filter,
        Filter::Element(ElementFilter {
            path: path("emails"),
            filter: Box::new(Filter::Compare(Comparison {
                path: path("type"),
                op: CompareOp::Eq,
                value: Value::String("work".to_owned()),
            })),
            tail: Some(ElementTail {
                sub: "value".to_owned(),
                test: Some((CompareOp::Co, Value::String("x".to_owned()))),
            }),
        })
    );
}

#[test]
fn touching_tokens() {
    check_tolerant("(a pr)and(b pr)", "a pr and b pr");
    check_tolerant(r#"a eq"x"or b eq "y""#, r#"a eq "x" or b eq "y""#);
    check_tolerant("not(a pr)or b pr", "not (a pr) or b pr");
    check_tolerant(r#"x[y pr]and z pr"#, "x[y pr] and z pr");
}

// R7644-3.4.2.2-13
#[test]
fn urns_split_at_the_last_colon() {
    let Filter::Present(path) =
        Filter::parse("urn:example:acme.corp:2.0:User:name.familyName pr").unwrap()
    else {
        panic!("not a presence test");
    };
    assert_eq!(
        path,
        AttrPath {
            urn: Some("urn:example:acme.corp:2.0:User".to_owned()),
            name: "name".to_owned(),
            sub: Some("familyName".to_owned()),
        }
    );
    same("https://example.com/scim/v2:badge pr");
    check_tolerant("acme:badge pr", "acme:badge pr");
}

#[test]
fn keywords_may_be_names_where_they_cannot_be_confused() {
    same("urn:example:x:and pr");
    same("a.not pr");
    same(r#"or.x eq "and""#);
    same(r#"pr pr and eq eq "eq""#);
}
