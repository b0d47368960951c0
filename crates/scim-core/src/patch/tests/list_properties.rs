//! Properties of lists: `add` loses no element, `remove` takes exactly those that it lists.

use super::*;

fn elements() -> impl Strategy<Value = Vec<String>> {
    let texts = vec!["a", "A", "b", "B", "c", "ä", "Ä", "A\u{308}", "d e", "1"];
    let text = prop::sample::select(texts).prop_map(str::to_owned);
    prop::collection::vec(text, 0..6)
}

/// A kind of list: its path, whether letter case counts in it, whether its elements are objects.
#[derive(Debug, Clone, Copy)]
enum Place {
    Declared,
    Exact,
    InOne,
    InEach,
    Objects,
    Undeclared,
    UndeclaredInOne,
    UndeclaredObjects,
}

impl Place {
    fn ignores_case(self) -> bool {
        matches!(
            self,
            Self::Declared | Self::InOne | Self::InEach | Self::Objects
        )
    }

    fn path(self) -> String {
        match self {
            Self::Declared => format!("{HOME}:devices"),
            Self::Exact => format!("{HOME}:codes"),
            Self::InOne => format!("{HOME}:home.rooms"),
            Self::InEach => format!("{HOME}:places[type eq \"t\"].tags"),
            Self::Objects => "roles".to_owned(),
            Self::Undeclared => format!("{X}:list"),
            Self::UndeclaredInOne => format!("{X}:obj.list"),
            Self::UndeclaredObjects => format!("{X}:objects"),
        }
    }

    fn value(self, texts: &[String]) -> Value {
        let object = |text: &String| json!({"value": text});
        match self {
            Self::Objects | Self::UndeclaredObjects => texts.iter().map(object).collect(),
            _ => json!(texts),
        }
    }

    /// A document with the list among other values.
    fn document(self, texts: &[String]) -> Value {
        let mut document = self.document_with(self.value(texts));
        prune(&mut document);
        document
    }

    fn document_with(self, list: Value) -> Value {
        match self {
            Self::Declared => json!({HOME: {"devices": list, "badge": "b"}}),
            Self::Exact => json!({HOME: {"codes": list, "badge": "b"}}),
            Self::InOne => json!({HOME: {"home": {"street": "s", "rooms": list}}}),
            Self::InEach => json!({HOME: {"places": [
                {"value": "other", "tags": ["a", "b"]}, {"value": "v", "type": "t", "tags": list},
            ]}}),
            Self::Objects => json!({"roles": list, "title": "T"}),
            Self::Undeclared => json!({X: {"list": list, "k": 1}}),
            Self::UndeclaredInOne => json!({X: {"obj": {"list": list, "k": 1}}}),
            Self::UndeclaredObjects => json!({X: {"objects": list, "k": 1}}),
        }
    }

    fn is_equal(self, left: &str, right: &str) -> bool {
        match self.ignores_case() {
            true => crate::name::fold(left) == crate::name::fold(right),
            false => left == right,
        }
    }

    fn distinct(self, texts: &[String]) -> Vec<String> {
        let mut distinct: Vec<String> = Vec::new();
        for text in texts {
            if !distinct.iter().any(|known| self.is_equal(known, text)) {
                distinct.push(text.clone());
            }
        }
        distinct
    }
}

fn place() -> impl Strategy<Value = Place> {
    prop::sample::select(vec![
        Place::Declared,
        Place::Exact,
        Place::InOne,
        Place::InEach,
        Place::Objects,
        Place::Undeclared,
        Place::UndeclaredInOne,
        Place::UndeclaredObjects,
    ])
}

/// Removes empty lists, which mean the same as none.
fn prune(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, value| *value != json!([]));
            members.values_mut().for_each(prune);
        }
        Value::Array(elements) => elements.iter_mut().for_each(prune),
        _ => {}
    }
}

/// Creates a document of the same attributes.
fn created(rt: &ResourceType, attributes: &Value) -> Document {
    let mut body = attributes.clone();
    body["userName"] = json!("ada");
    let mut document = admit(rt, &body, Compatibility::Tolerant).unwrap().document;
    document.set_id(ID);
    document
}

proptest! {
    #![proptest_config(default_times(4))]

    #[test]
    fn remove_with_a_value_removes_exactly_the_equal_elements(
        place in place(),
        texts in elements(),
        listed in elements(),
    ) {
        let rt = resident();
        let texts = place.distinct(&texts);
        let left: Vec<String> = texts
            .iter()
            .filter(|text| !listed.iter().any(|one| place.is_equal(one, text)))
            .cloned()
            .collect();
        let before = created(&rt, &place.document(&texts));
        let operations = patch_op(json!([operation("remove", &place.path(), place.value(&listed))]));
        let patch = parse(&rt, &operations, Compatibility::Tolerant).unwrap();
        let after = patch.apply(&rt, &before).unwrap().document;
        prop_assert_eq!(after, created(&rt, &place.document(&left)));
    }

    #[test]
    fn add_loses_no_element(place in place(), texts in elements(), added in elements()) {
        let rt = resident();
        let texts = place.distinct(&texts);
        let all = place.distinct(&[texts.clone(), added.clone()].concat());
        let before = created(&rt, &place.document(&texts));
        let operations = patch_op(json!([operation("add", &place.path(), place.value(&added))]));
        let patch = parse(&rt, &operations, Compatibility::Tolerant).unwrap();
        let after = patch.apply(&rt, &before).unwrap().document;
        prop_assert_eq!(after, created(&rt, &place.document(&all)));
    }
}
