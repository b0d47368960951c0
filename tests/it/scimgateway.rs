//! jelhub/scimgateway as a client: the requests of its plugin-scim, derived from its source
//! (version 6.1.18).
//!
//! It sends `application/json; charset=utf-8`, never a `schemas`, and URLs whose filters only the
//! URL parser encodes.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Client, Page, Reply, both, id, member_ids, texts};

/// The attributes that the gateway requests when it explores.
const ATTRIBUTES: &str = "userName,active,name.givenName,name.familyName,name.formatted,title,emails,phoneNumbers,entitlements,id";

/// A client with the headers of the gateway.
struct Gateway<'a>(&'a Client);

impl Gateway<'_> {
    async fn send(&self, method: Method, path: &str, body: Option<Value>) -> Reply {
        let mut headers = vec![("accept", "application/json")];
        if body.is_some() {
            headers.push(("content-type", "application/json; charset=utf-8"));
        }
        let body = body.map_or_else(Vec::new, |body| body.to_string().into_bytes());
        self.0.send(method, path, &headers, body).await
    }

    async fn get(&self, path: &str) -> Value {
        self.send(Method::GET, path, None).await.expect(200)
    }

    async fn list(&self, path: &str) -> Page {
        self.send(Method::GET, path, None).await.page()
    }

    /// Creates a resource, then reads it by its name, as the gateway does to find the id.
    async fn create(&self, endpoint: &str, name: &str, body: Value) -> Value {
        let made = self.send(Method::POST, endpoint, Some(body.clone())).await;
        let made = made.expect(201);
        let value = body[name].as_str().unwrap();
        let path = format!("{endpoint}?filter={name} eq \"{value}\"");
        let page = self.list(&path).await;
        assert_eq!(page.ids(), [id(&made)], "{path}");
        made
    }

    /// Changes a resource; the operations come without `schemas`.
    async fn modify(&self, path: &str, operations: Value) {
        let body = json!({ "Operations": operations });
        let changed = self.send(Method::PATCH, path, Some(body)).await;
        assert!([200, 204].contains(&changed.status), "{changed:?}");
    }

    async fn delete(&self, path: &str) {
        self.send(Method::DELETE, path, None).await.expect(204);
    }
}

/// The body that the plugin creates for a user with few attributes: missing values are null, the
/// title is empty.
fn sparse(user_name: &str) -> Value {
    json!({
        "userName": user_name,
        "active": true,
        "password": null,
        "name": { "givenName": null, "familyName": null, "formatted": null },
        "title": "",
        "emails": null,
        "phoneNumbers": null,
        "entitlements": null
    })
}

fn full(user_name: &str) -> Value {
    json!({
        "userName": user_name,
        "active": true,
        "password": "q7#Lm2xz",
        "name": { "givenName": "Barbara", "familyName": "Jensen", "formatted": "Ms. Barbara J Jensen III" },
        "title": "Tour Guide",
        "emails": [{ "value": "bjensen@example.com", "type": "work" }],
        "phoneNumbers": [{ "value": "555-555-5555", "type": "work" }],
        "entitlements": [{ "value": "Example", "type": "company" }]
    })
}

/// A `replace` without a path: the only form in which the plugin changes users.
fn replace(value: Value) -> Value {
    json!([{ "op": "replace", "value": value }])
}

fn members(ids: &[&str]) -> Value {
    ids.iter().map(|id| json!({ "value": id })).collect()
}

