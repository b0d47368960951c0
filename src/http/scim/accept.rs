//! Whether a client accepts SCIM's media types (RFC 7644 section 3.8, RFC 9110 section 12.5.1).
//!
//! Checked only for strict tenants: 406 is optional, and clients with an odd `Accept` read JSON
//! nevertheless.

use actix_web::HttpRequest;
use actix_web::http::header::ACCEPT;

/// The media types of a response. It has the first one; clients may ask for it by the second.
const OFFERED: [&str; 2] = ["application/scim+json", "application/json"];

/// Returns whether the request's `Accept` allows SCIM's JSON. Without the header everything is
/// allowed.
pub fn takes_json(request: &HttpRequest) -> bool {
    let mut headers = request.headers().get_all(ACCEPT).peekable();
    if headers.peek().is_none() {
        return true;
    }
    let ranges: Vec<Range> = headers
        .filter_map(|header| header.to_str().ok())
        .flat_map(|text| text.split(','))
        .filter_map(Range::parse)
        .collect();
    // An empty header counts as absent.
    ranges.is_empty()
        || OFFERED
            .iter()
            .any(|media_type| is_taken(&ranges, media_type))
}

/// Returns whether the most specific range that covers the type accepts it.
fn is_taken(ranges: &[Range], media_type: &str) -> bool {
    let covering = ranges
        .iter()
        .filter_map(|range| Some((range.covers(media_type)?, range.is_wanted)));
    covering
        .max_by_key(|(specificity, _)| *specificity)
        .is_some_and(|(_, is_wanted)| is_wanted)
}

/// A media range. Parameters other than `q` are ignored, because SCIM's types have none.
#[derive(Debug)]
struct Range {
    media_type: String,
    is_wanted: bool,
}

impl Range {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let media_type = parts.next().filter(|text| !text.is_empty())?;
        let weight = parts
            .filter_map(|parameter| parameter.split_once('='))
            .find(|(name, _)| name.trim().eq_ignore_ascii_case("q"))
            .map(|(_, weight)| weight.trim());
        let is_wanted = weight
            .and_then(|weight| weight.parse::<f32>().ok())
            .is_none_or(|weight| weight > 0.0);
        Some(Self {
            media_type: media_type.to_ascii_lowercase(),
            is_wanted,
        })
    }

    /// The specificity with which the range covers the type; `None` if it does not.
    fn covers(&self, media_type: &str) -> Option<u8> {
        match self.media_type.as_str() {
            "*/*" => Some(0),
            "application/*" => Some(1),
            exact => (exact == media_type).then_some(2),
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn check(headers: &[&str], expected: bool) {
        let mut request = TestRequest::default();
        for value in headers {
            request = request.append_header((ACCEPT, *value));
        }
        assert_eq!(
            takes_json(&request.to_http_request()),
            expected,
            "{headers:?}"
        );
    }

    // R7644-3.8-02, R7644-3.8-03, R7644-3.8-04
    #[test]
    fn headers() {
        check(&[], true);
        check(&[""], true);
        check(&["*/*"], true);
        check(&["application/*"], true);
        check(&["application/scim+json"], true);
        check(&["Application/JSON; charset=utf-8"], true);
        check(&["text/html, application/xml;q=0.9, */*;q=0.8"], true);
        check(&["text/html", "application/json"], true);
        check(&["application/xml, application/scim+json;q=0.1"], true);
        check(&["application/json;q=0, */*"], true);
        check(&["application/xml"], false);
        check(&["text/*"], false);
        check(&["*/*;q=0"], false);
        check(
            &["application/scim+json;q=0, application/json;Q=0.0, */*"],
            false,
        );
        check(&["application/*;q=0, */*"], false);
    }
}
