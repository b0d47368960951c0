//! Lists, wherever they are: what `add` keeps, what `remove` with a value takes, what a filter
//! finds.

use super::*;
use crate::scim::registry::Extension;
use crate::scim::schema::Schema;

const HOME: &str = "urn:example:Home";
/// No schema describes it.
const X: &str = "urn:acme:x";

/// A user with lists of texts: as an attribute, within one complex value, and within each of
/// several.
fn resident() -> ResourceType {
    let text = r#"{"id": "urn:example:Home", "name": "Home", "attributes": [
        {"name": "devices", "multiValued": true},
        {"name": "codes", "multiValued": true, "caseExact": true},
        {"name": "badge"},
        {"name": "home", "type": "complex", "subAttributes": [
            {"name": "street"}, {"name": "rooms", "multiValued": true}
        ]},
        {"name": "places", "type": "complex", "multiValued": true, "subAttributes": [
            {"name": "value"}, {"name": "type"}, {"name": "primary", "type": "boolean"},
            {"name": "tags", "multiValued": true}
        ]}
    ]}"#;
    let standard = user();
    let mut extensions = standard.extensions.clone();
    extensions.push(Extension {
        schema: Arc::new(Schema::parse(text).unwrap()),
        required: false,
    });
    let schema = standard.schema.clone();
    ResourceType::new("User", "/Users", "", schema, extensions).unwrap()
}

fn patched(
    rt: &ResourceType,
    document: &Value,
    operations: &Value,
    compatibility: Compatibility,
) -> Result<Document, ScimError> {
    let patch = parse(rt, &patch_op(operations.clone()), compatibility)?;
    Ok(patch.apply(rt, &complete(rt, document))?.document)
}

/// For a tolerant tenant, and for a strict one unless only a tolerant one takes it.
#[track_caller]
fn check_lists(document: &Value, operation: Value, expected: &Value, strict: bool) {
    let rt = resident();
    let operations = json!([operation]);
    for compatibility in [Compatibility::Tolerant, Compatibility::Strict] {
        let found = patched(&rt, document, &operations, compatibility);
        if compatibility.is_strict() && !strict {
            assert!(found.is_err(), "strict: {operations}");
            continue;
        }
        let found = found.unwrap_or_else(|error| panic!("{operations}: {error}"));
        assert_eq!(
            found.to_string(),
            complete(&rt, expected).to_string(),
            "{operations}"
        );
    }
}

#[track_caller]
fn check_tolerant(document: &Value, operation: Value, expected: Value) {
    check_lists(document, operation, &expected, false);
}

#[track_caller]
fn check_everywhere(document: &Value, operation: Value, expected: Value) {
    check_lists(document, operation, &expected, true);
}

fn home(rooms: Value) -> Value {
    json!({HOME: {"home": {"street": "s", "rooms": rooms}}})
}

fn operation(op: &str, path: &str, value: Value) -> Value {
    json!({"op": op, "path": path, "value": value})
}

// R7644-3.5.2.1-01, R7644-3.5.2.1-05
#[test]
fn add_appends_to_a_list_in_a_complex_value() {
    let before = home(json!(["r0", "r1"]));
    let after = || home(json!(["r0", "r1", "r2"]));
    let (path, whole) = (format!("{HOME}:home.rooms"), format!("{HOME}:home"));
    check_everywhere(&before, operation("add", &path, json!(["r2"])), after());
    check_everywhere(
        &before,
        operation("add", &path, json!(["r2", "R0"])),
        after(),
    );
    check_everywhere(
        &before,
        operation("add", &whole, json!({"rooms": ["r2"]})),
        after(),
    );
    let nested = || json!({"home": {"rooms": ["r2"]}});
    check_everywhere(&before, operation("add", HOME, nested()), after());
    check_everywhere(
        &before,
        json!({"op": "add", "value": {HOME: nested()}}),
        after(),
    );
    check_tolerant(&before, operation("add", &path, json!("r2")), after());
    check_tolerant(
        &before,
        operation("add", &path, json!([{"value": "r2"}])),
        after(),
    );
    for name in [path.clone(), format!("{HOME}.home.rooms")] {
        let value = json!({"op": "add", "value": {(name): "r2"}});
        check_tolerant(&before, value, after());
    }
    let value = json!({"op": "add", "value": {HOME: {"home.rooms": "r2"}}});
    check_tolerant(&before, value, after());
    // Never a text where a list is declared.
    check_tolerant(
        &json!({}),
        operation("add", &path, json!("r0")),
        json!({HOME: {"home": {"rooms": ["r0"]}}}),
    );
    check_everywhere(
        &before,
        operation("replace", &path, json!(["r2"])),
        home(json!(["r2"])),
    );
}

