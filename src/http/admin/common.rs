//! Parameters and values that several administrative endpoints share.

use actix_web::HttpRequest;
use jiff::Timestamp;
use utoipa::openapi::schema::ObjectBuilder;

use crate::http::describe::schema::string;
use crate::http::endpoint::Parameter;
use crate::http::query::Query;

/// The tenant to act on.
pub const TENANT: Parameter = Parameter::query(
    "tenant",
    "The name of the tenant; the tenant of the caller if it is left out.",
    |_| string(),
);

/// The tenant that a request names. Its endpoint declares [`TENANT`], so that a misspelt parameter
/// is rejected and does not select the caller's own tenant.
pub fn named_tenant(request: &HttpRequest) -> Option<String> {
    Query::of(request).get(TENANT.name).map(str::to_owned)
}

/// The schema of a name in a path.
pub fn name_in_path(example: &str) -> ObjectBuilder {
    string().min_length(Some(1)).examples([example])
}

/// The time of a stored number of microseconds since the epoch.
pub fn timestamp(microseconds: i64) -> Timestamp {
    Timestamp::from_microsecond(microseconds).unwrap_or(Timestamp::UNIX_EPOCH)
}
