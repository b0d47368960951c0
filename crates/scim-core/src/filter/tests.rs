//! Filters as tables: text, resolved form.

use super::*;
use crate::{ErrorKind, Registry};

/// Prints a resolved filter so that a row of a table can hold it.
fn print(filter: &Filter) -> String {
    let join = |terms: &[Filter], word: &str| {
        let terms: Vec<_> = terms.iter().map(print).collect();
        format!("({})", terms.join(word))
    };
    match filter {
        Filter::And(terms) => join(terms, " and "),
        Filter::Or(terms) => join(terms, " or "),
        Filter::Not(filter) => format!("not {}", print(filter)),
        Filter::Present(path) => format!("{path} pr"),
        Filter::Compare { path, op, value } => format!("{path} {op} {value:?}"),
        Filter::Element { path, filter } => format!("{path}[{}]", print(filter)),
    }
}

const BOTH: [Compatibility; 2] = [Compatibility::Tolerant, Compatibility::Strict];

fn parsed(text: &str, compatibility: Compatibility) -> Result<String, ScimError> {
    let registry = Registry::standard();
    let filter = parse(registry.by_name("User").unwrap(), text, compatibility);
    filter.as_ref().map(print).map_err(Clone::clone)
}

/// Read the same by both.
#[track_caller]
fn check(text: &str, expected: &str) {
    for compatibility in BOTH {
        let found = parsed(text, compatibility);
        assert_eq!(found.as_deref(), Ok(expected), "{compatibility} {text}");
    }
}

/// Read by the tolerant, refused by the strict.
#[track_caller]
fn check_tolerant(text: &str, expected: &str) {
    let found = parsed(text, Compatibility::Tolerant);
    assert_eq!(found.as_deref(), Ok(expected), "{text}");
    let error = parsed(text, Compatibility::Strict).unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidFilter, "{text}");
}

#[track_caller]
fn check_error(text: &str, expected: &str) {
    for compatibility in BOTH {
        let error = parsed(text, compatibility).unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidFilter, "{text}");
        let is_told = compatibility.is_strict() || error.detail.contains(expected);
        assert!(is_told, "{text}: {}", error.detail);
    }
}

