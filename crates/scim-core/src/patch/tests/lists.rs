//! Lists, wherever they are: what `add` keeps, what `remove` with a value takes, what a filter
//! finds.

use super::*;

// R7644-3.5.2.1-01, R7644-3.5.2.1-05
#[test]
fn add_appends_to_a_list_in_a_complex_value() {
    let before = home(json!(["r0", "r1"]));
    let after = || home(json!(["r0", "r1", "r2"]));
    let path = format!("{HOME}:home.rooms");
    let whole = format!("{HOME}:home");
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
    // An element that the filter does not find is created, its list as a list.
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

/// An `add` of nothing changes no list, however the client writes nothing.
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
