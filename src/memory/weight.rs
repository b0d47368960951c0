//! The memory that parsed JSON takes: many times that of its text if its values are small.

use serde_json::Value;

/// An element of an array. A growing array has up to twice the capacity that it needs.
const ELEMENT_BYTES: usize = 2 * size_of::<Value>();
/// A member of an object: its name, its value and its place in the index of names.
const MEMBER_BYTES: usize = size_of::<(String, Value)>() + 4 * size_of::<usize>();

/// Returns the memory of one more element of an array, without that of its texts and members.
pub fn element_bytes() -> usize {
    ELEMENT_BYTES
}

/// Returns the memory of one more member of an object that has `count` already, without that of its
/// texts and members. An object grows to 3, 7, 14, .. members at once.
pub fn member_bytes(count: usize) -> usize {
    match count {
        0 => 3 * MEMBER_BYTES,
        1 | 2 => 0,
        3 => 4 * MEMBER_BYTES,
        4..=6 => 0,
        _ => 2 * MEMBER_BYTES,
    }
}

/// Returns the memory of a text of this length: allocations have a few sizes.
pub fn text_bytes(length: usize) -> usize {
    length.saturating_add(16)
}

/// Returns about the memory that a JSON text takes when it is parsed, and never much less, from its
/// punctuation alone.
pub fn weigh_text(text: &str) -> usize {
    let mut objects = 0_usize;
    let mut values = 1_usize;
    for byte in text.bytes() {
        objects += usize::from(byte == b'{');
        values += usize::from(byte == b',' || byte == b'[');
    }
    objects
        .saturating_mul(ELEMENT_BYTES + member_bytes(0))
        .saturating_add(values.saturating_mul(ELEMENT_BYTES))
        .saturating_add(text_bytes(text.len()))
}

/// Returns about the memory that a parsed value takes.
pub fn weigh_value(value: &Value) -> usize {
    let inner: usize = match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text_bytes(text.len()),
        Value::Array(elements) => elements.iter().map(weigh_value).sum(),
        Value::Object(members) => members
            .iter()
            .enumerate()
            .map(|(index, (name, value))| {
                member_bytes(index) + text_bytes(name.len()) + weigh_value(value)
            })
            .sum(),
    };
    ELEMENT_BYTES.saturating_add(inner)
}

/// As [`weigh_text`], and 0 for a text that is small: at any time only a few are parsed.
pub fn weigh_large(text: &str) -> usize {
    if text.len() < LARGE_BYTES {
        0
    } else {
        weigh_text(text)
    }
}

/// The length from which a text is large.
const LARGE_BYTES: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What the elements and members of a value have allocated, at least.
    fn allocated(value: &Value) -> usize {
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
            Value::String(text) => text.capacity(),
            Value::Array(elements) => {
                let inner: usize = elements.iter().map(allocated).sum();
                elements.capacity() * size_of::<Value>() + inner
            }
            Value::Object(members) => members
                .iter()
                .map(|(name, value)| {
                    name.capacity() + size_of::<(String, Value)>() + allocated(value)
                })
                .sum(),
        }
    }

    #[test]
    fn a_text_weighs_at_least_what_its_values_take() {
        let numbers: Vec<i32> = vec![0; 1000];
        let email = json!({ "value": "ada@example.com", "type": "work", "primary": true });
        for value in [
            json!(numbers),
            json!(vec![json!({}); 1000]),
            json!(vec![json!([]); 1000]),
            json!(vec![json!({ "a": {} }); 1000]),
            json!(vec![email; 1000]),
            json!("x".repeat(1000)),
            json!({ "a": { "b": { "c": [[[null]]] } } }),
        ] {
            let text = value.to_string();
            let weight = weigh_text(&text);
            assert!(weight >= allocated(&value), "{weight} for {text:.40}");
        }
    }
}
