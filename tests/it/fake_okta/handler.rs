//! Handles requests: authenticates the client, injects faults, and routes to the part of the org
//! that answers.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use super::http::{Reply, Request};
use super::org::{Access, Fault, Org, When, now_s};
use super::{Shared, apps, assign, hooks, oauth, profile, push};

/// Serves one connection: one request, and its answer unless a fault prevents it.
pub async fn answer(shared: Arc<Shared>, mut stream: TcpStream) {
    let Some(request) = Request::read(&mut stream).await else {
        return;
    };
    let (number, fault) = shared.lock().record_request(&request);
    if let Some(double) = &shared.double
        && let Some(complaint) = prism_complaint(&shared, double, &request).await
    {
        shared.lock().complain(complaint);
    }
    let reply = match fault {
        Some(Fault::LoseRequest) => return,
        Some(Fault::HoldRequest) => return hold_open(&shared, stream).await,
        Some(Fault::Broken) => Reply::error(500, "E0000009", "Internal Server Error"),
        Some(Fault::ReadOnly) => Reply::error(503, "E0000010", "Service is in read only mode"),
        Some(Fault::Forbidden) => Reply::forbidden(),
        Some(Fault::Concurrent) => Reply::error(409, "E0000268", "Another change is running"),
        Some(Fault::NotFound) => Reply::error(404, "E0000008", "The requested path was not found"),
        Some(Fault::NoJson) => Reply::ok(Value::Null).with_page("<html>Sign in</html>"),
        Some(Fault::Redirect) => {
            let place = on_other_host(&shared, &request);
            Reply::new(302, Value::Null).with("location", place)
        }
        Some(Fault::ForeignPage) => {
            let place = on_other_host(&shared, &request);
            Reply::ok(json!([])).with("link", format!("<{place}>; rel=\"next\""))
        }
        Some(Fault::Limited | Fault::LimitedAtTheEdge) => {
            let text = "API call exceeded rate limit due to too many requests.";
            Reply::error(429, "E0000047", text)
        }
        _ => {
            let outside = call_out(&shared, &request).await;
            route(&mut shared.lock(), &request, outside)
        }
    };
    shared.notify();
    match fault {
        Some(Fault::LoseAnswer) => {}
        Some(Fault::HoldAnswer) => hold_open(&shared, stream).await,
        Some(Fault::LimitedAtTheEdge) => {
            let bare = Reply::new(429, Value::Null);
            bare.write(&mut stream).await;
        }
        _ => {
            let reply = with_common_headers(&shared.lock(), reply, number);
            reply.write(&mut stream).await;
        }
    }
}

/// Returns the same path on the other host.
fn on_other_host(shared: &Shared, request: &Request) -> String {
    let host = shared.lock().elsewhere.clone().expect("another host");
    format!("{host}{}", request.path)
}

/// Holds the connection open until the client closes it.
async fn hold_open(shared: &Shared, mut stream: TcpStream) {
    shared.lock().is_holding = true;
    shared.notify();
    let mut buffer = [0; 16];
    while matches!(stream.read(&mut buffer).await, Ok(1..)) {}
}

/// Adds the headers that every answer has.
fn with_common_headers(org: &Org, reply: Reply, number: usize) -> Reply {
    let now = jiff::Timestamp::from_second(now_s() + org.clock_ahead_s).expect("a time");
    let left = if reply.status == 429 {
        0
    } else {
        org.requests_left
    };
    reply
        .with("x-okta-request-id", format!("req{number}"))
        .with("x-rate-limit-limit", "600")
        .with("x-rate-limit-remaining", left.to_string())
        .with("x-rate-limit-reset", (now.as_second() + 1).to_string())
        .with(
            "date",
            now.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string(),
        )
}

