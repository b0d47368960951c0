//! The SQL of typical filters, for review.

use diesel::pg::Pg;
use diesel::sqlite::Sqlite;
use scim_core::{Compatibility, Registry, filter};

use crate::store::Backend;
use crate::store::query::predicate::plan;
use crate::store::testing::TENANT;

const FILTERS: &[(&str, &str)] = &[
    ("User", r#"id eq "0190a8f2-7c1b-7e53-b9a4-000000000001""#),
    ("User", r#"userName eq "bjensen@example.com""#),
    ("User", r#"externalId eq "00u1""#),
    ("User", r#"displayName ne "Babs""#),
    ("User", r#"userName sw "bj""#),
    ("User", r#"userName co "100%_""#),
    ("User", r#"userName ew "@example.com""#),
    ("User", r#"active eq true"#),
    ("User", r#"not (active eq true)"#),
    ("User", r#"externalId pr"#),
    ("User", r#"externalId eq null"#),
    ("User", r#"meta.lastModified gt "2026-01-01T00:00:00Z""#),
    (
        "User",
        r#"meta.version eq "W/\"3\"" and meta.resourceType eq "User""#,
    ),
    ("User", r#"emails eq "bjensen@example.com""#),
    ("User", r#"emails.value ne "bjensen@example.com""#),
    ("User", r#"not (emails.value ew "@example.com")"#),
    ("User", r#"emails.value eq "a@x" and emails.type eq "work""#),
    ("User", r#"emails[type eq "work" and value eq "a@x"]"#),
    ("User", r#"emails[type eq "work"].value sw "a""#),
    (
        "User",
        r#"emails[value co "a" and not (type eq "home" or type eq "other")]"#,
    ),
    ("User", r#"emails[primary eq true and value eq "a@x"]"#),
    ("User", r#"userName eq "a" or emails.value eq "a@x""#),
    (
        "User",
        r#"userName eq "a" or active eq true and externalId eq "b""#,
    ),
    ("User", r#"active eq false or emails.value eq "a@x""#),
    ("User", r#"userName eq "a" and title pr"#),
    ("User", r#"userName eq "a" or title pr"#),
    (
        "User",
        r#"name.familyName eq "Jensen" and name.givenName sw "B""#,
    ),
    (
        "User",
        r#"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value eq "42""#,
    ),
    ("User", r#"groups.value eq "g1""#),
    ("User", r#"not (groups.value eq "g1")"#),
    ("User", r#"groups pr"#),
    ("Group", r#"members.value eq "u1""#),
    (
        "Group",
        r#"members[value eq "u1" and type eq "User"] or displayName eq "Staff""#,
    ),
    ("Group", r#"members.display eq "Babs""#),
];

#[test]
fn sql_of_filters() {
    let registry = Registry::standard();
    let mut all = String::new();
    for (kind, text) in FILTERS {
        let rt = registry.by_name(kind).unwrap();
        let filter = filter::parse(rt, text, Compatibility::Tolerant).unwrap();
        let sqlite = plan(Backend::Sqlite, TENANT, rt, &filter);
        let postgres = plan(Backend::Postgres, TENANT, rt, &filter);
        let exact = if sqlite.exact {
            "exact"
        } else {
            "then the documents decide"
        };
        all.push_str(&format!("{kind}: {text}\n  {exact}\n"));
        let (Some(sqlite), Some(postgres)) = (sqlite.predicate, postgres.predicate) else {
            all.push('\n');
            continue;
        };
        let kept = if sqlite.is_cached() {
            "\n  kept prepared"
        } else {
            ""
        };
        let sqlite = diesel::debug_query::<Sqlite, _>(&sqlite).to_string();
        let postgres = diesel::debug_query::<Pg, _>(&postgres).to_string();
        all.push_str(&format!(
            "  {}{kept}\n\n",
            sqlite.replace(" -- binds:", "\n  --")
        ));
        assert_eq!(sqlite, as_sqlite(&postgres));
    }
    insta::assert_snapshot!(all);
}

/// Removes the allowed differences of the two texts.
fn as_sqlite(postgres: &str) -> String {
    let mut text = postgres.replace("strpos(", "instr(");
    for number in (1..20).rev() {
        text = text.replace(&format!("${number}"), "?");
    }
    text
}
