//! Brings the request target to its canonical form before routing.
//!
//! Base URLs are typed by hand, so clients double slashes (`/scim/v2//Users`) and append them
//! (`/Users/`). Routing, metrics and handlers only ever see the path without them.

use actix_web::dev::ServiceRequest;
use actix_web::http::Uri;
use actix_web::http::uri::PathAndQuery;
use scim_core::ScimError;

use crate::http::error::ApiError;
use crate::service;

/// The browser page. Only here does a trailing slash matter, because links are relative to it.
const BROWSER_PAGE: &str = "/docs";

/// Removes trailing and duplicate slashes from the path. A percent-encoded slash is part of a
/// segment and is not removed.
pub fn canonicalize(request: &mut ServiceRequest) {
    let Some(uri) = canonical(request.uri()) else {
        return;
    };
    request.match_info_mut().get_mut().update(&uri);
    request.head_mut().uri = uri;
}

/// The canonical form of a URI; `None` if it is canonical already.
fn canonical(uri: &Uri) -> Option<Uri> {
    let path = uri.path();
    let is_canonical = path.len() < 2 || !(path.ends_with('/') || path.contains("//"));
    if is_canonical || path.starts_with(BROWSER_PAGE) {
        return None;
    }
    let query = uri.query();
    let mut target = String::with_capacity(path.len() + query.map_or(0, |query| query.len() + 1));
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        target.push('/');
        target.push_str(segment);
    }
    if target.is_empty() {
        target.push('/');
    }
    if let Some(query) = query {
        target.push('?');
        target.push_str(query);
    }
    let mut parts = uri.clone().into_parts();
    // It consists of parts of a parsed URI, so it parses again.
    parts.path_and_query = Some(PathAndQuery::try_from(target).ok()?);
    Uri::from_parts(parts).ok()
}

/// Rejects U+0000 in path and query. PostgreSQL cannot store it, so no resource, token or tenant
/// has it in its name.
///
/// # Errors
/// 400 with the part that holds it; `invalidFilter` or `invalidValue` for a parameter.
pub fn refuse_nul(uri: &Uri) -> Result<(), ApiError> {
    // Both are decoded once, and an unencoded U+0000 does not pass the parser of the request line.
    let has_nul = |text: &str| text.contains('%') && text.contains("%00");
    if has_nul(uri.path()) {
        let text =
            "The path holds the character U+0000 (`%00`), which no name or id has. Remove it.";
        return Err(service::Error::BadRequest(text.to_owned()).into());
    }
    let parameters = uri.query().into_iter().flat_map(|query| query.split('&'));
    for parameter in parameters {
        if has_nul(parameter) {
            let name = parameter.split('=').next().unwrap_or_default();
            let text = match has_nul(name) || name.len() > 64 {
                true => {
                    "The query string holds the character U+0000 (`%00`). Remove it.".to_owned()
                }
                false => {
                    format!("The parameter `{name}` holds the character U+0000 (`%00`). Remove it.")
                }
            };
            return Err(match name.eq_ignore_ascii_case("filter") {
                true => ScimError::invalid_filter(text).into(),
                false => ScimError::invalid_value(text).into(),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_forms() {
        for (target, expected) in [
            ("/scim/v2/Users", None),
            ("/scim/v2/Users?filter=a//b/", None),
            ("/", None),
            ("*", None),
            ("/docs/", None),
            ("/docs//x/", None),
            ("//", Some("/")),
            ("/scim/v2/", Some("/scim/v2")),
            ("//scim///v2//Users//", Some("/scim/v2/Users")),
            ("/scim/v2/Users/?a=/x//&b", Some("/scim/v2/Users?a=/x//&b")),
            ("/scim/v2/Users/a%2F%2Fb/", Some("/scim/v2/Users/a%2F%2Fb")),
            ("/directory/v1/users/?", Some("/directory/v1/users?")),
            ("http://h/scim/v2/Users/", Some("http://h/scim/v2/Users")),
        ] {
            let found = canonical(&target.parse().unwrap());
            let found = found.map(|uri| uri.to_string());
            assert_eq!(found.as_deref(), expected, "{target}");
        }
    }

    #[test]
    fn nul() {
        for (target, expected) in [
            ("/Users/a?filter=b", None),
            ("/Users/%2500?filter=%2500&a=%0", None),
            ("/Users/a%00b", Some("The path")),
            ("/Users/%%00", Some("The path")),
            ("/Users?count=1&filter=%00%00", Some("`filter`")),
            ("/Users?%00=1", Some("The query string")),
        ] {
            let refused = refuse_nul(&target.parse().unwrap()).err();
            let detail = refused.map(|error| error.to_string());
            let starts = expected.is_none_or(|part| {
                let detail = detail.as_deref();
                detail.is_some_and(|detail| detail.contains(part))
            });
            assert_eq!(detail.is_some(), expected.is_some(), "{target}: {detail:?}");
            assert!(starts, "{target}: {detail:?}");
        }
    }
}
