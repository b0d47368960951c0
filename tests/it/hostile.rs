//! Unexpected values for each parameter and each body member that the served OpenAPI document
//! names, one at a time. The server may reject the request, but it must answer, and not with a
//! server error.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::raw::Raw;
use crate::harness::{Client, TestApp, both_typed, sample, together};
use crate::types::device;

/// How long an answer may take on a busy machine before a test fails.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Concurrent requests: fewer than one tenant may have.
const AT_ONCE: usize = 8;
/// How deep members are searched.
const DEPTH: usize = 3;
/// The stream never ends.
const STREAM: &str = "/directory/v1/changes/stream";
/// Marks the value under test in a body.
const MARK: &str = "@hostile@";
/// Marks the `op` of an operation.
const OP_MARK: &str = "@op@";
/// The client library rejects longer targets.
const LONGEST_TARGET_BYTES: usize = 60_000;

fn long() -> String {
    "x".repeat(100_000)
}

/// Percent-encoded values for parameters.
fn parameter_values() -> Vec<String> {
    let short = [
        "%00",
        "a%00b%00",
        "%EF%BF%BF",
        // A lone surrogate, which is not valid UTF-8.
        "%ED%A0%80",
        "%FF",
        "%ZZ",
        "-1",
        "99999999999999999999999",
        "1.5",
        "null",
        "true",
        "%5B%5D",
        "%7B%22a%22%3A1%7D",
        "%22",
        "..",
    ];
    let short = short.map(str::to_owned).into_iter();
    short.chain(["x".repeat(50_000), long()]).collect()
}

/// Values for members, as JSON text; some are not valid JSON.
fn member_values() -> Vec<String> {
    let short = [
        r#""\u0000""#,
        r#""a\u0000b""#,
        r#""\uffff""#,
        r#""\ud800""#,
        r#""\udfffx""#,
        "null",
        "true",
        "7",
        "-1.5",
        "1e400",
        "99999999999999999999999",
        r#""x""#,
        r#""""#,
        "[]",
        "{}",
        "[[]]",
        "[null]",
        r#"["x",7]"#,
        r#"[{"value":{"value":[1]}}]"#,
        r#"{"a":{"b":[{}]}}"#,
        r#"{"\u0000":1}"#,
        r#"{"value":"\uffff","\ud800":1}"#,
    ];
    let short = short.map(str::to_owned).into_iter();
    short.chain([format!("\"{}\"", long())]).collect()
}

struct Case {
    method: Method,
    path: String,
    header: Option<(String, String)>,
    body: String,
}

impl Case {
    async fn try_out(&self, client: &Client) -> Result<(), String> {
        let status = if self.path.len() > LONGEST_TARGET_BYTES {
            let mut raw = Raw::connect(client);
            let head = format!(
                "{} {} HTTP/1.1\r\nHost: x\r\nAuthorization: {}\r\nConnection: close\r\n\r\n",
                self.method,
                self.path,
                client.credentials()
            );
            raw.write(head.as_bytes());
            raw.read_reply().status
        } else if self.path.starts_with(STREAM) {
            let opened = tokio::time::timeout(TIMEOUT, client.open(&self.path, &[]));
            let opened = opened.await.map_err(|_| self.describe("no answer"))?;
            opened.status().as_u16()
        } else {
            let mut headers = vec![("content-type", "application/scim+json")];
            headers.extend(self.header.iter().map(|(name, value)| (&**name, &**value)));
            let body = self.body.clone().into_bytes();
            let sent = client.try_send(self.method.clone(), &self.path, &headers, body);
            let sent = tokio::time::timeout(TIMEOUT, sent).await;
            let reply = sent.map_err(|_| self.describe("no answer"))?;
            reply
                .map_err(|error| self.describe(&format!("{error:?}")))?
                .status
        };
        // A feature that the operator disabled is not implemented (RFC 7644 section 3.11), whatever
        // the request contains.
        let is_off = status == 501 && self.path.starts_with("/scim/v2/Me");
        match (200..500).contains(&status) && status != 429 || is_off {
            true => Ok(()),
            false => Err(self.describe(&status.to_string())),
        }
    }

    fn describe(&self, what: &str) -> String {
        let short = |text: &str| text.chars().take(300).collect::<String>();
        let (method, path, body) = (&self.method, short(&self.path), short(&self.body));
        format!("{what}: {method} {path} {:?} {body}", self.header)
    }
}

/// The OpenAPI document, and values for the parameters of its paths.
struct Document {
    json: Value,
    /// One resource of each endpoint.
    ids: Vec<(String, String)>,
    tenant: String,
}

