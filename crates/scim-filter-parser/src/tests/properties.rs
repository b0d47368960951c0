//! Properties: a printed tree parses to itself, and no text makes the parser panic.

use proptest::prelude::*;

use crate::{
    AttrPath, CompareOp, Comparison, Dialect, ElementFilter, ElementTail, Filter, Options,
    PatchPath, Value, parse_attr_path_with, parse_filter_with, parse_path_with,
};

/// Limits that no generated text reaches.
fn roomy(dialect: Dialect) -> Options {
    Options {
        dialect,
        max_depth: crate::DEPTH_CEILING,
        max_length: usize::MAX,
    }
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => "[a-zA-Z][a-zA-Z0-9_$-]{0,7}",
        1 => Just("$ref".to_owned()),
        1 => prop_oneof!["pr", "eq", "true", "null", "android"],
    ]
}

fn attr_path() -> impl Strategy<Value = AttrPath> {
    let urn = "urn:[a-z0-9]{1,5}(:[A-Za-z0-9._~%/-]{1,6}){0,3}";
    (
        proptest::option::of(urn),
        name(),
        proptest::option::of(name()),
    )
        .prop_map(|(urn, name, sub)| AttrPath { urn, name, sub })
        .prop_filter("a keyword", |path| {
            !["and", "or", "not"].contains(&path.to_string().to_lowercase().as_str())
        })
}

fn op() -> impl Strategy<Value = CompareOp> {
    use CompareOp::{Co, Eq, Ew, Ge, Gt, Le, Lt, Ne, Sw};
    proptest::sample::select(vec![Eq, Ne, Co, Sw, Ew, Gt, Ge, Lt, Le])
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Integer),
        any::<f64>()
            .prop_filter("not finite", |decimal| decimal.is_finite())
            .prop_map(Value::Decimal),
        any::<String>().prop_map(Value::String),
        "[\\\\\"'\u{0}-\u{1f}a-c\\[\\]() ]{0,12}".prop_map(Value::String),
    ]
}

fn attribute_test() -> impl Strategy<Value = Filter> {
    prop_oneof![
        1 => attr_path().prop_map(Filter::Present),
        3 => (attr_path(), op(), value())
            .prop_map(|(path, op, value)| Filter::Compare(Comparison { path, op, value })),
    ]
}

/// Groups, negations and chains over `leaf`, in the flat shape that the parser gives.
fn over(leaf: impl Strategy<Value = Filter> + 'static) -> impl Strategy<Value = Filter> {
    leaf.prop_recursive(4, 24, 4, |inner| {
        let terms = || proptest::collection::vec(inner.clone(), 2..4);
        prop_oneof![
            inner
                .clone()
                .prop_map(|filter| Filter::Not(Box::new(filter))),
            terms().prop_map(|terms| {
                Filter::And(
                    terms
                        .into_iter()
                        .flat_map(|term| match term {
                            Filter::And(inner) => inner,
                            other => vec![other],
                        })
                        .collect(),
                )
            }),
            terms().prop_map(|terms| {
                Filter::Or(
                    terms
                        .into_iter()
                        .flat_map(|term| match term {
                            Filter::Or(inner) => inner,
                            other => vec![other],
                        })
                        .collect(),
                )
            }),
        ]
    })
}

fn element(tail: impl Strategy<Value = Option<ElementTail>>) -> impl Strategy<Value = Filter> {
    (attr_path(), over(attribute_test()), tail).prop_map(|(path, filter, tail)| {
        Filter::Element(ElementFilter {
            path,
            filter: Box::new(filter),
            tail,
        })
    })
}

fn tail() -> impl Strategy<Value = ElementTail> {
    (name(), proptest::option::of((op(), value())))
        .prop_map(|(sub, test)| ElementTail { sub, test })
}

fn strict_filter() -> impl Strategy<Value = Filter> {
    over(prop_oneof![3 => attribute_test(), 1 => element(Just(None))])
}

fn tolerant_filter() -> impl Strategy<Value = Filter> {
    over(prop_oneof![3 => attribute_test(), 1 => element(proptest::option::of(tail()))])
}

fn patch_path() -> impl Strategy<Value = PatchPath> {
    let bracket = (over(attribute_test()), proptest::option::of(name()));
    (attr_path(), proptest::option::of(bracket)).prop_map(|(attr, bracket)| {
        let (filter, sub) = match bracket {
            Some((filter, sub)) => (Some(filter), sub),
            None => (None, None),
        };
        PatchPath { attr, filter, sub }
    })
}

