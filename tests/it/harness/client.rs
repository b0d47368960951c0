//! A SCIM client with a token for the tests, and replies with assertions.

use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use super::sample;

pub const SCIM: &str = "application/scim+json";
pub const ERROR_URN: &str = "urn:ietf:params:scim:api:messages:2.0:Error";
pub const LIST_URN: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";

/// A client of one server, with the credentials of one tenant.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    address: String,
    prefix: &'static str,
    authorization: Option<String>,
}

impl Client {
    /// Paths are relative to `/scim/v2` unless [`Client::site`] is used.
    pub fn new(address: &str, token: &str) -> Self {
        Self {
            http: reqwest::Client::builder()
                .no_proxy()
                .redirect(reqwest::redirect::Policy::none())
                .build()
                .expect("builds a client"),
            address: address.to_owned(),
            prefix: "/scim/v2",
            authorization: Some(format!("Bearer {token}")),
        }
    }

    /// The same client for paths from the root: `/healthz`, `/admin/v1/..`.
    pub fn site(&self) -> Self {
        Self {
            prefix: "",
            ..self.clone()
        }
    }

    /// The same client with this value as the whole `Authorization` header.
    pub fn authorization(&self, value: &str) -> Self {
        Self {
            authorization: Some(value.to_owned()),
            ..self.clone()
        }
    }

    pub fn anonymous(&self) -> Self {
        Self {
            authorization: None,
            ..self.clone()
        }
    }

    /// Returns `host:port`, for tests that use the socket directly.
    pub fn host(&self) -> &str {
        self.address.trim_start_matches("http://")
    }

    /// Returns the whole `Authorization` header.
    pub fn credentials(&self) -> &str {
        self.authorization.as_deref().unwrap_or_default()
    }

    /// Returns the base URL as an admin types it into Okta.
    pub fn base_url(&self) -> String {
        format!("{}{}", self.address, self.prefix)
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.send(Method::GET, path, &[("accept", SCIM)], Vec::new())
            .await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Reply {
        self.send_json(Method::POST, path, body).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Reply {
        self.send_json(Method::PUT, path, body).await
    }

    pub async fn patch(&self, path: &str, body: &Value) -> Reply {
        self.send_json(Method::PATCH, path, body).await
    }

    /// Sends a PATCH of these operations in their envelope.
    pub async fn edit(&self, path: &str, operations: Value) -> Reply {
        self.patch(path, &sample::patch(operations)).await
    }

    pub async fn delete(&self, path: &str) -> Reply {
        self.send(Method::DELETE, path, &[], Vec::new()).await
    }

    async fn send_json(&self, method: Method, path: &str, body: &Value) -> Reply {
        let headers = [("accept", SCIM), ("content-type", SCIM)];
        self.send(method, path, &headers, body.to_string().into_bytes())
            .await
    }

    /// Sends exactly these bytes; the test fails if no answer arrives.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Reply {
        let what = format!("{method} {path}");
        match self.try_send(method, path, headers, body).await {
            Ok(reply) => reply,
            Err(error) => panic!("{what}: no answer: {error:?}"),
        }
    }

    /// Like [`Client::send`], for requests that may stay unanswered.
    pub async fn try_send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Result<Reply, reqwest::Error> {
        let url = format!("{}{}{path}", self.address, self.prefix);
        let request = format!("{method} {}{path}", self.prefix);
        let mut builder = self.http.request(method, url);
        if let Some(value) = &self.authorization {
            builder = builder.header("authorization", value);
        }
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        if !body.is_empty() {
            builder = builder.body(body.clone());
        }
        let response = builder.send().await?;
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let bytes = response.bytes().await?;
        let sent = String::from_utf8_lossy(body.get(..300).unwrap_or(&body)).into_owned();
        Ok(Reply {
            request: format!("{request} {sent}"),
            status,
            headers,
            body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
            bytes: bytes.to_vec(),
        })
    }

    /// Sends a GET and returns the unread response: for a stream without end.
    pub async fn open(&self, path: &str, headers: &[(&str, &str)]) -> reqwest::Response {
        let url = format!("{}{}{path}", self.address, self.prefix);
        let mut builder = self.http.get(url);
        if let Some(value) = &self.authorization {
            builder = builder.header("authorization", value);
        }
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        builder.send().await.expect("an answer begins")
    }

    // The requests that Okta sends most often.

    /// Creates a user as Okta does and returns the whole resource.
    pub async fn create_user(&self, user_name: &str) -> Value {
        self.post("/Users", &sample::user(user_name))
            .await
            .expect(201)
    }

    /// Creates a group of these members and returns the whole resource.
    pub async fn create_group(&self, display_name: &str, members: &[&str]) -> Value {
        self.post("/Groups", &sample::group(display_name, members))
            .await
            .expect(201)
    }

    pub async fn user(&self, id: &str) -> Value {
        self.get(&format!("/Users/{id}")).await.expect(200)
    }

    pub async fn group(&self, id: &str) -> Value {
        self.get(&format!("/Groups/{id}")).await.expect(200)
    }

    /// Returns one page of a list, with these query parameters.
    pub async fn list(&self, endpoint: &str, parameters: &[(&str, &str)]) -> Page {
        self.get(&with_query(endpoint, parameters)).await.page()
    }

    /// Returns the user names that a filter finds, in the order of the response.
    pub async fn find_users(&self, filter: &str) -> Vec<String> {
        let page = self.list("/Users", &[("filter", filter)]).await;
        texts(&page.resources, "userName")
    }

    pub async fn find_groups(&self, filter: &str) -> Vec<String> {
        let page = self.list("/Groups", &[("filter", filter)]).await;
        texts(&page.resources, "displayName")
    }
}

/// A response.
#[derive(Debug, Clone)]
pub struct Reply {
    pub request: String,
    pub status: u16,
    pub headers: HeaderMap,
    /// Null if the body is empty or not JSON.
    pub body: Value,
    pub bytes: Vec<u8>,
}

impl Reply {
    /// Returns the body of a response that is not a SCIM message.
    #[track_caller]
    pub fn plain(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        self.body
    }

