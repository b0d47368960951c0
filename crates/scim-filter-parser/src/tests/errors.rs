//! The position, kind and message of each error.

use super::{check_error, filter, path, strict, tolerant};
use crate::ErrorKind::{ElementSyntax, Syntax, UnknownOperator};
use crate::{PatchPath, parse_filter_with};

#[track_caller]
fn strict_filter(text: &str, position: usize, message: &str) {
    let error = parse_filter_with(text, &strict()).unwrap_err();
    check_error(error, Syntax, position, message);
    assert!(parse_filter_with(text, &tolerant()).is_ok());
}

// R7644-3.4.2.2-03
#[test]
fn nothing_there() {
    filter("", Syntax, 0, "expected a filter");
    filter("  ", Syntax, 2, "expected a filter");
    filter("()", Syntax, 1, "expected a filter after `(`, found `)`");
    filter(
        "not ()",
        Syntax,
        5,
        "expected a filter after `(`, found `)`",
    );
    path("", Syntax, 0, "expected an attribute path");
    path(" ", Syntax, 1, "expected an attribute path");
}

// R7644-3.4.2.2-15
#[test]
fn unfinished() {
    filter(
        "userName",
        Syntax,
        8,
        "expected an operator after `userName`",
    );
    filter("userName eq", Syntax, 11, "expected a value after `eq`");
    filter("userName eq ", Syntax, 12, "expected a value after `eq`");
    filter("a pr and", Syntax, 8, "expected a filter after `and`");
    filter("a pr or ", Syntax, 8, "expected a filter after `or`");
    filter("(a pr", Syntax, 5, "expected `and`, `or` or `)`");
    filter("not", Syntax, 3, "expected `(` after `not`");
    filter("emails[", ElementSyntax, 7, "expected a filter after `[`");
    filter(
        "emails[type pr",
        ElementSyntax,
        14,
        "expected `and`, `or` or `]`",
    );
    filter(
        "emails[(type pr]",
        ElementSyntax,
        15,
        "expected `and`, `or` or `)`, found `]`",
    );
}

// R7644-3.4.2.2-06, R7644-3.4.2.2-15
#[test]
fn misplaced() {
    filter("and a pr", Syntax, 0, "expected a filter, found `and`");
    filter(
        "a pr and or b pr",
        Syntax,
        9,
        "expected a filter after `and`, found `or`",
    );
    filter(
        "a pr b pr",
        Syntax,
        5,
        "expected `and`, `or` or the end of the filter, found `b`",
    );
    filter(
        "a pr)",
        Syntax,
        4,
        "expected `and`, `or` or the end of the filter, found `)`",
    );
    filter(
        "a pr \"x\"",
        Syntax,
        5,
        "expected `and`, `or` or the end of the filter, found `\"`",
    );
    filter(
        "a eq \"x\" \"y\"",
        Syntax,
        9,
        "expected `and`, `or` or the end of the filter, found `\"`",
    );
    filter(
        "a eq \"x\"y",
        Syntax,
        8,
        "expected `and`, `or` or the end of the filter, found `y`",
    );
}

#[test]
fn misplaced_in_a_test() {
    filter(
        "a eq )",
        Syntax,
        5,
        "expected a value after `eq`, found `)`",
    );
    filter(
        "a eq and b pr",
        Syntax,
        5,
        "expected a value after `eq`, found `and`",
    );
    filter(
        "a and b pr",
        Syntax,
        2,
        "expected an operator after `a`, found `and`",
    );
    filter(
        "a (b pr)",
        Syntax,
        2,
        "expected an operator after `a`, found `(`",
    );
    filter(
        "emails [type pr]",
        Syntax,
        7,
        "expected an operator after `emails`, found `[`",
    );
    filter("not a pr", Syntax, 4, "expected `(` after `not`, found `a`");
    filter("\"a\" eq 1", Syntax, 0, "expected a filter, found `\"`");
    filter(
        "a\u{a0}pr",
        Syntax,
        1,
        "expected an operator after `a`, found `\\u{a0}`",
    );
    filter(
        "a pr\0",
        Syntax,
        4,
        "expected `and`, `or` or the end of the filter, found `\\0`",
    );
    filter("[a pr]", Syntax, 0, "expected a filter, found `[`");
    filter(
        "emails[]",
        ElementSyntax,
        7,
        "expected a filter after `[`, found `]`",
    );
    filter(
        "emails[value[x pr]]",
        ElementSyntax,
        12,
        "a filter inside `[` and `]` cannot hold another `[`",
    );
}