// R7644-3.5.2.1-05, R7644-3.5.2.3-03
#[test]
fn lists_in_the_elements_of_a_list() {
    let places = |tags: Value| {
        json!({HOME: {"places": [
            {"value": "a", "type": "work", "tags": tags},
            {"value": "b", "type": "home", "tags": ["x"]},
        ]}})
    };
    let before = places(json!(["x", "y"]));
    let work = format!("{HOME}:places[type eq \"work\"]");
    let tags = format!("{work}.tags");
    let more = || places(json!(["x", "y", "z"]));
    check_everywhere(&before, operation("add", &tags, json!(["z"])), more());
    check_everywhere(
        &before,
        operation("add", &work, json!({"tags": ["z"]})),
        more(),
    );
    let places_path = format!("{HOME}:places");
    let again = json!([{"value": "A", "type": "work", "tags": ["z", "X"]}]);
    check_everywhere(&before, operation("add", &places_path, again), more());
    check_everywhere(
        &before,
        operation("replace", &tags, json!(["z"])),
        places(json!(["z"])),
    );
    // A filter on the list finds its element.
    let tagged = format!("{HOME}:places[tags eq \"y\"].tags");
    check_everywhere(&before, operation("add", &tagged, json!(["z"])), more());
    let both = format!("{HOME}:places[tags eq \"y\" and tags eq \"X\"].type");
    let mut typed = before.clone();
    typed[HOME]["places"][0]["type"] = json!("new");
    check_everywhere(&before, operation("replace", &both, json!("new")), typed);
    check_everywhere(
        &before,
        json!({"op": "remove", "path": format!("{HOME}:places[tags eq \"y\"]")}),
        json!({HOME: {"places": [before[HOME]["places"][1]]}}),
    );
    // What the filter does not find is created, its list as a list.
    check_tolerant(
        &json!({}),
        operation(
            "replace",
            &format!("{HOME}:places[tags eq \"q\"].value"),
            json!("v"),
        ),
        json!({HOME: {"places": [{"value": "v", "tags": ["q"]}]}}),
    );
    check_tolerant(
        &json!({}),
        operation(
            "add",
            &format!("{HOME}:places[tags eq \"q\"].tags"),
            json!(["r"]),
        ),
        json!({HOME: {"places": [{"tags": ["q", "r"]}]}}),
    );
    // The values of a list can be chosen themselves.
    check_everywhere(
        &before,
        json!({"op": "remove", "path": format!("{HOME}:places.tags[value eq \"x\"]")}),
        json!({HOME: {"places": [
            {"value": "a", "type": "work", "tags": ["y"]}, {"value": "b", "type": "home"},
        ]}}),
    );
}

// R7644-3.5.2.2-06
#[test]
fn remove_takes_the_listed_values_only() {
    let rooms = format!("{HOME}:home.rooms");
    let before = home(json!(["r0", "r1"]));
    let remove = |path: &str, value: Value| operation("remove", path, value);
    let left = || home(json!(["r1"]));
    for listed in [
        json!(["r0"]),
        json!("R0"),
        json!([{"value": "r0"}]),
        json!(["r0", "q"]),
    ] {
        check_tolerant(&before, remove(&rooms, listed), left());
    }
    for nothing in [json!([]), json!(["q"]), json!("")] {
        check_tolerant(&before, remove(&rooms, nothing), before.clone());
    }
    check_tolerant(
        &before,
        remove(&format!("{HOME}:home"), json!({"rooms": ["r0"]})),
        left(),
    );
    check_tolerant(
        &before,
        remove(HOME, json!({"home": {"rooms": ["r0"]}})),
        left(),
    );
    check_tolerant(&before, remove(HOME, json!({"home.rooms": ["r0"]})), left());
    check_everywhere(
        &before,
        json!({"op": "remove", "path": format!("{rooms}[value eq \"R0\"]")}),
        left(),
    );
    check_everywhere(
        &before,
        json!({"op": "remove", "path": rooms}),
        json!({HOME: {"home": {"street": "s"}}}),
    );
    let codes = json!({HOME: {"codes": ["a", "A", "b"]}});
    let path = format!("{HOME}:codes");
    check_tolerant(
        &codes,
        remove(&path, json!(["a"])),
        json!({HOME: {"codes": ["A", "b"]}}),
    );
    let places = json!({HOME: {"places": [
        {"value": "a", "type": "work", "tags": ["x", "y"]},
        {"value": "b", "type": "work", "tags": ["x"]},
    ]}});
    let work = format!("{HOME}:places[type eq \"work\"]");
    let mut expected = places.clone();
    expected[HOME]["places"][0]["tags"] = json!(["x"]);
    check_tolerant(
        &places,
        remove(&format!("{work}.tags"), json!(["Y"])),
        expected,
    );
    check_tolerant(
        &places,
        remove(&work, json!([{"value": "a"}])),
        json!({HOME: {"places": [places[HOME]["places"][1]]}}),
    );
    check_tolerant(&places, remove(&work, json!([])), places.clone());
    check_tolerant(
        &places,
        remove(&format!("{HOME}:places"), json!([{"tags": ["Y"]}])),
        json!({HOME: {"places": [places[HOME]["places"][1]]}}),
    );
}

