//! Queries of the directory between measurements.

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use crate::sample;
use crate::server::Server;

/// Checks that all users exist.
pub fn check(server: &Server, users: usize) -> anyhow::Result<()> {
    let mut connection = server.connect()?;
    let page = connection.request("GET", "/Users?count=1", None);
    connection.send(&page)?;
    let total = connection
        .body()?
        .get("totalResults")
        .and_then(Value::as_u64);
    ensure!(
        total == u64::try_from(users).ok(),
        "{total:?} users and not {users}"
    );
    Ok(())
}

/// Returns the number of the last change.
pub fn last_change(server: &Server) -> anyhow::Result<u64> {
    let mut connection = server.connect()?;
    let request = connection.request_at("GET", "/directory/v1/changes?limit=1", None);
    connection.send(&request)?;
    let last = connection.body()?.get("last").and_then(Value::as_u64);
    last.context("a feed without an end")
}

/// Reactivates all users.
pub fn activate_all(server: &Server) -> anyhow::Result<()> {
    let mut connection = server.connect()?;
    let inactive = "/Users?filter=active%20eq%20false&attributes=id&count=200";
    loop {
        let request = connection.request("GET", inactive, None);
        connection.send(&request)?;
        let page = connection.body()?;
        let users = page
            .get("Resources")
            .and_then(Value::as_array)
            .context("no page")?;
        if users.is_empty() {
            return Ok(());
        }
        let activate = |user: &Value| {
            let path = format!(
                "/Users/{}",
                user.get("id").and_then(Value::as_str).unwrap_or_default()
            );
            let change = sample::patch(json!([{ "op": "replace", "value": { "active": true } }]));
            json!({ "method": "PATCH", "path": path, "data": change })
        };
        let body = json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],
            "Operations": users.iter().map(activate).collect::<Value>(),
        });
        let request = connection.request("POST", "/Bulk", Some(&body));
        connection.send(&request)?;
    }
}
