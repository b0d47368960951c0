//! Values that are nearly right, and values that are wrong.

use serde_json::{Map, Value, json};

use crate::random::Random;

/// Texts that have broken parsers, databases and terminals.
const TEXTS: &[&str] = &[
    "",
    " ",
    "a",
    "ada@example.com",
    "true",
    "null",
    "0",
    "-1",
    "1e999",
    "9223372036854775808",
    "2026-13-45T99:99:99Z",
    "2026-03-01T08:00:00Z",
    "\u{0}",
    "a\u{0}b",
    "\u{202e}abc",
    "ﬃ",
    "İ",
    "𝔘𝔫𝔦",
    "'; DROP TABLE resources; --",
    "%00%ff%2e%2e/",
    "../../etc/passwd",
    "urn:ietf:params:scim:schemas:core:2.0:User",
    "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager",
    "userName",
    "emails.value",
    "emails[type eq \"work\"].value",
    "members[value eq \"x\"]",
    "userName eq \"ada@example.com\"",
    "not (emails[value co \"a\" and not (type pr)])",
    "((((((((((((((((((((((((((((((((((((userName pr",
    "meta.lastModified gt \"2026-01-01T00:00:00Z\" or id pr",
    "replace",
    "add",
    "remove",
    "POST",
    "/Users/bulkId:1",
];

/// Returns a text, known, random or long.
pub fn text(random: &mut Random) -> String {
    match random.below(12) {
        0 => "x".repeat(random.below(5_000)),
        1 => (0..random.below(20))
            .filter_map(|_| char::from_u32(u32::try_from(random.below(0x2_ffff)).unwrap_or(0)))
            .collect(),
        2 => TEXTS
            .get(random.below(TEXTS.len()))
            .copied()
            .unwrap_or_default()
            .repeat(50),
        _ => TEXTS
            .get(random.below(TEXTS.len()))
            .copied()
            .unwrap_or_default()
            .to_owned(),
    }
}

/// Changes a few members of a body, wherever they are.
pub fn mutate(random: &mut Random, value: &mut Value) {
    for _ in 0..random.below(4) {
        change(random, value, 0);
    }
}

fn change(random: &mut Random, value: &mut Value, depth: usize) {
    let goes_deeper = depth < 8 && random.below(4) > 0;
    match value {
        Value::Object(members) if goes_deeper && !members.is_empty() => {
            let index = random.below(members.len());
            let name = members.keys().nth(index).cloned().unwrap_or_default();
            match random.below(8) {
                0 => drop(members.remove(&name)),
                1 => drop(members.insert(text(random), scalar(random))),
                2 => {
                    let changed = members.remove(&name).unwrap_or_default();
                    members.insert(name.to_uppercase(), changed);
                }
                _ => {
                    if let Some(member) = members.get_mut(&name) {
                        change(random, member, depth + 1);
                    }
                }
            }
        }
        Value::Array(elements) if goes_deeper && !elements.is_empty() => {
            let index = random.below(elements.len());
            match random.below(6) {
                0 => drop(elements.remove(index)),
                1 => {
                    let copy = elements.get(index).cloned().unwrap_or_default();
                    elements.extend(std::iter::repeat_n(copy, random.below(200)));
                }
                _ => {
                    if let Some(element) = elements.get_mut(index) {
                        change(random, element, depth + 1);
                    }
                }
            }
        }
        other => *other = any(random),
    }
}

fn any(random: &mut Random) -> Value {
    match random.below(10) {
        0 => Value::Array((0..random.below(300)).map(|_| Value::from(0)).collect()),
        1 => nested(random.below(200)),
        2 => {
            let members: Map<String, Value> = (0..random.below(50))
                .map(|number| (format!("m{number}"), scalar(random)))
                .collect();
            Value::Object(members)
        }
        3 => json!([{ "value": text(random), "type": text(random), "primary": true }]),
        _ => scalar(random),
    }
}

fn nested(depth: usize) -> Value {
    (0..depth).fold(Value::Null, |inner, _| Value::Array(vec![inner]))
}

fn scalar(random: &mut Random) -> Value {
    match random.below(6) {
        0 => Value::Null,
        1 => Value::Bool(random.below(2) == 0),
        2 => json!(random.below(1_000_000)),
        3 => json!(-1.5e300),
        _ => Value::String(text(random)),
    }
}

/// Changes a few bytes of a body: it is no longer JSON, or JSON of another meaning.
pub fn damage(random: &mut Random, body: &mut Vec<u8>) {
    for _ in 0..=random.below(3) {
        let at = random.below(body.len().max(1));
        match (random.below(3), body.get_mut(at)) {
            (0, Some(byte)) => *byte = u8::try_from(random.below(256)).unwrap_or_default(),
            (1, Some(_)) => drop(body.remove(at)),
            (2, Some(_)) => body.truncate(at),
            (_, _) => body.extend_from_slice(b"\"\\u0000{[]}"),
        }
    }
}
