//! Errors as SCIM responses. Only this module chooses the status of an error.

use std::fmt;
use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::{ACCEPT_ENCODING, ALLOW, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpRequest, HttpResponse, ResponseError, Route, web};
use scim_core::{ErrorKind, message};
use serde_json::Value;

use crate::http::scim::responses::SCIM_JSON;
use crate::memory::MemoryError;
use crate::service::error::{Gone, TooManyListeners, Unauthenticated};
use crate::{service, telemetry};

/// How long a client should wait after 503; Okta reads whole seconds only.
const RETRY_AFTER_S: &str = "1";
/// The same if too many requests wait for changes, each of which lasts for up to a minute or longer.
const LISTENER_RETRY_AFTER_S: &str = "5";
/// The content codings of a request body that are accepted (RFC 9110 section 15.5.16).
const ACCEPTED_CODINGS: &str = "gzip, deflate";
const REALM: &str = r#"Bearer realm="rollcall""#;

/// The result of a handler.
pub type HandlerResult = Result<HttpResponse, ApiError>;

/// Every outcome of a request other than success.
#[derive(Debug)]
pub enum ApiError {
    Service(service::Error),
    /// The path is not an endpoint.
    NoSuchPath,
    /// The text lists the methods that the endpoint has.
    MethodNotAllowed {
        allow: Arc<str>,
    },
    /// `filter` on a discovery endpoint (RFC 7644 section 4).
    FilterForbidden,
    MediaType,
    /// The body has an unknown content coding.
    ContentCoding,
    /// More than one credential in a request (RFC 6750 section 2).
    SeveralCredentials,
    /// The `Accept` header of a strict tenant's client excludes SCIM's media types.
    NotAcceptable,
    TooLarge {
        limit_bytes: usize,
    },
    /// The limit of an endpoint for small messages.
    MessageTooLarge {
        limit_bytes: usize,
    },
    /// The values of the body take more memory than one body gets.
    TooManyValues,
    /// A bulk request's own limit (RFC 7644 section 3.7.4).
    BulkTooLarge {
        limit_bytes: usize,
    },
    SlowBody,
    /// The memory for bodies is in use.
    BodyMemoryFull,
    /// The caller exceeds its share or its rate.
    TooMany {
        limited: Limited,
        after_s: u64,
    },
    /// The service has as many requests as it can process.
    Full,
    /// The operator switched the feature off by this setting.
    SwitchedOff(&'static str),
    /// A handler panicked; the panic itself is in the log.
    Panic,
}

/// The limit that a caller exceeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limited {
    /// Requests of one token in a second, of which this number is allowed.
    Token(u32),
    /// Requests of one tenant in a second, of which this number is allowed.
    Tenant(u32),
    /// Invalid tokens in a second, of all clients.
    UnknownTokens,
    /// Invalid tokens in a second, of one client address.
    AddressTokens,
    /// Requests without a valid token in a second, of one client address.
    AddressRequests,
    /// Concurrent requests of one tenant.
    Share,
    /// Concurrent requests that need a valid token and have none.
    Strangers,
    /// Concurrent requests for pages that need no token.
    Public,
}

impl Limited {
    fn detail(self) -> String {
        match self {
            Self::Token(per_s) => format!(
                "This token sends more than {per_s} requests a second. Send fewer, or have the operator of the service raise `token_rate_per_s`."
            ),
            Self::Tenant(per_s) => format!(
                "The tenant's clients send more than {per_s} requests a second together. Send fewer, or have the operator of the service raise `tenant_rate_per_s`."
            ),
            Self::Share => {
                "This tenant has too many concurrent requests. Retry shortly, with fewer at once.".to_owned()
            }
            Self::UnknownTokens => {
                "Too many invalid tokens are being tried; unrecognised tokens are throttled. Retry shortly.".to_owned()
            }
            Self::AddressTokens => {
                "Your address sends too many invalid tokens. Create a new token with `rollcall token create` and enter it in the provisioning settings of the app.".to_owned()
            }
            Self::AddressRequests => {
                "Your address sends too many requests without a valid token. Send fewer, or send a token with each.".to_owned()
            }
            Self::Strangers => {
                "Too many concurrent requests have no valid token. Retry shortly, with a valid token.".to_owned()
            }
            Self::Public => {
                "Too many concurrent requests read public pages without a token. Retry shortly, or send a token.".to_owned()
            }
        }
    }

