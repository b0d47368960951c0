//! Coerces one simple value: text, a boolean, a number, a date or binary data.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Number, Value};

use super::location::Location;
use crate::ScimError;
use crate::schema::{Attribute, Type};

/// Returns the value in the type of the attribute; `None` is unassigned.
pub(crate) fn scalar(
    attribute: &Attribute,
    value: &Value,
    at: &Location,
) -> Result<Option<Value>, ScimError> {
    match value {
        Value::Null => return Ok(None),
        Value::String(text) if text.is_empty() => return Ok(None),
        _ => {}
    }
    let fault = || wrong(attribute, value, at);
    let admitted = match (attribute.kind, value) {
        (Type::String | Type::Reference, value) => {
            return Ok(text(value, at)?.map(Value::String));
        }
        (Type::Boolean, value) => Value::Bool(boolean(value).ok_or_else(fault)?),
        (Type::Integer, Value::Number(number)) if number.is_i64() => value.clone(),
        (Type::Integer, Value::String(text)) => {
            Value::from(text.trim().parse::<i64>().map_err(|_| fault())?)
        }
        (Type::Decimal, Value::Number(_)) => value.clone(),
        (Type::Decimal, Value::String(text)) => {
            let number = text.trim().parse::<f64>().map_err(|_| fault())?;
            Value::Number(Number::from_f64(number).ok_or_else(fault)?)
        }
        (Type::DateTime, Value::String(text)) => Value::from(date_time(text).ok_or_else(fault)?),
        (Type::Binary, Value::String(text)) if is_base64(text) => value.clone(),
        _ => return Err(fault()),
    };
    Ok(Some(admitted))
}

/// Returns the text of a string attribute; `None` if it is unassigned.
pub(crate) fn text(value: &Value, at: &Location) -> Result<Option<String>, ScimError> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => {
            no_nul(text, at)?;
            Ok((!text.is_empty()).then(|| text.clone()))
        }
        // Okta's own samples hold numbers where text is due.
        Value::Number(number) => number_text(number, at).map(Some),
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => Err(ScimError::invalid_value(
            format!("{at} must be text, not {}", kind_of(value)),
        )),
    }
}

/// Refuses text that `PostgreSQL` cannot store.
pub(crate) fn no_nul(text: &str, at: &Location) -> Result<(), ScimError> {
    if text.contains('\0') {
        return Err(ScimError::invalid_value(format!(
            "{at} holds the character U+0000, which cannot be stored"
        )));
    }
    Ok(())
}

/// Entra ID sends "True" and "False", databases behind other clients 1 and 0.
fn boolean(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(value) => Some(*value),
        Value::Number(number) => match number.as_u64() {
            Some(1) => Some(true),
            Some(0) => Some(false),
            _ => None,
        },
        Value::String(text) => match text.to_ascii_lowercase().as_str() {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

fn number_text(number: &Number, at: &Location) -> Result<String, ScimError> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let is_exact =
        number.is_i64() || number.is_u64() || number.as_f64().is_some_and(|n| n.abs() < EXACT);
    if !is_exact {
        // The JSON reader has rounded it already.
        return Err(ScimError::invalid_value(format!(
            "{at} is too large for a number; send it as text"
        )));
    }
    Ok(number.to_string())
}

/// Returns the text of an xsd:dateTime in the form that is stored: with an offset, Z if the client
/// gave none.
fn date_time(text: &str) -> Option<String> {
    if text.as_bytes().get(10) != Some(&b'T') {
        return None;
    }
    if text.parse::<jiff::Timestamp>().is_ok() {
        return Some(text.to_owned());
    }
    let with_zone = format!("{text}Z");
    with_zone.parse::<jiff::Timestamp>().ok().map(|_| with_zone)
}

/// RFC 4648 section 4; padding may be left out (RFC 7643 section 2.3.6), and certificates come
/// with line breaks.
pub(crate) fn is_base64(text: &str) -> bool {
    const CONFIG: GeneralPurposeConfig = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    const ENGINE: GeneralPurpose = GeneralPurpose::new(&STANDARD, CONFIG);
    if text.contains(|letter: char| letter.is_ascii_whitespace()) {
        let joined: String = text.split_ascii_whitespace().collect();
        return ENGINE.decode(joined).is_ok_and(|bytes| !bytes.is_empty());
    }
    ENGINE.decode(text).is_ok()
}

pub(crate) fn wrong(attribute: &Attribute, value: &Value, at: &Location) -> ScimError {
    let due = match attribute.kind {
        Type::String | Type::Reference => "text",
        Type::Boolean => "true or false",
        Type::Integer => "a whole number",
        Type::Decimal => "a number",
        Type::DateTime => "a date with a time, such as \"2026-01-31T12:00:00Z\"",
        Type::Binary => "text in base64",
        Type::Complex => "an object",
    };
    ScimError::invalid_value(format!("{at} must be {due}, not {}", found(value)))
}

/// Returns the value itself if it is short and cannot be a secret, otherwise its kind.
fn found(value: &Value) -> String {
    match value {
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(_) => "this text".to_owned(),
        _ => kind_of(value).to_owned(),
    }
}

/// Returns the kind of a JSON value for error details: "an object", "text".
pub(crate) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
