//! Parts of an extension that no schema describes, by the names that a client gives them.

use serde_json::{Map, Value};

/// The names that are about this member: itself (an empty text), or what is in it.
fn within<'n>(names: &[&'n str], member: &str) -> Vec<&'n str> {
    let rest = |name: &&'n str| {
        let (start, rest) = name.split_at_checked(member.len())?;
        if !start.eq_ignore_ascii_case(member) {
            return None;
        }
        match rest.strip_prefix('.') {
            Some(sub) => Some(sub),
            None => rest.is_empty().then_some(rest),
        }
    };
    names.iter().filter_map(rest).collect()
}

/// Keeps the members that are named, as `attribute` or `attribute.sub`.
pub(super) fn retain_named(members: &mut Map<String, Value>, names: &[&str]) {
    members.retain(|name, value| {
        let inner = within(names, name);
        if inner.is_empty() || inner.contains(&"") {
            return !inner.is_empty();
        }
        match value {
            Value::Object(members) => {
                retain_named(members, &inner);
                !members.is_empty()
            }
            Value::Array(elements) => {
                elements.retain_mut(|element| match element {
                    Value::Object(members) => {
                        retain_named(members, &inner);
                        !members.is_empty()
                    }
                    _ => false,
                });
                !elements.is_empty()
            }
            _ => false,
        }
    });
}

/// Takes the members away that are named.
pub(super) fn remove_named(members: &mut Map<String, Value>, names: &[&str]) {
    members.retain(|name, value| {
        let inner = within(names, name);
        if inner.contains(&"") {
            return false;
        }
        if !inner.is_empty() {
            let elements = match value {
                Value::Array(elements) => elements.as_mut_slice(),
                other => std::slice::from_mut(other),
            };
            for members in elements.iter_mut().filter_map(Value::as_object_mut) {
                remove_named(members, &inner);
            }
        }
        true
    });
}