    fn reason(self) -> &'static str {
        match self {
            Self::Token(_) => "token_rate",
            Self::Tenant(_) => "tenant_rate",
            Self::UnknownTokens => "unknown_tokens",
            Self::Share => "share",
            Self::AddressTokens => "address_tokens",
            Self::AddressRequests => "address_requests",
            Self::Strangers => "strangers",
            Self::Public => "public",
        }
    }
}

impl From<service::Error> for ApiError {
    fn from(error: service::Error) -> Self {
        Self::Service(error)
    }
}

impl From<MemoryError> for ApiError {
    /// The memory for a body was not granted.
    fn from(error: MemoryError) -> Self {
        match error {
            MemoryError::InUse => Self::BodyMemoryFull,
            MemoryError::TooLarge => Self::TooManyValues,
        }
    }
}

impl From<scim_core::ScimError> for ApiError {
    fn from(error: scim_core::ScimError) -> Self {
        Self::Service(error.into())
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail())
    }
}

/// The same for every fault, so that none tells its cause.
const INTERNAL: &str = "Something went wrong in the service. Its log has the reason under the id in the X-Request-Id header.";

fn service_detail(error: &service::Error) -> String {
    use service::Error as E;
    match error {
        E::Scim(error) => error.detail.clone(),
        E::NotFound(what) => format!("{what} was not found. It may have been deleted, or it belongs to another tenant."),
        E::PreconditionFailed(version) => format!(
            "The resource has the version {version}, which does not satisfy If-Match or If-None-Match. Read it again, then change its current version."
        ),
        E::Unauthenticated(Unauthenticated::Missing) => {
            "The Authorization header is missing. Enter the token of this service in the provisioning settings of the app.".to_owned()
        }
        E::Unauthenticated(Unauthenticated::Invalid) => {
            "The token is unknown, expired or revoked. Create a new one with `rollcall token create` and enter it in the provisioning settings of the app.".to_owned()
        }
        E::Forbidden(scope) => {
            format!("This token lacks the scope `{scope}`. Use a token that has it.")
        }
        E::Gone(Gone::Removed { upto }) => format!(
            "The changes up to number {upto} are no longer kept. Read /directory/v1/snapshot to its end and follow the feed from its `seq`."
        ),
        E::Gone(Gone::Ahead { last }) => format!(
            "The last change has the number {last}, so you followed the changes of another database. Read /directory/v1/snapshot to its end and follow the feed from its `seq`."
        ),
        E::Erased(what) => format!(
            "{what} was erased. Its data is gone, and clients must delete their copies."
        ),
        E::Hidden(path) => format!(
            "This token may not read `{path}`, so it cannot filter or sort by it either."
        ),
        E::Conflict(text) | E::BadRequest(text) | E::DocumentTooLarge(text) => text.clone(),
        E::Taken(what) => format!("{what} is taken. Choose another one."),
        E::TooManyListeners(most) => listeners_detail(*most),
        E::Busy => "The service is busy. Retry shortly.".to_owned(),
        E::Full(_) => {
            "The disk of the service's database is full, so writes fail until its operator frees space. Reads still work."
                .to_owned()
        }
        E::DiskFails(_) => {
            "The service's database cannot use its disk, which is full or fails. Its operator must free space or repair it; the service's log has the reason."
                .to_owned()
        }
        E::WritesRefused(_) => {
            "The service's database is read-only at the moment, so writes fail; reads still work. Its operator must make it writable, unless a failover is in progress: then retry."
                .to_owned()
        }
        E::Unavailable(_) => "The database is unavailable at the moment. Retry shortly.".to_owned(),
        E::Internal(_) => {
            INTERNAL.to_owned()
        }
        E::ReadOnly(name) => {
            format!("Only the operator of the service writes resources of the type {name}. Clients can read them.")
        }
        E::QuotaExceeded { used, limit } => format!(
            "This tenant stores {used} bytes, with the history of its resources, and may store {limit}. Delete what is not needed, or ask the operator of the service for more (`quota_bytes` of the tenant, or the setting `tenant_quota_bytes`). Deactivations, deletions and removals of members still work."
        ),
        E::BulkExhausted(budget) => format!(
            "This operation was not run, because the operations before it used up {budget} (`{}`). Send it in another request.",
            budget.setting()
        ),
        E::TooManyOperations { limit } => format!(
            "The number of operations exceeds maxOperations ({limit}). Send them in several requests."
        ),
    }
}

