//! Values.

use super::{strict, tolerant};
use crate::{Filter, Options, Value, parse_filter_with};

#[track_caller]
fn value(text: &str, options: &Options) -> Value {
    match parse_filter_with(&format!("a eq {text}"), options).unwrap() {
        Filter::Compare(comparison) => comparison.value,
        other => panic!("{other:?} is not a comparison"),
    }
}

#[track_caller]
fn check(text: &str, expected: &Value) {
    assert_eq!(value(text, &strict()), *expected);
    assert_eq!(value(text, &tolerant()), *expected);
    assert_eq!(value(&expected.to_string(), &strict()), *expected);
}

#[track_caller]
fn check_tolerant(text: &str, expected: &Value) {
    assert_eq!(value(text, &tolerant()), *expected);
    assert!(parse_filter_with(&format!("a eq {text}"), &strict()).is_err());
}

#[track_caller]
fn check_printed(text: &str, expected: &str) {
    assert_eq!(value(text, &tolerant()).to_string(), expected);
}

fn string(text: &str) -> Value {
    Value::String(text.to_owned())
}

// R7644-3.4.2.2-10
#[test]
fn words() {
    check("true", &Value::Bool(true));
    check("false", &Value::Bool(false));
    check("null", &Value::Null);
    check_tolerant("True", &Value::Bool(true));
    check_tolerant("FALSE", &Value::Bool(false));
    check_tolerant("Null", &Value::Null);
    check(r#""True""#, &string("True"));
}

#[test]
fn numbers() {
    check("0", &Value::Integer(0));
    check("-0", &Value::Integer(0));
    check("42", &Value::Integer(42));
    check("-7", &Value::Integer(-7));
    check("9223372036854775807", &Value::Integer(i64::MAX));
    check("-9223372036854775808", &Value::Integer(i64::MIN));
    check(
        "9223372036854775808",
        &Value::Decimal(9_223_372_036_854_775_808.0),
    );
    check("1.0", &Value::Decimal(1.0));
    check("1.50", &Value::Decimal(1.5));
    check("1e2", &Value::Decimal(100.0));
    check("-1.5E-3", &Value::Decimal(-0.0015));
    check("1E+300", &Value::Decimal(1e300));
    check("1e-400", &Value::Decimal(0.0));
}

#[test]
fn what_looks_like_a_number_is_a_bare_word() {
    for text in [
        "01", "+1", ".5", "1.", "1e", "-", "1e+", "--1", "0x1F", "inf", "NaN", "1_000",
    ] {
        check_tolerant(text, &string(text));
    }
}

// R7644-3.4.2.2-11
#[test]
fn strings() {
    check(r#""""#, &string(""));
    check(r#""bjensen""#, &string("bjensen"));
    check(r#""a) and ] or [""#, &string("a) and ] or ["));
    check(r#""it's""#, &string("it's"));
    check(r#""Zoë 名前 🙂""#, &string("Zoë 名前 🙂"));
    check(r#""\"\\\/""#, &string("\"\\/"));
    check(r#""\b\f\n\r\t""#, &string("\u{8}\u{c}\n\r\t"));
    check(r#""\u0027\u00e9\u00E9""#, &string("'éé"));
    check(r#""\ud83d\ude42!""#, &string("🙂!"));
    check(r#""\uDBFF\uDFFF""#, &string("\u{10FFFF}"));
    check(r#""\ud7ff\ue000""#, &string("\u{d7ff}\u{e000}"));
    check(r#""\u0000""#, &string("\0"));
    check("\"\u{7f}\u{85}\"", &string("\u{7f}\u{85}"));
}

#[test]
fn strings_print_with_the_least_escapes() {
    check_printed(r#""\u0041\/\u00e9""#, r#""A/é""#);
    check_printed(r#""\"\\""#, r#""\"\\""#);
    check_printed(r#""\u0001\u001F\u0008""#, r#""\u0001\u001f\b""#);
    check_printed(r#""\n\r\t\f""#, r#""\n\r\t\f""#);
}

// R7644-3.4.2.2-09
#[test]
fn single_quotes() {
    check_tolerant("'x'", &string("x"));
    check_tolerant("''", &string(""));
    check_tolerant(r#"'a "b" c'"#, &string(r#"a "b" c"#));
    check_tolerant(r"'O\'Brien'", &string("O'Brien"));
    check_tolerant(r"'\u00e9\n'", &string("é\n"));
    assert!(parse_filter_with(r#"a eq "O\'Brien""#, &tolerant()).is_err());
}

// R7644-3.4.2.2-09
#[test]
fn bare_words() {
    check_tolerant("bjensen", &string("bjensen"));
    check_tolerant("a.b+c@example.com", &string("a.b+c@example.com"));
    check_tolerant("2011-05-13T04:42:34Z", &string("2011-05-13T04:42:34Z"));
    check_tolerant("O'Brien", &string("O'Brien"));
    check_tolerant("Zoë", &string("Zoë"));
    check_tolerant("2819c223-7f76", &string("2819c223-7f76"));
    check_tolerant("android", &string("android"));
    check_printed("bjensen", r#""bjensen""#);
}
