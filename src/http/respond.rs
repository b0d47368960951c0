//! Answers with a SCIM body, a location and a version.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, LOCATION};

use crate::service::present::Resource;

/// RFC 7644 section 8.1.
pub const SCIM_JSON: &str = "application/scim+json";

/// A finished SCIM body.
pub fn scim(status: StatusCode, body: String) -> HttpResponse {
    HttpResponse::build(status)
        .content_type(SCIM_JSON)
        // What a token may read is nobody else's (RFC 6750 section 5.3).
        .insert_header((CACHE_CONTROL, "no-store"))
        .body(body)
}

/// A resource with its `Location`.
pub fn resource(status: StatusCode, resource: Resource) -> HttpResponse {
    let mut response = scim(status, resource.body);
    set_location(&mut response, &resource.location);
    response
}

/// Success without a body.
pub fn no_content(location: Option<&str>) -> HttpResponse {
    let mut response = HttpResponse::NoContent().finish();
    if let Some(location) = location {
        set_location(&mut response, location);
    }
    response
}

fn set_location(response: &mut HttpResponse, location: &str) {
    // Ids and the configured base URL are printable ASCII.
    if let Ok(value) = location.parse() {
        response.headers_mut().insert(LOCATION, value);
    }
}
