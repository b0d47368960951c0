//! Fuzz tests: arbitrary bytes and arbitrary JSON to every endpoint. The server never answers 5xx
//! and never drops a connection, and a refused request leaves the tenant unchanged.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU32, Ordering};

use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::harness::{Backend, Reply, SCIM, TestApp, id, percent_encode, runtime, sample};

/// The tenant under test, with the ids of its two users and two groups.
struct Fixture {
    app: TestApp,
    user: String,
    group: String,
}

impl Fixture {
    async fn open(app: TestApp) -> Self {
        let user = app
            .post("/Users", &sample::full_user("ada@example.com"))
            .await
            .expect(201);
        let other = app.create_user("bob@example.com").await;
        let group = app
            .create_group("Surveyors", &[id(&user), id(&other)])
            .await;
        app.create_group("Outer", &[id(&group)]).await;
        let (user, group) = (id(&user).to_owned(), id(&group).to_owned());
        Self { app, user, group }
    }

    /// Returns everything that the tenant contains.
    async fn contents(&self) -> (Value, Value) {
        let users = self.app.get("/Users").await.expect(200);
        (users, self.app.get("/Groups").await.expect(200))
    }

    /// Sends one request; `before` is the tenant's content, and is updated.
    async fn send_one(
        &self,
        before: &mut (Value, Value),
        method: Method,
        path: &str,
        content_type: &str,
        body: Vec<u8>,
    ) -> Result<Reply, TestCaseError> {
        let headers = [("content-type", content_type)];
        let sent = self.app.try_send(method.clone(), path, &headers, body);
        let reply = sent
            .await
            .map_err(|error| TestCaseError::fail(format!("no answer: {error:?}")))?;
        prop_assert!(reply.status < 500, "{:?}", reply);
        if reply.status >= 400 && method != Method::HEAD {
            let schemas = &reply.body["schemas"];
            let error = json!(["urn:ietf:params:scim:api:messages:2.0:Error"]);
            prop_assert_eq!(schemas, &error, "no SCIM error: {:?}", reply);
        }
        let after = self.contents().await;
        if !(200..300).contains(&reply.status) || [Method::GET, Method::HEAD].contains(&method) {
            prop_assert_eq!(&after, &*before, "a refusal left something behind");
        }
        *before = after;
        Ok(reply)
    }
}

/// Runs this many cases, each against a tolerant or a strict tenant.
fn run_cases<S: Strategy>(
    backend: Backend,
    cases: u32,
    strategy: &S,
    check: impl AsyncFn(&Fixture, &mut (Value, Value), S::Value) -> Result<(), TestCaseError>,
) {
    let config = Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 200,
        ..Config::default()
    };
    let runtime = runtime();
    let opened = runtime.block_on(async {
        let app = TestApp::start(backend).await?;
        let neighbour = app.neighbour().await;
        let ranges = [Fixture::open(app).await, Fixture::open(neighbour).await];
        // Only now, because the initial content is more than a strict tenant accepts.
        let strict = json!({ "compatibility": "strict" });
        ranges[1].app.set(&strict).await;
        let before = [ranges[0].contents().await, ranges[1].contents().await];
        Some((ranges, before.map(RefCell::new)))
    });
    let Some((ranges, before)) = opened else {
        return;
    };
    let result = TestRunner::new(config).run(&(0..2_usize, strategy), |(one, case)| {
        runtime.block_on(check(&ranges[one], &mut before[one].borrow_mut(), case))
    });
    if let Err(error) = result {
        panic!("{error}\n{}", ranges[0].app.server.log_tail());
    }
}

/// Runs the same on both databases.
macro_rules! both_fuzzed {
    ($name:ident, $cases:expr, $strategy:expr, $check:expr $(,)?) => {
        mod $name {
            use super::*;

            #[test]
            fn sqlite() {
                run_cases(Backend::Sqlite, $cases, &$strategy, $check);
            }

            #[test]
            fn postgres() {
                run_cases(Backend::Postgres, $cases, &$strategy, $check);
            }
        }
    };
}

const METHODS: [Method; 6] = [
    Method::GET,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
    Method::HEAD,
];

/// Paths of every route; `{user}` and `{group}` stand for the ids of the fixture.
const PATHS: [&str; 14] = [
    "/Users",
    "/Groups",
    "/Users/{user}",
    "/Groups/{group}",
    "/Users/unknown",
    "/Groups/{user}",
    "/ServiceProviderConfig",
    "/ResourceTypes",
    "/ResourceTypes/User",
    "/Schemas",
    "/Schemas/urn:ietf:params:scim:schemas:core:2.0:User",
    "/Bulk",
    "/Me",
    "/.search",
];

