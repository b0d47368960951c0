//! For any two documents: what differs, taken back from the second, is the first.

use std::sync::LazyLock;

use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Map, Value, json};

use super::{diff, undo};
use crate::name::ENTERPRISE_USER;
use crate::test_cases::default_times;
use crate::{Document, Registry};

/// Few values, so that two documents often share some.
fn text() -> impl Strategy<Value = Value> {
    select(vec!["a", "b", "Zo\u{eb}", ""]).prop_map(Value::from)
}

/// An object with some of these members.
fn object(names: &'static [&'static str], value: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
    let some = subsequence(names, 1..=names.len());
    some.prop_flat_map(move |names| {
        let values = proptest::collection::vec(value.clone(), names.len());
        values.prop_map(move |values| {
            let pairs = names.iter().map(ToString::to_string).zip(values);
            Value::Object(pairs.collect())
        })
    })
    .boxed()
}

fn list(element: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
    proptest::collection::vec(element, 1..4)
        .prop_map(Value::Array)
        .boxed()
}

fn attribute() -> impl Strategy<Value = (String, Value)> {
    let text = || text().boxed();
    let named = |names: Vec<&'static str>, value: BoxedStrategy<Value>| {
        (select(names), value).prop_map(|(name, value)| (name.to_owned(), value))
    };
    let manager = object(&["value", "$ref", "displayName"], text());
    let enterprise = (
        object(&["department", "division", "employeeNumber"], text()),
        proptest::option::of(manager),
    )
        .prop_map(|(mut extension, manager)| {
            if let (Some(members), Some(manager)) = (extension.as_object_mut(), manager) {
                members.insert("manager".to_owned(), manager);
            }
            extension
        });
    let unknown = object(
        &["x", "y"],
        prop_oneof![text(), Just(json!({"deep": [1, null]}))].boxed(),
    );
    prop_oneof![
        4 => named(vec!["userName", "title", "nickName", "locale", "externalId"], text()),
        1 => named(vec!["active"], any::<bool>().prop_map(Value::from).boxed()),
        3 => named(vec!["name"], object(&["givenName", "familyName", "formatted"], text())),
        3 => named(
            vec!["emails", "phoneNumbers", "addresses"],
            list(object(&["value", "type", "display", "locality"], text())),
        ),
        3 => named(vec![ENTERPRISE_USER], enterprise.boxed()),
        1 => named(vec!["urn:unknown:x", "urn:unknown:y"], unknown),
        1 => named(vec!["schemas"], list(text())),
    ]
}

static REGISTRY: LazyLock<Registry> = LazyLock::new(Registry::standard);

fn document() -> impl Strategy<Value = Map<String, Value>> {
    proptest::collection::vec(attribute(), 0..12).prop_map(|list| list.into_iter().collect())
}

proptest! {
    #![proptest_config(default_times(4))]

    #[test]
    fn what_differs_can_be_taken_back(past in proptest::collection::vec(document(), 2..6)) {
        let user = REGISTRY.by_name("User").unwrap();
        let mut payloads = Vec::new();
        for pair in past.windows(2) {
            let differences = diff(user, &Document(pair[0].clone()), &Document(pair[1].clone()));
            prop_assert_eq!(differences.is_empty(), pair[0] == pair[1]);
            payloads.push(json!({ "attributes": differences }).to_string());
        }
        let mut now = past.last().unwrap().clone();
        for (then, payload) in past.iter().zip(&payloads).rev() {
            undo(user, &mut now, payload);
            prop_assert_eq!(&now, then);
        }
    }
}
