//! Headers that limit what a browser does with a response.

use actix_web::http::StatusCode;
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderMap, HeaderName, HeaderValue, REFERRER_POLICY,
    STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
};

/// One year, for this host only: the operator's other hosts are none of the service's business.
const HSTS: HeaderValue = HeaderValue::from_static("max-age=31536000");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// The transport by which clients reach a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    Plain,
    Tls,
}

/// Adds the headers of every response. Caches keep only what its handler allows them to, and no
/// 401, so that created tokens and the secrets of webhooks are in no cache.
pub fn add(headers: &mut HeaderMap, status: StatusCode, transport: Transport) {
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    if transport == Transport::Tls {
        headers.insert(STRICT_TRANSPORT_SECURITY, HSTS);
    }
    if status == StatusCode::UNAUTHORIZED || !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, NO_STORE);
    }
}

/// The policy of a page: it loads and calls this service only, and no page can frame it. Swagger UI
/// sets styles on elements, and its style sheet has pictures in `data:` URLs.
pub fn page_policy() -> (HeaderName, HeaderValue) {
    let policy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
        img-src 'self' data:; font-src 'self' data:; connect-src 'self'; base-uri 'none'; \
        form-action 'self'; frame-ancestors 'none'";
    (CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy))
}