fn fill_path(fixture: &Fixture, path: &str) -> String {
    path.replace("{user}", &fixture.user)
        .replace("{group}", &fixture.group)
}

/// Generates text that tends to cause trouble: protocol names, fragments of the grammars, and
/// arbitrary text.
fn odd_text() -> impl Strategy<Value = String> {
    let known = select(vec![
        "userName",
        "USERNAME",
        "emails",
        "emails[type eq \"work\"].value",
        "members",
        "members[value eq \"x\"]",
        "name.givenName",
        "id",
        "meta",
        "schemas",
        "groups",
        "password",
        "active",
        "displayName",
        "externalId",
        "value",
        "type",
        "primary",
        "$ref",
        "op",
        "path",
        "Operations",
        "add",
        "remove",
        "replace",
        "True",
        "",
        " ",
        "\u{0}",
        "a\u{0}b",
        "ﬃ",
        "İ",
        "\u{202e}",
        "🦀",
        sample::USER,
        sample::ENTERPRISE,
        sample::PATCH_OP,
        "urn:x:y:z",
        "urn:",
        ":",
    ]);
    prop_oneof![3 => known.prop_map(str::to_owned), 1 => any::<String>()]
}

fn odd_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        odd_text().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((odd_text(), inner), 0..5)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// Replaces one node of a valid body with an arbitrary value: it gets further than random input.
fn damaged(bodies: Vec<Value>) -> impl Strategy<Value = Value> {
    (
        select(bodies),
        any::<Index>(),
        odd_json(),
        odd_text(),
        any::<bool>(),
    )
        .prop_map(|(mut body, index, replacement, name, rename)| {
            let mut pointers = Vec::new();
            collect(&body, String::new(), &mut pointers);
            let pointer = index.get(&pointers);
            let node = body.pointer_mut(pointer).expect("a node of the body");
            match node {
                Value::Object(map) if rename => {
                    map.insert(name, replacement);
                }
                _ => *node = replacement,
            }
            body
        })
}

fn collect(value: &Value, pointer: String, into: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (name, inner) in map {
                let name = name.replace('~', "~0").replace('/', "~1");
                collect(inner, format!("{pointer}/{name}"), into);
            }
        }
        Value::Array(list) => {
            for (index, inner) in list.iter().enumerate() {
                collect(inner, format!("{pointer}/{index}"), into);
            }
        }
        _ => {}
    }
    into.push(pointer);
}

fn resources() -> Vec<Value> {
    vec![
        sample::full_user("ada@example.com"),
        sample::user("new@example.com"),
        sample::group("Surveyors", &["x", "y"]),
    ]
}

fn patches() -> Vec<Value> {
    let department = format!("{}:department", sample::ENTERPRISE);
    [
        json!({ "op": "replace", "path": "emails[type eq \"work\" and primary eq true].value", "value": "x" }),
        json!({ "op": "add", "path": "emails", "value": [{ "value": "x", "type": "home", "primary": true }] }),
        json!({ "op": "replace", "path": "name", "value": { "givenName": "Ada", "familyName": "King" } }),
        json!({ "op": "remove", "path": "addresses[not (country eq \"GB\")].region" }),
        json!({ "op": "replace", "value": { "active": "False", "title": "Dr.", "emails": [{ "value": "x" }] } }),
        json!({ "op": "add", "path": department, "value": "Looms" }),
        json!({ "op": "add", "path": sample::ENTERPRISE, "value": { "manager": { "value": "x" } } }),
        json!({ "op": "add", "path": "members", "value": [{ "value": "x", "display": "y" }] }),
        json!({ "op": "remove", "path": "members[value eq \"x\" or display sw \"y\"]" }),
        json!({ "op": "replace", "value": { "displayName": "West", "members": [{ "value": "x" }] } }),
    ]
    .map(|operation| sample::patch(json!([operation])))
    .to_vec()
}