impl Document {
    async fn new(app: &TestApp, admin: &Client) -> Self {
        let json = admin.get("/openapi.json").await.plain(200);
        let mut document = Self {
            json,
            ids: Vec::new(),
            tenant: app.tenant.clone(),
        };
        let mut ids = Vec::new();
        for (path, method, operation) in document.operations() {
            let is_create = method == "post"
                && document.json["paths"]
                    .get(format!("{path}/{{id}}"))
                    .is_some();
            let example = document.example(&path, &method, operation);
            if let (true, Some(example)) = (is_create, example) {
                let created = admin.post(&path, &example).await.expect(201);
                let id = created["id"].as_str().unwrap().to_owned();
                ids.push((path, id));
            }
        }
        assert!(ids.len() >= 3, "{ids:?}");
        document.ids = ids;
        document
    }

    /// Returns path, method and description of every operation.
    fn operations(&self) -> Vec<(String, String, &Value)> {
        let mut operations = Vec::new();
        for (path, item) in self.json["paths"].as_object().unwrap() {
            let item = item.as_object().unwrap().iter();
            for (method, operation) in item.filter(|(_, value)| value.is_object()) {
                operations.push((path.clone(), method.clone(), operation));
            }
        }
        operations
    }

    fn resolve<'d>(&'d self, value: &'d Value) -> &'d Value {
        let reference = value.get("$ref").and_then(Value::as_str);
        reference.map_or(value, |to| {
            let pointer = to.trim_start_matches('#');
            self.json.pointer(pointer).unwrap()
        })
    }

    fn content<'d>(&'d self, operation: &'d Value) -> Option<&'d Value> {
        let body = self.resolve(operation.get("requestBody")?);
        body["content"].as_object()?.values().next()
    }

    /// Returns a valid body, in which a value is then replaced.
    fn example(&self, path: &str, method: &str, operation: &Value) -> Option<Value> {
        let content = self.content(operation)?;
        let named = content["examples"].as_object().into_iter().flatten();
        let mut examples = named.map(|(_, example)| &example["value"]);
        let example = examples.next().or_else(|| content.get("example")).cloned();
        let is_resource = ["post", "put"].contains(&method) && !path.ends_with("/.search");
        example.or_else(|| match method {
            "patch" => Some(sample::patch(
                json!([{ "op": "replace", "path": "displayName", "value": "x" }]),
            )),
            _ if is_resource && path.starts_with("/scim/v2/Devices") => Some(device("S1")),
            _ => None,
        })
    }

    /// Fills each parameter of the path, and sets this one to `value`.
    fn filled(&self, template: &str, parameter: &str, value: &str) -> String {
        let known = self
            .ids
            .iter()
            .find(|(endpoint, _)| template == format!("{endpoint}/{{id}}"));
        let id = known.map_or("nobody", |(_, id)| id);
        let is_tenant = template.starts_with("/admin/v1/tenants/");
        let segments = template.split('/').map(|segment| {
            match segment
                .strip_prefix('{')
                .and_then(|name| name.strip_suffix('}'))
            {
                None => segment,
                Some(name) if name == parameter => value,
                Some("id") => id,
                Some("name") if is_tenant => &self.tenant,
                Some(_) => "nobody",
            }
        });
        segments.collect::<Vec<_>>().join("/")
    }