impl ApiError {
    fn detail(&self) -> String {
        match self {
            Self::Service(error) => service_detail(error),
            Self::Panic => INTERNAL.to_owned(),
            Self::NoSuchPath => "There is no such endpoint. The SCIM base URL ends in /scim/v2; check the base URL in the provisioning settings.".to_owned(),
            Self::MethodNotAllowed { allow } => format!("This endpoint only supports {allow}."),
            Self::FilterForbidden => "Discovery endpoints cannot be filtered (RFC 7644 section 4).".to_owned(),
            Self::MediaType => "The body must be sent as application/scim+json or application/json.".to_owned(),
            Self::ContentCoding => format!(
                "The body has an unknown Content-Encoding. Send it without one, or with one of: {}.",
                ACCEPTED_CODINGS
            ),
            Self::SeveralCredentials => "Send the token once, in one Authorization header, and not in the address.".to_owned(),
            Self::NotAcceptable => "The response is application/scim+json, which the Accept header excludes.".to_owned(),
            Self::TooLarge { limit_bytes } => format!(
                "The body is larger than {limit_bytes} bytes. Send less at once, or raise `body_limit_bytes` in the service's configuration."
            ),
            Self::MessageTooLarge { limit_bytes } => format!(
                "This endpoint reads bodies of up to {limit_bytes} bytes, and this one is larger. Send less at once."
            ),
            Self::TooManyValues => {
                "The body holds more values than the service has memory for. Send fewer at once, or raise `body_memory_bytes` in the service's configuration.".to_owned()
            }
            Self::BulkTooLarge { limit_bytes } => format!(
                "The size of the bulk request exceeds the maxPayloadSize ({limit_bytes}). Send it in several requests."
            ),
            Self::SlowBody => "The body did not arrive in time.".to_owned(),
            Self::BodyMemoryFull => "The memory for large request bodies is in use. Retry shortly.".to_owned(),
            Self::TooMany { limited, .. } => limited.detail(),
            Self::Full => "The service has as many requests as it can process. Retry shortly.".to_owned(),
            Self::SwitchedOff(setting) => {
                format!("The operator of this service has switched this off, by the setting `{setting}`.")
            }
        }
    }

