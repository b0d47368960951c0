//! The differences between two lists, element by element: a change of a long list costs what it
//! changes, not what the list holds.

use std::collections::{HashMap, VecDeque};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Lists whose values take less than this together are recorded as they are, before and after: the
/// record is small, and easier to read.
const SMALL_BYTES: usize = 8192;
/// Of an object that was modified and takes more than this, before and after together, only the
/// members that differ are recorded.
const LARGE_ELEMENT_BYTES: usize = 2048;
/// The longest member that is recorded although it is the same before and after.
const LONGEST_SAME_BYTES: usize = 256;

/// An element that was added, removed or modified. The others keep their order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ElementChange {
    /// Its index in the list before; `None` if it was added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<usize>,
    /// Its index in the list after; `None` if it was removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<usize>,
    /// The element before; of a large one that was modified, the members that differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// The element after, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
    /// Of a large element that was modified, the members that are the same, but for long ones.
    /// `None` if `before` and `after` are whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub same: Option<Map<String, Value>>,
}

/// Returns the elements that differ, or `None` if the two values are better recorded whole: they
/// are no lists, or small, or differ in most of their elements.
pub(super) fn compare(before: &Value, after: &Value) -> Option<Vec<ElementChange>> {
    let (Value::Array(before), Value::Array(after)) = (before, after) else {
        return None;
    };
    let all = size_of_all(before).saturating_add(size_of_all(after));
    if all < SMALL_BYTES {
        return None;
    }
    let changes = changes(before, after);
    let sides = |change: &ElementChange| {
        let side = |value: &Option<Value>| value.as_ref().map_or(0, size);
        // The indexes and the names take some too.
        40 + side(&change.before) + side(&change.after)
    };
    let recorded: usize = changes.iter().map(sides).sum();
    (recorded < all / 2).then_some(changes)
}

/// Takes changes back: `list` is as it is after them, and becomes as it was before.
pub(super) fn undo(list: &mut Vec<Value>, changes: &[ElementChange]) {
    let mut added: Vec<usize> = Vec::new();
    let mut restored: Vec<(usize, Value)> = Vec::new();
    for change in changes {
        let value = match change.to {
            None => Some(change.before.clone().unwrap_or_default()),
            Some(to) => {
                added.push(to);
                list.get(to).map(|value| unmodified(value, change))
            }
        };
        if let (Some(from), Some(value)) = (change.from, value) {
            restored.push((from, value));
        }
    }
    added.sort_unstable();
    let mut added = added.into_iter().peekable();
    let kept = std::mem::take(list).into_iter().enumerate();
    let kept = kept.filter(|(index, _)| added.next_if_eq(index).is_none());
    restored.sort_by_key(|(from, _)| *from);
    let mut restored = restored.into_iter().peekable();
    for (_, value) in kept {
        while let Some((_, value)) = restored.next_if(|(from, _)| *from == list.len()) {
            list.push(value);
        }
        list.push(value);
    }
    list.extend(restored.map(|(_, value)| value));
}

/// Returns a modified element as it was before.
fn unmodified(value: &Value, change: &ElementChange) -> Value {
    match (value, &change.before, &change.after) {
        (Value::Object(members), Some(Value::Object(old)), Some(Value::Object(new)))
            if change.same.is_some() =>
        {
            let mut members = members.clone();
            members.retain(|name, _| !new.contains_key(name) || old.contains_key(name));
            members.extend(old.clone());
            Value::Object(members)
        }
        (_, old, _) => old.clone().unwrap_or_default(),
    }
}

fn changes(before: &[Value], after: &[Value]) -> Vec<ElementChange> {
    let mut changes = Vec::new();
    let mut done = (0, 0);
    let mut gap = |done: (usize, usize), end: (usize, usize)| {
        let mut from = (done.0..end.0).zip(before.iter().skip(done.0));
        let mut to = (done.1..end.1).zip(after.iter().skip(done.1));
        loop {
            // Elements between the same neighbours are taken for one that was modified.
            let change = match (from.next(), to.next()) {
                (Some((from, old)), Some((to, new))) => modified((from, old), (to, new)),
                (Some((from, old)), None) => removed(from, old),
                (None, Some((to, new))) => added(to, new),
                (None, None) => break,
            };
            changes.push(change);
        }
    };
    for (from, to) in common(before, after) {
        gap(done, (from, to));
        done = (from + 1, to + 1);
    }
    gap(done, (before.len(), after.len()));
    changes
}

