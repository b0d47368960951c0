//! The checks of strict tenants: reject every value that does not have exactly the form that the
//! schema gives its attribute.
//!
//! They change nothing. A value that passes goes on to [`crate::coerce`], which then has nothing to
//! correct. So the two compatibilities differ in this one module, and not in every function that
//! reads a value.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use crate::coerce::{self, Location};
use crate::registry::{Extension, ResourceType};
use crate::schema::{Attribute, Mutability, Type, instant};
use crate::{ScimError, name};

/// The treatment of a readOnly sub-attribute in a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReadOnly {
    /// POST and PUT ignore it, of whatever type it is (RFC 7644 sections 3.3 and 3.5.1).
    Ignore,
    /// PATCH is an error (RFC 7644 section 3.5.2).
    Refuse,
}

/// The value of a whole attribute: a list where it is multi-valued.
pub(crate) fn attribute(
    attribute: &Attribute,
    value: &Value,
    read_only: ReadOnly,
    at: &Location,
) -> Result<(), ScimError> {
    match value {
        // RFC 7643 section 2.5: null is unassigned, whatever the type.
        Value::Null => Ok(()),
        Value::Array(elements) if attribute.multi_valued => {
            for (index, value) in elements.iter().enumerate() {
                element(attribute, value, read_only, &at.index(index))?;
            }
            Ok(())
        }
        other if attribute.multi_valued => Err(ScimError::invalid_value(format!(
            "{at} must be a list, not {}",
            coerce::kind_of(other)
        ))),
        other => element(attribute, other, read_only, at),
    }
}

/// One value: that of a singular attribute, or one of the list.
pub(crate) fn element(
    attribute: &Attribute,
    value: &Value,
    read_only: ReadOnly,
    at: &Location,
) -> Result<(), ScimError> {
    match value {
        Value::Object(members) if attribute.is_complex() => {
            sub_attributes(attribute, members, read_only, at)
        }
        _ => simple(None, attribute, value, at),
    }
}

/// The value of one sub-attribute of `parent`.
pub(crate) fn sub_attribute(
    parent: &Attribute,
    sub: &Attribute,
    value: &Value,
    at: &Location,
) -> Result<(), ScimError> {
    match value {
        Value::Null => Ok(()),
        Value::Array(elements) if sub.multi_valued => elements
            .iter()
            .enumerate()
            .try_for_each(|(index, value)| simple(Some(parent), sub, value, &at.index(index))),
        _ if sub.multi_valued => Err(coerce::wrong(sub, value, at)),
        value => simple(Some(parent), sub, value, at),
    }
}

/// The container of an extension.
pub(crate) fn extension(
    extension: &Extension,
    value: &Value,
    read_only: ReadOnly,
    at: &Location,
) -> Result<(), ScimError> {
    let members = match value {
        Value::Null => return Ok(()),
        Value::Object(members) => members,
        other => {
            return Err(ScimError::invalid_value(format!(
                "{at} must be an object with the attributes of the extension, not {}",
                coerce::kind_of(other)
            )));
        }
    };
    for (name, value) in members {
        let Some(known) = extension.schema.attribute(name) else {
            return Err(ScimError::invalid_syntax(format!(
                "the extension {at} has no attribute `{name}`"
            )));
        };
        let at = at.name(&known.name);
        match (known.mutability, read_only) {
            (Mutability::ReadOnly, ReadOnly::Ignore) => {}
            (Mutability::ReadOnly, ReadOnly::Refuse) => return Err(refused(&at)),
            _ => attribute(known, value, read_only, &at)?,
        }
    }
    Ok(())
}

fn refused(at: &Location) -> ScimError {
    ScimError::mutability(format!("{at} is readOnly and cannot be changed"))
}

/// Returns the error for a name that no schema has. RFC 7644 does not mention such names; read
/// strictly, they are not part of the resource.
pub(crate) fn unknown(rt: &ResourceType, name: &dyn std::fmt::Display) -> ScimError {
    ScimError::invalid_syntax(format!("a {} has no attribute `{name}`", rt.name))
}

fn sub_attributes(
    attribute: &Attribute,
    members: &Map<String, Value>,
    read_only: ReadOnly,
    at: &Location,
) -> Result<(), ScimError> {
    for (name, value) in members {
        let Some(sub) = attribute.sub_attribute(name) else {
            return Err(ScimError::invalid_syntax(format!(
                "{at} has no sub-attribute `{name}`"
            )));
        };
        let at = at.name(&sub.name);
        match (sub.mutability, read_only) {
            (Mutability::ReadOnly, ReadOnly::Ignore) => {}
            (Mutability::ReadOnly, ReadOnly::Refuse) => return Err(refused(&at)),
            _ => sub_attribute(attribute, sub, value, &at)?,
        }
    }
    Ok(())
}

