//! Extensions and resource types declared by the operator (`[[extensions]]`, `[[resource_types]]`).

mod characteristics;
mod later;
mod refused;
mod roles;

use serde_json::{Value, json};

use crate::harness::{both_typed, id, sample, texts};

pub const DESK: &str = "urn:example:scim:schemas:extension:desk:2.0:User";
pub const DEVICE: &str = "urn:example:scim:schemas:core:2.0:Device";
pub const WARRANTY: &str = "urn:example:scim:schemas:extension:warranty:2.0:Device";

pub const PURPOSE: &str = "urn:example:scim:schemas:extension:purpose:2.0:Group";

/// Returns a user with a desk.
pub fn seated(user_name: &str, desk: Value) -> Value {
    let mut user = sample::user(user_name);
    user["schemas"] = json!([sample::USER, DESK]);
    user[DESK] = desk;
    user
}

/// Returns a device with its required extension.
pub fn device(serial: &str) -> Value {
    json!({
        "schemas": [DEVICE, WARRANTY],
        "serial": serial,
        "displayName": "Laptop",
        WARRANTY: { "until": "2030-01-01T00:00:00Z" },
    })
}

// R7643-3.3-01, R7643-3-04, R7643-3-06
both_typed!(an_extension_is_stored_under_its_urn, |app| async move {
    let desk = json!({ "building": "HQ", "seat": 12, "tags": ["quiet", "window"], "shared": true });
    let body = seated("ada@x.example", desk.clone());
    let created = app.post("/Users", &body).await.expect(201);
    assert_eq!(created[DESK], desk);
    assert_eq!(created["schemas"], json!([sample::USER, DESK]));
    let path = format!("/Users/{}", id(&created));
    assert_eq!(app.get(&path).await.expect(200), created);

    let edit = json!([{ "op": "replace", "path": format!("{DESK}:seat"), "value": 13 }]);
    let moved = app.edit(&path, edit).await.expect(200);
    assert_eq!(moved[DESK]["seat"], 13);
    let edit = json!([{ "op": "remove", "path": DESK }]);
    let left = app.edit(&path, edit).await.expect(200);
    assert_eq!(left["schemas"], json!([sample::USER]));
    assert!(left.get(DESK).is_none(), "{left}");

    // A URN in `schemas` without its extension object is legal.
    let mut named = sample::user("bob@x.example");
    named["schemas"] = json!([sample::USER, DESK]);
    app.post("/Users", &named).await.expect(201);
});

// R7643-3.3-02, R7643-3-05
both_typed!(extension_urns_ignore_case, |app| async move {
    let mut user = sample::user("ada@x.example");
    user[DESK.to_uppercase()] = json!({ "BUILDING": "HQ" });
    let created = app.post("/Users", &user).await.expect(201);
    assert_eq!(created[DESK], json!({ "building": "HQ" }));
    assert_eq!(created["schemas"], json!([sample::USER, DESK]));
});

both_typed!(filters_match_extension_attributes, |app| async move {
    for (name, desk) in [
        ("ada@x.example", json!({ "building": "HQ", "seat": 1 })),
        ("bob@x.example", json!({ "building": "hq", "seat": 2 })),
        (
            "cyd@x.example",
            json!({ "building": "Annex", "tags": ["quiet"], "badge": "B1" }),
        ),
    ] {
        app.post("/Users", &seated(name, desk)).await.expect(201);
    }
    for (filter, expected) in [
        ("building eq \"HQ\"", 2),
        ("building ne \"hq\"", 1),
        ("seat gt 1", 1),
        ("seat pr", 2),
        ("tags eq \"QUIET\"", 1),
        ("badge eq \"B1\"", 1),
        ("badge eq \"b1\"", 0),
    ] {
        let filter = format!("{DESK}:{filter}");
        assert_eq!(app.find_users(&filter).await.len(), expected, "{filter}");
    }
});

both_typed!(groups_can_have_extensions, |app| async move {
    let ada = app.create_user("ada@x.example").await;
    let mut body = sample::group("Team", &[id(&ada)]);
    body["schemas"] = json!([sample::GROUP, PURPOSE]);
    body[PURPOSE] = json!({ "purpose": "Work", "cost": 7, "secret": "leak" });
    let created = app.post("/Groups", &body).await.expect(201);
    assert_eq!(created[PURPOSE], json!({ "purpose": "Work", "cost": 7 }));
    assert_eq!(created["members"].as_array().unwrap().len(), 1);
    let path = format!("/Groups/{}", id(&created));
    let edit = json!([
        { "op": "replace", "path": format!("{PURPOSE}:cost"), "value": 8 },
        { "op": "remove", "path": format!("members[value eq \"{}\"]", id(&ada)) },
    ]);
    let patched = app.edit(&path, edit).await.expect(200);
    assert_eq!(patched[PURPOSE]["cost"], 8);
    assert_eq!(patched["members"], json!([]));
    let found = app.find_groups(&format!("{PURPOSE}:cost eq 8")).await;
    assert_eq!(found, ["Team"]);
    // Okta's PUT of a group does not include it, and so removes it.
    let replaced = app
        .put(&path, &sample::group("Team", &[]))
        .await
        .expect(200);
    assert!(replaced.get(PURPOSE).is_none());
});

