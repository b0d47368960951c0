//! A request, the resource that exists before it, and the outcome for each kind of tenant.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::harness::{Client, Reply, SCIM, TestApp, id, sample, with_query};
use crate::types::{DESK, DEVICE, PURPOSE, WARRANTY};

const PREMISES: &str = "urn:example:scim:schemas:extension:premises:2.0:User";
const BULK: &str = "urn:ietf:params:scim:api:messages:2.0:BulkRequest";
const SEARCH: &str = "urn:ietf:params:scim:api:messages:2.0:SearchRequest";

/// Values of `{name}` in names, texts and expectations; `{ada}` and `{bob}` are ids of users.
const NAMES: [(&str, &str); 9] = [
    ("{user}", sample::USER),
    ("{group}", sample::GROUP),
    ("{device}", DEVICE),
    ("{enterprise}", sample::ENTERPRISE),
    ("{desk}", DESK),
    ("{premises}", PREMISES),
    ("{purpose}", PURPOSE),
    ("{warranty}", WARRANTY),
    ("{acme}", "urn:acme:x"),
];

/// A row of a table on the page.
pub struct Row {
    /// The heading that the table is under.
    pub table: String,
    pub first_cell: String,
    pub cases: Vec<Case>,
}

pub struct Case {
    /// Settings of the tenant, besides its compatibility.
    pub settings: Value,
    /// The resource that exists and that the request targets.
    pub before: Option<Draft>,
    pub request: Request,
    pub tolerant: Outcome,
    pub strict: Outcome,
}

/// A resource as a client describes it.
pub struct Draft {
    pub endpoint: &'static str,
    pub body: Value,
}

pub enum Request {
    Post(Draft),
    Put(Draft),
    /// The operations, without their envelope.
    Patch(Value),
    /// Sent as GET and as `.search`.
    Find(String),
    /// A request sent as written, to a path in which `{id}` is the id of the existing resource.
    Raw {
        method: Method,
        path: String,
        headers: Vec<(String, String)>,
        body: Value,
    },
}

/// How a tenant answers a request.
pub enum Outcome {
    /// The resource has these values: of objects the named members, of lists all elements; null
    /// means that the member is absent.
    Becomes(Value),
    /// Success without any change, `meta` included.
    Unchanged,
    /// An error with this status, `scimType` and text in its detail, without any change.
    Refused(u16, String, String),
    /// Whether the filter finds the existing resource.
    Finds(bool),
    /// For raw requests: the status, and values of the body.
    Answers(u16, Value),
}

impl Case {
    /// Writes are sent alone and in bulk.
    fn ways(&self) -> &'static [Way] {
        match self.request {
            Request::Post(_) | Request::Put(_) | Request::Patch(_) => &[Way::Alone, Way::InBulk],
            Request::Find(_) | Request::Raw { .. } => &[Way::Alone],
        }
    }

    fn endpoint(&self) -> &'static str {
        match (&self.before, &self.request) {
            (_, Request::Post(draft)) | (Some(draft), _) => draft.endpoint,
            (None, _) => panic!("a case without a resource"),
        }
    }
}