#[test]
fn remove_takes_no_more_than_it_lists() {
    let remove = |path: &str, value: Value| operation("remove", path, value);
    let places = json!({HOME: {"places": [
        {"value": "a", "type": "work", "tags": ["x", "y"]},
        {"value": "b", "type": "home", "tags": ["x"]},
    ]}});
    let path = format!("{HOME}:places");
    // One value of each element: only where it is the one that is listed.
    let mut expected = places.clone();
    expected[HOME]["places"][0]
        .as_object_mut()
        .unwrap()
        .shift_remove("type");
    check_tolerant(
        &places,
        remove(&format!("{path}.type"), json!("WORK")),
        expected,
    );
    for nothing in [json!("other"), json!([]), json!("")] {
        check_tolerant(
            &places,
            remove(&format!("{path}.type"), nothing),
            places.clone(),
        );
    }
    // An element that no schema allows, or that says of a member that it is empty, is not there.
    for other in [
        json!([{"type": "work", "nope": 1}]),
        json!([{"type": "work", "tags": []}]),
        json!([{"type": "work", "tags": null}]),
        json!([{"type": "work", "value": ""}]),
    ] {
        check_tolerant(&places, remove(&path, other), places.clone());
    }
    // Values of the list in the element that the filter finds, not the element.
    let mut expected = places.clone();
    expected[HOME]["places"][0]["tags"] = json!(["y"]);
    check_tolerant(
        &places,
        remove(&format!("{path}[type eq \"work\"]"), json!({"tags": ["X"]})),
        expected,
    );
    let name = json!({"name": {"givenName": "A", "familyName": "B"}});
    check_tolerant(
        &name,
        remove("name", json!([{"givenName": "A"}])),
        json!({"name": {"familyName": "B"}}),
    );
    check_tolerant(&name, remove("name", json!([])), name.clone());
    check_tolerant(&name, remove("name", json!("")), json!({}));
    let manager = json!({EU: {"manager": {"value": "m"}, "department": "D"}});
    check_tolerant(
        &manager,
        remove(&format!("{EU}:manager"), json!("other")),
        manager.clone(),
    );
    check_tolerant(
        &manager,
        remove(&format!("{EU}:manager"), json!("m")),
        json!({EU: {"department": "D"}}),
    );
    check_tolerant(
        &manager,
        remove(EU, json!([{"department": "D"}])),
        json!({EU: {"manager": {"value": "m"}}}),
    );
    for nothing in [json!([null]), json!(""), json!([[]])] {
        let rt = resident();
        let operations = json!([remove(EU, nothing)]);
        if let Ok(after) = patched(&rt, &manager, &operations, Compatibility::Tolerant) {
            assert_eq!(after.to_string(), complete(&rt, &manager).to_string());
        }
    }
}

// R7644-3.5.2.2-06
#[test]
fn remove_takes_the_listed_parts_of_an_extension() {
    let before = json!({
        EU: {"department": "D", "costCenter": "C", "manager": {"value": "m"}},
        HOME: {"devices": ["1", "2"], "badge": "b"},
    });
    let remove = |path: &str, value: Value| operation("remove", path, value);
    let without = |urn: &str, name: &str| {
        let mut after = before.clone();
        after[urn].as_object_mut().unwrap().shift_remove(name);
        after
    };
    check_tolerant(
        &before,
        remove(EU, json!({"department": "d"})),
        without(EU, "department"),
    );
    check_tolerant(
        &before,
        remove(EU, json!({"manager": "m"})),
        without(EU, "manager"),
    );
    check_tolerant(
        &before,
        remove(EU, json!({"manager": {"value": "m"}})),
        without(EU, "manager"),
    );
    for nothing in [
        json!({}),
        json!([]),
        json!({"department": "other"}),
        json!({"department": null}),
        json!({"manager": {"value": "other"}}),
        json!({"nope": "D"}),
    ] {
        check_tolerant(&before, remove(EU, nothing), before.clone());
    }
    let mut after = before.clone();
    after[HOME]["devices"] = json!(["2"]);
    check_tolerant(
        &before,
        remove(HOME, json!({"devices": ["1"]})),
        after.clone(),
    );
    check_tolerant(
        &before,
        json!({"op": "remove", "value": {format!("{HOME}:devices"): "1"}}),
        after,
    );
    check_everywhere(
        &before,
        json!({"op": "remove", "path": HOME}),
        json!({EU: before[EU]}),
    );
    let name = json!({"name": {"givenName": "A", "familyName": "B"}});
    check_tolerant(
        &name,
        remove("name", json!({"givenName": "A"})),
        json!({"name": {"familyName": "B"}}),
    );
    check_tolerant(
        &emails(),
        remove("emails", json!({"emails": [{"value": "a@h.org"}]})),
        json!({"emails": [emails()["emails"][0]]}),
    );
}