// R7643-6-03, R7643-3.1-07
both_typed!(a_declared_type_supports_every_method, |app| async move {
    let reply = app.post("/Devices", &device("S1")).await;
    let location = reply.header("location").to_owned();
    let created = reply.expect(201);
    let path = format!("/Devices/{}", id(&created));
    assert_eq!(location, format!("{}{path}", app.base_url()));
    assert_eq!(created["meta"]["resourceType"], "Device");
    assert_eq!(created["meta"]["location"], location);
    assert_eq!(created["serial"], "S1");
    assert_eq!(app.get(&path).await.expect(200), created);

    let edit = json!([{ "op": "replace", "path": "displayName", "value": "Tablet" }]);
    let patched = app.edit(&path, edit).await.expect(200);
    assert_eq!(patched["displayName"], "Tablet");
    let mut body = device("S1");
    body["kind"] = json!("tablet");
    let replaced = app.put(&path, &body).await.expect(200);
    assert_eq!(replaced["kind"], "tablet");
    let listed = app
        .list("/Devices", &[("filter", "serial eq \"S1\"")])
        .await;
    assert_eq!(listed.ids(), [id(&created)]);
    // It is not a user, and no user is a device.
    app.get(&format!("/Users/{}", id(&created)))
        .await
        .expect_error(404, "");
    app.delete(&path).await.expect(204);
    app.get(&path).await.expect_error(404, "");
});

// R7643-6-02
both_typed!(a_required_extension_is_enforced, |app| async move {
    let mut body = device("S1");
    body.as_object_mut().unwrap().remove(WARRANTY);
    let refused = app.post("/Devices", &body).await;
    let refused = refused.expect_error(400, "invalidValue");
    assert!(refused.to_string().contains(WARRANTY), "{refused}");
    let created = app.post("/Devices", &device("S1")).await.expect(201);
    let path = format!("/Devices/{}", id(&created));
    app.put(&path, &body)
        .await
        .expect_error(400, "invalidValue");
    let edit = json!([{ "op": "remove", "path": WARRANTY }]);
    app.edit(&path, edit).await.expect_error(400, "mutability");
    // Optional extensions may be left out.
    app.post("/Users", &sample::user("ada@x.example"))
        .await
        .expect(201);
});

// R7643-7-01, R7643-6-01
both_typed!(discovery_lists_the_declared_types, |app| async move {
    let types = app.get("/ResourceTypes").await.page();
    let names = texts(&types.resources, "name");
    assert!(names.starts_with(&["User".into(), "Group".into(), "Device".into()]));
    let desk = json!({ "schema": DESK, "required": false });
    let extensions = types.resources[0]["schemaExtensions"].as_array().unwrap();
    assert!(extensions.contains(&desk), "{extensions:?}");
    let device = &types.resources[2];
    assert_eq!(device["endpoint"], "/Devices");
    assert_eq!(device["schema"], DEVICE);
    let warranty = json!([{ "schema": WARRANTY, "required": true }]);
    assert_eq!(device["schemaExtensions"], warranty);
    assert_eq!(device["description"], "Something that people work with.");

    let schemas = app.get("/Schemas").await.page().ids();
    for urn in [DESK, DEVICE, WARRANTY] {
        assert!(schemas.contains(&urn.to_owned()), "{schemas:?}");
        app.get(&format!("/Schemas/{urn}")).await.expect(200);
    }
    let schema = app.get(&format!("/Schemas/{DESK}")).await.expect(200);
    let attribute = |name: &str| {
        let all = schema["attributes"].as_array().unwrap();
        all.iter().find(|one| one["name"] == name).unwrap().clone()
    };
    assert_eq!(
        attribute("building")["canonicalValues"],
        json!(["HQ", "Annex"])
    );
    assert_eq!(attribute("badge")["uniqueness"], "server");
    assert_eq!(attribute("pin")["mutability"], "writeOnly");
    assert_eq!(attribute("remarks")["returned"], "request");
    // A reference is case-exact, even if the file does not say so.
    assert_eq!(attribute("plan")["caseExact"], true);

    let document = app.anonymous().site().get("/openapi.json").await.body;
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.contains_key("/scim/v2/Devices/{id}"));
    let user = &document["components"]["schemas"]["User"]["properties"];
    assert_eq!(user[DESK]["properties"]["seat"]["type"], "integer");
});
