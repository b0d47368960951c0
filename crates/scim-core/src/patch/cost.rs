//! The cost of an edit, counted before it is applied: a small request must not keep a processor
//! busy for minutes or make a document that fills the memory.

use serde_json::Value;

/// The most values that one PATCH may visit. Each operation on a multi-valued attribute visits all
/// its values, so a body of a few megabytes could keep a processor busy for minutes. A thousand
/// operations on a thousand values are far below this.
pub(super) const MAX_STEPS: usize = 5_000_000;

/// Returns the cost of copying a value into each element that a filter finds: without a bound, a
/// small request could make a resource that fills the memory.
pub(super) fn copied(value: &Value) -> usize {
    const BYTES_A_STEP: usize = 4;
    // A value takes some hundred bytes, whatever its text.
    const STEPS_A_VALUE: usize = 16;
    fn steps(value: &Value) -> usize {
        let inner: usize = match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
            Value::String(text) => text.len().div_euclid(BYTES_A_STEP),
            Value::Array(elements) => elements.iter().map(steps).sum(),
            Value::Object(members) => members
                .iter()
                .map(|(name, value)| {
                    let name = name.len().div_euclid(BYTES_A_STEP);
                    name.saturating_add(steps(value))
                })
                .sum(),
        };
        inner.saturating_add(STEPS_A_VALUE)
    }
    steps(value)
}

/// Returns the number of values of an attribute, those of its sub-attributes included.
pub(super) fn values(value: Option<&Value>) -> usize {
    match value {
        Some(Value::Array(elements)) => elements.iter().map(|one| values(Some(one))).sum(),
        Some(Value::Object(members)) => members
            .values()
            .map(|member| member.as_array().map_or(0, Vec::len))
            .fold(1, usize::saturating_add),
        _ => 1,
    }
}