// R7644-3.5.2.2-06, R7643-3.3-02
#[test]
fn lists_of_undeclared_extensions() {
    let x = |list: Value| json!({X: {"list": list, "other": "o"}});
    let path = format!("{X}:list");
    let remove = |path: &str, value: Value| operation("remove", path, value);
    let texts = x(json!(["a", "b", "c"]));
    let rest = || x(json!(["a", "c"]));
    for listed in [json!(["b"]), json!("b"), json!([{"value": "b"}])] {
        check_tolerant(&texts, remove(&path, listed.clone()), rest());
        check_tolerant(&texts, remove(X, json!({"list": listed})), rest());
    }
    let by_filter = format!("{path}[value eq \"b\"]");
    check_tolerant(&texts, json!({"op": "remove", "path": by_filter}), rest());
    for nothing in [json!([]), json!(["z"]), json!("B"), json!([{"a": "b"}])] {
        check_tolerant(&texts, remove(&path, nothing), texts.clone());
    }
    check_tolerant(&texts, remove(X, json!({})), texts.clone());
    check_tolerant(&texts, remove(X, json!({"other": "x"})), texts.clone());
    check_tolerant(
        &texts,
        remove(X, json!({"other": "o"})),
        json!({X: {"list": ["a", "b", "c"]}}),
    );
    check_tolerant(
        &texts,
        remove(&path, json!(["a", "b", "c"])),
        json!({X: {"other": "o"}}),
    );
    check_tolerant(
        &texts,
        json!({"op": "remove", "path": path}),
        json!({X: {"other": "o"}}),
    );
    check_tolerant(&texts, json!({"op": "remove", "path": X}), json!({}));
    let numbers = x(json!([1, 2, true]));
    check_tolerant(&numbers, remove(&path, json!([2])), x(json!([1, true])));
    let objects = x(json!([{"value": "a", "type": "t"}, {"value": "b"}]));
    for listed in [json!([{"value": "a"}]), json!("a"), json!({"type": "t"})] {
        check_tolerant(&objects, remove(&path, listed), x(json!([{"value": "b"}])));
    }
    check_tolerant(&objects, remove(&path, json!([{}])), objects.clone());
    let typed = format!("{path}[type eq \"t\"]");
    check_tolerant(
        &objects,
        json!({"op": "remove", "path": typed}),
        x(json!([{"value": "b"}])),
    );
    check_tolerant(
        &objects,
        remove(&typed, json!([{"value": "b"}])),
        objects.clone(),
    );
    // A list inside a member.
    let inner = json!({X: {"obj": {"list": ["a", "b"], "k": 1}}});
    let inner_path = format!("{X}:obj.list");
    let after = json!({X: {"obj": {"list": ["a"], "k": 1}}});
    check_tolerant(&inner, remove(&inner_path, json!(["b"])), after.clone());
    check_tolerant(
        &inner,
        remove(&format!("{X}:obj"), json!({"list": ["b"]})),
        after.clone(),
    );
    let chosen = format!("{inner_path}[value eq \"b\"]");
    check_tolerant(&inner, json!({"op": "remove", "path": chosen}), after);
}

// R7644-3.5.2.1-05, R7644-3.5.2.3-03, R7643-3.3-02
#[test]
fn changing_lists_of_undeclared_extensions() {
    let x = |list: Value| json!({X: {"list": list}});
    let path = format!("{X}:list");
    let texts = x(json!(["a", "b"]));
    check_tolerant(
        &texts,
        operation("add", &path, json!(["c", "a"])),
        x(json!(["a", "b", "c"])),
    );
    check_tolerant(
        &texts,
        operation("add", &path, json!("B")),
        x(json!(["a", "b", "B"])),
    );
    check_tolerant(
        &x(json!("a")),
        operation("add", &path, json!(["b"])),
        x(json!(["a", "b"])),
    );
    let chosen = format!("{path}[value eq \"b\"]");
    check_tolerant(
        &texts,
        operation("replace", &chosen, json!("c")),
        x(json!(["a", "c"])),
    );
    check_tolerant(
        &texts,
        operation("add", &chosen, json!("c")),
        x(json!(["a", "b", "c"])),
    );
    let objects = x(json!([{"type": "t", "value": "a"}, {"type": "u", "value": "b"}]));
    let typed = format!("{path}[type eq \"t\"].value");
    check_tolerant(
        &objects,
        operation("replace", &typed, json!("z")),
        x(json!([{"type": "t", "value": "z"}, {"type": "u", "value": "b"}])),
    );
    check_tolerant(
        &json!({}),
        operation("add", &typed, json!("z")),
        x(json!([{"type": "t", "value": "z"}])),
    );
    let rt = resident();
    let missing = json!([operation("replace", &chosen, json!("c"))]);
    let error = patched(&rt, &x(json!(["a"])), &missing, Compatibility::Tolerant).unwrap_err();
    assert_eq!(error.kind, ErrorKind::NoTarget);
}

