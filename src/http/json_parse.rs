//! Parsing a JSON body. Its values take many times the memory of their text, so they are counted
//! while they are built, and a body that takes too much is rejected before it has it.

use std::cell::{Cell, RefCell};
use std::fmt;

use scim_core::ScimError;
use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::http::error::ApiError;
use crate::memory::{Held, MemoryError, Reservation, element_bytes, member_bytes, text_bytes};

/// Parses a body as a JSON object. `reservation` has the memory of the text, in place of which the
/// result has that of the values.
///
/// # Errors
/// 400 `invalidSyntax` for anything but a JSON object, 413 or 503 if its values take more memory
/// than there is.
pub fn parse(bytes: &[u8], reservation: Reservation) -> Result<Held<Value>, ApiError> {
    // RFC 8259 section 8.1: a byte order mark may be ignored.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(
            ScimError::invalid_syntax("The body is empty; a JSON object was expected.").into(),
        );
    }
    let meter = Meter::new(reservation);
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = UniqueNames(&meter)
        .deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value));
    if let Some(error) = meter.error.get() {
        return Err(error.into());
    }
    let value = value.map_err(|error| {
        ScimError::invalid_syntax(format!("The body is not valid JSON: {error}."))
    })?;
    if value.is_object() {
        Ok(Held::new(value, meter.finish()))
    } else {
        Err(ScimError::invalid_syntax("The body must be a JSON object.").into())
    }
}

/// Counts the memory of values as they are built.
///
/// While a body is parsed, there are both its text and its values. The text is not counted then:
/// only a few bodies are parsed at the same time.
struct Meter {
    used_bytes: Cell<usize>,
    /// Counted in the reservation.
    granted_bytes: Cell<usize>,
    reservation: RefCell<Reservation>,
    error: Cell<Option<MemoryError>>,
}

/// The memory that is granted at a time.
const STEP_BYTES: usize = 4 * 1024;

impl Meter {
    fn new(reservation: Reservation) -> Self {
        Self {
            used_bytes: Cell::new(0),
            granted_bytes: Cell::new(reservation.used_bytes()),
            reservation: RefCell::new(reservation),
            error: Cell::new(None),
        }
    }

    fn add<E: serde::de::Error>(&self, bytes: usize) -> Result<(), E> {
        let used = self.used_bytes.get().saturating_add(bytes);
        self.used_bytes.set(used);
        let granted = self.granted_bytes.get();
        if used <= granted {
            return Ok(());
        }
        let more = used.saturating_sub(granted).saturating_add(STEP_BYTES);
        match self.reservation.borrow_mut().grow(more) {
            Ok(()) => {
                self.granted_bytes.set(granted.saturating_add(more));
                Ok(())
            }
            Err(error) => {
                self.error.set(Some(error));
                Err(E::custom("it takes too much memory"))
            }
        }
    }

    fn finish(self) -> Reservation {
        let mut reservation = self.reservation.into_inner();
        let unused = self
            .granted_bytes
            .get()
            .saturating_sub(self.used_bytes.get());
        reservation.shrink(unused);
        reservation
    }
}

/// Builds a [`Value`] and rejects an object that has a name twice, because which of the two is
/// meant would be a guess.
#[derive(Clone, Copy)]
struct UniqueNames<'m>(&'m Meter);

impl<'de> DeserializeSeed<'de> for UniqueNames<'_> {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for UniqueNames<'_> {
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

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Value, E> {
        self.0.add(text_bytes(value.len()))?;
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E: serde::de::Error>(self, value: String) -> Result<Value, E> {
        self.0.add(text_bytes(value.len()))?;
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(self)? {
            self.0.add(element_bytes())?;
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            self.0
                .add(member_bytes(object.len()).saturating_add(text_bytes(name.len())))?;
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
    use std::fmt::Write as _;

    use actix_web::ResponseError as _;

    use super::*;
    use crate::ids::TenantId;
    use crate::memory::MemoryBudget;

    fn parse_within(bytes: &[u8], budget_bytes: usize) -> Result<Held<Value>, ApiError> {
        let budget = MemoryBudget::new(budget_bytes);
        parse(bytes, budget.reservation(TenantId::DEFAULT))
    }

    fn check(bytes: &[u8], expected: Result<&str, &str>) {
        match (parse_within(bytes, 1 << 20), expected) {
            (Ok(held), Ok(text)) => assert_eq!(held.value().to_string(), text),
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
            (found, expected) => panic!("{found:?}, expected {expected:?}"),
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

    #[test]
    fn values_that_take_too_much_memory_are_rejected() {
        let mut names = String::new();
        for index in 0..20_000 {
            write!(names, "\"{index:05}\":0,").unwrap();
        }
        let names = format!("{{{}}}", names.trim_end_matches(','));
        let list = |item: &str| format!("{{\"a\":[{item}{}]}}", format!(",{item}").repeat(20_000));
        let nested = format!("{}0{}", "[".repeat(100), "]".repeat(100));
        for body in [
            names,
            list("0"),
            list("{}"),
            list("[]"),
            list(r#"{"a":{}}"#),
            list(r#""x""#),
            list(r#""\u0041""#),
            list("1e300"),
            list(&nested),
            format!(r#"{{"a":"{}"}}"#, "x".repeat(2 << 20)),
            format!(r#"{{"{}":0}}"#, "\\n".repeat(1 << 20)),
        ] {
            let error = parse_within(body.as_bytes(), 1 << 20).err();
            let status = error.map(|error| error.status_code().as_u16());
            assert_eq!(status, Some(413), "{:.30}", body);
            assert!(
                parse_within(body.as_bytes(), 1 << 30).is_ok(),
                "{:.30}",
                body
            );
        }
    }

    #[test]
    fn a_body_holds_what_its_values_take() {
        let budget = MemoryBudget::new(64 << 20);
        let body = format!(r#"{{"a":[0{}]}}"#, ",0".repeat(100_000));
        let held = parse(body.as_bytes(), budget.reservation(TenantId::DEFAULT)).unwrap();
        assert!(budget.used_bytes() > 7 << 20);
        let other = parse_within(body.as_bytes(), 1 << 20);
        assert!(other.is_err());
        drop(held);
        assert_eq!(budget.used_bytes(), 0);
    }
}
