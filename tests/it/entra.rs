//! Entra ID, according to its provisioning guide and its validator: every published form of a
//! request, and the typical sequence. Each form is sent to a tolerant tenant, which accepts it, and
//! to a strict one, which names the fault.

use serde_json::{Value, json};

use crate::harness::sample::{ENTERPRISE, GROUP, USER, patch};
use crate::harness::{Client, TestApp, both, id, member_ids, texts, with_query};

/// Returns a create request as printed in the provisioning guide.
fn user(user_name: &str) -> Value {
    json!({
        "schemas": [USER, ENTERPRISE],
        "externalId": "0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef",
        "userName": user_name,
        "active": true,
        "emails": [{ "primary": true, "type": "work", "value": "ada@example.com" }],
        "meta": { "resourceType": "User" },
        "name": { "formatted": "Ada Byron", "familyName": "Byron", "givenName": "Ada" },
        "roles": []
    })
}

/// How a strict tenant handles a form.
enum Strict {
    /// The form conforms to the standard, so strict tenants accept it too.
    Taken,
    Refused(&'static str),
}
use Strict::{Refused, Taken};

struct Shape {
    id: &'static str,
    operations: Value,
    /// The expected values afterwards, by path; null for an absent value.
    expected: Vec<(String, Value)>,
    strict: Strict,
}

fn shape(id: &'static str, operations: Value, expected: &[(&str, Value)], strict: Strict) -> Shape {
    let expected = expected
        .iter()
        .map(|(pointer, value)| ((*pointer).to_owned(), value.clone()))
        .collect();
    Shape {
        id,
        operations,
        expected,
        strict,
    }
}

/// Returns the path of an attribute of the enterprise extension.
fn enterprise(name: &str) -> String {
    format!("/{ENTERPRISE}/{name}")
}

fn shapes_of_attributes() -> Vec<Shape> {
    vec![
        shape(
            "L-01",
            json!([{ "op": "Replace", "path": "displayName", "value": "Ada K" }]),
            &[("/displayName", json!("Ada K"))],
            Refused("invalidSyntax"),
        ),
        shape(
            "L-01",
            json!([{ "op": "Add", "path": "nickName", "value": "Addie" }]),
            &[("/nickName", json!("Addie"))],
            Refused("invalidSyntax"),
        ),
        shape(
            "L-01",
            json!([{ "op": "Remove", "path": "name.familyName" }]),
            &[
                ("/name/familyName", json!(null)),
                ("/name/givenName", json!("Ada")),
            ],
            Refused("invalidSyntax"),
        ),
        shape(
            "the same with the flag aadOptscim062020",
            json!([
                { "op": "replace", "path": "displayName", "value": "Ada K" },
                { "op": "add", "path": "nickName", "value": "Addie" },
                { "op": "remove", "path": "name.familyName" }
            ]),
            &[
                ("/displayName", json!("Ada K")),
                ("/nickName", json!("Addie")),
                ("/name/familyName", json!(null)),
            ],
            Taken,
        ),
        shape(
            "L-02",
            json!([{ "op": "replace", "path": "active", "value": "False" }]),
            &[("/active", json!(false))],
            Refused("invalidValue"),
        ),
        shape(
            "L-02",
            json!([{ "op": "replace", "value": { "active": "true" } }]),
            &[("/active", json!(true))],
            Refused("invalidValue"),
        ),
        shape(
            "a deactivation with the flag",
            json!([{ "op": "replace", "path": "active", "value": false }]),
            &[("/active", json!(false))],
            Taken,
        ),
        shape(
            "L-07",
            json!([{ "op": "replace", "path": "displayName", "value": [{ "value": "Ada K" }] }]),
            &[("/displayName", json!("Ada K"))],
            Refused("invalidValue"),
        ),
        shape(
            "L-07",
            json!([{ "op": "add", "path": "userName", "value": [{ "value": "ada.k" }] }]),
            &[("/userName", json!("ada.k"))],
            Refused("invalidValue"),
        ),
        shape(
            "L-13",
            json!([]),
            &[("/active", json!(true))],
            Refused("invalidSyntax"),
        ),
    ]
}

fn shapes_of_names() -> Vec<Shape> {
    let department = format!("{ENTERPRISE}:department");
    vec![
        shape(
            "L-03",
            json!([{ "op": "replace", "value": { "name.givenName": "Augusta", "displayName": "A" } }]),
            &[
                ("/name/givenName", json!("Augusta")),
                ("/name/familyName", json!("Byron")),
                ("/displayName", json!("A")),
            ],
            Refused("invalidSyntax"),
        ),
        shape(
            "L-03",
            json!([{ "op": "add", "value": { department: "Looms" } }]),
            &[(&enterprise("department"), json!("Looms"))],
            Refused("invalidSyntax"),
        ),
        shape(
            "L-03",
            json!([{ "op": "replace", "value": { "emails[type eq \"work\"].value": "k@example.com" } }]),
            &[
                ("/emails/0/value", json!("k@example.com")),
                ("/emails/0/primary", json!(true)),
                ("/emails/1", json!(null)),
            ],
            Refused("invalidSyntax"),
        ),
        shape(
            "the same as RFC 7644 has it",
            json!([{ "op": "add", "value": { "name": { "givenName": "Augusta" }, ENTERPRISE: { "department": "Looms" } } }]),
            &[
                ("/name/givenName", json!("Augusta")),
                ("/name/familyName", json!("Byron")),
                (&enterprise("department"), json!("Looms")),
            ],
            Taken,
        ),
    ]
}

fn shapes_of_managers() -> Vec<Shape> {
    vec![
        shape(
            "L-04",
            json!([{ "op": "add", "path": format!("{ENTERPRISE}:manager"), "value": "26118915" }]),
            &[(&enterprise("manager/value"), json!("26118915"))],
            Refused("invalidValue"),
        ),
        shape(
            "L-04",
            json!([{ "op": "replace", "path": format!("{ENTERPRISE}:manager"), "value": [{ "$ref": "Users/26118915", "value": "26118915" }] }]),
            &[
                (&enterprise("manager/value"), json!("26118915")),
                (&enterprise("manager/$ref"), json!("Users/26118915")),
            ],
            Refused("invalidValue"),
        ),
        shape(
            "L-04",
            json!([
                { "op": "add", "path": format!("{ENTERPRISE}:manager"), "value": "26118915" },
                { "op": "replace", "path": format!("{ENTERPRISE}:manager"), "value": "" }
            ]),
            &[(&enterprise("manager"), json!(null))],
            Refused("invalidValue"),
        ),
        shape(
            "a manager as RFC 7643 has it",
            json!([{ "op": "add", "path": format!("{ENTERPRISE}:manager"), "value": { "value": "26118915" } }]),
            &[(&enterprise("manager/value"), json!("26118915"))],
            Taken,
        ),
    ]
}

fn shapes_of_lists() -> Vec<Shape> {
    vec![
        shape(
            "L-06",
            json!([{ "op": "add", "path": "emails[type eq \"home\"].value", "value": "ada@home.example" }]),
            &[
                (
                    "/emails/1",
                    json!({ "value": "ada@home.example", "type": "home" }),
                ),
                ("/emails/0/value", json!("ada@example.com")),
            ],
            Refused("noTarget"),
        ),
        shape(
            "L-06",
            json!([
                { "op": "replace", "path": "phoneNumbers[type eq \"mobile\"].value", "value": "+44 20 1234" },
                { "op": "replace", "path": "addresses[type eq \"work\"].streetAddress", "value": "1 Engine Row" },
                { "op": "replace", "path": "addresses[type eq \"work\"].country", "value": "GB" }
            ]),
            &[
                (
                    "/phoneNumbers/0",
                    json!({ "value": "+44 20 1234", "type": "mobile" }),
                ),
                (
                    "/addresses/0",
                    json!({ "streetAddress": "1 Engine Row", "country": "GB", "type": "work" }),
                ),
                ("/addresses/1", json!(null)),
            ],
            Refused("noTarget"),
        ),
        shape(
            "the guide's update of several attributes",
            json!([
                { "op": "replace", "path": "emails[type eq \"work\"].value", "value": "k@example.com" },
                { "op": "replace", "path": "name.familyName", "value": "King" }
            ]),
            &[
                (
                    "/emails/0",
                    json!({ "value": "k@example.com", "type": "work", "primary": true }),
                ),
                ("/name/familyName", json!("King")),
            ],
            Taken,
        ),
    ]
}

fn shapes_of_roles() -> Vec<Shape> {
    vec![
        shape(
            "an app role, by SingleAppRoleAssignment",
            json!([{ "op": "add", "path": "roles[primary eq \"True\"].value", "value": "Admin" }]),
            &[("/roles", json!([{ "value": "Admin", "primary": true }]))],
            Refused("invalidFilter"),
        ),
        shape(
            "app roles, by AppRoleAssignmentsComplex",
            json!([{ "op": "add", "path": "roles", "value": [
                { "primary": false, "type": "WindowsAzureActiveDirectoryRole", "display": "Admin", "value": "Admin" },
                { "primary": false, "type": "WindowsAzureActiveDirectoryRole", "display": "User", "value": "User" }
            ] }]),
            &[
                ("/roles/0/value", json!("Admin")),
                ("/roles/1/value", json!("User")),
            ],
            Taken,
        ),
        shape(
            "L-05",
            json!([
                { "op": "add", "path": "roles", "value": [{ "value": "Admin" }, { "value": "User" }] },
                { "op": "remove", "path": "roles", "value": [{ "value": "Admin" }] }
            ]),
            &[("/roles", json!([{ "value": "User" }]))],
            Refused("invalidValue"),
        ),
        shape(
            "L-16",
            json!([{ "op": "replace", "path": "emails[type eq 'work'].value", "value": "k@example.com" }]),
            &[("/emails/0/value", json!("k@example.com"))],
            Refused("invalidPath"),
        ),
    ]
}

async fn fresh(app: &Client, name: &str) -> (Value, String) {
    let made = app.post("/Users", &user(name)).await.expect(201);
    let path = format!("/Users/{}", id(&made));
    (made, path)
}

async fn try_shapes(app: &TestApp, shapes: Vec<Shape>) {
    let strict = app.strict().await;
    for (number, shape) in shapes.into_iter().enumerate() {
        let context = format!("{} {}", shape.id, shape.operations);
        let name = format!("ada{number}@example.com");
        let (_, path) = fresh(app, &name).await;
        let after = app.patch(&path, &patch(shape.operations.clone())).await;
        assert_eq!(after.status, 200, "{context}: {after:?}");
        let stored = app.get(&path).await.expect(200);
        assert_eq!(after.body, stored, "{context}");
        for (pointer, value) in &shape.expected {
            let found = stored.pointer(pointer).cloned().unwrap_or_default();
            assert_eq!(&found, value, "{context}: {pointer} in {stored}");
        }

        let (before, path) = fresh(&strict, &name).await;
        let reply = strict.patch(&path, &patch(shape.operations)).await;
        match shape.strict {
            Taken => {
                let after = reply.expect(200);
                for (pointer, value) in &shape.expected {
                    let found = after.pointer(pointer).cloned().unwrap_or_default();
                    assert_eq!(&found, value, "strict: {context}: {pointer}");
                }
            }
            Refused(kind) => {
                reply.expect_error(400, kind);
                let unchanged = strict.get(&path).await.expect(200);
                assert_eq!(unchanged, before, "strict: {context}");
            }
        }
    }
}

// L-01, L-02, L-07, L-13
both!(published_attribute_forms_are_handled, |app| async move {
    try_shapes(&app, shapes_of_attributes()).await;
});

// L-03, L-04, R7644-3.5.2.3-12
both!(published_name_forms_are_handled, |app| async move {
    try_shapes(&app, shapes_of_names()).await;
    try_shapes(&app.neighbour().await, shapes_of_managers()).await;
});

// L-05, L-06, L-16
both!(published_list_forms_are_handled, |app| async move {
    try_shapes(&app, shapes_of_lists()).await;
    try_shapes(&app.neighbour().await, shapes_of_roles()).await;
});

// L-11, L-12, L-16, R7644-3.4.2.2-08, R7644-3.4.2.2-09, R7644-3.4.2.2-10
both!(published_filter_forms_are_handled, |app| async move {
    let strict = app.strict().await;
    for client in [&app, &strict] {
        fresh(client, "ada@example.com").await;
    }
    for (query, is_standard) in [
        ("filter=userName+eq+%22ada@example.com%22", true),
        ("filter=userName%20eq%20%22ADA@example.com%22", true),
        (
            "filter=externalId+eq+%220a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef%22",
            true,
        ),
        ("filter=emails[type+eq+%22work%22]", true),
        (
            "filter=emails[type+eq+%22work%22].value+eq+%22ada@example.com%22",
            false,
        ),
        ("filter=userName+eq+'ada@example.com'", false),
        ("filter=userName+eq+ada@example.com", false),
        ("filter=active+eq+True", false),
        ("filter=active+eq+%22True%22", false),
        (
            "filter=roles[primary+eq+%22True%22]+or+active+eq+true",
            false,
        ),
    ] {
        let path = format!("/Users?{query}");
        assert_eq!(app.get(&path).await.page().total, 1, "{query}");
        let reply = strict.get(&path).await;
        if is_standard {
            assert_eq!(reply.page().total, 1, "{query}");
        } else {
            reply.expect_error(400, "invalidFilter");
        }
    }
});

// L-01, L-02, L-05, L-11, L-14, R7644-3.4.2-02, R7644-3.6-01, R7644-3.6-02, R7643-4.1.2-06
both!(
    entra_provisions_a_tenant_from_probe_to_delete,
    |app| async move {
        // "Test connection": looks up a user that cannot exist.
        let probe = r#"userName eq "4d32ab19-ae09-4236-82fa-15768bc48f08""#;
        assert_eq!(app.list("/Users", &[("filter", probe)]).await.total, 0);

        // Entra looks up every object before it creates it.
        let by_name = r#"userName eq "ada@example.com""#;
        assert!(app.find_users(by_name).await.is_empty());
        let (ada, ada_path) = fresh(&app, "ada@example.com").await;
        let (eve, eve_path) = fresh(&app, "eve@example.com").await;
        assert_eq!(app.find_users(by_name).await, ["ada@example.com"]);

        // In a later cycle the profile has changed.
        let change = json!([
            { "op": "Replace", "path": "emails[type eq \"work\"].value", "value": "ada.king@example.com" },
            { "op": "Add", "path": "phoneNumbers[type eq \"mobile\"].value", "value": "+44 20 1234" },
            { "op": "Add", "path": format!("{ENTERPRISE}:manager"), "value": id(&eve) },
            { "op": "Replace", "path": "name.familyName", "value": "King" }
        ]);
        let changed = app.edit(&ada_path, change).await.expect(200);
        assert_eq!(changed["emails"][0]["value"], "ada.king@example.com");
        assert_eq!(changed[ENTERPRISE]["manager"]["value"], *id(&eve));

        group_of_entra(&app, &[id(&ada), id(&eve)]).await;

        // Unassigned from the app: the user is disabled, and found as such. Deleted in Entra ID:
        // the user is deleted here.
        let off = json!([{ "op": "Replace", "path": "active", "value": "False" }]);
        app.edit(&ada_path, off).await.expect(200);
        let found = app.list("/Users", &[("filter", by_name)]).await;
        assert_eq!(found.resources[0]["active"], false);
        for path in [&ada_path, &eve_path] {
            app.delete(path).await.expect(204);
            app.get(path).await.expect_error(404, "");
        }
        assert!(app.find_users(by_name).await.is_empty());
        fresh(&app, "ada@example.com").await;
    }
);

/// The life of a group: Entra never reads its members, and removes them by a list in the old
/// syntax.
async fn group_of_entra(app: &TestApp, members: &[&str]) {
    let by_name = [
        ("excludedAttributes", "members"),
        ("filter", r#"displayName eq "Surveyors""#),
    ];
    assert_eq!(app.list("/Groups", &by_name).await.total, 0);
    let made = json!({
        "schemas": [GROUP, "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"],
        "externalId": "8aa1a0c0-c4c3-4bc0-b4a5-2ef676900159",
        "displayName": "Surveyors",
        "members": [],
        "meta": { "resourceType": "Group" }
    });
    let made = app.post("/Groups", &made).await.expect(201);
    let path = format!("/Groups/{}", id(&made));
    let list = |ids: &[&str]| -> Value {
        let member = |id: &&str| json!({ "$ref": null, "value": id });
        ids.iter().map(member).collect()
    };
    let add = json!([{ "op": "Add", "path": "members", "value": list(members) }]);
    let full = app.edit(&path, add).await.expect(200);
    let mut expected: Vec<String> = members.iter().map(|&id| id.to_owned()).collect();
    expected.sort();
    assert_eq!(member_ids(&full), expected);
    for member in members {
        let groups = app.user(member).await["groups"].clone();
        assert_eq!(texts(groups.as_array().unwrap(), "value"), [id(&made)]);
    }

    let found = app.list("/Groups", &by_name).await;
    assert_eq!(found.total, 1);
    assert!(found.resources[0].get("members").is_none(), "left out");
    let one = with_query(&path, &[("excludedAttributes", "members")]);
    assert!(app.get(&one).await.expect(200).get("members").is_none());

    // The list of a `Remove` names the members to remove: the others remain.
    let (gone, stay) = (members[0], members[1]);
    let remove = json!([{ "op": "Remove", "path": "members", "value": list(&[gone]) }]);
    let left = app.edit(&path, remove).await.expect(200);
    assert_eq!(member_ids(&left), [stay]);
    let by_filter = format!("members[value eq \"{stay}\"]");
    let remove = json!([{ "op": "Remove", "path": by_filter }]);
    let left = app.edit(&path, remove).await.expect(200);
    assert!(member_ids(&left).is_empty(), "{left}");
    let rename = json!([{ "op": "Replace", "path": "displayName", "value": "Pilots" }]);
    app.edit(&path, rename).await.expect(200);
    assert_eq!(app.list("/Groups", &by_name).await.total, 0);
    app.delete(&path).await.expect(204);
}

// L-14, R7644-3.8-05
both!(the_scim_media_type_is_optional, |app| async move {
    for (number, headers) in [
        &[("content-type", "application/json")][..],
        &[("content-type", "application/json; charset=utf-8")],
        &[("content-type", "application/scim+json;charset=UTF-8")],
        &[],
    ]
    .into_iter()
    .enumerate()
    {
        let body = user(&format!("ada{number}@example.com")).to_string();
        let made = app
            .send(reqwest::Method::POST, "/Users", headers, body.into_bytes())
            .await;
        made.expect(201);
    }
});