impl Org {
    /// Records the request; returns its number and the fault planned for it.
    fn record_request(&mut self, request: &Request) -> (usize, Option<Fault>) {
        self.requests.push(request.clone());
        let is_ours = request.header("user-agent").starts_with("rollcall/");
        let is_write = is_ours && request.is_write() && request.path.starts_with("/api/v1/");
        if is_write {
            self.writes += 1;
        }
        let retried = request.header("x-okta-retry-for");
        if !retried.is_empty() && !retried.starts_with("req") {
            self.complain(format!("a retry of nothing: {retried}"));
        }
        let writes = self.writes;
        let due = self.faults.iter().position(|planned| match planned.when {
            When::Write(number) => is_write && writes == number,
            When::Request(method, part) => request.method == method && request.path.contains(part),
        });
        let fault = due.map(|at| self.faults.remove(at).fault);
        (self.requests.len(), fault)
    }
}

/// Lets Prism validate the request against Okta's own description; returns its complaint.
async fn prism_complaint(shared: &Shared, double: &str, request: &Request) -> Option<String> {
    let is_ours = request.header("user-agent").starts_with("rollcall/");
    if !is_ours || request.path.starts_with("/oauth2/") {
        return None;
    }
    let method = request.method.parse().expect("a method");
    let url = match request.raw_query.as_str() {
        "" => format!("{double}{}", request.path),
        query => format!("{double}{}?{query}", request.path),
    };
    let mut sent = shared.http.request(method, url);
    for name in ["authorization", "accept", "content-type"] {
        if let Some(value) = request.headers.get(name) {
            sent = sent.header(name, value);
        }
    }
    let answer = match sent.body(as_described(request)).send().await {
        Ok(answer) => answer,
        Err(error) => return Some(format!("Prism does not answer: {error}")),
    };
    let status = answer.status().as_u16();
    if status < 400 {
        return None;
    }
    let said = answer.text().await.unwrap_or_default();
    Some(format!(
        "by contract {status} for {}: {said}",
        request.describe()
    ))
}

/// Returns the body without parts that Okta's guide documents but its description lacks: `null`
/// removes a property of an app's profile, which the description does not allow.
fn as_described(request: &Request) -> Vec<u8> {
    let pointer = "/definitions/custom/properties";
    let removes = request.path.starts_with("/api/v1/meta/schemas/apps/");
    let Some(mut body) = request.json().filter(|_| removes && request.is_write()) else {
        return request.body.clone();
    };
    if let Some(Value::Object(properties)) = body.pointer_mut(pointer) {
        properties.retain(|_, property| !property.is_null());
    }
    body.to_string().into_bytes()
}

/// Sends the requests that Okta makes before it answers: a connection test, or the challenge of an
/// event hook.
async fn call_out(shared: &Shared, request: &Request) -> Option<Result<(), String>> {
    match (request.method.as_str(), &request.segments()[..]) {
        ("POST", ["apps", app, "connections", "default"]) => {
            let connection = apps::requested_connection(&shared.lock(), app, request)?;
            Some(push::test(&shared.http, &connection).await)
        }
        ("POST", ["eventHooks", hook, "lifecycle", "verify"]) => {
            let channel = shared.lock().hooks.get(*hook)?["channel"]["config"].clone();
            Some(hooks::challenge(&shared.http, &channel).await)
        }
        _ => None,
    }
}

/// The authenticated client and its permissions.
pub struct Holder {
    pub user: Option<String>,
    pub roles: Vec<&'static str>,
    pub scopes: Option<Vec<String>>,
}

