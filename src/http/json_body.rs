//! Reading a JSON body: media type, content coding, size, time, syntax.
//!
//! [`check_head`] runs before the handler, right after the scope is checked: a body that would be
//! rejected by what its head says is not read.

use std::time::Instant;

use actix_web::HttpRequest;
use actix_web::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use actix_web::web::{Bytes, Payload};
use futures_util::StreamExt as _;
use scim_core::ScimError;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::http::admission::body_memory::BodyLimits;
use crate::http::coding::{Coding, Decoder};
use crate::http::endpoint::{BodyLimit, Endpoint};
use crate::http::error::ApiError;
use crate::http::json_parse::parse;
use crate::http::state::{AppState, Caller};
use crate::ids::TenantId;
use crate::memory::{FREE_BYTES, Held, Reservation};
use crate::service;

/// A longer body is parsed off the threads that serve requests, which answer others meanwhile.
const PARSED_INLINE_BYTES: usize = 64 * 1024;

/// Checks what the head of a request says about its body: media type, content coding and length.
///
/// # Errors
/// 415, 413, and 503 if the memory for such a body is in use.
pub fn check_head(
    request: &HttpRequest,
    endpoint: &Endpoint,
    tenant: TenantId,
    shared: &AppState,
) -> Result<(), ApiError> {
    let Some(body) = &endpoint.body else {
        return Ok(());
    };
    check_media_type(request)?;
    Coding::from_request(request)?;
    let length = content_length(request).unwrap_or(0);
    SizeLimit::of(body.limit, shared).check(length)?;
    if length > FREE_BYTES {
        shared.body_memory.budget.check(tenant, length)?;
    }
    Ok(())
}

/// Reads the whole body as one JSON object.
///
/// # Errors
/// As [`check_head`], 408 if it arrives too slowly, 400 `invalidSyntax` for anything but a JSON
/// object, 413 or 503 if its values take more memory than there is.
pub async fn read(
    request: &HttpRequest,
    caller: &Caller,
    shared: &AppState,
    payload: Payload,
) -> Result<Held<Value>, ApiError> {
    let endpoint = Endpoint::of_request(request);
    let body = endpoint.and_then(|endpoint| endpoint.body.as_ref());
    let body = body.ok_or_else(|| service::Error::internal("the body is not declared"))?;
    let memory = &shared.body_memory;
    let reader = BodyReader {
        payload,
        times: shared.body_limits,
        limit: SizeLimit::of(body.limit, shared),
        started: Instant::now(),
        received_bytes: 0,
    };
    let reservation = memory.budget.reservation(caller.context.tenant());
    let Received { bytes, reservation } = match Coding::from_request(request)? {
        None => collect(reader, reservation, content_length(request)).await?,
        Some(coding) => {
            let _decoder = memory.decoder()?;
            decode(reader, reservation, coding).await?
        }
    };
    let is_large = bytes.len() > PARSED_INLINE_BYTES;
    let parse = move || parse(&bytes, reservation);
    if is_large {
        memory.run_apart(parse).await
    } else {
        parse()
    }
}

/// Reads the whole body as this type, for endpoints outside SCIM. SCIM's own validation has better
/// messages for U+0000.
///
/// # Errors
/// As [`read`], and 400 for an object that does not fit the type or contains U+0000.
pub async fn typed<T: DeserializeOwned>(
    request: &HttpRequest,
    caller: &Caller,
    shared: &AppState,
    payload: Payload,
) -> Result<T, ApiError> {
    // Such bodies are small, and the typed value is smaller.
    let (body, _reservation) = read(request, caller, shared, payload).await?.into_parts();
    if let Some(member) = find_nul(&body) {
        let text = format!(
            "`{member}` contains the character U+0000, which the database cannot store. Remove it."
        );
        return Err(service::Error::BadRequest(text).into());
    }
    Ok(serde_json::from_value(body).map_err(|error| {
        service::Error::BadRequest(format!(
            "The body does not have the expected form: {error}."
        ))
    })?)
}