/// Generates bulk requests with references in both directions, all kinds of operations and a
/// damaged one among them.
fn bulks() -> impl Strategy<Value = Value> {
    let reference = || {
        select(vec![
            "bulkId:0", "bulkId:1", "bulkId:2", "bulkId:3", "bulkId:", "nobody", "{user}",
        ])
    };
    let group = (reference(), reference()).prop_map(|(one, other)| {
        json!({ "schemas": [sample::GROUP], "displayName": "Bulk", "members": [{ "value": one }, { "value": other }] })
    });
    let data = prop_oneof![
        group,
        odd_json(),
        damaged(resources()),
        damaged(patches()),
        (0..9_u32).prop_map(|n| sample::user(&format!("bulk{n}@example.com"))),
    ];
    let method = select(vec![
        "POST", "POST", "PUT", "PATCH", "DELETE", "GET", "post",
    ]);
    let fill_path = select(vec![
        "/Users", "/Groups", "/Groups", "/Users/", "/Groups/", "/Bulk", "Users", "//", "",
    ]);
    let operation = (method, fill_path, reference(), 0..4_u32, data).prop_map(
        |(method, fill_path, reference, bulk_id, data)| {
            let path = match fill_path.ends_with('/') {
                true => format!("{fill_path}{reference}"),
                false => fill_path.to_owned(),
            };
            json!({ "method": method, "path": path, "bulkId": bulk_id.to_string(), "data": data })
        },
    );
    let operation = prop_oneof![8 => operation, 1 => odd_json()];
    let fail_on_errors = prop_oneof![
        Just(Value::Null),
        (-1..4_i64).prop_map(Value::from),
        odd_json()
    ];
    (prop::collection::vec(operation, 0..12), fail_on_errors).prop_map(
        |(operations, fail_on_errors)| {
            json!({
                "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],
                "failOnErrors": fail_on_errors,
                "Operations": operations,
            })
        },
    )
}

// R7644-3.7-08
both_fuzzed!(
    bulk_requests,
    150,
    bulks(),
    async |fixture, before, body| {
        let sent = body["Operations"].as_array().map_or(0, Vec::len);
        let limit = body["failOnErrors"].as_u64().filter(|limit| *limit > 0);
        let body = body.to_string().replace("{user}", &fixture.user);
        let reply = fixture
            .send_one(before, Method::POST, "/Bulk", SCIM, body.into_bytes())
            .await?;
        if reply.status != 200 {
            prop_assert_eq!(reply.status, 400, "{:?}", reply);
            return Ok(());
        }
        let results = reply.body["Operations"].as_array().unwrap();
        let mut failed = 0;
        for result in results {
            let status = result["status"].as_str().unwrap_or_default();
            prop_assert!(
                status.len() == 3 && matches!(status.as_bytes()[0], b'2' | b'4'),
                "{}",
                result
            );
            failed += u64::from(status.starts_with('4'));
        }
        let stopped = limit.is_some_and(|limit| failed >= limit);
        prop_assert!(
            results.len() == sent || (stopped && results.len() < sent),
            "{:?}",
            reply
        );
        Ok(())
    }
);

both_fuzzed!(
    arbitrary_bytes,
    150,
    (
        select(METHODS.to_vec()),
        select(PATHS.to_vec()),
        select(vec![SCIM, "application/json", "text/plain", "x"]),
        prop::collection::vec(any::<u8>(), 0..200),
    ),
    async |fixture, before, (method, path, content_type, body)| {
        // Resources that a DELETE would remove for good are not targets of DELETE.
        if method == Method::DELETE && path.contains('{') {
            return Ok(());
        }
        let path = fill_path(fixture, path);
        fixture
            .send_one(before, method, &path, content_type, body)
            .await
            .map(drop)
    },
);

both_fuzzed!(
    arbitrary_json,
    200,
    (
        select(vec![Method::POST, Method::PUT, Method::PATCH]),
        select(PATHS.to_vec()),
        odd_json(),
    ),
    async |fixture, before, (method, path, body)| {
        let path = fill_path(fixture, path);
        let body = body.to_string().into_bytes();
        fixture
            .send_one(before, method, &path, SCIM, body)
            .await
            .map(drop)
    },
);

both_fuzzed!(
    damaged_resources,
    300,
    (
        damaged(resources()),
        select(vec!["/Users", "/Groups"]),
        any::<bool>()
    ),
    async |fixture, before, (body, endpoint, create)| {
        let bytes = body.to_string().into_bytes();
        if create {
            let reply = fixture
                .send_one(before, Method::POST, endpoint, SCIM, bytes)
                .await?;
            if reply.status == 201 {
                let path = format!("{endpoint}/{}", id(&reply.body));
                prop_assert_eq!(&fixture.app.get(&path).await.expect(200), &reply.body);
                fixture
                    .send_one(before, Method::DELETE, &path, SCIM, Vec::new())
                    .await?;
            }
        } else {
            let one = if endpoint == "/Users" {
                "/Users/{user}"
            } else {
                "/Groups/{group}"
            };
            let path = fill_path(fixture, one);
            let reply = fixture
                .send_one(before, Method::PUT, &path, SCIM, bytes)
                .await?;
            if reply.status == 200 {
                // A returned resource can be sent back, and is unchanged.
                let echo = reply.body.to_string().into_bytes();
                let echoed = fixture
                    .send_one(before, Method::PUT, &path, SCIM, echo)
                    .await?;
                prop_assert_eq!(&echoed.body, &reply.body, "the echo differs");
            }
        }
        Ok(())
    },
);

