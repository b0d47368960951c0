//! The limits on length and depth, and that no option lifts them beyond what the stack holds.

use super::{filter, path};
use crate::ErrorKind::{TooDeep, TooLong};
use crate::{DEPTH_CEILING, Filter, Options, parse_filter_with, parse_path_with};

// R7644-3.4.2.2-14
#[test]
fn depth() {
    let nested = |levels: usize| format!("{}a pr{}", "(".repeat(levels), ")".repeat(levels));
    let too_deep = "more than 30 brackets and parentheses are open at once";
    assert!(Filter::parse(&nested(30)).is_ok());
    filter(&nested(31), TooDeep, 30, too_deep);
    filter(&"(".repeat(4096), TooDeep, 30, too_deep);
    filter(&"not(".repeat(1000), TooDeep, 123, too_deep);
    path(&format!("x[{}", nested(30)), TooDeep, 31, too_deep);
    // One after the other is not one in the other.
    assert!(Filter::parse(&vec!["((a pr))"; 100].join(" and ")).is_ok());
    assert!(Filter::parse(&vec!["x[(a pr)]"; 100].join(" or ")).is_ok());

    let none = Options {
        max_depth: 0,
        ..Options::default()
    };
    assert!(parse_filter_with("a pr and b pr", &none).is_ok());
    assert!(parse_filter_with("(a pr)", &none).is_err());
    assert!(parse_path_with("a[b pr]", &none).is_err());
}

#[test]
fn no_option_can_exhaust_the_stack() {
    let boundless = Options {
        max_depth: usize::MAX,
        max_length: usize::MAX,
        ..Options::default()
    };
    let error = parse_filter_with(&"(".repeat(1_000_000), &boundless).unwrap_err();
    assert_eq!((error.kind, error.position), (TooDeep, DEPTH_CEILING));

    let deepest = format!(
        "{}a pr{}",
        "not(".repeat(DEPTH_CEILING),
        ")".repeat(DEPTH_CEILING)
    );
    let filter = parse_filter_with(&deepest, &boundless).unwrap();
    assert_eq!(
        filter.to_string().replace(' ', ""),
        deepest.replace(' ', "")
    );

    let wide = vec!["a pr"; 100_000].join(" or ");
    assert!(parse_filter_with(&wide, &boundless).is_ok());
}

// R7644-3.4.2.2-14
#[test]
fn length() {
    let text = format!("a eq \"{}\"", "x".repeat(4096 - 7));
    assert_eq!(text.len(), 4096);
    assert!(Filter::parse(&text).is_ok());
    filter(
        &format!("{text} "),
        TooLong,
        4096,
        "the text has 4097 bytes, more than the 4096 allowed",
    );
    path(
        &"é".repeat(3000),
        TooLong,
        4096,
        "the text has 6000 bytes, more than the 4096 allowed",
    );

    // The position stays on a character boundary.
    let short = Options {
        max_length: 3,
        ..Options::default()
    };
    let error = parse_path_with("aéé", &short).unwrap_err();
    assert_eq!((error.kind, error.position), (TooLong, 3));
    let error = parse_path_with("éé", &short).unwrap_err();
    assert_eq!((error.kind, error.position), (TooLong, 2));
}