fn removed(from: usize, old: &Value) -> ElementChange {
    ElementChange {
        from: Some(from),
        to: None,
        before: Some(old.clone()),
        after: None,
        same: None,
    }
}

fn added(to: usize, new: &Value) -> ElementChange {
    ElementChange {
        from: None,
        to: Some(to),
        before: None,
        after: Some(new.clone()),
        same: None,
    }
}

fn modified((from, old): (usize, &Value), (to, new): (usize, &Value)) -> ElementChange {
    let whole = |old: &Value, new: &Value| (old.clone(), new.clone(), None);
    let (before, after, same) = match (old, new) {
        (Value::Object(a), Value::Object(b)) if size(old) + size(new) > LARGE_ELEMENT_BYTES => {
            let is_same = |name: &String, value: &Value| b.get(name) == Some(value);
            let same = a
                .iter()
                .filter(|(name, value)| is_same(name, value) && size(value) <= LONGEST_SAME_BYTES);
            (differing(a, b), differing(b, a), Some(cloned(same)))
        }
        _ => whole(old, new),
    };
    ElementChange {
        from: Some(from),
        to: Some(to),
        before: Some(before),
        after: Some(after),
        same,
    }
}

/// Returns the members that the other object has not, or not with the same value.
fn differing(of: &Map<String, Value>, other: &Map<String, Value>) -> Value {
    let differing = of
        .iter()
        .filter(|(name, value)| other.get(*name) != Some(value));
    Value::Object(cloned(differing))
}

fn cloned<'v>(members: impl Iterator<Item = (&'v String, &'v Value)>) -> Map<String, Value> {
    members
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// Returns the indexes, before and after, of elements that are in both lists in the same order: a
/// longest such sequence, if no element is in a list twice.
fn common(before: &[Value], after: &[Value]) -> Vec<(usize, usize)> {
    let head = before.iter().zip(after).take_while(|(a, b)| a == b).count();
    let rest = |list: &[Value]| list.len() - head;
    let tail = before
        .iter()
        .rev()
        .zip(after.iter().rev())
        .take(rest(before).min(rest(after)))
        .take_while(|(a, b)| a == b)
        .count();
    let between = |list: &[Value]| list.len() - tail;
    let mut positions: HashMap<String, VecDeque<usize>> = HashMap::new();
    for (to, value) in after.iter().enumerate().take(between(after)).skip(head) {
        positions
            .entry(value.to_string())
            .or_default()
            .push_back(to);
    }
    let mut pairs = Vec::new();
    for (from, value) in before.iter().enumerate().take(between(before)).skip(head) {
        let places = positions.get_mut(&value.to_string());
        if let Some(to) = places.and_then(VecDeque::pop_front) {
            pairs.push((from, to));
        }
    }
    let ends = (between(before)..before.len()).zip(between(after)..after.len());
    let heads = (0..head).map(|index| (index, index));
    heads.chain(increasing(&pairs)).chain(ends).collect()
}

/// Returns a longest subsequence whose second numbers increase, as the first do.
fn increasing(pairs: &[(usize, usize)]) -> Vec<(usize, usize)> {
    // For each length, the pair with the lowest second number that ends a sequence of it.
    let mut ends: Vec<(usize, usize)> = Vec::new();
    let mut previous: Vec<Option<usize>> = Vec::with_capacity(pairs.len());
    for (index, (_, to)) in pairs.iter().enumerate() {
        let length = ends.partition_point(|(end, _)| end < to);
        let before = length.checked_sub(1).and_then(|last| ends.get(last));
        previous.push(before.map(|(_, index)| *index));
        match ends.get_mut(length) {
            Some(end) => *end = (*to, index),
            None => ends.push((*to, index)),
        }
    }
    let mut next = ends.last().map(|(_, index)| *index);
    let mut found = Vec::with_capacity(ends.len());
    while let Some(index) = next {
        found.extend(pairs.get(index).copied());
        next = previous.get(index).copied().flatten();
    }
    found.reverse();
    found
}

