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
/// 415 for another media type or content coding, 413 over the limit, 408 when it comes too slowly,
/// 503 where there is no memory for it now, 400 `invalidSyntax` for what is no JSON object.
pub async fn read(
    request: &HttpRequest,
    payload: Payload,
    limits: BodyLimits,
) -> Result<Value, ApiError> {
    check_media_type(request)?;
    let arrival = BodyReader {
        payload,
        limits,
        started: Instant::now(),
        received_bytes: 0,
    };
    let bytes = match Coding::of(request)? {
        None => collect(request, arrival).await?,
        Some(coding) => decode(request, arrival, coding).await?,
    };
    Ok(parse(&bytes)?)
}

/// Reads the whole body as this type, for endpoints outside SCIM. SCIM's own rules for values name
/// U+0000 better.
///
/// # Errors
/// As [`read`], and 400 for an object that does not fit or holds U+0000.
pub async fn typed<T: DeserializeOwned>(
    request: &HttpRequest,
    payload: Payload,
    limits: BodyLimits,
) -> Result<T, ApiError> {
    let body = read(request, payload, limits).await?;
    if let Some(member) = nul_in(&body) {
        let text = format!(
            "`{member}` holds the character U+0000, which the database cannot store. Remove it."
        );
        return Err(service::Error::BadRequest(text).into());
    }
    Ok(serde_json::from_value(body)
        .map_err(|error| service::Error::BadRequest(format!("The body does not fit: {error}.")))?)
}

/// The member that holds U+0000, as its value, deep within it or in its name. An element of a list
/// goes by the list's name.
fn nul_in(value: &Value) -> Option<String> {
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
    // A body without a Content-Type is taken for JSON.
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

/// A body on its way.
struct BodyReader {
    payload: Payload,
    limits: BodyLimits,
    started: Instant,
    received_bytes: usize,
}

impl BodyReader {
    async fn next(&mut self) -> Result<Option<Bytes>, ApiError> {
        let left = self
            .limits
            .time_for(self.received_bytes)
            .saturating_sub(self.started.elapsed());
        let chunk = tokio::time::timeout(left.min(self.limits.time), self.payload.next())
            .await
            .map_err(|_| ApiError::SlowBody)?;
        let chunk = chunk
            .transpose()
            .map_err(|_| ScimError::invalid_syntax("The body broke off before its end."))?;
        let size = chunk.as_ref().map_or(0, Bytes::len);
        self.received_bytes = self.received_bytes.saturating_add(size);
        Ok(chunk)
    }
}

async fn collect(request: &HttpRequest, mut arrival: BodyReader) -> Result<BytesMut, ApiError> {
    let limit_bytes = arrival.limits.size_bytes;
    let announced = request
        .headers()
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.parse::<usize>().ok());
    if announced.is_some_and(|size| size > limit_bytes) {
        return Err(ApiError::TooLarge { limit_bytes });
    }
    // What comes without a length may become as large as any.
    let mut taken = announced.unwrap_or(0);
    take_room(request, taken)?;
    let mut bytes = BytesMut::with_capacity(taken.min(SMALL_BYTES));
    while let Some(chunk) = arrival.next().await? {
        let size = arrival.received_bytes;
        if size > limit_bytes {
            return Err(ApiError::TooLarge { limit_bytes });
        }
        if size > SMALL_BYTES && size > taken {
            take_room(request, limit_bytes.saturating_sub(taken))?;
            taken = limit_bytes;
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// The encoded bytes that are decoded before other requests get their turn: they may grow a
/// thousandfold.
const ENCODED_PIECE_BYTES: usize = 4 * 1024;

async fn decode(
    request: &HttpRequest,
    mut arrival: BodyReader,
    coding: Coding,
) -> Result<BytesMut, ApiError> {
    let limit_bytes = arrival.limits.size_bytes;
    // The length that was announced says nothing of the decoded one, so this may become as large as
    // any.
    let take_room = || take_room(request, limit_bytes);
    let mut decoder = Decoder::new(coding, limit_bytes, SMALL_BYTES, take_room);
    while let Some(chunk) = arrival.next().await? {
        // A coding adds little to what it cannot shorten; parts that decode to nothing can be sent
        // without end.
        if arrival.received_bytes > limit_bytes.saturating_add(SMALL_BYTES) {
            return Err(ApiError::TooLarge { limit_bytes });
        }
        for piece in chunk.chunks(ENCODED_PIECE_BYTES) {
            decoder.decode(piece)?;
            tokio::task::yield_now().await;
        }
    }
    if arrival.received_bytes == 0 {
        return Ok(BytesMut::new());
    }
    decoder.finish()
}

/// Takes room for a body, which is the request's to its end.
fn take_room(request: &HttpRequest, bytes: usize) -> Result<(), ApiError> {
    let shared = request.app_data::<Data<AppState>>();
    if let Some(shared) = shared.filter(|_| bytes > SMALL_BYTES) {
        let part = shared.room.take(bytes)?;
        request.extensions_mut().insert(part);
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

/// Builds a [`Value`] and refuses an object that has one name twice: which of the two counts would be a guess.
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
                    "the name `{name}` stands twice in one object"
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
    fn nul_is_found_by_the_member_that_holds_it() {
        for (body, expected) in [
            (r#"{"a":"\\u0000"}"#, None),
            (r#"{"a":{"b":[1,null,"x"]}}"#, None),
            (r#"{"a":"x","b":"\u0000"}"#, Some("b")),
            (r#"{"a":["x",{"b":["\u0000y"]}]}"#, Some("a")),
            (r#"{"a":{"\u0000":1}}"#, Some("a")),
            (r#"{"a\u0000":1}"#, Some(r"a\u0000")),
        ] {
            let body: Value = serde_json::from_str(body).unwrap();
            assert_eq!(nul_in(&body).as_deref(), expected, "{body}");
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