/// A list of one is its element, an empty one removes nothing, where there is one value.
// R7644-3.5.2.2-06
#[test]
fn removing_lists_of_what_has_one_value() {
    let before = json!({
        "title": "T", "name": {"givenName": "A", "familyName": "B"},
        EU: {"department": "D", "manager": {"value": "m", "$ref": "r"}}, HOME: {"home": {"street": "s"}},
    });
    let manager = format!("{EU}:manager");
    for (path, nothing) in [
        ("title", json!([])),
        ("title", json!([null])),
        ("name", json!([])),
        ("name.givenName", json!([])),
        ("name", json!([{"givenName": "other"}])),
        (manager.as_str(), json!([])),
        (manager.as_str(), json!([{"value": "other"}])),
        (&format!("{HOME}:home.street"), json!([])),
        (&format!("{HOME}:home"), json!([])),
    ] {
        check_unchanged(&before, operation("remove", path, nothing));
    }
    let mut after = before.clone();
    after["name"] = json!({"familyName": "B"});
    check_tolerant(
        &before,
        operation("remove", "name", json!([{"givenName": "A"}])),
        after,
    );
    let mut after = before.clone();
    after[EU] = json!({"department": "D"});
    check_tolerant(
        &before,
        operation("remove", &manager, json!([{"$ref": "r", "value": "m"}])),
        after,
    );
    let mut after = before.clone();
    after.as_object_mut().unwrap().shift_remove("title");
    for one in [json!(["T"]), json!([{"value": "T"}]), json!("")] {
        check_tolerant(&before, operation("remove", "title", one), after.clone());
    }
    let emails = json!({"emails": [{"value": "a@b.org", "type": "work", "display": "A"}]});
    check_unchanged(
        &emails,
        operation("remove", "emails[type eq \"work\"].display", json!([])),
    );
}

/// An `add` of nothing leaves a list as it is, however nothing is written.
// R7644-3.5.2.1-05
#[test]
fn adding_nothing() {
    let texts = home(json!(["a", "b"]));
    let places = json!({HOME: {"places": [{"value": "v", "type": "t", "tags": ["x"]}]}});
    for nothing in [
        json!(""),
        json!([""]),
        json!([null]),
        json!([]),
        json!(null),
    ] {
        for operation in [
            operation("add", &format!("{HOME}:home.rooms"), nothing.clone()),
            operation("add", &format!("{HOME}:home"), json!({"rooms": nothing})),
            json!({"op": "add", "value": {HOME: {"home": {"rooms": nothing}}}}),
        ] {
            check_unchanged(&texts, operation);
        }
        for operation in [
            operation(
                "add",
                &format!("{HOME}:places[type eq \"t\"].tags"),
                nothing.clone(),
            ),
            operation(
                "add",
                &format!("{HOME}:places[type eq \"t\"]"),
                json!({"tags": nothing}),
            ),
            operation(
                "add",
                &format!("{HOME}:places"),
                json!([{"value": "v", "type": "t", "tags": nothing}]),
            ),
        ] {
            check_unchanged(&places, operation);
        }
    }
}

/// For a tolerant tenant.
#[track_caller]
fn check_unchanged(document: &Value, operation: Value) {
    let rt = resident();
    let operations = json!([operation]);
    let found = patched(&rt, document, &operations, Compatibility::Tolerant).unwrap();
    assert_eq!(found, complete(&rt, document), "{operations}");
}

/// A sub-attribute of what has none, or of a list without saying which element, destroys nothing.
// R7644-3.5.2.1-05, R7644-3.5.2.3-03
#[test]
fn sub_attributes_of_undeclared_values() {
    let rt = resident();
    let before = json!({X: {
        "objects": [{"value": "v", "type": "t"}, {"value": "w"}, "text"], "list": ["a"], "one": "1", "on": true,
    }});
    let refused = |path: &str, op: &str| {
        let operations = json!([operation(op, &format!("{X}:{path}"), json!("y"))]);
        let error = patched(&rt, &before, &operations, Compatibility::Tolerant).unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidPath, "{operations}: {error}");
    };
    refused("objects.label", "add");
    for op in ["add", "replace"] {
        refused("list.label", op);
        refused("one.label", op);
        refused("on.label", op);
    }
    let objects = |objects: Value| {
        let mut after = before.clone();
        after[X]["objects"] = objects;
        after
    };
    check_tolerant(
        &before,
        operation("replace", &format!("{X}:objects.label"), json!("L")),
        objects(
            json!([{"value": "v", "type": "t", "label": "L"}, {"value": "w", "label": "L"}, "text"]),
        ),
    );
    check_tolerant(
        &before,
        json!({"op": "remove", "path": format!("{X}:objects.value")}),
        objects(json!([{"type": "t"}, "text"])),
    );
    check_tolerant(
        &before,
        operation("remove", &format!("{X}:objects.value"), json!(["w"])),
        objects(json!([{"value": "v", "type": "t"}, "text"])),
    );
    for path in ["list.label", "one.label", "on.label", "none.label"] {
        check_unchanged(
            &before,
            json!({"op": "remove", "path": format!("{X}:{path}")}),
        );
    }
    check_tolerant(
        &before,
        operation(
            "add",
            &format!("{X}:objects[type eq \"t\"]"),
            json!([{"label": "L"}]),
        ),
        objects(json!([{"value": "v", "type": "t", "label": "L"}, {"value": "w"}, "text"])),
    );
}