    fn scim_type(&self) -> Option<&'static str> {
        match self {
            Self::Service(service::Error::Scim(error)) => Some(error.kind.scim_type()),
            Self::Service(service::Error::Taken(_)) => Some(ErrorKind::Uniqueness.scim_type()),
            Self::Service(service::Error::QuotaExceeded { .. }) => {
                Some(ErrorKind::TooMany.scim_type())
            }
            _ => None,
        }
    }

    /// The body, to embed in another body.
    pub fn to_value(&self) -> Value {
        self.log();
        message::error_value(
            self.status_code().as_u16(),
            self.scim_type(),
            &self.detail(),
        )
    }

    /// The label of a shed request in the metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::TooMany { limited, .. } => limited.reason(),
            _ => "full",
        }
    }

    fn log(&self) {
        if let Self::Service(
            error @ (service::Error::Internal(_)
            | service::Error::Full(_)
            | service::Error::DiskFails(_)
            | service::Error::WritesRefused(_)
            | service::Error::Unavailable(_)),
        ) = self
        {
            tracing::error!(error = %telemetry::chain(error), "a request failed");
        }
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        use service::Error as E;
        match self {
            Self::Service(E::Scim(error)) => {
                StatusCode::from_u16(error.kind.status()).unwrap_or(StatusCode::BAD_REQUEST)
            }
            Self::Service(E::NotFound(_)) | Self::NoSuchPath => StatusCode::NOT_FOUND,
            Self::Service(E::Gone(_) | E::Erased(_)) => StatusCode::GONE,
            Self::Service(E::PreconditionFailed(_)) => StatusCode::PRECONDITION_FAILED,
            Self::Service(E::Unauthenticated(_)) => StatusCode::UNAUTHORIZED,
            Self::Service(E::Forbidden(_) | E::Hidden(_)) | Self::FilterForbidden => {
                StatusCode::FORBIDDEN
            }
            Self::Service(E::Conflict(_) | E::Taken(_)) => StatusCode::CONFLICT,
            Self::Service(E::BadRequest(_) | E::QuotaExceeded { .. })
            | Self::SeveralCredentials => StatusCode::BAD_REQUEST,
            Self::Service(
                E::Busy | E::Full(_) | E::DiskFails(_) | E::WritesRefused(_) | E::Unavailable(_),
            ) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Service(E::Internal(_)) | Self::Panic => StatusCode::INTERNAL_SERVER_ERROR,
            Self::MethodNotAllowed { .. } | Self::Service(E::ReadOnly(_)) => {
                StatusCode::METHOD_NOT_ALLOWED
            }
            Self::NotAcceptable => StatusCode::NOT_ACCEPTABLE,
            Self::MediaType | Self::ContentCoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge { .. }
            | Self::MessageTooLarge { .. }
            | Self::TooManyValues
            | Self::BulkTooLarge { .. }
            | Self::Service(
                E::DocumentTooLarge(_) | E::TooManyOperations { .. } | E::BulkExhausted(_),
            ) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::SwitchedOff(_) => StatusCode::NOT_IMPLEMENTED,
            Self::SlowBody => StatusCode::REQUEST_TIMEOUT,
            Self::TooMany { .. } | Self::Service(E::TooManyListeners(_)) => {
                StatusCode::TOO_MANY_REQUESTS
            }
            Self::Full | Self::BodyMemoryFull => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn error_response(&self) -> HttpResponse {
        self.log();
        let status = self.status_code();
        let mut response = HttpResponse::build(status);
        response.content_type(SCIM_JSON);
        match self {
            // RFC 6750 section 3.1: no error code where no credential was sent.
            Self::Service(service::Error::Unauthenticated(Unauthenticated::Missing)) => {
                response.append_header((WWW_AUTHENTICATE, REALM));
                response.append_header((WWW_AUTHENTICATE, r#"Basic realm="rollcall""#));
            }
            Self::Service(service::Error::Unauthenticated(Unauthenticated::Invalid)) => {
                response.append_header((
                    WWW_AUTHENTICATE,
                    format!(r#"{REALM}, error="invalid_token""#),
                ));
                response.append_header((WWW_AUTHENTICATE, r#"Basic realm="rollcall""#));
            }
            Self::SeveralCredentials => {
                let challenge = format!(r#"{REALM}, error="invalid_request""#);
                response.append_header((WWW_AUTHENTICATE, challenge));
            }
            Self::Service(service::Error::Forbidden(scope)) => {
                let challenge = format!(r#"{REALM}, error="insufficient_scope", scope="{scope}""#);
                response.append_header((WWW_AUTHENTICATE, challenge));
            }
            Self::Service(
                service::Error::Busy
                | service::Error::Full(_)
                | service::Error::DiskFails(_)
                | service::Error::WritesRefused(_)
                | service::Error::Unavailable(_),
            ) => {
                response.append_header((RETRY_AFTER, RETRY_AFTER_S));
            }
            Self::Full => {
                response.append_header((RETRY_AFTER, RETRY_AFTER_S));
            }
            Self::BodyMemoryFull => {
                response.append_header((RETRY_AFTER, RETRY_AFTER_S));
                response.force_close();
            }
            Self::Service(service::Error::TooManyListeners(_)) => {
                response.append_header((RETRY_AFTER, LISTENER_RETRY_AFTER_S));
            }
            Self::TooMany { after_s, .. } => {
                response.append_header((RETRY_AFTER, after_s.to_string()));
            }
            Self::ContentCoding => {
                response.append_header((ACCEPT_ENCODING, ACCEPTED_CODINGS));
            }
            Self::MethodNotAllowed { allow } => {
                response.append_header((ALLOW, &**allow));
            }
            Self::Service(service::Error::ReadOnly(_)) => {
                response.append_header((ALLOW, "GET, HEAD"));
            }
            Self::TooLarge { .. }
            | Self::MessageTooLarge { .. }
            | Self::TooManyValues
            | Self::BulkTooLarge { .. }
            | Self::SlowBody => {
                // The rest of the body is not read.
                response.force_close();
            }
            _ => {}
        }
        response.body(message::error_body(
            status.as_u16(),
            self.scim_type(),
            &self.detail(),
        ))
    }
}

fn listeners_detail(most: TooManyListeners) -> String {
    match most {
        TooManyListeners::OfToken(most) => format!(
            "This token follows changes with {most} concurrent requests, which is the most. End some, or have the operator of the service raise `token_listeners`."
        ),
        TooManyListeners::OfTenant(most) => format!(
            "The tenant's clients follow changes with {most} concurrent requests, which is the most at the moment. End some, or have the operator of the service raise `tenant_listeners`."
        ),
    }
}

/// The response to every method that an endpoint does not have.
pub fn method_not_allowed(allow: String) -> Route {
    let allow: Arc<str> = allow.into();
    web::to(move || {
        let allow = Arc::clone(&allow);
        async move { Err::<HttpResponse, _>(ApiError::MethodNotAllowed { allow }) }
    })
}

/// The response to every path that is not an endpoint.
///
/// # Errors
/// Always.
pub async fn no_such_path(_request: HttpRequest) -> HandlerResult {
    Err(ApiError::NoSuchPath)
}
