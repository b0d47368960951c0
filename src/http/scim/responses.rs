//! Responses with a SCIM body, a location and a version.

use actix_web::http::StatusCode;
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ContentEncoding, ETAG, HeaderMap, HeaderName,
    HeaderValue, LOCATION,
};
use actix_web::web::Bytes;
use actix_web::{HttpResponse, HttpResponseBuilder};
use scim_core::Version;

use crate::http::chunked_body::ChunkedBody;
use crate::memory::Held;
use crate::service::provision::representation::{Resource, ResourceText, Return, Written};
use crate::service::query::resource::ReadOutcome;

/// SCIM's media type (RFC 7644 section 8.1).
pub const SCIM_JSON: &str = "application/scim+json";

/// A shorter body fits into a packet, and compressing it would take longer than the rest of the
/// request.
const WORTH_COMPRESSING_BYTES: usize = 1400;

/// A response with a finished SCIM body.
pub fn scim(status: StatusCode, body: String) -> HttpResponse {
    begin(status, body.len()).body(body)
}

/// As [`scim`], for a body that holds a reservation until it is sent.
pub fn scim_held(status: StatusCode, body: Held<String>) -> HttpResponse {
    match body.into_parts() {
        (body, None) => scim(status, body),
        (body, Some(mut held)) => {
            held.shrink_to(body.len());
            let length = body.len();
            let body = Bytes::from_owner(Held::new(body, held));
            begin(status, length).body(body)
        }
    }
}

fn begin(status: StatusCode, length: usize) -> HttpResponseBuilder {
    let mut response = HttpResponse::build(status);
    response
        .insert_header((CONTENT_TYPE, HeaderValue::from_static(SCIM_JSON)))
        // Other clients must not see what this token reads (RFC 6750 section 5.3).
        .insert_header((CACHE_CONTROL, HeaderValue::from_static("no-store")));
    if length < WORTH_COMPRESSING_BYTES {
        // Keeps the middleware from compressing; `tidy` removes it before the client sees it.
        response.insert_header(ContentEncoding::Identity);
    }
    response
}

/// Removes the header that only the compression reads.
pub fn tidy(headers: &mut HeaderMap) {
    if headers
        .get(CONTENT_ENCODING)
        .is_some_and(|encoding| encoding == "identity")
    {
        headers.remove(CONTENT_ENCODING);
    }
}

/// The response to a read: the resource, or 304 if the client has it already.
pub fn found(found: ReadOutcome) -> HttpResponse {
    match found {
        ReadOutcome::Resource(resource) => whole(StatusCode::OK, resource),
        ReadOutcome::WithoutVersion(resource) => {
            let mut response = whole(StatusCode::OK, resource);
            response.headers_mut().remove(ETAG);
            response
        }
        ReadOutcome::NotModified(version) => {
            let mut response = HttpResponse::NotModified()
                .insert_header((CACHE_CONTROL, "no-store"))
                .finish();
            set(&mut response, ETAG, &version.to_string());
            response
        }
    }
}

/// The response to a create: 201 with the resource, or without if the client prefers that.
pub fn created(written: Written, applied: Option<Return>) -> HttpResponse {
    written_as(written, applied, StatusCode::CREATED, StatusCode::CREATED)
}

/// The response to a PUT or PATCH: 200 with the resource, or 204.
pub fn changed(written: Written, applied: Option<Return>) -> HttpResponse {
    written_as(written, applied, StatusCode::OK, StatusCode::NO_CONTENT)
}

/// Success without a body.
pub fn no_content() -> HttpResponse {
    HttpResponse::NoContent().finish()
}

fn written_as(
    written: Written,
    applied: Option<Return>,
    with_body: StatusCode,
    without: StatusCode,
) -> HttpResponse {
    let mut response = match written {
        Written::Whole(resource) => whole(with_body, resource),
        Written::Minimal { location, version } => {
            let mut response = HttpResponse::new(without);
            set_location_and_version(&mut response, &location, &version);
            response
        }
    };
    // RFC 7240 section 3.
    let applied = applied.map(|preference| match preference {
        Return::Minimal => "return=minimal",
        Return::Representation => "return=representation",
    });
    if let Some(applied) = applied {
        set(
            &mut response,
            HeaderName::from_static("preference-applied"),
            applied,
        );
    }
    response
}

fn whole(status: StatusCode, resource: Resource) -> HttpResponse {
    let mut response = match (resource.body, resource.held) {
        (ResourceText::Whole(text), None) => scim(status, text),
        (ResourceText::Whole(text), Some(held)) => scim_held(status, Held::new(text, held)),
        (ResourceText::Chunks(pieces), held) => {
            let mut pieces = ChunkedBody::new(pieces);
            if let Some(held) = held {
                pieces = pieces.holding(held);
            }
            begin(status, pieces.length()).body(pieces)
        }
    };
    set_location_and_version(&mut response, &resource.location, &resource.version);
    response
}

/// Adds the location and the version of the resource (RFC 7644 section 3.14).
fn set_location_and_version(response: &mut HttpResponse, location: &str, version: &Version) {
    set(response, LOCATION, location);
    set(response, ETAG, &version.to_string());
}

fn set(response: &mut HttpResponse, name: HeaderName, value: &str) {
    // Ids, tags and the configured base URL are printable ASCII.
    if let Ok(value) = value.parse() {
        response.headers_mut().insert(name, value);
    }
}