fn route(org: &mut Org, request: &Request, outside: Option<Result<(), String>>) -> Reply {
    match (request.method.as_str(), request.path.as_str()) {
        ("GET", "/.well-known/okta-organization") => return organization(org, request),
        ("POST", "/oauth2/v1/token") => return oauth::token(org, request),
        // A receiver of event hooks, so that a test needs no other.
        ("GET", "/hook") => {
            let challenge = request.header("x-okta-verification-challenge");
            return Reply::ok(json!({ "verification": challenge }));
        }
        _ => {}
    }
    let segments = request.segments();
    if request.header("accept") != "application/json" {
        org.complain(format!("no Accept: {}", request.describe()));
    }
    let holder = match authenticate(org, request) {
        Ok(holder) => holder,
        Err(reply) => return reply,
    };
    if !is_permitted(&holder, request, &segments) {
        return Reply::forbidden();
    }
    let reply = match segments.first() {
        Some(&"apps") => apps::route(org, request, &segments, outside),
        Some(&("users" | "groups" | "api-tokens")) => {
            assign::route_directory(org, request, &segments, &holder)
        }
        Some(&("meta" | "mappings")) => profile::route(org, request, &segments),
        Some(&("eventHooks" | "logs")) => hooks::route(org, request, &segments, outside),
        _ => None,
    };
    reply.unwrap_or_else(|| {
        org.complain(format!("no such operation: {}", request.describe()));
        Reply::error(
            405,
            "E0000022",
            "The endpoint does not support the provided HTTP method",
        )
    })
}

fn organization(org: &mut Org, request: &Request) -> Reply {
    if !request.header("authorization").is_empty() {
        org.complain("a credential where none is needed: the organization's address");
    }
    Reply::ok(json!({
        "id": "00o1orgOfTheStories1", "pipeline": "idx",
        "_links": { "organization": { "href": org.url } },
        "settings": { "analyticsCollectionEnabled": false },
    }))
}

fn authenticate(org: &mut Org, request: &Request) -> Result<Holder, Reply> {
    let invalid = || Reply::error(401, "E0000011", "Invalid token provided");
    let header = request.header("authorization").to_owned();
    let (scheme, secret) = header.split_once(' ').unwrap_or((&header, ""));
    match scheme {
        "SSWS" => {
            let token = org.tokens.iter().find(|token| token.secret == secret);
            let token = token.cloned().ok_or_else(invalid)?;
            if token.is_expired {
                return Err(invalid());
            }
            if token.is_elsewhere {
                let text = "API token was used outside of its allowed network zone";
                org.note(
                    "system.api_token.request_outside_allowed_range",
                    &[&token.id],
                    Err(text),
                );
                let text = "You do not have permission to access the feature you are requesting";
                return Err(Reply::error(403, "E0000006", text));
            }
            Ok(Holder {
                user: Some(token.user),
                roles: token.roles,
                scopes: None,
            })
        }
        "Bearer" | "DPoP" => {
            let access = org.access.iter().find(|access| access.token == secret);
            let access: Access = access.cloned().ok_or_else(invalid)?;
            oauth::check_access(org, request, &access, scheme)?;
            let app = org
                .service_apps
                .iter()
                .find(|app| app.client_id == access.client_id);
            Ok(Holder {
                user: None,
                roles: app.ok_or_else(invalid)?.roles.clone(),
                scopes: Some(access.scopes),
            })
        }
        _ => Err(Reply::error(403, "E0000005", "Invalid session")),
    }
}

