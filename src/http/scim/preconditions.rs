//! The headers `If-Match`, `If-None-Match` and `Prefer`.

use actix_web::HttpRequest;
use actix_web::http::header::{HeaderName, IF_MATCH, IF_NONE_MATCH};
use scim_core::ScimError;
use scim_core::version::{Precondition, Tags};

use crate::http::query::Query;
use crate::service::provision::representation::{ResponseOptions, Return};

/// Reads the conditions of a request (RFC 9110 section 13.1).
pub fn precondition(request: &HttpRequest) -> Precondition {
    Precondition {
        if_match: tags(request, IF_MATCH),
        if_none_match: tags(request, IF_NONE_MATCH),
    }
}

/// Reads the preferences for the response to a write.
///
/// # Errors
/// `invalidValue` if both `attributes` and `excludedAttributes` are given.
pub fn response_options(request: &HttpRequest) -> Result<ResponseOptions, ScimError> {
    let prefer = HeaderName::from_static("prefer");
    Ok(ResponseOptions {
        selection: Query::of(request).selection()?,
        preference: joined(request, prefer).and_then(|text| preference(&text)),
    })
}

fn tags(request: &HttpRequest, name: HeaderName) -> Option<Tags> {
    joined(request, name).map(|text| Tags::parse(&text))
}

/// Joins a header that may be sent in several lines (RFC 9110 section 5.3).
fn joined(request: &HttpRequest, name: HeaderName) -> Option<String> {
    let lines: Vec<_> = request
        .headers()
        .get_all(name)
        .map(|value| String::from_utf8_lossy(value.as_bytes()))
        .collect();
    (!lines.is_empty()).then(|| lines.join(","))
}

/// Parses `return` (RFC 7240 section 4.2). The first of several counts; unknown values are ignored.
fn preference(text: &str) -> Option<Return> {
    let unquoted = |text: &str| text.trim().trim_matches('"').to_ascii_lowercase();
    text.split(',').find_map(|preference| {
        let (name, value) = preference.split(';').next()?.split_once('=')?;
        if !name.trim().eq_ignore_ascii_case("return") {
            return None;
        }
        match unquoted(value).as_str() {
            "minimal" => Some(Return::Minimal),
            "representation" => Some(Return::Representation),
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn preferences() {
        let (minimal, whole) = (Some(Return::Minimal), Some(Return::Representation));
        for (text, expected) in [
            ("return=minimal", minimal),
            ("Return=\"minimal\"", minimal),
            ("return = minimal; foo=bar", minimal),
            ("respond-async, wait=10, return=representation", whole),
            ("return=minimal, return=representation", minimal),
            ("return", None),
            ("return=some", None),
            ("handling=lenient", None),
            ("", None),
        ] {
            assert_eq!(preference(text), expected, "{text}");
        }
    }
}