// R7644-3.4.2.2-05
#[test]
fn operators() {
    let expected = "expected eq, ne, co, sw, ew, gt, ge, lt, le or pr";
    let unknown = |word: &str| format!("unknown operator `{word}`: {expected}");
    filter(
        "userName regex \"x\"",
        UnknownOperator,
        9,
        &unknown("regex"),
    );
    filter("userName = \"x\"", UnknownOperator, 9, &unknown("="));
    filter("userName == \"x\"", UnknownOperator, 9, &unknown("=="));
    filter("a b", UnknownOperator, 2, &unknown("b"));
    filter(
        "x[é like 1]",
        ElementSyntax,
        2,
        "expected an attribute name, found `é`",
    );
    filter("x[y like 1]", UnknownOperator, 4, &unknown("like"));
    path("x[y like 1]", UnknownOperator, 4, &unknown("like"));
    let long = "é".repeat(40);
    filter(
        &format!("a {long} 1"),
        UnknownOperator,
        2,
        &unknown(&format!("{}…", "é".repeat(32))),
    );
}

#[test]
fn names() {
    filter("1a pr", Syntax, 0, "expected an attribute name, found `1a`");
    filter("_a pr", Syntax, 0, "expected an attribute name, found `_a`");
    filter("$x pr", Syntax, 0, "expected an attribute name, found `$x`");
    filter(
        "a/b pr",
        Syntax,
        1,
        "`/` cannot stand in the attribute name `a/b`",
    );
    filter(
        "aé pr",
        Syntax,
        1,
        "`é` cannot stand in the attribute name `aé`",
    );
    filter(
        "a. pr",
        Syntax,
        2,
        "expected a sub-attribute name after `.`",
    );
    filter(
        "a.b.c pr",
        Syntax,
        3,
        "expected one `.` at most: a sub-attribute has no sub-attributes",
    );
    filter(":a pr", Syntax, 0, "expected a schema URN before `:`");
    filter("urn:x: pr", Syntax, 6, "expected an attribute name");
    filter("urn:é:x pr", Syntax, 4, "`é` cannot stand in a schema URN");
    path("urn:x:", Syntax, 6, "expected an attribute name");
    path(
        "urn:x:name.",
        Syntax,
        11,
        "expected a sub-attribute name after `.`",
    );
    strict_filter(
        "acme:x pr",
        0,
        "`acme` before the last `:` is not a schema URN",
    );
}

#[test]
fn paths() {
    path("emails[", ElementSyntax, 7, "expected a filter after `[`");
    path(
        "emails[]",
        ElementSyntax,
        7,
        "expected a filter after `[`, found `]`",
    );
    path(
        "emails[].value",
        ElementSyntax,
        7,
        "expected a filter after `[`, found `]`",
    );
    path(
        "emails[0]",
        ElementSyntax,
        7,
        "expected an attribute name, found `0`",
    );
    path(
        "emails[type]",
        ElementSyntax,
        11,
        "expected an operator after `type`, found `]`",
    );
    path(
        "emails[type eq \"work\"",
        ElementSyntax,
        21,
        "expected `and`, `or` or `]`",
    );
}