    /// Collects the JSON pointers of all members of a schema; for a list, those of its first
    /// element.
    fn members(&self, schema: &Value, at: &str, depth: usize, into: &mut Vec<String>) {
        let schema = self.resolve(schema);
        if depth == 0 {
            return;
        }
        for part in ["allOf", "anyOf", "oneOf"] {
            for inner in schema[part].as_array().into_iter().flatten() {
                self.members(inner, at, depth, into);
            }
        }
        for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
            let pointer = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
            self.members(inner, &pointer, depth - 1, into);
            into.push(pointer);
        }
        if let Some(items) = schema.get("items") {
            let pointer = format!("{at}/0");
            self.members(items, &pointer, depth, into);
            into.push(pointer);
        }
    }

    fn parameter_cases(&self, path: &str, method: &Method, operation: &Value) -> Vec<Case> {
        let mut cases = Vec::new();
        let mut push = |path: String, header| {
            cases.push(Case {
                method: method.clone(),
                path,
                header,
                body: String::new(),
            });
        };
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        for parameter in parameters.map(|parameter| self.resolve(parameter)) {
            let name = parameter["name"].as_str().unwrap();
            for value in parameter_values() {
                match parameter["in"].as_str().unwrap() {
                    "path" => push(self.filled(path, name, &value), None),
                    "query" => push(
                        format!("{}?{name}={value}", self.filled(path, "", "")),
                        None,
                    ),
                    "header" => {
                        let header = (name.to_lowercase(), value);
                        push(self.filled(path, "", ""), Some(header));
                    }
                    other => panic!("a parameter in {other}"),
                }
            }
        }
        cases
    }

    fn body_cases(&self, path: &str, method: &Method, operation: &Value) -> Vec<Case> {
        let Some(content) = self.content(operation) else {
            return Vec::new();
        };
        let name = method.as_str().to_lowercase();
        let example = self.example(path, &name, operation);
        let example = example.unwrap_or_else(|| json!({}));
        let mut pointers = vec![String::new(), "/unknown".to_owned()];
        self.members(&content["schema"], "", DEPTH, &mut pointers);
        pointers.sort();
        pointers.dedup();
        let mut bodies: Vec<String> = pointers
            .iter()
            .map(|pointer| {
                let mut body = example.clone();
                put(&mut body, pointer, json!(MARK));
                body.to_string()
            })
            .collect();
        if *method == Method::PATCH && path.starts_with("/scim/v2") {
            bodies.extend(self.patches(path));
        }
        let path = self.filled(path, "", "");
        let mark = json!(MARK).to_string();
        let values = member_values();
        let mut cases = Vec::new();
        for (position, body) in bodies.iter().enumerate() {
            for (number, value) in values.iter().enumerate() {
                // Each value is tried in each position, and each operation with some of them.
                let op = ["add", "replace", "remove"][(position + number) % 3];
                cases.push(Case {
                    method: method.clone(),
                    path: path.clone(),
                    header: None,
                    body: body.replace(&mark, value).replace(OP_MARK, op),
                });
            }
        }
        cases
    }

    /// Returns operations on each attribute of a PUT.
    fn patches(&self, path: &str) -> Vec<String> {
        let content = self.content(&self.json["paths"][path]["put"]).unwrap();
        let mut pointers = Vec::new();
        self.members(&content["schema"], "", DEPTH, &mut pointers);
        let paths = pointers
            .iter()
            .filter(|pointer| !pointer.contains("/0"))
            .map(|pointer| {
                let path = pointer.trim_start_matches('/').replace("~1", "/");
                match path.strip_prefix("urn:") {
                    Some(_) => path.replacen('/', ":", 1).replace('/', "."),
                    None => path.replace('/', "."),
                }
            });
        let others = [
            json!([{ "op": OP_MARK, "value": MARK }]),
            json!([{ "op": OP_MARK, "value": { "urn:x:y:2.0:User": MARK } }]),
            json!([{ "op": OP_MARK, "value": { "urn:x:y:2.0:User:a.b": MARK } }]),
            json!([{ "op": OP_MARK, "path": "urn:x:y:2.0:User:list", "value": MARK }]),
            json!([{ "op": "remove", "path": MARK, "value": MARK }]),
        ];
        paths
            .map(|path| json!([{ "op": OP_MARK, "path": path, "value": MARK }]))
            .chain(others)
            .map(|operations| sample::patch(operations).to_string())
            .collect()
    }

    fn cases(&self) -> Vec<Case> {
        let mut cases = Vec::new();
        for (path, method, operation) in self.operations() {
            let method: Method = method.to_uppercase().parse().unwrap();
            cases.extend(self.parameter_cases(&path, &method, operation));
            cases.extend(self.body_cases(&path, &method, operation));
        }
        cases
    }
}

/// Sets a value at a JSON pointer, and creates missing parents.
fn put(body: &mut Value, pointer: &str, value: Value) {
    let mut at = body;
    for segment in pointer.split('/').skip(1) {
        at = match segment {
            "0" => {
                if at.as_array().is_none_or(Vec::is_empty) {
                    *at = json!([null]);
                }
                &mut at[0]
            }
            name => {
                if !at.is_object() {
                    *at = json!({});
                }
                &mut at[name.replace("~1", "/").replace("~0", "~")]
            }
        };
    }
    *at = value;
}

both_typed!(
    hostile_parameters_and_members_cause_no_server_error,
    |app| async move {
        let admin = app.client_with_scopes(&["scim", "admin"]).await.site();
        let document = Document::new(&app, &admin).await;
        let cases = Arc::new(document.cases());
        assert!(cases.len() > 5_000, "only {} cases", cases.len());
        let failed = together((0..AT_ONCE).map(|worker| {
            let (cases, admin) = (Arc::clone(&cases), admin.clone());
            async move {
                let mut failed = Vec::new();
                for case in cases.iter().skip(worker).step_by(AT_ONCE) {
                    failed.extend(case.try_out(&admin).await.err());
                }
                failed
            }
        }));
        let failed = failed.await.concat();
        println!("{} cases", cases.len());
        let shown = failed
            .iter()
            .take(20)
            .cloned()
            .collect::<Vec<_>>()
            .join("\n");
        assert!(
            failed.is_empty(),
            "{} of {}:\n{shown}",
            failed.len(),
            cases.len()
        );
        // An accepted resource can be read.
        for path in [
            "/scim/v2/Users",
            "/scim/v2/Groups",
            "/scim/v2/Devices",
            "/scim/v2",
            "/directory/v1/changes",
            "/directory/v1/snapshot",
        ] {
            let read = admin.get(path).await;
            assert_eq!(read.status, 200, "{read:?}");
        }
    }
);
