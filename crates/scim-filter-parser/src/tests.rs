//! Tables of texts and what they parse to, and properties that hold for all of them.

mod errors;
mod filters;
mod limits;
mod literals;
mod paths;
mod properties;

use crate::{Dialect, ErrorKind, Options, ParseError, parse_filter_with, parse_path_with};

fn strict() -> Options {
    Options {
        dialect: Dialect::Strict,
        ..Options::default()
    }
}

fn tolerant() -> Options {
    Options {
        dialect: Dialect::Tolerant,
        ..Options::default()
    }
}

#[track_caller]
fn check_error(error: ParseError, kind: ErrorKind, position: usize, message: &str) {
    assert_eq!(
        (error.kind, error.position, error.message.as_str()),
        (kind, position, message)
    );
}

/// Both dialects refuse the filter for the same reason.
#[track_caller]
fn filter(text: &str, kind: ErrorKind, position: usize, message: &str) {
    for options in [strict(), tolerant()] {
        check_error(
            parse_filter_with(text, &options).unwrap_err(),
            kind,
            position,
            message,
        );
    }
}

/// Both dialects refuse the path for the same reason.
#[track_caller]
fn path(text: &str, kind: ErrorKind, position: usize, message: &str) {
    for options in [strict(), tolerant()] {
        check_error(
            parse_path_with(text, &options).unwrap_err(),
            kind,
            position,
            message,
        );
    }
}