both!(scimgateway_manages_users, |app| async move {
    let gateway = Gateway(&app.client);
    let made = gateway.create("/Users", "userName", full("bjensen")).await;
    let sparse = gateway.create("/Users", "userName", sparse("jsmith")).await;
    assert_eq!(made["schemas"], json!([crate::harness::sample::USER]));
    for absent in ["title", "emails", "phoneNumbers", "entitlements", "name"] {
        assert!(sparse.get(absent).is_none(), "{absent}: {sparse}");
    }
    let again = gateway
        .send(Method::POST, "/Users", Some(full("BJensen")))
        .await;
    again.expect_error(409, "uniqueness");

    // By id, with an empty list of attributes, and with the list that it explores with.
    let path = format!("/Users/{}", id(&made));
    let read = gateway.get(&format!("{path}?attributes=")).await;
    assert_eq!(read, gateway.get(&path).await);
    assert_eq!(read["name"]["familyName"], "Jensen");
    let read = gateway
        .get(&format!("{path}?attributes={ATTRIBUTES}"))
        .await;
    assert_eq!(
        read["entitlements"],
        json!([{ "value": "Example", "type": "company" }])
    );
    for filter in [
        r#"userName eq "bjensen""#,
        r#"name.givenName sw "Bar""#,
        r#"emails.value eq "bjensen@example.com""#,
    ] {
        let found = gateway
            .list(&format!("/Users?filter={filter}&attributes={ATTRIBUTES}"))
            .await;
        assert_eq!(found.ids(), [id(&made)], "{filter}");
    }
    assert_eq!(gateway.list("/Users").await.total, 2);
    let explored = gateway.list("/Users?attributes=userName,id").await;
    let mut names = texts(&explored.resources, "userName");
    names.sort();
    assert_eq!(names, ["bjensen", "jsmith"]);
    assert!(explored.resources[0].get("active").is_none());

    // Parts of a name, an empty title and lists in one value; other attributes remain.
    let change = json!({
        "active": false,
        "password": "Kx4!pw9z",
        "name": { "familyName": "Smith", "formatted": "" },
        "title": "",
        "emails": [{ "value": "bsmith@example.com", "type": "work" }]
    });
    gateway.modify(&path, replace(change)).await;
    let read = gateway.get(&path).await;
    assert_eq!(read["active"], false);
    assert_eq!(
        read["name"],
        json!({ "givenName": "Barbara", "familyName": "Smith" })
    );
    assert!(read.get("title").is_none(), "{read}");
    assert_eq!(
        read["emails"],
        json!([{ "value": "bsmith@example.com", "type": "work" }])
    );
    assert_eq!(read["phoneNumbers"][0]["value"], "555-555-5555");

    // The gateway marks a value that it was asked to delete; the mark is not a sub-attribute and is
    // not stored.
    let marked = json!({ "phoneNumbers": [
        { "operation": "delete", "value": "555-555-5555", "type": "work" }
    ] });
    gateway.modify(&path, replace(marked)).await;
    let read = gateway.get(&path).await;
    assert_eq!(
        read["phoneNumbers"],
        json!([{ "value": "555-555-5555", "type": "work" }])
    );

    gateway
        .modify(&path, replace(json!({ "active": true })))
        .await;
    assert_eq!(gateway.get(&path).await["active"], true);
    gateway.delete(&path).await;
    let gone = gateway
        .send(Method::GET, &format!("{path}?attributes="), None)
        .await;
    gone.expect_error(404, "");
    assert_eq!(gateway.list("/Users").await.total, 1);
});

both!(scimgateway_manages_groups, |app| async move {
    let gateway = Gateway(&app.client);
    let mut users = Vec::new();
    for name in ["ada", "bea", "cyd"] {
        users.push(gateway.create("/Users", "userName", sparse(name)).await);
    }
    let ids: Vec<&str> = users.iter().map(id).collect();
    let group = json!({ "displayName": "Admins" });
    let group = gateway.create("/Groups", "displayName", group).await;
    let path = format!("/Groups/{}", id(&group));
    let employees = json!({ "displayName": "Employees" });
    let employees = gateway.create("/Groups", "displayName", employees).await;
    assert_eq!(gateway.list("/Groups").await.total, 2);

    let add = json!({ "op": "add", "path": "members", "value": members(&ids[..2]) });
    gateway.modify(&path, json!([add])).await;
    let add = json!({ "op": "add", "path": "members", "value": members(&ids[2..]) });
    let remove = json!({ "op": "remove", "path": "members", "value": members(&ids[..1]) });
    gateway.modify(&path, json!([add, remove])).await;
    let mut expected = vec![ids[1], ids[2]];
    expected.sort_unstable();
    let read = gateway
        .get(&format!("{path}?attributes=id,displayName,members.value"))
        .await;
    assert_eq!(member_ids(&read), expected);
    assert_eq!(read["displayName"], "Admins");

    // The groups of a user, with only their names.
    let of = |member: &str| {
        format!("/Groups?filter=members.value eq \"{member}\"&attributes=id,displayName")
    };
    let found = gateway.list(&of(ids[1])).await;
    assert_eq!(texts(&found.resources, "displayName"), ["Admins"]);
    assert!(found.resources[0].get("members").is_none());
    assert_eq!(gateway.list(&of(ids[0])).await.total, 0);

    // A deleted user is removed from each group first.
    for group in gateway.list(&of(ids[1])).await.ids() {
        let remove = json!({ "op": "remove", "path": "members", "value": members(&[ids[1]]) });
        gateway
            .modify(&format!("/Groups/{group}"), json!([remove]))
            .await;
    }
    gateway.delete(&format!("/Users/{}", ids[1])).await;
    assert_eq!(member_ids(&gateway.get(&path).await), [ids[2]]);

    gateway.delete(&path).await;
    assert_eq!(gateway.list("/Groups").await.ids(), [id(&employees)]);
});