// R7643-2.3.6-02, R7644-3.10-01, R7644-3.4.2.2-02, R7644-3.4.2.2-13, R7644-3.4.2.2-28
#[test]
fn resolved() {
    check(r#"USERNAME Eq "BJensen""#, r#"userName eq Text("bjensen")"#);
    check(r#"userName eq "ｂJ""#, r#"userName eq Text("bj")"#);
    check(r#"externalId eq "00uA""#, r#"externalId eq Text("00uA")"#);
    check("active eq true", "active eq Bool(true)");
    check("title pr and not (name pr)", "(title pr and not name pr)");
    check(r#"emails co "X""#, r#"emails.value co Text("x")"#);
    check("emails eq null", "not emails pr");
    check("name ne null", "name pr");
    check("title eq null", "title eq Null");
    check(
        r#"meta.created gt "1970-01-01T00:00:01Z""#,
        "meta.created gt Instant(1000000)",
    );
    check(
        r#"Emails[Type eq "Work" and Value co "@"]"#,
        r#"emails[(emails.type eq Text("work") and emails.value co Text("@"))]"#,
    );
    check_tolerant(
        r#"emails[type eq "work"].value pr"#,
        r#"emails[(emails.type eq Text("work") and emails.value pr)]"#,
    );
    check_tolerant(
        r#"emails[type eq "work"].primary eq true"#,
        r#"emails[(emails.type eq Text("work") and emails.primary eq Bool(true))]"#,
    );
    check(
        r#"urn:ietf:params:scim:schemas:core:2.0:User:userName sw "J""#,
        r#"userName sw Text("j")"#,
    );
    check(
        r#"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager eq "u1""#,
        r#"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value eq Text("u1")"#,
    );
    check(r#"groups eq "G1""#, r#"groups.value eq Text("g1")"#);
    check(
        r#"schemas[value eq "urn:x"]"#,
        r#"schemas[schemas eq Text("urn:x")]"#,
    );
    check(
        r#"x509Certificates.value eq "AQ==""#,
        r#"x509Certificates.value eq Text("AQ==")"#,
    );
}

// L-12, L-16
#[test]
fn what_clients_write() {
    check_tolerant("userName eq 'Ada'", r#"userName eq Text("ada")"#);
    check_tolerant("userName eq Ada", r#"userName eq Text("ada")"#);
    check_tolerant("userName eq 5", r#"userName eq Text("5")"#);
    check_tolerant("active eq True", "active eq Bool(true)");
    check_tolerant(r#"active eq "False""#, "active eq Bool(false)");
    check_tolerant("active eq 1", "active eq Bool(true)");
    check_tolerant(r#"active eq "1""#, "active eq Bool(true)");
    check_tolerant(r#"active ne "0""#, "active ne Bool(false)");
    check_tolerant(
        "emails[primary eq 0]",
        "emails[emails.primary eq Bool(false)]",
    );
    check_error("active eq 2", "true or false");
    check_tolerant(
        r#"roles[primary eq "True"]"#,
        "roles[roles.primary eq Bool(true)]",
    );
    check_tolerant(
        r#"(title pr)and(active eq true)"#,
        "(title pr and active eq Bool(true))",
    );
}

// R7644-3.4.2.2-22, R7644-3.4.2.2-24, R7644-3.4.2.2-25, R7644-3.4.2.2-28, R7644-3.4.2.2-31,
// R7644-3.4.2.2-36
#[test]
fn refused() {
    check_error("", "malformed");
    check_error("userName regex \"a\"", "malformed");
    check_error(r#"nope eq "x""#, "User has no attribute nope");
    check_error(r#"members.value eq "x""#, "no attribute members.value");
    check_error(r#"department eq "x""#, "no attribute");
    check_error(r#"password eq "x""#, "never returned");
    check_error("password pr", "never returned");
    check_error(r#"name eq "x""#, "name.formatted");
    check_error(r#"name[formatted eq "x"]"#, "several values");
    check_error(r#"userName[value eq "x"]"#, "several values");
    check_error(r#"emails[nope eq "x"]"#, "emails has no sub-attribute nope");
    check_error(
        r#"emails[name.formatted eq "x"]"#,
        "only its sub-attributes",
    );
    check_error(r#"emails[type eq "work"].nope eq "x""#, "no sub-attribute");
    check_error("active gt true", "operator gt");
    check_error(r#"active eq "yes""#, "true or false");
    check_error(r#"active co "t""#, "operator co");
    check_error("userName gt null", "operator gt");
    check_error("userName eq true", "a string");
    check_error(r#"userName eq "a\u0000""#, "U+0000");
    check_error(r#"meta.created gt "2011-05-13""#, "date and time");
    check_error(r#"meta.created sw "2011""#, "operator sw");
    check_error(r#"x509Certificates.value gt "AQ==""#, "operator gt");
}

// R7644-3.4.2.2-20, R7644-3.4.2.2-22
#[test]
fn numbers() {
    let text = r#"{"id":"urn:x:A","name":"A","attributes":[{"name":"n","type":"decimal"},{"name":"i","type":"integer"}]}"#;
    let schema = std::sync::Arc::new(crate::schema::Schema::parse(text).unwrap());
    let rt = ResourceType::new("A", "/As", "", schema, vec![]).unwrap();
    let check = |text: &str, expected: f64| {
        let value = Operand::Number(expected);
        assert!(
            matches!(parse(&rt, text, Compatibility::Tolerant), Ok(Filter::Compare { value: found, .. }) if found == value),
            "{text}"
        );
    };
    check("n eq 1", 1.0);
    check("n ge 1.5", 1.5);
    check("i lt -9223372036854775808", -9_223_372_036_854_775_808.0);
    assert!(parse(&rt, "n co 1", Compatibility::Tolerant).is_err());
    assert!(parse(&rt, r#"n eq "1""#, Compatibility::Tolerant).is_err());
}

#[test]
fn undeclared_extensions() {
    check_tolerant(
        r#"urn:Acme:x:attr eq "V""#,
        r#"urn:acme:x:attr.value eq Text("V")"#,
    );
    check_tolerant(
        "urn:acme:x:attr gt 1.5",
        "urn:acme:x:attr.value gt Number(1.5)",
    );
    check_tolerant(
        "urn:acme:x:attr ne true",
        "urn:acme:x:attr.value ne Bool(true)",
    );
    check_tolerant("urn:acme:x:Obj.sub pr", "urn:acme:x:obj.sub pr");
    check_tolerant("urn:acme:x:attr eq null", "not urn:acme:x:attr pr");
    check_tolerant(
        r#"urn:acme:x:list[Type eq "t" and value sw "v"]"#,
        r#"urn:acme:x:list[(urn:acme:x:list.type eq Text("t") and urn:acme:x:list.value sw Text("v"))]"#,
    );
    check_tolerant(
        r#"urn:acme:x:obj.list[value eq 5].note pr"#,
        r#"urn:acme:x:obj.list[(urn:acme:x:obj.list.value eq Number(5.0) and urn:acme:x:obj.list.note pr)]"#,
    );
    check_error("urn:acme:x:attr co true", "operator co");
    check_error("urn:acme:x:list[a.b pr]", "only its sub-attributes");
    // A prefix that is no URN names no extension.
    check_error(r#"enterprise:department eq "x""#, "no attribute");
    // Schemas that are known have the attributes that they have.
    check_error(
        r#"urn:ietf:params:scim:schemas:core:2.0:User:nope eq "x""#,
        "no attribute",
    );
    check_error(
        r#"urn:ietf:params:scim:schemas:core:2.0:Group:members pr"#,
        "no attribute",
    );
    check_error(
        r#"urn:ietf:params:scim:schemas:extension:enterprise:2.0:user:nope pr"#,
        "no attribute",
    );
}

#[test]
fn near_misses() {
    let enterprise = crate::name::ENTERPRISE_USER;
    for text in [
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:department",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:Users:department",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:manager.value",
        enterprise,
    ] {
        check_error(&format!("{text} pr"), enterprise);
        check_error(&format!(r#"not ({text}[value eq "x"])"#), enterprise);
    }
    check_tolerant(
        r#"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User.department eq "x""#,
        &format!(r#"{enterprise}:department eq Text("x")"#),
    );
    check_tolerant(
        r#"urn:ietf:params:scim:schemas:core:2.0:user.emails[type eq "work"]"#,
        r#"emails[emails.type eq Text("work")]"#,
    );
    check_error(
        "urn:ietf:params:scim:schemas:core:2.0:User.nope pr",
        "no attribute",
    );
}

// RFC 7644 section 3.4.2.1
#[test]
fn of_several_types() {
    let registry = Registry::standard();
    let check = |kind: &str, text: &str, expected: &str| {
        let rt = registry.by_name(kind).unwrap();
        let filter = parse_for_any(&registry, rt, text, Compatibility::Tolerant).unwrap();
        assert_eq!(print(&filter), expected, "{kind} {text}");
    };
    let department = format!(r#"{}:department eq "d""#, crate::name::ENTERPRISE_USER);
    check("Group", &department, "()");
    check(
        "User",
        &department,
        &department.replace(r#""d""#, r#"Text("d")"#),
    );
    check("Group", "urn:acme:x:attr pr", "urn:acme:x:attr pr");
    let group = registry.by_name("Group").unwrap();
    for (text, expected) in [
        (r#"userName ne "x""#, Filter::And(vec![])),
        ("userName ne null", Filter::Or(vec![])),
        (r#"userName eq "x""#, Filter::Or(vec![])),
        ("userName eq null", Filter::Or(vec![])),
        ("userName pr", Filter::Or(vec![])),
        (r#"emails[type ne "x"]"#, Filter::Or(vec![])),
    ] {
        let filter = parse_for_any(&registry, group, text, Compatibility::Strict);
        assert_eq!(filter, Ok(expected), "{text}");
    }
    let strict = parse_for_any(
        &registry,
        registry.by_name("Group").unwrap(),
        "urn:acme:x:attr pr",
        Compatibility::Strict,
    );
    assert_eq!(print(&strict.unwrap()), "()");
}

#[test]
fn parts_of_what_is_never_returned() {
    let text = r#"{"id": "urn:x:A", "attributes": [
        {"name": "secret", "type": "complex", "returned": "never", "subAttributes": [{"name": "a"}]},
        {"name": "half", "type": "complex", "subAttributes": [
            {"name": "a"}, {"name": "n", "returned": "never"}]}]}"#;
    let schema = std::sync::Arc::new(crate::schema::Schema::parse(text).unwrap());
    let rt = ResourceType::new("A", "/As", "", schema, vec![]).unwrap();
    for (text, is_ok) in [
        ("secret.a pr", false),
        ("half.n pr", false),
        ("half.a pr", true),
    ] {
        assert_eq!(
            parse(&rt, text, Compatibility::Strict).is_ok(),
            is_ok,
            "{text}"
        );
    }
}
