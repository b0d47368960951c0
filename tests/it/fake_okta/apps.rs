//! Apps: create, find, configure, connect, deactivate and delete.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::handler::{body, equals, only_query, page};
use super::http::{Reply, Request};
use super::org::{App, Connection, Dialect, Mapping, Org, USER_TYPE, now};
use super::{assign, profile};

const MEMBERS: [&str; 8] = [
    "name",
    "label",
    "signOnMode",
    "accessibility",
    "visibility",
    "settings",
    "credentials",
    "licensing",
];

pub fn route(
    org: &mut Org,
    request: &Request,
    segments: &[&str],
    outside: Option<Result<(), String>>,
) -> Option<Reply> {
    if let [_, id, ..] = segments
        && !org.apps.contains_key(*id)
    {
        return Some(Reply::not_found(&format!("{id} (AppInstance)")));
    }
    Some(match (request.method.as_str(), segments) {
        ("GET", ["apps"]) => list(org, request),
        ("POST", ["apps"]) => create(org, request),
        ("GET", ["apps", id]) => Reply::ok(app_json(org, &org.apps[*id])),
        ("PUT", ["apps", id]) => replace(org, request, id),
        ("DELETE", ["apps", id]) => delete(org, id),
        ("POST", ["apps", id, "lifecycle", "activate"]) => {
            app(org, id).is_active = true;
            org.note("application.lifecycle.activate", &[id], Ok(()));
            Reply::ok(json!({}))
        }
        ("POST", ["apps", id, "lifecycle", "deactivate"]) => deactivate(org, id),
        ("POST", ["apps", id, "logo"]) => logo(org, request, id),
        ("GET", ["apps", id, "connections", "default"]) => Reply::ok(connection(&org.apps[*id])),
        ("POST", ["apps", id, "connections", "default"]) => connect(org, request, id, outside),
        (
            "POST",
            [
                "apps",
                id,
                "connections",
                "default",
                "lifecycle",
                "activate" | "deactivate",
            ],
        ) => {
            app(org, id).is_active = true;
            Reply::empty()
        }
        ("GET", ["apps", id, "features"]) => features(org, id),
        ("PUT", ["apps", id, "features", "USER_PROVISIONING"]) => switch(org, request, id),
        (_, ["apps", _, "users" | "groups" | "group-push", ..]) => {
            return assign::route(org, request, segments);
        }
        _ => return None,
    })
}

pub fn app<'o>(org: &'o mut Org, id: &str) -> &'o mut App {
    org.apps.get_mut(id).expect("the route looked it up")
}

/// Returns the app as Okta represents it.
pub fn app_json(org: &Org, app: &App) -> Value {
    let mut app_json = app.body.clone();
    let mode = match app.name.as_str() {
        // As observed for catalogue apps.
        "deelhr" => Value::Null,
        _ => json!(app.sign_on_mode()),
    };
    app_json.insert("signOnMode".into(), mode);
    app_json.insert("id".into(), json!(app.id));
    app_json.insert(
        "orn".into(),
        json!(format!("orn:okta:idp:00o1:apps:{}", app.id)),
    );
    app_json.insert("name".into(), json!(app.name));
    app_json.insert("label".into(), json!(app.label));
    let status = if app.is_active { "ACTIVE" } else { "INACTIVE" };
    app_json.insert("status".into(), json!(status));
    app_json.insert("created".into(), json!(now()));
    app_json.insert("lastUpdated".into(), json!(now()));
    app_json.insert("features".into(), json!(app.features));
    let logo = json!([{ "name": "medium", "href": format!("{}/logo{}.png", org.url, app.logos), "type": "image/png" }]);
    app_json.insert("_links".into(), json!({ "logo": logo }));
    Value::Object(app_json)
}

fn list(org: &mut Org, request: &Request) -> Reply {
    let known = ["q", "filter", "limit", "after", "includeNonDeleted"];
    only_query(org, request, &known);
    let query = request.query();
    let with_inactive = query
        .get("includeNonDeleted")
        .is_some_and(|text| text == "true");
    let filter = query.get("filter").map(String::as_str);
    let name = match filter.map(|filter| equals(filter, "name")) {
        Some(None) => {
            org.complain(format!("a filter that Okta does not have: {filter:?}"));
            return Reply::error(400, "E0000031", "Invalid search criteria.");
        }
        other => other.flatten(),
    };
    let starts = query.get("q").map(|text| text.to_lowercase());
    let found: Vec<Value> = org
        .apps
        .values()
        .filter(|app| app.is_active || with_inactive)
        .filter(|app| name.is_none_or(|name| app.name == name))
        .filter(|app| {
            let starts = starts.as_deref().unwrap_or_default();
            app.label.to_lowercase().starts_with(starts) || app.name.starts_with(starts)
        })
        .map(|app| app_json(org, app))
        .collect();
    page(org, request, found, 20, 200)
}

