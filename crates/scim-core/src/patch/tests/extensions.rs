use super::*;

// R7644-3.5.2-13, R7644-3.5.2-20
#[test]
fn attributes() {
    let department = format!("{EU}:department");
    let path = |op: &str, value: Value| json!([{"op": op, "path": department, "value": value}]);
    let math = json!({EU: {"department": "Math"}});
    check(json!({}), path("add", json!("Math")), math.clone());
    check(json!({}), path("replace", json!("Math")), math.clone());
    check(
        math.clone(),
        path("replace", json!("Art")),
        json!({EU: {"department": "Art"}}),
    );
    check(
        math.clone(),
        json!([{"op": "remove", "path": department}]),
        json!({}),
    );
    check(math.clone(), path("replace", json!(null)), json!({}));
    check(
        json!({EU: {"costCenter": "1", "department": "Math"}}),
        json!([{"op": "remove", "path": department.to_uppercase()}]),
        json!({EU: {"costCenter": "1"}}),
    );
    check_error(json!({}), path("add", json!(true)), ErrorKind::InvalidValue);
}

// R7644-3.5.2-25, R7644-3.5.2.3-12
#[test]
fn the_urn_as_path_and_as_name() {
    let both = json!({EU: {"costCenter": "1", "department": "Art"}});
    let before = json!({EU: {"costCenter": "1", "department": "Math"}});
    let value = json!({"DEPARTMENT": "Art", "unknown": true});
    check(
        before.clone(),
        json!([{"op": "replace", "path": EU, "value": value}]),
        both.clone(),
    );
    check(
        before.clone(),
        json!([{"op": "add", "value": {EU.to_uppercase(): value}}]),
        both.clone(),
    );
    check(
        before.clone(),
        json!([{"op": "replace", "value": {EU: {"department": null}}}]),
        json!({EU: {"costCenter": "1"}}),
    );
    check(
        before.clone(),
        json!([{"op": "remove", "path": EU}]),
        json!({}),
    );
    check(
        before.clone(),
        json!([{"op": "replace", "value": {EU: null}}]),
        json!({}),
    );
    check(
        before.clone(),
        json!([{"op": "add", "path": EU, "value": null}]),
        before.clone(),
    );
    check(json!({}), json!([{"op": "remove", "path": EU}]), json!({}));
    let invalid = ErrorKind::InvalidValue;
    check_error(
        json!({}),
        json!([{"op": "add", "path": EU, "value": "x"}]),
        invalid,
    );
    check_error(json!({}), json!([{"op": "add", "path": EU}]), invalid);
}

// L-04
#[test]
fn manager() {
    let manager = format!("{EU}:manager");
    let path = |value: Value| json!([{"op": "Replace", "path": manager, "value": value}]);
    let m1 = json!({EU: {"manager": {"value": "m1"}}});
    check(json!({}), path(json!("m1")), m1.clone());
    check(json!({}), path(json!([{"value": "m1"}])), m1.clone());
    check(
        json!({}),
        path(json!({"value": "m1", "displayName": "M"})),
        m1.clone(),
    );
    check(
        json!({}),
        path(json!(17)),
        json!({EU: {"manager": {"value": "17"}}}),
    );
    check(m1.clone(), path(json!("")), json!({}));
    check(m1.clone(), path(json!(null)), json!({}));
    check(
        m1.clone(),
        json!([{"op": "remove", "path": manager}]),
        json!({}),
    );
    check(
        json!({}),
        json!([{"op": "add", "path": format!("{manager}.value"), "value": "m1"}]),
        m1.clone(),
    );
    // The URI was that of the manager before.
    let referred = json!({EU: {"manager": {"value": "m0", "$ref": "../Users/m0"}}});
    check(referred.clone(), path(json!("m1")), m1);
    check(referred.clone(), path(json!("m0")), referred.clone());
    check(
        referred.clone(),
        path(json!({"displayName": "M"})),
        referred,
    );
}

#[test]
fn unknown() {
    let acme = json!({ACME: {"costBand": "B2", "skills": ["rust"]}});
    check(
        json!({}),
        json!([{"op": "add", "value": acme.clone()}]),
        acme.clone(),
    );
    check(
        json!({}),
        json!([{"op": "replace", "path": ACME, "value": acme[ACME]}]),
        acme.clone(),
    );
    let path = |op: &str, name: &str, value: Value| json!([{"op": op, "path": format!("{ACME}:{name}"), "value": value}]);
    check(
        acme.clone(),
        path("replace", "COSTBAND", json!("C")),
        json!({ACME: {"costBand": "C", "skills": ["rust"]}}),
    );
    check(
        acme.clone(),
        path("add", "skills", json!(["rust", "sql"])),
        json!({ACME: {"costBand": "B2", "skills": ["rust", "sql"]}}),
    );
    check(
        acme.clone(),
        path("replace", "skills", json!(["sql"])),
        json!({ACME: {"costBand": "B2", "skills": ["sql"]}}),
    );
    check(
        acme.clone(),
        path("replace", "badge.number", json!(7)),
        json!({ACME: {"costBand": "B2", "skills": ["rust"], "badge": {"number": 7}}}),
    );
    check(
        acme.clone(),
        json!([{"op": "remove", "path": format!("{ACME}:skills")}]),
        json!({ACME: {"costBand": "B2"}}),
    );
    check(
        acme.clone(),
        json!([{"op": "remove", "path": ACME}]),
        json!({}),
    );
    check(
        acme.clone(),
        json!([{"op": "replace", "value": {ACME: null}}]),
        json!({}),
    );
    check(
        acme.clone(),
        json!([{"op": "replace", "value": {ACME.to_uppercase(): {"costBand": null}}}]),
        json!({ACME: {"skills": ["rust"]}}),
    );
    check(
        json!({}),
        path("add", "costBand", json!("B2")),
        json!({ACME: {"costBand": "B2"}}),
    );
    check(
        json!({}),
        json!([{"op": "add", "value": {format!("{ACME}:costBand"): "B2"}}]),
        json!({ACME: {"costBand": "B2"}}),
    );
    check_error(
        json!({}),
        path("add", "costBand", json!({"a": "\u{0}"})),
        ErrorKind::InvalidValue,
    );
    check_error(
        json!({}),
        path("add", "skills[value eq \"x\"]", json!("y")),
        ErrorKind::NoTarget,
    );
}