both_fuzzed!(
    damaged_patches,
    400,
    (
        damaged(patches()),
        select(vec!["/Users/{user}", "/Groups/{group}"])
    ),
    async |fixture, before, (body, path)| {
        let path = fill_path(fixture, path);
        let bytes = body.to_string().into_bytes();
        let reply = fixture
            .send_one(before, Method::PATCH, &path, SCIM, bytes)
            .await?;
        if reply.status == 200 {
            prop_assert_eq!(&fixture.app.get(&path).await.expect(200), &reply.body);
        }
        Ok(())
    },
);

/// Fragments of the filter grammar in any order: almost filters.
fn almost_a_filter() -> impl Strategy<Value = String> {
    let bits = select(vec![
        "userName",
        "emails",
        "emails.value",
        "emails[",
        "members",
        "groups.value",
        "meta.created",
        "active",
        "name",
        "id",
        "schemas",
        "password",
        "x509Certificates.value",
        "eq",
        "ne",
        "co",
        "sw",
        "ew",
        "gt",
        "ge",
        "lt",
        "le",
        "pr",
        "and",
        "or",
        "not",
        "(",
        ")",
        "]",
        "\"",
        "\"x\"",
        "\"\"",
        "\"2020-01-01T00:00:00Z\"",
        "\"\\u0000\"",
        "\"\\ud83e\\udd80\"",
        "true",
        "false",
        "null",
        "1",
        "-1.5e300",
        "1e999",
        "'x'",
        ".",
        ":",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department",
        "urn:ietf:params:scim:schemas:core:2.0:User:userName",
        "\\",
        "%",
        "_",
        "\u{0}",
        "ß",
        "🦀",
    ]);
    prop::collection::vec((bits, select(vec![" ", " ", " ", "", "  "])), 1..14).prop_map(|bits| {
        bits.into_iter()
            .flat_map(|(bit, blank)| [bit, blank])
            .collect()
    })
}

both_fuzzed!(
    arbitrary_filters,
    600,
    (
        prop_oneof![almost_a_filter(), any::<String>()],
        select(vec!["/Users", "/Groups"]),
    ),
    async |fixture, before, (filter, endpoint)| {
        let path = format!("{endpoint}?filter={}", percent_encode(&filter));
        let reply = fixture
            .send_one(before, Method::GET, &path, SCIM, Vec::new())
            .await?;
        prop_assert!(reply.status == 200 || reply.status == 400, "{:?}", reply);
        Ok(())
    },
);

both_fuzzed!(
    arbitrary_queries,
    200,
    (
        select(vec![
            "attributes",
            "excludedAttributes",
            "startIndex",
            "count",
            "sortBy",
            "sortOrder",
            "cursor",
            "filter"
        ]),
        prop_oneof![
            odd_text(),
            almost_a_filter(),
            any::<i128>().prop_map(|number| number.to_string())
        ],
        select(vec![
            "/Users",
            "/Users/{user}",
            "/Groups/{group}",
            "/Groups",
            "/Schemas"
        ]),
    ),
    async |fixture, before, (name, value, path)| {
        let path = format!(
            "{}?{name}={}",
            fill_path(fixture, path),
            percent_encode(&value)
        );
        fixture
            .send_one(before, Method::GET, &path, SCIM, Vec::new())
            .await
            .map(drop)
    },
);

/// The connection itself: whatever bytes arrive, the server answers or closes, and stays up.
mod arbitrary_requests {
    use super::*;
    use crate::harness::raw::Raw;

    fn survives(backend: Backend) {
        let runtime = runtime();
        let Some(app) = runtime.block_on(TestApp::start(backend)) else {
            return;
        };
        let config = Config {
            cases: 150,
            failure_persistence: None,
            ..Config::default()
        };
        let heads = select(vec![
            "GET /scim/v2/Users",
            "POST ",
            "",
            "GET /",
            "PRI * HTTP/2.0\r\n\r\n",
        ]);
        let strategy = (heads, prop::collection::vec(any::<u8>(), 0..300));
        let sent = AtomicU32::new(0);
        let result = TestRunner::new(config).run(&strategy, |(head, bytes)| {
            let mut raw = Raw::connect(&app);
            raw.write(head.as_bytes());
            raw.write_or_closed(&bytes);
            sent.fetch_add(1, Ordering::Relaxed);
            drop(raw);
            let alive = runtime.block_on(app.get("/Users"));
            prop_assert_eq!(alive.status, 200);
            Ok(())
        });
        result.unwrap();
        assert!(sent.into_inner() >= 150);
    }

    #[test]
    fn sqlite() {
        survives(Backend::Sqlite);
    }

    #[test]
    fn postgres() {
        survives(Backend::Postgres);
    }
}