/// Checks the scope that a service app needs, or the roles of which a token's owner needs one.
fn is_permitted(holder: &Holder, request: &Request, segments: &[&str]) -> bool {
    let reads = request.method == "GET";
    let scopes: &[&str] = match segments {
        ["users", "me"] | ["api-tokens", "current"] => return holder.user.is_some(),
        ["apps", _, "group-push", ..] => &["okta.apps", "okta.groups"],
        ["apps", ..] => &["okta.apps"],
        ["groups", ..] => &["okta.groups"],
        ["users", _, "roles"] => &["okta.roles"],
        ["users", ..] => &["okta.users"],
        ["meta", ..] => &["okta.schemas"],
        ["mappings", ..] => &["okta.profileMappings"],
        ["logs"] => &["okta.logs"],
        ["eventHooks", ..] => &["okta.eventHooks"],
        ["api-tokens", ..] => &["okta.apiTokens"],
        _ => return true,
    };
    let has_scope = |area: &&str| match &holder.scopes {
        None => true,
        Some(held) => held.iter().any(|scope| {
            *scope == format!("{area}.manage") || (reads && *scope == format!("{area}.read"))
        }),
    };
    let roles: &[&str] = match segments {
        ["apps", _, "group-push", ..] if !reads => &["USER_ADMIN"],
        ["apps" | "meta" | "mappings", ..] if reads => &["APP_ADMIN", "READ_ONLY_ADMIN"],
        ["apps" | "meta" | "mappings", ..] => &["APP_ADMIN"],
        ["users", _, "roles"] | ["eventHooks" | "api-tokens", ..] => &["ORG_ADMIN"],
        ["users" | "groups" | "logs", ..] if reads => {
            &["APP_ADMIN", "USER_ADMIN", "READ_ONLY_ADMIN", "REPORT_ADMIN"]
        }
        _ => &["USER_ADMIN"],
    };
    let has_role = holder
        .roles
        .iter()
        .any(|role| *role == "SUPER_ADMIN" || roles.contains(role));
    scopes.iter().all(has_scope) && has_role
}

// Helpers for every part of the API.

/// Returns one page of a list, with two `Link` headers: `self` and `next`.
pub fn page(
    org: &mut Org,
    request: &Request,
    items: Vec<Value>,
    default: usize,
    max: usize,
) -> Reply {
    let query = request.query();
    let limit = match query.get("limit").map(|text| text.parse::<usize>()) {
        None => default,
        Some(Ok(limit)) if (1..=max).contains(&limit) => limit,
        Some(_) => {
            org.complain(format!("limit must be 1 to {max}: {}", request.describe()));
            return Reply::invalid("limit: out of range");
        }
    };
    let limit = limit.min(org.page_size);
    let start = match query.get("after").map(|after| after.strip_prefix("cur")) {
        None => 0,
        Some(Some(number)) => number.parse().expect("a cursor"),
        Some(None) => return Reply::invalid("after: no cursor of ours"),
    };
    let end = items.len().min(start + limit);
    let here = format!("{}{}?{}", org.url, request.path, request.raw_query);
    let rest = items.len() > end;
    let describe = items.get(start..end).unwrap_or_default().to_vec();
    let reply = Reply::ok(json!(describe)).with("link", format!("<{here}>; rel=\"self\""));
    if !rest {
        return reply;
    }
    let others = request
        .raw_query
        .split('&')
        .filter(|pair| !pair.is_empty() && !pair.starts_with("after="));
    let query: Vec<&str> = others.collect();
    let next = format!(
        "{}{}?after=cur{end}&{}",
        org.url,
        request.path,
        query.join("&")
    );
    reply.with(
        "link",
        format!("<{}>; rel=\"next\"", next.trim_end_matches(['&', '?'])),
    )
}

/// Complains about a query parameter that the operation does not have.
pub fn only_query(org: &mut Org, request: &Request, known: &[&str]) {
    for name in request.query().keys() {
        if !known.contains(&name.as_str()) {
            org.complain(format!(
                "unknown query parameter {name}: {}",
                request.describe()
            ));
        }
    }
}

/// Returns the body, an object with only these members; complains about anything else.
pub fn body(org: &mut Org, request: &Request, known: &[&str]) -> Value {
    let is_json = request
        .header("content-type")
        .starts_with("application/json");
    let Some(Value::Object(object)) = request.json().filter(|_| is_json) else {
        org.complain(format!("no JSON object: {}", request.describe()));
        return json!({});
    };
    for name in object.keys() {
        if !known.contains(&name.as_str()) {
            org.complain(format!("unknown member {name}: {}", request.describe()));
        }
    }
    Value::Object(object)
}

/// Parses `NAME eq "VALUE"`.
pub fn equals<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let value = text.strip_prefix(name)?.strip_prefix(" eq \"")?;
    value.strip_suffix('"').filter(|value| !value.contains('"'))
}