/// Texts that are nearly filters: tokens of the grammar in any order.
fn tokens() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        proptest::sample::select(vec![
            "a",
            "emails",
            "name.x",
            "$ref",
            "urn:x:2.0:User:a.b",
            "urn:x:2.0",
            "eq",
            "NE",
            "co",
            "pr",
            "and",
            "Or",
            "not",
            "not(",
            "(",
            ")",
            "[",
            "]",
            "].",
            ".",
            ":",
            "\"x\"",
            "'y'",
            "\"",
            "'",
            "\\",
            "\"\\ud83d\\ude42\"",
            "\"\\ud83d\"",
            "\\u00",
            "true",
            "False",
            "null",
            "1",
            "-1.5e3",
            "01",
            "1e999",
            "\t",
            "\u{0}",
            "é",
            "🙂",
            "\u{a0}",
        ])
        .prop_map(str::to_owned),
        "[ -~]{1,3}",
    ];
    let separator = proptest::sample::select(vec!["", " ", " ", " "]);
    proptest::collection::vec((piece, separator), 0..24).prop_map(|pieces| {
        pieces
            .into_iter()
            .flat_map(|(piece, separator)| [piece, separator.to_owned()])
            .collect()
    })
}

/// Any text is rejected with a position inside it, or its canonical text means the same.
fn survives(text: &str) {
    for dialect in [Dialect::Strict, Dialect::Tolerant] {
        let options = roomy(dialect);
        match parse_filter_with(text, &options) {
            Ok(filter) => {
                let printed = filter.to_string();
                assert_eq!(parse_filter_with(&printed, &options), Ok(filter));
            }
            Err(error) => {
                assert!(text.is_char_boundary(error.position));
                assert!(!error.message.is_empty());
            }
        }
        match parse_path_with(text, &options) {
            Ok(path) => {
                let printed = path.to_string();
                if path.filter.is_none() {
                    assert_eq!(printed, text.trim());
                }
                assert_eq!(parse_path_with(&printed, &options), Ok(path));
            }
            Err(error) => assert!(text.is_char_boundary(error.position)),
        }
        if let Ok(path) = parse_attr_path_with(text, &options) {
            assert_eq!(path.to_string(), text.trim());
        }
    }
}

proptest! {
    #[test]
    fn a_printed_filter_parses_to_itself(filter in strict_filter()) {
        let printed = filter.to_string();
        prop_assert_eq!(parse_filter_with(&printed, &roomy(Dialect::Strict)), Ok(filter.clone()));
        prop_assert_eq!(parse_filter_with(&printed, &roomy(Dialect::Tolerant)), Ok(filter));
    }

    #[test]
    fn a_printed_tolerant_filter_parses_to_itself(filter in tolerant_filter()) {
        let printed = filter.to_string();
        prop_assert_eq!(parse_filter_with(&printed, &roomy(Dialect::Tolerant)), Ok(filter));
    }

    #[test]
    fn a_printed_path_parses_to_itself(path in patch_path()) {
        let printed = path.to_string();
        prop_assert_eq!(parse_path_with(&printed, &roomy(Dialect::Strict)), Ok(path.clone()));
        prop_assert_eq!(parse_path_with(&printed, &roomy(Dialect::Tolerant)), Ok(path));
    }

    #[test]
    fn a_string_survives_both_kinds_of_quotes(text in any::<String>()) {
        let quoted = Value::String(text.clone()).to_string();
        let inner = quoted.trim_start_matches('"');
        let inner = inner.strip_suffix('"').unwrap_or(inner);
        // The inside of a printed string, between single quotes instead.
        if !text.starts_with('"') {
            let single = format!("a eq '{}'", inner.replace('\'', "\\'"));
            let filter = parse_filter_with(&single, &roomy(Dialect::Tolerant));
            prop_assert_eq!(filter.map(|filter| filter.to_string()), Ok(format!("a eq {quoted}")));
        }
    }

    #[test]
    fn any_text_is_survived(text in any::<String>()) {
        survives(&text);
    }

    #[test]
    fn any_row_of_pieces_is_survived(text in tokens()) {
        survives(&text);
    }

    #[test]
    fn any_cut_of_a_filter_is_survived(filter in tolerant_filter(), cut in any::<prop::sample::Index>()) {
        let printed = filter.to_string();
        let end = printed.floor_char_boundary(cut.index(printed.len() + 1));
        survives(printed.get(..end).unwrap_or_default());
        survives(printed.get(end..).unwrap_or_default());
    }
}