    /// Returns the body of a response with this status, after checking the form of successful
    /// responses.
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.describe());
        if status == 204 {
            assert!(self.bytes.is_empty(), "204 with a body: {}", self.request);
        } else {
            assert_eq!(self.header("content-type"), SCIM, "{}", self.request);
            assert!(self.body.is_object(), "no object: {}", self.describe());
            assert_eq!(self.body["password"], Value::Null, "{}", self.request);
        }
        self.body
    }

    /// Checks an error as RFC 7644 section 3.12 specifies, with this `scimType` ("" for none).
    #[track_caller]
    pub fn expect_error(self, status: u16, scim_type: &str) -> Value {
        assert_eq!(self.status, status, "{}", self.describe());
        assert_eq!(self.header("content-type"), SCIM, "{}", self.describe());
        let body = &self.body;
        assert_eq!(body["schemas"], json!([ERROR_URN]), "{}", self.describe());
        assert_eq!(
            body["status"],
            json!(status.to_string()),
            "{}",
            self.describe()
        );
        let expected = match scim_type {
            "" => Value::Null,
            name => json!(name),
        };
        assert_eq!(body["scimType"], expected, "{}", self.describe());
        let detail = body["detail"].as_str().unwrap_or_default();
        assert!(!detail.trim().is_empty(), "no detail: {}", self.describe());
        self.body
    }

    /// Parses a list, and checks that its numbers are consistent.
    #[track_caller]
    pub fn page(self) -> Page {
        let describe = self.describe();
        let mut body = self.expect(200);
        assert_eq!(body["schemas"], json!([LIST_URN]), "{describe}");
        let number = |name: &str| {
            let value = body[name].as_u64();
            value.unwrap_or_else(|| panic!("{name} is no number: {describe}"))
        };
        let (total, start, per_page) = (
            number("totalResults"),
            number("startIndex"),
            number("itemsPerPage"),
        );
        let resources = match body["Resources"].take() {
            Value::Array(resources) => resources,
            Value::Null if total == 0 || per_page == 0 => Vec::new(),
            other => panic!("Resources is {other}"),
        };
        assert_eq!(
            u64::try_from(resources.len()).unwrap(),
            per_page,
            "{describe}"
        );
        Page {
            total,
            start,
            resources,
        }
    }

    /// Returns the header as text, "" if it is absent.
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    fn describe(&self) -> String {
        let text = String::from_utf8_lossy(self.bytes.get(..2_000).unwrap_or(&self.bytes));
        format!("{} -> {} {text}", self.request, self.status)
    }
}

/// One page of a list.
#[derive(Debug, Clone)]
pub struct Page {
    pub total: u64,
    pub start: u64,
    pub resources: Vec<Value>,
}

impl Page {
    pub fn ids(&self) -> Vec<String> {
        texts(&self.resources, "id")
    }
}

/// Returns this attribute of each resource.
pub fn texts(resources: &[Value], attribute: &str) -> Vec<String> {
    let text = |resource: &Value| resource[attribute].as_str().unwrap_or_default().to_owned();
    resources.iter().map(text).collect()
}

/// Returns the `id` of a resource.
#[track_caller]
pub fn id(resource: &Value) -> &str {
    resource["id"].as_str().expect("an id")
}

/// Returns the ids of a group's members, sorted.
pub fn member_ids(group: &Value) -> Vec<String> {
    let members = group["members"].as_array().cloned().unwrap_or_default();
    let mut ids = texts(&members, "value");
    ids.sort();
    ids
}

/// Returns a path with percent-encoded query parameters.
pub fn with_query(path: &str, parameters: &[(&str, &str)]) -> String {
    let encoded: Vec<String> = parameters
        .iter()
        .map(|(name, value)| format!("{name}={}", percent_encode(value)))
        .collect();
    format!("{path}?{}", encoded.join("&"))
}

/// Encodes every byte that is not unreserved (RFC 3986 section 2.3) as `%XX`.
pub fn percent_encode(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}
