//! What the head of a request says about its body: media type, content coding and length.

use actix_web::HttpRequest;
use actix_web::http::header::{CONTENT_LENGTH, CONTENT_TYPE};

use crate::http::admission::body_memory::BodyMemory;
use crate::http::coding::Coding;
use crate::http::endpoint::{BodyLimit, Endpoint};
use crate::http::error::ApiError;
use crate::ids::TenantId;
use crate::memory::FREE_BYTES;

/// The largest bodies of the endpoints that declare none of their own, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct BodySizes {
    pub resource: usize,
    pub bulk: usize,
}

/// Checks what the head of a request says about its body, before the body is read.
///
/// # Errors
/// 415, 413, and 503 if the memory for such a body is in use.
pub fn check_head(
    request: &HttpRequest,
    endpoint: &Endpoint,
    tenant: TenantId,
    sizes: BodySizes,
    memory: &BodyMemory,
) -> Result<(), ApiError> {
    let Some(body) = &endpoint.body else {
        return Ok(());
    };
    check_media_type(request)?;
    Coding::from_request(request)?;
    let length = content_length(request).unwrap_or(0);
    SizeLimit::of(body.limit, sizes).check(length)?;
    if length > FREE_BYTES {
        memory.budget.check(tenant, length)?;
    }
    Ok(())
}

/// The largest body that is read.
#[derive(Clone, Copy)]
pub struct SizeLimit {
    pub bytes: usize,
    declared: BodyLimit,
}

impl SizeLimit {
    pub fn of(declared: BodyLimit, sizes: BodySizes) -> Self {
        let bytes = match declared {
            BodyLimit::Bytes(bytes) => bytes.min(sizes.resource),
            BodyLimit::Resource => sizes.resource,
            BodyLimit::Bulk => sizes.bulk,
        };
        Self { bytes, declared }
    }

    pub fn check(self, size_bytes: usize) -> Result<(), ApiError> {
        if size_bytes <= self.bytes {
            Ok(())
        } else {
            Err(self.exceeded())
        }
    }

    pub fn exceeded(self) -> ApiError {
        let limit_bytes = self.bytes;
        match self.declared {
            BodyLimit::Bytes(_) => ApiError::MessageTooLarge { limit_bytes },
            BodyLimit::Resource => ApiError::TooLarge { limit_bytes },
            BodyLimit::Bulk => ApiError::BulkTooLarge { limit_bytes },
        }
    }

    /// Names the limit of the endpoint in an error of the decoder.
    pub fn named(self, error: ApiError) -> ApiError {
        match error {
            ApiError::TooLarge { .. } => self.exceeded(),
            other => other,
        }
    }
}

fn check_media_type(request: &HttpRequest) -> Result<(), ApiError> {
    // A body without a Content-Type is read as JSON.
    let Some(value) = request.headers().get(CONTENT_TYPE) else {
        return Ok(());
    };
    let text = value.to_str().map_err(|_| ApiError::MediaType)?;
    let kind = text.split(';').next().unwrap_or_default().trim();
    if kind.is_empty()
        || kind.eq_ignore_ascii_case("application/scim+json")
        || kind.eq_ignore_ascii_case("application/json")
    {
        Ok(())
    } else {
        Err(ApiError::MediaType)
    }
}

pub fn content_length(request: &HttpRequest) -> Option<usize> {
    let value = request.headers().get(CONTENT_LENGTH)?;
    value.to_str().ok()?.parse().ok()
}
