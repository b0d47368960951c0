//! The estimated cost of filters.

use scim_core::{Compatibility, Registry, filter};

use crate::store::Backend;
use crate::store::query::predicate::plan;
use crate::store::testing::TENANT;

#[test]
fn comparisons_that_no_index_answers_are_counted() {
    let registry = Registry::standard();
    let check = |resource_type: &str, text: &str, expected: u64| {
        let rt = registry.by_name(resource_type).unwrap();
        let filter = filter::parse(rt, text, Compatibility::Tolerant).unwrap();
        for backend in [Backend::Sqlite, Backend::Postgres] {
            let plan = plan(backend, TENANT, rt, &filter);
            assert_eq!(plan.tests, expected, "{text}");
        }
    };
    check("User", r#"userName eq "a""#, 0);
    check("User", r#"userName eq "a" or externalId eq "b""#, 0);
    check("User", r#"title co "x" and emails.value eq "a@x""#, 0);
    check("User", r#"active eq true and userName eq "a""#, 0);
    check(
        "Group",
        r#"members.value eq "u1" or members.value eq "u2""#,
        0,
    );
    // A range of an index may be all of it.
    check("User", r#"userName sw "a""#, 1);
    check("User", r#"userName sw "a" and active eq true"#, 2);
    check("User", r#"emails.value co "a" or emails.value co "b""#, 2);
    check("User", r#"userName eq "a" or emails.value co "b""#, 1);
    check("User", r#"emails[value co "a" and type eq "work"]"#, 2);
    check("User", r#"active eq true"#, 1);
    check("User", r#"not (userName eq "a" or userName eq "b")"#, 2);
    // Documents.
    check("User", r#"title eq "x""#, 1);
    check("User", r#"userName eq "a" or title pr"#, 2);
    check("User", r#"not (title eq "x" or nickName eq "y")"#, 2);
}