/// Runs the cases of these rows for a tolerant and a strict tenant, writes both alone and in bulk.
pub async fn check(app: &TestApp, rows: &[Row]) {
    let mut problems = Vec::new();
    for compatibility in ["tolerant", "strict"] {
        let world = World::new(app.neighbour().await, compatibility).await;
        for row in rows {
            for (number, case) in row.cases.iter().enumerate() {
                for way in case.ways() {
                    if let Err(problem) = world.check(case, *way).await {
                        let name = &row.first_cell;
                        problems.push(format!(
                            "{name}: case {number}, {compatibility}, {way:?}: {problem}"
                        ));
                    }
                }
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n\n"));
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Alone,
    InBulk,
}

/// A tenant with two users.
struct World {
    app: TestApp,
    admin: Client,
    compatibility: &'static str,
    ids: [(&'static str, String); 2],
}

impl World {
    async fn new(app: TestApp, compatibility: &'static str) -> Self {
        let (ada, bob) = (app.create_user("ada").await, app.create_user("bob").await);
        let ids = [
            ("{ada}", id(&ada).to_owned()),
            ("{bob}", id(&bob).to_owned()),
        ];
        Self {
            admin: app.server.admin().site(),
            app,
            compatibility,
            ids,
        }
    }

    async fn check(&self, case: &Case, way: Way) -> Result<(), String> {
        // The existing resource may be one that only a tolerant tenant accepts.
        self.set(json!({ "compatibility": "tolerant" })).await;
        let before = match &case.before {
            Some(draft) => {
                let body = self.fill(&draft.body);
                Some(self.app.post(draft.endpoint, &body).await.expect(201))
            }
            None => None,
        };
        let mut settings = json!({ "group_names": "any", "compatibility": self.compatibility });
        for (name, value) in case.settings.as_object().expect("settings") {
            settings[name] = value.clone();
        }
        self.set(settings).await;
        let outcome = match self.compatibility {
            "strict" => &case.strict,
            _ => &case.tolerant,
        };
        let endpoint = case.endpoint();
        let path = match &before {
            Some(before) => format!("{endpoint}/{}", id(before)),
            None => endpoint.to_owned(),
        };
        let problem = if let (Request::Find(filter), Some(before)) = (&case.request, &before) {
            let filter = self.fill_text(filter);
            let found = self.find(&path, &filter, outcome, before).await;
            found.map_err(|problem| format!("{filter}: {problem}"))
        } else {
            let answer = self.send(case, way, &path, before.as_ref()).await;
            let judged = self.judge(&answer, outcome, &path, before.as_ref()).await;
            judged.map_err(|problem| format!("{problem}\n    {}", answer.shown))
        };
        self.clear(endpoint).await;
        problem
    }

    /// Deletes the resources that the case created.
    async fn clear(&self, endpoint: &str) {
        for resource in self.app.list(endpoint, &[]).await.ids() {
            if self.ids.iter().all(|(_, known)| *known != resource) {
                let path = format!("{endpoint}/{resource}");
                self.app.delete(&path).await.expect(204);
            }
        }
    }

    async fn set(&self, settings: Value) {
        let path = format!("/admin/v1/tenants/{}", self.app.tenant);
        let set = self.admin.patch(&path, &settings).await;
        assert_eq!(set.status, 200, "{set:?}");
    }

    async fn send(&self, case: &Case, way: Way, path: &str, before: Option<&Value>) -> Answer {
        let (method, body) = match &case.request {
            Request::Post(draft) => (Method::POST, self.fill(&draft.body)),
            Request::Put(draft) => (Method::PUT, self.fill(&draft.body)),
            Request::Patch(operations) => (Method::PATCH, sample::patch(self.fill(operations))),
            Request::Raw {
                method,
                path,
                headers,
                body,
            } => {
                let path = self.fill_text(&path.replace("{id}", before.map_or("", id)));
                let mut headers: Vec<(&str, &str)> = headers
                    .iter()
                    .map(|(name, value)| (name.as_str(), value.as_str()))
                    .collect();
                let mut bytes = Vec::new();
                if !body.is_null() {
                    headers.push(("content-type", SCIM));
                    bytes = coded(&headers, &self.fill(body).to_string());
                }
                let reply = self.app.send(method.clone(), &path, &headers, bytes).await;
                return Answer::of(reply);
            }
            Request::Find(_) => panic!("a filter is not sent by this"),
        };
        if way == Way::Alone {
            let headers = [("accept", SCIM), ("content-type", SCIM)];
            let bytes = body.to_string().into_bytes();
            return Answer::of(self.app.send(method, path, &headers, bytes).await);
        }
        let mut operation = json!({ "method": method.as_str(), "path": path, "data": body });
        if method == Method::POST {
            operation["bulkId"] = json!("b");
        }
        let bulk = json!({ "schemas": [BULK], "Operations": [operation] });
        let results = self.app.post("/Bulk", &bulk).await.expect(200);
        let result = &results["Operations"][0];
        let status: u16 = result["status"].as_str().unwrap().parse().unwrap();
        let location = result["location"].as_str().unwrap_or_default();
        let body = match status {
            200 | 201 => {
                let (_, path) = location.split_once("/scim/v2").expect("a location");
                self.app.get(path).await.expect(200)
            }
            _ => result["response"].clone(),
        };
        Answer {
            status,
            body,
            shown: format!("{operation} -> {result}"),
        }
    }

    async fn judge(
        &self,
        answer: &Answer,
        outcome: &Outcome,
        path: &str,
        before: Option<&Value>,
    ) -> Result<(), String> {
        let body = &answer.body;
        match outcome {
            Outcome::Becomes(values) => {
                let status = if before.is_none() { 201 } else { 200 };
                equal("status", &answer.status, &status)?;
                inside(&self.fill(values), body)?;
                let path = match before {
                    Some(_) => path.to_owned(),
                    None => format!("{path}/{}", id(body)),
                };
                let read = self.app.get(&path).await.expect(200);
                equal("what is read afterwards", &read, body)?;
                names_its_schemas(body)?;
            }
            Outcome::Unchanged => {
                equal("status", &answer.status, &200)?;
                equal("the resource", body, before.expect("something before"))?;
            }
            Outcome::Refused(status, scim_type, detail) => {
                equal("status", &answer.status, status)?;
                equal("scimType", &text(body, "scimType"), &scim_type.as_str())?;
                let has_detail = text(body, "detail").contains(&self.fill_text(detail));
                equal("detail has what it should", &has_detail, &true)?;
                self.is_untouched(path, before).await?;
            }
            Outcome::Answers(status, values) => {
                equal("status", &answer.status, status)?;
                inside(&self.fill(values), body)?;
            }
            Outcome::Finds(_) => panic!("a write finds nothing"),
        }
        Ok(())
    }

    async fn is_untouched(&self, path: &str, before: Option<&Value>) -> Result<(), String> {
        if let Some(before) = before {
            let read = self.app.get(path).await.expect(200);
            return equal("what is read after the refusal", &read, before);
        }
        let mut created = self.app.list(path, &[]).await.ids();
        created.retain(|id| self.ids.iter().all(|(_, known)| known != id));
        equal("what was created", &created, &Vec::new())
    }

    async fn find(
        &self,
        path: &str,
        filter: &str,
        outcome: &Outcome,
        before: &Value,
    ) -> Result<(), String> {
        let (endpoint, _) = path.rsplit_once('/').expect("the path of a resource");
        let search = json!({
            "schemas": [SEARCH],
            "filter": filter,
        });
        let query = with_query(endpoint, &[("filter", filter)]);
        for reply in [
            self.app.get(&query).await,
            self.app.post(&format!("{endpoint}/.search"), &search).await,
        ] {
            match outcome {
                Outcome::Finds(found) => {
                    equal("status", &reply.status, &200)?;
                    let ids = reply.page().ids();
                    equal("found", &ids.iter().any(|one| one == id(before)), found)?;
                }
                refused => {
                    let answer = Answer::of(reply);
                    self.judge(&answer, refused, path, Some(before)).await?;
                }
            }
        }
        Ok(())
    }

    fn fill(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.fill_text(text)),
            Value::Array(elements) => elements.iter().map(|one| self.fill(one)).collect(),
            Value::Object(members) => {
                let filled =
                    |(name, value): (&String, &Value)| (self.fill_text(name), self.fill(value));
                Value::Object(members.iter().map(filled).collect::<Map<_, _>>())
            }
            other => other.clone(),
        }
    }

    fn fill_text(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (name, value) in NAMES {
            text = text.replace(name, value);
        }
        for (name, id) in &self.ids {
            text = text.replace(name, id);
        }
        text
    }
}

/// Encodes a body with the `Content-Encoding` of these headers.
fn coded(headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    let coding = headers.iter().find(|(name, _)| *name == "content-encoding");
    let mut bytes = Vec::new();
    match coding {
        Some((_, "gzip")) => {
            let mut encoder = GzEncoder::new(&mut bytes, Compression::default());
            encoder.write_all(body.as_bytes()).expect("encodes");
        }
        Some((_, "deflate")) => {
            let mut encoder = ZlibEncoder::new(&mut bytes, Compression::default());
            encoder.write_all(body.as_bytes()).expect("encodes");
        }
        _ => bytes.extend(body.bytes()),
    }
    bytes
}

/// A reply, or the result of one operation of a bulk response.
struct Answer {
    status: u16,
    body: Value,
    shown: String,
}

impl Answer {
    fn of(reply: Reply) -> Self {
        Self {
            shown: format!("{} -> {} {}", reply.request, reply.status, reply.body),
            status: reply.status,
            body: reply.body,
        }
    }
}

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap_or_default()
}

fn equal<T: PartialEq + std::fmt::Debug>(what: &str, found: &T, wanted: &T) -> Result<(), String> {
    if found == wanted {
        return Ok(());
    }
    Err(format!("{what}: {found:?}, wanted {wanted:?}"))
}

/// Checks that `found` contains all of `wanted`, where null stands for an absent member.
fn inside(wanted: &Value, found: &Value) -> Result<(), String> {
    match (wanted, found) {
        (Value::Object(wanted), Value::Object(found)) => {
            wanted.iter().try_for_each(|(name, wanted)| {
                let problem = match (wanted, found.get(name)) {
                    (Value::Null, None) => Ok(()),
                    (Value::Null, Some(found)) => Err(format!("{found} is there")),
                    (wanted, Some(found)) => inside(wanted, found),
                    (_, None) => Err("is missing".to_owned()),
                };
                problem.map_err(|problem| format!("{name}: {problem}"))
            })
        }
        (Value::Array(wanted), Value::Array(found)) if wanted.len() == found.len() => wanted
            .iter()
            .zip(found)
            .try_for_each(|(wanted, found)| inside(wanted, found)),
        _ if wanted == found => Ok(()),
        _ => Err(format!("{found}, wanted {wanted}")),
    }
}

/// Checks that `schemas` names the core schema and each extension present, whatever the client
/// sent.
fn names_its_schemas(resource: &Value) -> Result<(), String> {
    let names = resource.as_object().expect("a resource").keys();
    let mut there: Vec<&str> = names.map(String::as_str).collect();
    there.retain(|name| name.contains(':'));
    let urns = resource["schemas"].as_array().expect("schemas");
    let urns: Vec<&str> = urns.iter().filter_map(Value::as_str).collect();
    let (core, mut named) = match urns.split_first() {
        Some((core, named)) => (*core, named.to_vec()),
        None => ("", Vec::new()),
    };
    equal(
        "the first of schemas is a core schema",
        &core.contains(":core:"),
        &true,
    )?;
    named.sort_unstable();
    there.sort_unstable();
    equal("schemas", &named, &there)
}