fn create(org: &mut Org, request: &Request) -> Reply {
    only_query(org, request, &["activate"]);
    let Value::Object(mut given) = body(org, request, &MEMBERS) else {
        return Reply::invalid("no object");
    };
    let Some(Value::String(label)) = given.remove("label") else {
        return Reply::invalid("label: The field cannot be left blank");
    };
    if label.is_empty() || label.chars().count() > 100 {
        return Reply::invalid("label: 1 to 100 characters");
    }
    if let Some(missing_member) = missing_member(&given) {
        org.complain(format!(
            "{missing_member} is missing: {}",
            request.describe()
        ));
        return Reply::invalid(&format!("{missing_member}: The field cannot be left blank"));
    }
    let id = org.new_id("0oa");
    let name = match given.get("name").and_then(Value::as_str) {
        Some(name) => name.to_owned(),
        None => format!(
            "acme_{}_{}",
            label.to_lowercase().replace(' ', ""),
            org.apps.len() + 1
        ),
    };
    for (source, target) in [(USER_TYPE, id.as_str()), (id.as_str(), USER_TYPE)] {
        let mapping = Mapping {
            source: source.to_owned(),
            target: target.to_owned(),
            properties: profile::default_mapping(),
        };
        let mapping_id = org.new_id("prm");
        org.mappings.insert(mapping_id, mapping);
    }
    let app = App {
        id: id.clone(),
        name,
        label,
        is_active: request
            .query()
            .get("activate")
            .is_none_or(|text| text != "false"),
        body: given,
        features: Vec::new(),
        connection: None,
        logos: 0,
        users: BTreeMap::new(),
        groups: BTreeMap::new(),
        pushes: BTreeMap::new(),
        attributes: Map::new(),
    };
    let answer = app_json(org, &app);
    org.apps.insert(id.clone(), app);
    org.note("application.lifecycle.create", &[&id], Ok(()));
    Reply::ok(answer)
}

/// A replacement drops missing properties and resets the provisioning of a custom app, so only apps
/// without provisioning may be replaced.
fn replace(org: &mut Org, request: &Request, id: &str) -> Reply {
    if !["bookmark", "oidc_client", "template_swa"].contains(&org.apps[id].name.as_str()) {
        org.complain(format!("PUT of the app {id}, which can provision"));
    }
    let Value::Object(mut given) = body(org, request, &MEMBERS) else {
        return Reply::invalid("no object");
    };
    let Some(Value::String(label)) = given.remove("label") else {
        return Reply::invalid("label: The field cannot be left blank");
    };
    let app = app(org, id);
    (app.label, app.body) = (label, given);
    Reply::ok(app_json(org, &org.apps[id]))
}

/// Returns the first member that an app of this kind requires and the request lacks.
fn missing_member(given: &Map<String, Value>) -> Option<&'static str> {
    let given = Value::Object(given.clone());
    let lacks = |pointer: &str| given.pointer(pointer).is_none_or(Value::is_null);
    let name = given["name"].as_str();
    let needed: &[&'static str] = match (name, given["signOnMode"].as_str()) {
        (_, None) => &["/signOnMode"],
        (Some("bookmark"), Some("BOOKMARK")) => &["/settings/app/url"],
        (Some("oidc_client"), Some("OPENID_CONNECT")) => &[
            "/settings/oauthClient/application_type",
            "/credentials/oauthClient",
        ],
        (Some("template_swa"), Some("BROWSER_PLUGIN")) => &[
            "/settings/app/url",
            "/settings/app/usernameField",
            "/settings/app/passwordField",
            "/settings/app/buttonField",
        ],
        (Some("bookmark" | "oidc_client" | "template_swa"), _) => &["/signOnMode of this kind"],
        (None, Some("SAML_2_0")) => &[
            "/settings/signOn/ssoAcsUrl",
            "/settings/signOn/audience",
            "/settings/signOn/allowMultipleAcsEndpoints",
            "/settings/signOn/assertionSigned",
            "/settings/signOn/honorForceAuthn",
            "/settings/signOn/requestCompressed",
            "/settings/signOn/responseSigned",
        ],
        (None, Some("AUTO_LOGIN")) => &["/settings/signOn/loginUrl"],
        (None, Some(_)) => &["/name"],
        (Some(_), Some(_)) => &[],
    };
    needed.iter().copied().find(|pointer| lacks(pointer))
}

fn delete(org: &mut Org, id: &str) -> Reply {
    if org.apps[id].is_active {
        let text = "Delete application forbidden.";
        return Reply::error(403, "E0000056", text);
    }
    org.note("application.lifecycle.delete", &[id], Ok(()));
    org.apps.remove(id);
    org.mappings
        .retain(|_, mapping| mapping.source != id && mapping.target != id);
    Reply::empty()
}

/// Removes all group assignments, and with them the assigned users.
fn deactivate(org: &mut Org, id: &str) -> Reply {
    let groups: Vec<String> = org.apps[id].groups.keys().cloned().collect();
    for group in groups {
        assign::unassign_group(org, id, &group);
    }
    app(org, id).is_active = false;
    org.note("application.lifecycle.deactivate", &[id], Ok(()));
    Reply::ok(json!({}))
}

