//! No text makes the parser panic, every error lies inside the text, and a printed tree parses to
//! itself.
//!
//! Run with `cargo +nightly fuzz run parse` in the crate's folder.

#![no_main]

use libfuzzer_sys::fuzz_target;
use scim_filter_parser::{
    Dialect, Options, parse_attr_path_with, parse_filter_with, parse_path_with,
};

fuzz_target!(|text: &str| {
    for dialect in [Dialect::Strict, Dialect::Tolerant] {
        // A canonical text may be longer than what it was read from, so the length is not limited
        // here.
        let options = Options {
            dialect,
            max_length: usize::MAX,
            ..Options::default()
        };
        match parse_filter_with(text, &options) {
            Ok(filter) => {
                let printed = filter.to_string();
                assert_eq!(parse_filter_with(&printed, &options), Ok(filter));
            }
            Err(error) => assert!(text.is_char_boundary(error.position)),
        }
        match parse_path_with(text, &options) {
            Ok(path) => {
                let printed = path.to_string();
                assert_eq!(parse_path_with(&printed, &options), Ok(path));
            }
            Err(error) => assert!(text.is_char_boundary(error.position)),
        }
        if let Ok(path) = parse_attr_path_with(text, &options) {
            assert_eq!(path.to_string(), text.trim());
        }
    }
});