/// Returns the name of the member that contains U+0000, in its name or anywhere in its value.
fn find_nul(value: &Value) -> Option<String> {
    fn has_nul(value: &Value) -> bool {
        match value {
            Value::String(text) => text.contains('\0'),
            Value::Array(elements) => elements.iter().any(has_nul),
            Value::Object(members) => members
                .iter()
                .any(|(name, value)| name.contains('\0') || has_nul(value)),
            Value::Null | Value::Bool(_) | Value::Number(_) => false,
        }
    }
    let mut members = value.as_object()?.iter();
    let (name, _) = members.find(|(name, value)| name.contains('\0') || has_nul(value))?;
    Some(name.replace('\0', "\\u0000"))
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

/// The largest body that is read.
#[derive(Clone, Copy)]
struct SizeLimit {
    bytes: usize,
    declared: BodyLimit,
}

impl SizeLimit {
    fn of(declared: BodyLimit, shared: &AppState) -> Self {
        let largest = shared.body_limits.size_bytes;
        let bytes = match declared {
            BodyLimit::Bytes(bytes) => bytes.min(largest),
            BodyLimit::Resource => largest,
            BodyLimit::Bulk => shared.service.options.scim.bulk.max_payload_bytes,
        };
        Self { bytes, declared }
    }

    fn check(self, size_bytes: usize) -> Result<(), ApiError> {
        if size_bytes <= self.bytes {
            Ok(())
        } else {
            Err(self.exceeded())
        }
    }

    fn exceeded(self) -> ApiError {
        let limit_bytes = self.bytes;
        match self.declared {
            BodyLimit::Bytes(_) => ApiError::MessageTooLarge { limit_bytes },
            BodyLimit::Resource => ApiError::TooLarge { limit_bytes },
            BodyLimit::Bulk => ApiError::BulkTooLarge { limit_bytes },
        }
    }

    /// Names the limit of the endpoint in an error of the decoder.
    fn named(self, error: ApiError) -> ApiError {
        match error {
            ApiError::TooLarge { .. } => self.exceeded(),
            other => other,
        }
    }
}

/// A body that is being received.
struct BodyReader {
    payload: Payload,
    times: BodyLimits,
    limit: SizeLimit,
    started: Instant,
    received_bytes: usize,
}

/// A whole body, and the memory that it takes.
struct Received {
    bytes: Vec<u8>,
    reservation: Reservation,
}

impl BodyReader {
    async fn next(&mut self) -> Result<Option<Bytes>, ApiError> {
        let remaining = self
            .times
            .time_for(self.received_bytes)
            .saturating_sub(self.started.elapsed());
        let chunk = tokio::time::timeout(remaining.min(self.times.time), self.payload.next())
            .await
            .map_err(|_| ApiError::SlowBody)?;
        let chunk = chunk.transpose().map_err(|_| {
            ScimError::invalid_syntax("The connection was closed before the end of the body.")
        })?;
        let size = chunk.as_ref().map_or(0, Bytes::len);
        self.received_bytes = self.received_bytes.saturating_add(size);
        Ok(chunk)
    }
}

async fn collect(
    mut reader: BodyReader,
    mut reservation: Reservation,
    length: Option<usize>,
) -> Result<Received, ApiError> {
    let most = length.unwrap_or(reader.limit.bytes).min(reader.limit.bytes);
    let mut reserved = length.unwrap_or(0);
    reservation.grow(reserved)?;
    let mut bytes = Vec::new();
    while let Some(chunk) = reader.next().await? {
        let size = reader.received_bytes;
        reader.limit.check(size)?;
        let capacity = bytes.capacity();
        if size > capacity {
            let wanted = capacity.saturating_mul(2).min(most).max(size);
            reservation.grow(wanted.saturating_sub(reserved))?;
            reserved = reserved.max(wanted);
            bytes.reserve_exact(wanted.saturating_sub(bytes.len()));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Received { bytes, reservation })
}

/// The number of encoded bytes that are decoded before other requests of the thread continue: they
/// may expand a thousandfold.
const ENCODED_CHUNK_BYTES: usize = 4 * 1024;
/// The most that a coding adds to data that it cannot compress, generously.
const OVERHEAD_BYTES: usize = 64 * 1024;

async fn decode(
    mut reader: BodyReader,
    mut reservation: Reservation,
    coding: Coding,
) -> Result<Received, ApiError> {
    let limit = reader.limit;
    let reserve = |bytes| Ok(reservation.grow(bytes)?);
    let mut decoder = Decoder::new(coding, limit.bytes, reserve);
    while let Some(chunk) = reader.next().await? {
        // A coding adds little to data that it cannot compress. Without this limit, a client could
        // send parts that decode to nothing without end.
        limit.check(reader.received_bytes.saturating_sub(OVERHEAD_BYTES))?;
        for part in chunk.chunks(ENCODED_CHUNK_BYTES) {
            let decoded = decoder.decode(part);
            decoded.map_err(|error| limit.named(error))?;
            tokio::task::yield_now().await;
        }
    }
    let bytes = match reader.received_bytes {
        0 => {
            drop(decoder);
            Vec::new()
        }
        _ => decoder.finish().map_err(|error| limit.named(error))?,
    };
    Ok(Received { bytes, reservation })
}

fn content_length(request: &HttpRequest) -> Option<usize> {
    let value = request.headers().get(CONTENT_LENGTH)?;
    value.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nul_is_found_in_its_member() {
        for (body, expected) in [
            (r#"{"a":"\\u0000"}"#, None),
            (r#"{"a":{"b":[1,null,"x"]}}"#, None),
            (r#"{"a":"x","b":"\u0000"}"#, Some("b")),
            (r#"{"a":["x",{"b":["\u0000y"]}]}"#, Some("a")),
            (r#"{"a":{"\u0000":1}}"#, Some("a")),
            (r#"{"a\u0000":1}"#, Some(r"a\u0000")),
        ] {
            let body: Value = serde_json::from_str(body).unwrap();
            assert_eq!(find_nul(&body).as_deref(), expected, "{body}");
        }
    }
}