/// Accepts one part called `file`, of a type and size that Okta accepts.
fn logo(org: &mut Org, request: &Request, id: &str) -> Reply {
    let kind = request.header("content-type");
    let text = String::from_utf8_lossy(&request.body).into_owned();
    let is_file =
        kind.starts_with("multipart/form-data; boundary=") && text.contains("name=\"file\"");
    let is_image = ["image/png", "image/jpeg", "image/gif", "image/svg+xml"]
        .iter()
        .any(|kind| {
            text.to_lowercase()
                .contains(&format!("content-type: {kind}"))
        });
    if !is_file || !is_image || request.body.len() > 1_000_000 + 1_000 {
        org.complain(format!("no logo: {kind}, {} bytes", request.body.len()));
        return Reply::invalid("file: no image under 1 MB");
    }
    app(org, id).logos += 1;
    let location = format!("{}/api/v1/apps/{id}/logo", org.url);
    Reply::new(201, Value::Null).with("location", location)
}

/// Answers 200 with UNKNOWN if the app has no provisioning.
fn connection(app: &App) -> Value {
    match app.connection.as_ref().filter(|_| app.is_by_api()) {
        None => json!({ "status": "UNKNOWN", "profile": { "authScheme": "UNKNOWN" } }),
        Some(connection) => json!({
            "authScheme": "TOKEN", "status": "ENABLED", "baseUrl": connection.base_url,
            "profile": { "authScheme": "TOKEN" },
            "_links": { "deactivate": { "href": "…/lifecycle/deactivate" } },
        }),
    }
}

/// Returns the connection that a POST asks for, if the app supports it by API.
pub fn requested_connection(org: &Org, id: &str, request: &Request) -> Option<Connection> {
    let app = org.apps.get(id).filter(|app| app.is_by_api())?;
    let payload = request.json()?;
    let token = payload["profile"]["token"].as_str()?;
    (app.name != "google").then_some(())?;
    Some(Connection {
        base_url: payload["baseUrl"].as_str()?.to_owned(),
        authorization: format!("Bearer {token}"),
        dialect: Dialect::Patch,
    })
}

fn connect(
    org: &mut Org,
    request: &Request,
    id: &str,
    outside: Option<Result<(), String>>,
) -> Reply {
    only_query(org, request, &["activate"]);
    let given = body(org, request, &["baseUrl", "profile"]);
    if given["profile"]["authScheme"].as_str().is_none() {
        org.complain(format!("no authScheme: {}", request.describe()));
    }
    match outside {
        None => Reply::ok(connection(&org.apps[id])),
        Some(Err(problem)) => Reply::error_because(
            400,
            "E0000059",
            "Connector configuration could not be tested",
            &[&problem],
        ),
        Some(Ok(())) => {
            let connection_made = requested_connection(org, id, request);
            let app = app(org, id);
            app.connection = connection_made;
            Reply::ok(connection(app))
        }
    }
}

fn features(org: &mut Org, id: &str) -> Reply {
    let app = &org.apps[id];
    if app.connection.is_none() || !app.is_by_api() {
        return Reply::invalid("Provisioning is not enabled for the app instance.");
    }
    Reply::ok(json!([feature(app)]))
}

fn feature(app: &App) -> Value {
    let state = |name| json!({ "status": if app.features.contains(&name) { "ENABLED" } else { "DISABLED" } });
    json!({
        "name": "USER_PROVISIONING", "status": "ENABLED", "description": "User provisioning settings",
        "capabilities": {
            "create": { "lifecycleCreate": state("PUSH_NEW_USERS") },
            "update": {
                "profile": state("PUSH_PROFILE_UPDATES"),
                "lifecycleDeactivate": state("PUSH_USER_DEACTIVATION"),
                "password": { "status": "DISABLED", "seed": "RANDOM", "change": "KEEP_EXISTING" },
            },
        },
    })
}

fn switch(org: &mut Org, request: &Request, id: &str) -> Reply {
    let payload = body(org, request, &["create", "update"]);
    if org.apps[id].connection.is_none() {
        return Reply::invalid("Provisioning is not enabled for the app instance.");
    }
    let app = app(org, id);
    for (pointer, name) in [
        ("/create/lifecycleCreate/status", "PUSH_NEW_USERS"),
        ("/update/profile/status", "PUSH_PROFILE_UPDATES"),
        (
            "/update/lifecycleDeactivate/status",
            "PUSH_USER_DEACTIVATION",
        ),
    ] {
        match payload.pointer(pointer).and_then(Value::as_str) {
            Some("ENABLED") if !app.features.contains(&name) => app.features.push(name),
            Some("DISABLED") => app.features.retain(|held| *held != name),
            _ => {}
        }
    }
    // These apps push groups as soon as they provision users.
    if !app.features.contains(&"GROUP_PUSH") {
        app.features.push("GROUP_PUSH");
    }
    Reply::ok(feature(app))
}