fn simple(
    parent: Option<&Attribute>,
    attribute: &Attribute,
    value: &Value,
    at: &Location,
) -> Result<(), ScimError> {
    let has_type = match (attribute.kind, value) {
        (Type::Boolean, Value::Bool(_)) | (Type::Decimal, Value::Number(_)) => true,
        (Type::Integer, Value::Number(number)) => number.is_i64(),
        (Type::String, Value::String(_)) => true,
        (Type::Reference, Value::String(text)) => is_uri_reference(text),
        (Type::DateTime, Value::String(text)) => instant(text).is_some(),
        (Type::Binary, Value::String(text)) => coerce::is_base64(text),
        _ => false,
    };
    if !has_type {
        return Err(coerce::wrong(attribute, value, at));
    }
    let parent = parent.map_or("", |parent| parent.name.as_str());
    match (parent, attribute.name.as_str(), value) {
        // RFC 7643 section 4.1.1: prepared as in RFC 8265, whose grammar has spaces between the
        // parts of a name.
        ("", "userName", Value::String(text)) if !name::is_precis_user_name(text) => {
            Err(ScimError::invalid_value(format!(
                "{at} holds a character that the profile UsernameCaseMapped of RFC 8265 does not allow"
            )))
        }
        ("", "password", Value::String(text)) if name::opaque(text).is_none() => {
            Err(ScimError::invalid_value(format!(
                "{at} must not be empty or hold characters that the profile OpaqueString of RFC 8265 does not allow"
            )))
        }
        // RFC 7643 section 4.1.2.
        ("addresses", "country", Value::String(text)) if !is_country(text) => {
            Err(ScimError::invalid_value(format!(
                "{at} must be a code of two letters out of ISO 3166-1, such as \"US\""
            )))
        }
        ("x509Certificates", "value", Value::String(text)) if !is_certificate(text) => {
            Err(ScimError::invalid_value(format!(
                "{at} must be exactly one DER certificate in base64"
            )))
        }
        _ => Ok(()),
    }
}

/// Returns whether the text has only what RFC 3986 allows in a URI or a relative reference, and a
/// scheme where a colon asks for one.
fn is_uri_reference(text: &str) -> bool {
    let has_allowed = |text: &str| {
        text.bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&b))
    };
    let escapes_well = text.split('%').skip(1).all(|after| {
        after
            .get(..2)
            .is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))
    });
    let first_segment = text.split(['/', '?', '#']).next().unwrap_or_default();
    let scheme_is_one = first_segment.split_once(':').is_none_or(|(scheme, _)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
    });
    has_allowed(text) && escapes_well && scheme_is_one
}

fn is_country(text: &str) -> bool {
    text.is_empty() || (text.len() == 2 && text.bytes().all(|b| b.is_ascii_alphabetic()))
}

/// Returns whether the text is one DER `SEQUENCE` of a `SEQUENCE`, a `SEQUENCE` and a `BIT STRING`,
/// which is the frame of a certificate (RFC 5280 section 4.1). The content is between the client
/// and its readers.
fn is_certificate(text: &str) -> bool {
    const SEQUENCE: u8 = 0x30;
    const BIT_STRING: u8 = 0x03;
    let joined: String = text.split_ascii_whitespace().collect();
    let padded = format!("{joined}{}", "=".repeat(joined.len().wrapping_neg() % 4));
    let Ok(bytes) = STANDARD.decode(padded) else {
        return text.is_empty();
    };
    let Some((inside, [])) = der(&bytes, SEQUENCE) else {
        return false;
    };
    let rest = der(inside, SEQUENCE).and_then(|(_, rest)| der(rest, SEQUENCE));
    rest.and_then(|(_, rest)| der(rest, BIT_STRING))
        .is_some_and(|(_, rest)| rest.is_empty())
}

/// The content of the DER value at the start, which must have this tag, and what follows it.
fn der(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    let (&length, rest) = rest.split_first()?;
    if first != tag {
        return None;
    }
    let (length, rest) = match length {
        0..=0x7f => (usize::from(length), rest),
        // The length of the length; a certificate of 16 MiB would not fit into a body.
        0x81..=0x83 => {
            let (digits, rest) = rest.split_at_checked(usize::from(length & 0x0f))?;
            let length = digits
                .iter()
                .fold(0, |sum, &digit| (sum << 8) | usize::from(digit));
            (length, rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uri_references() {
        for good in [
            "",
            "https://example.com/a?b=c#d",
            "Users/1",
            "../Users/1",
            "/a:b",
            "urn:ietf:params:scim",
            "mailto:a@b.org",
            "a%20b",
            "//[::1]/x",
        ] {
            assert!(is_uri_reference(good), "{good}");
        }
        for bad in [
            "a b",
            "http://ä",
            "%zz",
            "%2",
            "1:x",
            ":x",
            "<x>",
            "a\\b",
            "a\"b",
        ] {
            assert!(!is_uri_reference(bad), "{bad}");
        }
    }

    #[test]
    fn certificates() {
        let encode = |bytes: &[u8]| STANDARD.encode(bytes);
        let frame = [0x30, 8, 0x30, 0, 0x30, 0, 0x03, 2, 0, 1];
        assert!(is_certificate(&encode(&frame)));
        assert!(is_certificate(encode(&frame).trim_end_matches('=')));
        let mut twice = frame.to_vec();
        twice.extend(frame);
        let mut long = vec![0x30, 0x82, 1, 10, 0x30, 0x82, 1, 0];
        long.extend([0; 256]);
        long.extend([0x30, 0, 0x03, 0]);
        long[3] = 8;
        assert!(is_certificate(&encode(&long)));
        for bad in [
            encode(&twice),
            encode(&[1, 2, 3]),
            encode(&frame[..9]),
            encode(&[0x30, 0x80]),
            encode(&[0x30, 0x84, 0, 0, 0, 0]),
            "%%%".to_owned(),
            "AQ==".to_owned(),
        ] {
            assert!(!is_certificate(&bad), "{bad}");
        }
    }
}
