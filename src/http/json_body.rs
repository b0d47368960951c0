//! Reading a JSON body: media type, content coding, size, time, syntax.

use std::fmt;
use std::time::Instant;

use actix_web::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use actix_web::web::{Bytes, BytesMut, Data, Payload};
use actix_web::{HttpMessage as _, HttpRequest};
use futures_util::StreamExt as _;
use scim_core::ScimError;
use serde::de::{DeserializeOwned, DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::http::admission::body_memory::{BodyLimits, SMALL_BYTES};
use crate::http::coding::{Coding, Decoder};
use crate::http::error::ApiError;
use crate::http::state::AppState;
use crate::service;

/// Reads the whole body as one JSON object.
///
/// # Errors
/// 415 for another media type or content coding, 413 over the limit, 408 if it arrives too slowly,
/// 503 if the memory for bodies is used up, 400 `invalidSyntax` for anything but a JSON object.
pub async fn read(
    request: &HttpRequest,
    payload: Payload,
    limits: BodyLimits,
) -> Result<Value, ApiError> {
    check_media_type(request)?;
    let reader = BodyReader {
        payload,
        limits,
        started: Instant::now(),
        received_bytes: 0,
    };
    let bytes = match Coding::from_request(request)? {
        None => collect(request, reader).await?,
        Some(coding) => decode(request, reader, coding).await?,
    };
    Ok(parse(&bytes)?)
}

/// Reads the whole body as this type, for endpoints outside SCIM. SCIM's own validation has better
/// messages for U+0000.
///
/// # Errors
/// As [`read`], and 400 for an object that does not fit the type or contains U+0000.
pub async fn typed<T: DeserializeOwned>(
    request: &HttpRequest,
    payload: Payload,
    limits: BodyLimits,
) -> Result<T, ApiError> {
    let body = read(request, payload, limits).await?;
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

/// A body that is being received.
struct BodyReader {
    payload: Payload,
    limits: BodyLimits,
    started: Instant,
    received_bytes: usize,
}

impl BodyReader {
    async fn next(&mut self) -> Result<Option<Bytes>, ApiError> {
        let remaining = self
            .limits
            .time_for(self.received_bytes)
            .saturating_sub(self.started.elapsed());
        let chunk = tokio::time::timeout(remaining.min(self.limits.time), self.payload.next())
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

async fn collect(request: &HttpRequest, mut reader: BodyReader) -> Result<BytesMut, ApiError> {
    let limit_bytes = reader.limits.size_bytes;
    let content_length = request
        .headers()
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.parse::<usize>().ok());
    if content_length.is_some_and(|size| size > limit_bytes) {
        return Err(ApiError::TooLarge { limit_bytes });
    }
    let mut reserved_bytes = content_length.unwrap_or(0);
    reserve(request, reserved_bytes)?;
    let mut bytes = BytesMut::with_capacity(reserved_bytes.min(SMALL_BYTES));
    while let Some(chunk) = reader.next().await? {
        let size = reader.received_bytes;
        if size > limit_bytes {
            return Err(ApiError::TooLarge { limit_bytes });
        }
        // A body without a length may become as large as the limit.
        if size > SMALL_BYTES && size > reserved_bytes {
            reserve(request, limit_bytes.saturating_sub(reserved_bytes))?;
            reserved_bytes = limit_bytes;
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// The number of encoded bytes that are decoded before other requests of the thread continue: they
/// may expand a thousandfold.
const ENCODED_CHUNK_BYTES: usize = 4 * 1024;

async fn decode(
    request: &HttpRequest,
    mut reader: BodyReader,
    coding: Coding,
) -> Result<BytesMut, ApiError> {
    let limit_bytes = reader.limits.size_bytes;
    // The Content-Length does not bound the decoded length.
    let reserve = || reserve(request, limit_bytes);
    let mut decoder = Decoder::new(coding, limit_bytes, SMALL_BYTES, reserve);
    while let Some(chunk) = reader.next().await? {
        // A coding adds little to data that it cannot compress. Without this limit, a client could
        // send parts that decode to nothing without end.
        if reader.received_bytes > limit_bytes.saturating_add(SMALL_BYTES) {
            return Err(ApiError::TooLarge { limit_bytes });
        }
        for part in chunk.chunks(ENCODED_CHUNK_BYTES) {
            decoder.decode(part)?;
            tokio::task::yield_now().await;
        }
    }
    if reader.received_bytes == 0 {
        return Ok(BytesMut::new());
    }
    decoder.finish()
}

/// Reserves memory for a body until the request ends.
fn reserve(request: &HttpRequest, bytes: usize) -> Result<(), ApiError> {
    let shared = request.app_data::<Data<AppState>>();
    if let Some(shared) = shared.filter(|_| bytes > SMALL_BYTES) {
        let reservation = shared.body_memory.reserve(bytes)?;
        request.extensions_mut().insert(reservation);
    }
    Ok(())
}

fn parse(bytes: &[u8]) -> Result<Value, ScimError> {
    // RFC 8259 section 8.1: a byte order mark may be ignored.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(ScimError::invalid_syntax(
            "The body is empty; a JSON object was expected.",
        ));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = UniqueNames
        .deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value))
        .map_err(|error| {
            ScimError::invalid_syntax(format!("The body is not valid JSON: {error}."))
        })?;
    if value.is_object() {
        Ok(value)
    } else {
        Err(ScimError::invalid_syntax("The body must be a JSON object."))
    }
}

/// Builds a [`Value`] and rejects an object that has a name twice, because which of the two is
/// meant would be a guess.
#[derive(Clone, Copy)]
struct UniqueNames;

impl<'de> DeserializeSeed<'de> for UniqueNames {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for UniqueNames {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(self)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            let value = map.next_value_seed(self)?;
            if object.contains_key(&name) {
                return Err(A::Error::custom(format_args!(
                    "the name `{name}` appears twice in one object"
                )));
            }
            object.insert(name, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], expected: Result<&str, &str>) {
        match (parse(bytes), expected) {
            (Ok(value), Ok(text)) => assert_eq!(value.to_string(), text),
            (Err(error), Err(part)) => assert!(error.detail.contains(part), "{}", error.detail),
            (found, expected) => panic!("{found:?}, expected {expected:?}"),
        }
    }

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

    // R7644-3.8-01, R7644-3.8-07
    #[test]
    fn bodies() {
        check(
            br#"{"a":[1,-2,2.5,"x",null,true,{"b":{}}]}"#,
            Ok(r#"{"a":[1,-2,2.5,"x",null,true,{"b":{}}]}"#),
        );
        check(b"\xef\xbb\xbf{}", Ok("{}"));
        check(b"", Err("empty"));
        check(b" \n", Err("empty"));
        check(b"[]", Err("object"));
        check(b"{} x", Err("trailing"));
        check(br#"{"a":1,"a":2}"#, Err("twice"));
        check(br#"{"a":{"b":1,"b":2}}"#, Err("twice"));
        check(b"{\"a\":\"\xff\"}", Err("not valid JSON"));
        check(br#"{"a":"\ud800"}"#, Err("not valid JSON"));
        check("[".repeat(100_000).as_bytes(), Err("not valid JSON"));
    }
}
