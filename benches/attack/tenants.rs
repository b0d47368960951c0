//! The tenants of both sides, their tokens and their users.

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use crate::connection::Connection;
use crate::server::Server;

/// The users of one bulk request.
const BULK: usize = 1_000;
/// The users of the victim.
const VICTIM_USERS: usize = 1_000;

/// The tenants of both sides.
pub struct Tenants {
    pub host: String,
    pub victim: Tenant,
    pub attacker: Tenant,
    /// A token of the attacker that may only read.
    pub read_token: String,
    /// A user of the attacker with many e-mail addresses.
    pub large_user: String,
}

/// A tenant's token and users.
pub struct Tenant {
    pub token: String,
    pub ids: Vec<String>,
}

pub fn user_name(number: usize) -> String {
    format!("user{number:07}@example.com")
}

impl Tenants {
    /// Creates both tenants and their users.
    pub fn create(server: &Server, users: usize) -> anyhow::Result<Self> {
        let host = server.host.clone();
        let mut admin = server.connect()?;
        let mut tenant = |name: &str, users: usize| -> anyhow::Result<Tenant> {
            post(&mut admin, "/admin/v1/tenants", &json!({ "name": name }))?;
            let token = token(&mut admin, name, "scim")?;
            let ids = fill(&mut Connection::open(&host, &token)?, users)?;
            Ok(Tenant { token, ids })
        };
        let victim = tenant("victim", VICTIM_USERS)?;
        let attacker = tenant("attacker", users)?;
        let read_token = token(&mut admin, "attacker", "read")?;
        let large_user = large_user(&mut Connection::open(&host, &attacker.token)?)?;
        Ok(Self {
            host,
            victim,
            attacker,
            read_token,
            large_user,
        })
    }
}

/// Creates a user with as many e-mail addresses as the server allows.
fn large_user(connection: &mut Connection) -> anyhow::Result<String> {
    for count in [20_000, 10_000, 5_000, 1_000, 100] {
        let emails: Vec<Value> = (0..count)
            .map(|number| json!({ "value": format!("e{number}@example.com") }))
            .collect();
        let user = json!({ "userName": "large@example.com", "emails": emails });
        let request = connection.request("POST", "/Users", Some(&user));
        if connection.exchange(&request)?.0 == 201 {
            return id(&connection.body()?);
        }
    }
    anyhow::bail!("no large user was accepted");
}

fn token(admin: &mut Connection, tenant: &str, scope: &str) -> anyhow::Result<String> {
    let new = json!({ "tenant": tenant, "name": scope, "scopes": [scope] });
    let created = post(admin, "/admin/v1/tokens", &new)?;
    let token = created.get("token").and_then(Value::as_str);
    Ok(token.context("no token")?.to_owned())
}

/// Creates users by bulk requests, as many of each as there are bytes for; returns their ids.
fn fill(connection: &mut Connection, users: usize) -> anyhow::Result<Vec<String>> {
    let mut ids = Vec::with_capacity(users);
    let numbers: Vec<usize> = (0..users).collect();
    for part in numbers.chunks(BULK) {
        let operations: Vec<Value> = part.iter().map(|number| creation(*number)).collect();
        let schema = "urn:ietf:params:scim:api:messages:2.0:BulkRequest";
        let bulk = json!({ "schemas": [schema], "Operations": operations });
        let answer = post(connection, "/scim/v2/Bulk", &bulk)?;
        let outcomes = answer.get("Operations").and_then(Value::as_array);
        for outcome in outcomes.context("no operations")? {
            let location = outcome.get("location").and_then(Value::as_str);
            let location = location.with_context(|| format!("not created: {outcome}"))?;
            ids.push(location.rsplit('/').next().unwrap_or_default().to_owned());
        }
    }
    ensure!(ids.len() == users, "{} of {users} users", ids.len());
    Ok(ids)
}

fn creation(number: usize) -> Value {
    let name = user_name(number);
    json!({
        "method": "POST",
        "path": "/Users",
        "bulkId": format!("b{number}"),
        "data": {
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
            "userName": name,
            "name": { "givenName": "Ada", "familyName": "King" },
            "emails": [{ "value": name, "type": "work", "primary": true }],
            "active": true,
        },
    })
}

fn post(connection: &mut Connection, path: &str, body: &Value) -> anyhow::Result<Value> {
    let request = connection.request_at("POST", path, Some(body));
    connection.send(&request)?;
    connection.body()
}

fn id(body: &Value) -> anyhow::Result<String> {
    let id = body.get("id").and_then(Value::as_str);
    Ok(id.context("no id")?.to_owned())
}