#[test]
fn paths_around_the_brackets() {
    path(
        "name.",
        Syntax,
        5,
        "expected a sub-attribute name after `.`",
    );
    path(".x", Syntax, 0, "expected an attribute name");
    path(
        "a b",
        Syntax,
        2,
        "expected `[` or the end of the path, found `b`",
    );
    path(
        "a eq 1",
        Syntax,
        2,
        "expected `[` or the end of the path, found `eq`",
    );
    path(
        "/name/givenName",
        Syntax,
        0,
        "expected an attribute name, found `/name/givenName`",
    );
    path(
        "a[b pr]c",
        Syntax,
        7,
        "expected the end of the path, found `c`",
    );
    path(
        "a[b pr].",
        Syntax,
        8,
        "expected a sub-attribute name after `.`",
    );
    path(
        "a[b pr].c.d",
        Syntax,
        9,
        "expected one `.` at most: a sub-attribute has no sub-attributes",
    );
    path(
        "a[b pr] .c",
        Syntax,
        8,
        "expected the end of the path, found `.c`",
    );
    path(
        "a[b pr][c pr]",
        Syntax,
        7,
        "expected the end of the path, found `[`",
    );
    path(
        "a[b[c pr]]",
        ElementSyntax,
        3,
        "a filter inside `[` and `]` cannot hold another `[`",
    );
    path(
        "a]",
        Syntax,
        1,
        "expected `[` or the end of the path, found `]`",
    );
    path("(a)", Syntax, 0, "expected an attribute path, found `(`");
    path(
        "members[value eq \"x]",
        ElementSyntax,
        17,
        "the string has no closing quote: expected `\"` at its end",
    );
}

// R7644-3.4.2.2-11
#[test]
fn strings() {
    filter(
        "a eq \"x",
        Syntax,
        5,
        "the string has no closing quote: expected `\"` at its end",
    );
    filter(
        "a eq \"x\\",
        Syntax,
        7,
        "expected an escaped character after `\\`",
    );
    filter(r#"a eq "\x""#, Syntax, 6, r"`\x` is not an escape of JSON");
    filter(r#"a eq "é\'""#, Syntax, 8, r"`\'` is not an escape of JSON");
    filter(
        r#"a eq "\u12""#,
        Syntax,
        6,
        r"expected four hexadecimal digits after `\u`",
    );
    filter(
        r#"a eq "\u+123""#,
        Syntax,
        6,
        r"expected four hexadecimal digits after `\u`",
    );
    filter(
        r#"a eq "\u12é4""#,
        Syntax,
        6,
        r"expected four hexadecimal digits after `\u`",
    );
    let high = r"a high surrogate must be followed by a low one, `\uDC00` to `\uDFFF`";
    filter(r#"a eq "x\ud83d""#, Syntax, 7, high);
    filter(r#"a eq "\ud83dx""#, Syntax, 6, high);
    filter(r#"a eq "\ud83d\n""#, Syntax, 6, high);
    filter(r#"a eq "\ud83d\ud83d""#, Syntax, 6, high);
    filter(r#"a eq "\ud83d\u0041""#, Syntax, 6, high);
    filter(
        r#"a eq "\ude42""#,
        Syntax,
        6,
        r"a low surrogate must follow a high one, `\uD800` to `\uDBFF`",
    );
    filter(
        "a eq \"x\ny\"",
        Syntax,
        7,
        "the control character U+000A must be escaped in a string",
    );
    filter(
        "a eq \"\0\"",
        Syntax,
        6,
        "the control character U+0000 must be escaped in a string",
    );
    filter("a eq 1e400", Syntax, 5, "the number `1e400` is too large");
}

// R7644-3.4.2.2-08, R7644-3.4.2.2-09, R7644-3.4.2.2-10
#[test]
fn what_only_the_tolerant_dialect_reads() {
    strict_filter(
        "a eq 'x'",
        5,
        "expected a string in double quotes, found a single quote",
    );
    strict_filter(
        "a eq True",
        5,
        "expected a string in double quotes, a number, true, false or null after `eq`, found `True`",
    );
    strict_filter(
        "emails[type eq \"work\"].value pr",
        22,
        "a filter cannot name a sub-attribute after `]`; put the test inside the brackets",
    );
    strict_filter("(a pr)and b pr", 6, "expected a space before `and`");
    strict_filter("a pr or(b pr)", 7, "expected a space after `or`");
    strict_filter("a eq\"x\"", 4, "expected a space after `eq`, found `\"`");
    strict_filter("a\tpr", 1, "expected an operator after `a`, found `\\t`");
}

#[test]
fn display() {
    let error = PatchPath::parse("emails[").unwrap_err();
    assert_eq!(error.to_string(), "expected a filter after `[` (at byte 7)");
}