/// About the bytes of the value as JSON.
fn size(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 5,
        Value::String(text) => text.len() + 2,
        Value::Array(elements) => 2 + size_of_all(elements),
        Value::Object(members) => {
            let pairs = members.iter();
            2 + pairs
                .map(|(name, value)| name.len() + 4 + size(value))
                .sum::<usize>()
        }
    }
}

fn size_of_all(elements: &[Value]) -> usize {
    elements.iter().map(|element| 1 + size(element)).sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn element() -> impl Strategy<Value = Value> {
        let email = (0..4, proptest::option::of(0..2), any::<bool>());
        prop_oneof![
            5 => email.prop_map(|(value, kind, primary)| match (kind, primary) {
                (Some(kind), true) => json!({"value": value, "type": kind, "primary": true}),
                (Some(kind), false) => json!({"value": value, "type": kind}),
                (None, _) => json!({ "value": value }),
            }),
            1 => Just(Value::Null),
            1 => (0..3).prop_map(Value::from),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        #[test]
        fn any_changes_can_be_taken_back(
            before in proptest::collection::vec(element(), 0..12),
            after in proptest::collection::vec(element(), 0..12),
        ) {
            let stored = json!(changes(&before, &after));
            let mut list = after;
            undo(&mut list, &serde_json::from_value::<Vec<_>>(stored).unwrap());
            prop_assert_eq!(list, before);
        }
    }

    fn emails(count: usize) -> Vec<Value> {
        let email = |n: usize| json!({"value": format!("user{n}@example.com"), "type": "work"});
        (0..count).map(email).collect()
    }

    #[track_caller]
    fn check(before: &[Value], after: &[Value], expected: &Value) {
        let found = compare(&Value::from(before), &Value::from(after)).unwrap();
        assert_eq!(json!(found), *expected);
        let mut list = after.to_vec();
        undo(&mut list, &found);
        assert_eq!(list, before);
    }

    #[test]
    fn only_what_differs_is_recorded() {
        let list = emails(200);
        let new = json!({"value": "new@example.com"});
        let mut after = list.clone();
        after.push(new.clone());
        check(&list, &after, &json!([{"to": 200, "after": new}]));
        check(&after, &list, &json!([{"from": 200, "before": new}]));
        let mut after = list.clone();
        after.insert(0, new.clone());
        after.remove(100);
        let gone = &list[99];
        let expected = json!([{"to": 0, "after": new}, {"from": 99, "before": gone}]);
        check(&list, &after, &expected);
        // The primary one moves from the first to the last.
        let mut before = list.clone();
        before[0]["primary"] = json!(true);
        let mut after = list.clone();
        after[199]["primary"] = json!(true);
        let expected = json!([
            {"from": 0, "to": 0, "before": before[0], "after": after[0]},
            {"from": 199, "to": 199, "before": before[199], "after": after[199]},
        ]);
        check(&before, &after, &expected);
        // One is moved.
        let mut after = list.clone();
        let moved = after.remove(3);
        after.insert(100, moved.clone());
        let expected = json!([{"from": 3, "before": moved}, {"to": 100, "after": moved}]);
        check(&list, &after, &expected);
    }

    #[test]
    fn of_a_large_element_only_what_differs_is_recorded() {
        let photo = |kind: &str| json!({"value": "x".repeat(10_000), "type": kind, "display": "d"});
        let mut after = photo("photo");
        after["primary"] = json!(true);
        after.as_object_mut().unwrap().shift_remove("display");
        check(
            &[photo("photo"), photo("thumbnail")],
            &[after, photo("thumbnail")],
            &json!([{
                "from": 0, "to": 0, "before": {"display": "d"}, "after": {"primary": true},
                "same": {"type": "photo"},
            }]),
        );
    }

    #[test]
    fn short_lists_and_other_values_are_recorded_whole() {
        let check = |before: Value, after: Value| assert_eq!(compare(&before, &after), None);
        check(json!("a".repeat(5000)), json!("b"));
        check(json!(emails(3)), json!(emails(4)));
        check(json!(emails(0)), json!(emails(400)));
        check(json!(emails(400)), json!(emails(10)));
        let other = |n: usize| json!({"value": format!("{n}@example.org"), "type": "home"});
        check(json!(emails(400)), (0..400).map(other).collect());
    }
}