#[test]
fn added_values_take_the_shape_of_an_undeclared_list() {
    let x = |list: Value| json!({X: {"list": list}});
    let path = format!("{X}:list");
    let add = |value: Value| operation("add", &path, value);
    for (before, added, after) in [
        (json!(["a"]), json!([{"value": "b"}]), json!(["a", "b"])),
        (json!(["a"]), json!({"value": "a"}), json!(["a"])),
        (
            json!([{"value": "a"}]),
            json!(["b", "a"]),
            json!([{"value": "a"}, {"value": "b"}]),
        ),
        (
            json!(["a"]),
            json!([{"value": "b", "type": "t"}]),
            json!(["a", {"value": "b", "type": "t"}]),
        ),
        (
            json!(["a", {"value": "b"}]),
            json!(["c"]),
            json!(["a", {"value": "b"}, "c"]),
        ),
    ] {
        check_tolerant(&x(before), add(added), x(after));
    }
}

/// A dot in place of the last colon, for an extension that the resource has.
#[test]
fn a_dot_after_the_urn_of_an_undeclared_extension() {
    let before = json!({X: {"list": ["a", "b"]}});
    for (operation, after) in [
        (
            operation("add", &format!("{X}.list"), json!("c")),
            json!(["a", "b", "c"]),
        ),
        (
            operation("remove", &format!("{X}.list"), json!(["a"])),
            json!(["b"]),
        ),
        (
            json!({"op": "remove", "path": format!("{X}.list[value eq \"b\"]")}),
            json!(["a"]),
        ),
        (
            json!({"op": "replace", "value": {format!("{X}.list"): ["c"]}}),
            json!(["c"]),
        ),
    ] {
        check_tolerant(&before, operation, json!({X: {"list": after}}));
    }
    // Without it the dot is between attribute and sub-attribute.
    check_tolerant(
        &json!({}),
        operation("add", "urn:acme:x.list", json!(["a"])),
        json!({"urn:acme": {"x": {"list": ["a"]}}}),
    );
    check_tolerant(
        &json!({"urn:acme": {"x": {"k": 1}}, X: {"list": ["a"]}}),
        operation("add", "urn:acme:x.list", json!(["b"])),
        json!({"urn:acme": {"x": {"k": 1, "list": ["b"]}}, X: {"list": ["a"]}}),
    );
}

// R7644-3.5.2.2-06
#[test]
fn lists_of_undeclared_extensions_without_path() {
    let before = json!({X: {"list": ["a", "b"], "k": 1}});
    check_tolerant(
        &before,
        json!({"op": "remove", "value": {format!("{X}:list"): ["a"]}}),
        json!({X: {"list": ["b"], "k": 1}}),
    );
    let core = resident().schema.id.clone();
    check_tolerant(
        &json!({}),
        json!({"op": "add", "value": {core: [{"title": "T"}]}}),
        json!({"title": "T"}),
    );
    check_tolerant(
        &before,
        operation("add", X, json!([{"list": ["c"]}])),
        json!({X: {"list": ["a", "b", "c"], "k": 1}}),
    );
}

/// A name that a tolerant tenant leaves out of a value is logged, like what it leaves out of a
/// body.
#[test]
fn names_that_no_schema_defines_are_noted() {
    let rt = resident();
    let value = json!({
        "name": {"petName": "x", "givenName": "A"},
        "emails": [{"value": "a@b.org", "colour": 1}, {"value": "c@b.org", "colour": 2}],
        HOME: {"home": {"garden": "g"}, "lamp": 1},
        "groups": [{"nope": 1}],
        "shoeSize": 40,
    });
    let home = |name: &str| format!("{HOME}:{name}");
    let mut expected = vec![
        "name.petName".to_owned(),
        "emails.colour".to_owned(),
        home("home.garden"),
        home("lamp"),
        "shoeSize".to_owned(),
    ];
    expected.sort();
    let mut body = value.clone();
    body["userName"] = json!("ada");
    let mut ignored = admit(&rt, &body, Compatibility::Tolerant).unwrap().ignored;
    ignored.sort();
    assert_eq!(ignored, expected);
    let operations = patch_op(json!([{"op": "add", "value": value}]));
    let mut ignored = parse(&rt, &operations, Compatibility::Tolerant)
        .unwrap()
        .ignored;
    ignored.sort();
    assert_eq!(ignored, expected);
    let operations = patch_op(json!([
        operation("replace", "name", json!({"petName": "x"})),
        operation(
            "add",
            "emails[type eq \"w\"]",
            json!({"value": "a@b.org", "colour": 1})
        ),
        operation("remove", "emails", json!([{"colour": 1}])),
    ]));
    let ignored = parse(&rt, &operations, Compatibility::Tolerant)
        .unwrap()
        .ignored;
    assert_eq!(ignored, ["name.petName", "emails.colour"]);
}

// R7643-2.1-03, R7643-3.3-02
#[test]
fn names_that_no_path_could_address() {
    let rt = resident();
    for value in [
        json!({"": 1}),
        json!({"a b": 1}),
        json!({"a.b.c": 1}),
        json!({"a": {"": 1}}),
        json!({"a": [{"b c": 1}]}),
        json!({"a.": 1}),
    ] {
        let body = json!({"userName": "ada", X: value});
        let error = admit(&rt, &body, Compatibility::Tolerant).unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidSyntax, "{body}: {error}");
        for operation in [
            operation("add", X, value.clone()),
            json!({"op": "replace", "value": {X: value}}),
        ] {
            let operations = json!([operation]);
            let error = patched(&rt, &json!({}), &operations, Compatibility::Tolerant);
            assert_eq!(
                error.unwrap_err().kind,
                ErrorKind::InvalidSyntax,
                "{operations}"
            );
        }
    }
    for name in [
        "urn:acme:x:",
        "urn:acme:x:a b",
        "urn:acme:x:a.b.c",
        "urn:acme x:a",
        ":x:a",
    ] {
        let body = json!({"userName": "ada", name: "v"});
        let error = admit(&rt, &body, Compatibility::Tolerant).unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidSyntax, "{name}: {error}");
        let operations = json!([operation("add", name, json!("v"))]);
        let error = patched(&rt, &json!({}), &operations, Compatibility::Tolerant);
        assert_eq!(error.unwrap_err().kind, ErrorKind::InvalidPath, "{name}");
    }
    // One dot is a path.
    let body = json!({"userName": "ada", X: {"a.b": 1, "a.c": 2}});
    let admitted = admit(&rt, &body, Compatibility::Tolerant).unwrap();
    assert_eq!(admitted.document.0[X], json!({"a": {"b": 1, "c": 2}}));
}

/// POST and PUT read every name that an operation without path reads.
// R7644-3.3-07, R7643-3.3-02
#[test]
fn a_body_is_read_like_a_value_without_path() {
    let rt = resident();
    let core = rt.schema.id.as_str();
    for body in [
        json!({(core): {"title": "T", "name": {"givenName": "A"}, "id": "x"}}),
        json!({(format!("{core}:title")): "T", (format!("{core}:name.givenName")): "A"}),
        json!({(format!("{core}.title")): ["T"]}),
        json!({"name.givenName": "A", "name": {"familyName": "B"}}),
        json!({"emails": [{"value": "c@d.org"}], "emails[type eq \"work\"].value": "a@b.org"}),
        json!({(format!("{EU}:department")): "D", EU: {"costCenter": "C", "manager.value": "m"}}),
        json!({(format!("{HOME}:places[type eq \"t\"].tags")): ["x", "y"]}),
        json!({HOME: {"places[type eq \"t\"].value": "v", "home.rooms": "r"}}),
        json!({"urn:acme:x:list[type eq \"t\"].value": "v", "urn:acme:x": {"k": 1}}),
        json!({"urn:acme:x:a": 1, "urn:acme:x:b.c": ["d"], "urn:acme:y": {"e": null, "f": 1}}),
        json!({"nope": 1, "name.nope": 3, (format!("{core}:nope")): 4, "acme:x": 5}),
        json!({"emails.value": "x", "groups": [1], "urn:ietf:params:scim:schemas:extension:enterprise:2.0:x": 1}),
    ] {
        let mut created = body.clone();
        created["userName"] = json!("ada");
        let mut admitted = admit(&rt, &created, Compatibility::Tolerant).unwrap();
        admitted.document.set_id(ID);
        let mut value = body.clone();
        // Without elements there is none whose part could be added.
        value.as_object_mut().unwrap().shift_remove("emails.value");
        let operations = json!([{"op": "add", "value": value}]);
        let document = patched(&rt, &json!({}), &operations, Compatibility::Tolerant).unwrap();
        assert_eq!(
            admitted.document.to_string(),
            document.to_string(),
            "{body}"
        );
    }
}

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
            true => crate::scim::name::fold(left) == crate::scim::name::fold(right),
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

/// Takes empty lists away, which are as good as none.
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

/// In an undeclared extension, where only the values tell what is a list.
#[test]
fn undeclared_values_are_not_lost_to_a_path_into_them() {
    let objects = json!([
        {"value": "a", "type": "t", "tags": ["x", "y"]}, {"value": "b", "type": "u"},
    ]);
    let list = json!({X: {"list": objects, "texts": ["a", "b"], "one": "o"}});
    let rt = resident();
    for op in ["add", "replace"] {
        for name in [
            "list.type",
            "texts.type",
            "one.type",
            "list.tags[value eq \"z\"]",
        ] {
            let by_path = operation(op, &format!("{X}:{name}"), json!("z"));
            let by_name = json!({"op": op, "value": {X: {name: "z"}}});
            for operation in [by_path, by_name] {
                // A path means the sub-attribute of every element.
                if operation
                    == json!({"op": "replace", "path": format!("{X}:list.type"), "value": "z"})
                {
                    continue;
                }
                let found = patched(&rt, &list, &json!([operation]), Compatibility::Tolerant);
                assert!(found.is_err(), "{operation}");
            }
        }
    }
    let after = |index: usize, member: &str, value: Option<Value>| {
        let mut after = list.clone();
        let element = after[X]["list"][index].as_object_mut().unwrap();
        match value {
            Some(value) => element.insert(member.to_owned(), value),
            None => element.shift_remove(member),
        };
        after
    };
    let remove = |name: &str, value: Value| operation("remove", &format!("{X}:{name}"), value);
    check_tolerant(
        &list,
        remove("list.type", json!("t")),
        after(0, "type", None),
    );
    check_tolerant(
        &list,
        remove("list.tags", json!(["x"])),
        after(0, "tags", Some(json!(["y"]))),
    );
    check_tolerant(
        &list,
        json!({"op": "remove", "path": format!("{X}:list.tags[value eq \"x\"]")}),
        after(0, "tags", Some(json!(["y"]))),
    );
    check_tolerant(
        &list,
        remove("list[type eq \"t\"]", json!({"tags": ["x"]})),
        after(0, "tags", Some(json!(["y"]))),
    );
    for nothing in [
        remove("one.type", json!("o")),
        remove("texts.type", json!("a")),
        remove("list[type eq \"t\"]", json!({"tags": ["z"]})),
    ] {
        check_tolerant(&list, nothing, list.clone());
    }
    let mut texts = list.clone();
    texts[X]["texts"] = json!(["b"]);
    check_tolerant(&list, remove("texts.value", json!("a")), texts);
}

#[test]
fn the_parts_of_an_undeclared_object_are_not_lost() {
    let remove = |name: &str, value: Value| operation("remove", &format!("{X}:{name}"), value);
    let object = json!({X: {"obj": {"a": 1, "b": 2}}});
    check_tolerant(
        &object,
        remove("obj", json!([{"a": 1}])),
        json!({X: {"obj": {"b": 2}}}),
    );
    check_tolerant(
        &object,
        operation("add", &format!("{X}:obj"), json!([{"a": 3}])),
        json!({X: {"obj": [{"a": 1, "b": 2}, {"a": 3}]}}),
    );
    check_tolerant(
        &object,
        operation("remove", X, json!([{"obj": {"a": 1}}])),
        json!({X: {"obj": {"b": 2}}}),
    );
    check_tolerant(
        &json!({}),
        operation("add", &format!("{X}:a"), json!("")),
        json!({}),
    );
}

#[test]
fn one_name_in_two_cases_loses_no_value() {
    let rt = resident();
    for value in [
        json!({"a": 1, "A": 2}),
        json!({"o": {"b": 1, "B": 2}}),
        json!({"l": [{"b": 1, "B": 2}]}),
    ] {
        let operations = json!([operation("add", X, value)]);
        let error = patched(&rt, &json!({}), &operations, Compatibility::Tolerant).unwrap_err();
        assert!(error.detail.contains("twice"), "{error}");
    }
}

/// Many names are compared with many, and one value is copied into many elements.
#[test]
fn what_an_edit_costs_is_bounded() {
    let rt = resident();
    let many: serde_json::Map<String, Value> = (0..20_000)
        .map(|index| (format!("k{index}"), json!(index)))
        .collect();
    let before = json!({X: many.clone()});
    let gone = json!([operation("remove", X, Value::Object(many))]);
    let after = patched(&rt, &before, &gone, Compatibility::Tolerant).unwrap();
    assert_eq!(after.to_string(), complete(&rt, &json!({})).to_string());

    let elements: Vec<Value> = (0..2_000)
        .map(|index| json!({"value": format!("v{index}"), "type": "t"}))
        .collect();
    let before = json!({HOME: {"places": elements}, X: {"list": elements}});
    for path in [
        format!("{HOME}:places[type eq \"t\"].type"),
        format!("{HOME}:places.type"),
        format!("{X}:list[type eq \"t\"].type"),
    ] {
        let operations = json!([operation("replace", &path, json!("x".repeat(1_000_000)))]);
        let error = patched(&rt, &before, &operations, Compatibility::Tolerant).unwrap_err();
        assert!(error.detail.contains("too many"), "{error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

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
