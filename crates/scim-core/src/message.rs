//! The bodies that are not resources: lists, errors and discovery.
//!
//! Built from the arguments; knows nothing of requests, of the configuration or of callers.
//!
//! ```
//! use scim_core::{ScimError, message};
//!
//! let error = ScimError::uniqueness("the userName is taken");
//! assert_eq!(error.status(), 409);
//! assert!(message::error(&error).ends_with(
//!     r#""status":"409","scimType":"uniqueness","detail":"the userName is taken"}"#,
//! ));
//! let page = message::list_response(7, 3, &[r#"{"id":"3"}"#.to_owned()]);
//! assert!(page.ends_with(r#""startIndex":3,"itemsPerPage":1,"Resources":[{"id":"3"}]}"#));
//! ```

use serde_json::{Map, Value, json};

use crate::ScimError;
use crate::name::{GROUP, USER};
use crate::registry::{ResourceType, common};
use crate::schema::{Attribute, Schema, Type};

/// Message URNs (RFC 7644 section 8.2).
pub const LIST_RESPONSE: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";
/// The body of a query by POST (RFC 7644 section 3.4.3).
pub const SEARCH_REQUEST: &str = "urn:ietf:params:scim:api:messages:2.0:SearchRequest";
/// The body of a PATCH.
pub const PATCH_OP: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
/// The body of a bulk request.
pub const BULK_REQUEST: &str = "urn:ietf:params:scim:api:messages:2.0:BulkRequest";
/// The response to a bulk request.
pub const BULK_RESPONSE: &str = "urn:ietf:params:scim:api:messages:2.0:BulkResponse";
/// The body of an error.
pub const ERROR: &str = "urn:ietf:params:scim:api:messages:2.0:Error";

/// The URNs of the discovery resources.
pub const SERVICE_PROVIDER_CONFIG: &str =
    "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig";
/// The resource at `/ResourceTypes/{name}`.
pub const RESOURCE_TYPE: &str = "urn:ietf:params:scim:schemas:core:2.0:ResourceType";
/// The resource at `/Schemas/{urn}`.
pub const SCHEMA: &str = "urn:ietf:params:scim:schemas:core:2.0:Schema";

/// Parses the body of a request.
///
/// # Errors
/// `invalidSyntax` if the body is not JSON.
pub fn parse_body(body: &[u8]) -> Result<Value, ScimError> {
    serde_json::from_slice(body)
        .map_err(|error| ScimError::invalid_syntax(format!("The body is not JSON: {error}.")))
}

/// Returns the body of the response to an error of the client.
pub fn error(error: &ScimError) -> String {
    let scim_type = error.kind.scim_type();
    error_body(error.status(), Some(scim_type), &error.detail)
}

/// Returns the body of an error (RFC 7644 section 3.12); `status` is a string there.
pub fn error_body(status: u16, scim_type: Option<&str>, detail: &str) -> String {
    error_value(status, scim_type, detail).to_string()
}

/// Returns the body of an error as a value, to be put into another body.
pub fn error_value(status: u16, scim_type: Option<&str>, detail: &str) -> Value {
    let mut body = Map::new();
    body.insert("schemas".to_owned(), json!([ERROR]));
    body.insert("status".to_owned(), Value::String(status.to_string()));
    if let Some(scim_type) = scim_type {
        body.insert("scimType".to_owned(), Value::from(scim_type));
    }
    body.insert("detail".to_owned(), Value::from(detail));
    Value::Object(body)
}

/// Returns the response to a bulk request; the results are JSON text already.
pub fn bulk_response(results: &[String]) -> String {
    format!(
        r#"{{"schemas":["{BULK_RESPONSE}"],"Operations":[{}]}}"#,
        results.join(",")
    )
}

/// The metadata of a page by cursor (RFC 9865 section 2). A cursor consists of characters that JSON
/// does not escape.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cursored {
    /// Left out if the number is not known.
    pub total: Option<u64>,
    /// The cursor of the page before.
    pub previous: Option<String>,
    /// The cursor of the next page.
    pub next: Option<String>,
}

/// Returns a page of a list whose resources are JSON text already; `itemsPerPage` is their number.
pub fn list_response(total: u64, start_index: u64, resources: &[String]) -> String {
    let head = format!(r#""totalResults":{total},"startIndex":{start_index},"#);
    list(&head, resources)
}

/// Returns a list that is not paged: these resources are all that were found.
pub fn whole_list(resources: &[String]) -> String {
    let total = u64::try_from(resources.len()).unwrap_or(u64::MAX);
    list_response(total, 1, resources)
}

/// Returns a page by cursor.
pub fn cursor_response(cursored: &Cursored, resources: &[String]) -> String {
    let mut head = String::new();
    if let Some(total) = cursored.total {
        head.push_str(&format!(r#""totalResults":{total},"#));
    }
    for (name, cursor) in [
        ("previousCursor", &cursored.previous),
        ("nextCursor", &cursored.next),
    ] {
        if let Some(cursor) = cursor {
            head.push_str(&format!(r#""{name}":"{cursor}","#));
        }
    }
    list(&head, resources)
}

fn list(head: &str, resources: &[String]) -> String {
    let length: usize = resources.iter().map(|resource| resource.len() + 1).sum();
    let mut body = String::with_capacity(length + head.len() + 128);
    body.push_str(r#"{"schemas":[""#);
    body.push_str(LIST_RESPONSE);
    body.push_str(r#""],"#);
    body.push_str(head);
    body.push_str(r#""itemsPerPage":"#);
    body.push_str(&resources.len().to_string());
    body.push_str(r#","Resources":["#);
    for (index, resource) in resources.iter().enumerate() {
        if index > 0 {
            body.push(',');
        }
        body.push_str(resource);
    }
    body.push_str("]}");
    body
}

/// The features of a server. The default is the minimum: PATCH, filters and paging by index,
/// nothing optional.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    /// The address of documentation for people.
    pub documentation_uri: Option<String>,
    /// Bulk requests.
    pub bulk: Bulk,
    /// The most resources in a response to a query.
    pub filter_max_results: u64,
    /// Clients can set passwords.
    pub change_password: bool,
    /// Lists can be sorted.
    pub sort: bool,
    /// Resources have versions.
    pub etag: bool,
    /// The first is the preferred one.
    pub authentication: Vec<Authentication>,
    /// Paging of lists.
    pub pagination: Pagination,
}

/// The limits of bulk requests. They are shown even if bulk requests are off, since RFC 7643
/// section 5 demands them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bulk {
    /// Bulk requests are accepted.
    pub supported: bool,
    /// The most operations in a request.
    pub max_operations: u64,
    /// The most bytes in the body of a request.
    pub max_payload_size_bytes: u64,
}

/// RFC 9865 section 4. Paging by index is always there, and the default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pagination {
    /// Lists can be paged by cursor.
    pub cursor: bool,
    /// The number of resources in a page if the client sets none.
    pub default_page_size: u64,
    /// The most resources in a page.
    pub max_page_size: u64,
    /// The minimum lifetime of a cursor; shown if cursors are supported.
    pub cursor_timeout_seconds: u64,
}

/// An authentication scheme.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authentication {
    /// A bearer token (RFC 6750).
    Bearer,
    /// HTTP Basic (RFC 7617).
    Basic,
}

impl Default for Capabilities {
    fn default() -> Self {
        Self {
            documentation_uri: None,
            bulk: Bulk::default(),
            filter_max_results: 1_000,
            change_password: false,
            sort: false,
            etag: false,
            authentication: vec![Authentication::Bearer, Authentication::Basic],
            pagination: Pagination {
                cursor: false,
                default_page_size: 100,
                max_page_size: 1_000,
                cursor_timeout_seconds: 0,
            },
        }
    }
}

/// The resource at `/ServiceProviderConfig` (RFC 7643 section 5, RFC 9865 section 4).
pub fn service_provider_config(base_url: &str, capabilities: &Capabilities) -> Value {
    let supported = |supported: bool| json!({ "supported": supported });
    let mut body = Map::new();
    let mut put = |name: &str, value: Value| body.insert(name.to_owned(), value);
    put("schemas", json!([SERVICE_PROVIDER_CONFIG]));
    if let Some(uri) = &capabilities.documentation_uri {
        put("documentationUri", Value::from(uri.as_str()));
    }
    put("patch", supported(true));
    put(
        "bulk",
        json!({
            "supported": capabilities.bulk.supported,
            "maxOperations": capabilities.bulk.max_operations,
            "maxPayloadSize": capabilities.bulk.max_payload_size_bytes,
        }),
    );
    put(
        "filter",
        json!({ "supported": true, "maxResults": capabilities.filter_max_results }),
    );
    put("changePassword", supported(capabilities.change_password));
    put("sort", supported(capabilities.sort));
    put("etag", supported(capabilities.etag));
    let schemes = capabilities.authentication.iter().enumerate();
    put(
        "authenticationSchemes",
        schemes
            .map(|(index, scheme)| authentication_scheme(*scheme, index == 0))
            .collect(),
    );
    put("pagination", pagination(&capabilities.pagination));
    put(
        "meta",
        meta(base_url, "ServiceProviderConfig", "/ServiceProviderConfig"),
    );
    Value::Object(body)
}

fn authentication_scheme(scheme: Authentication, primary: bool) -> Value {
    match scheme {
        Authentication::Bearer => json!({
            "type": "oauthbearertoken",
            "name": "Bearer token",
            "description": "A token in the Authorization header, after the word Bearer.",
            "specUri": "https://www.rfc-editor.org/info/rfc6750",
            "primary": primary,
        }),
        Authentication::Basic => json!({
            "type": "httpbasic",
            "name": "HTTP Basic",
            "description": "A user name and a password in the Authorization header.",
            "specUri": "https://www.rfc-editor.org/info/rfc7617",
            "primary": primary,
        }),
    }
}

fn pagination(pagination: &Pagination) -> Value {
    let mut value = json!({
        "cursor": pagination.cursor,
        "index": true,
        "defaultPaginationMethod": "index",
        "defaultPageSize": pagination.default_page_size,
        "maxPageSize": pagination.max_page_size,
    });
    if let (true, Value::Object(members)) = (pagination.cursor, &mut value) {
        let timeout = Value::from(pagination.cursor_timeout_seconds);
        members.insert("cursorTimeout".to_owned(), timeout);
    }
    value
}

/// The resource at `/ResourceTypes/{name}` (RFC 7643 section 6).
pub fn resource_type_resource(base_url: &str, rt: &ResourceType) -> Value {
    let extensions = rt
        .extensions
        .iter()
        .map(|extension| json!({ "schema": extension.schema.id, "required": extension.required }));
    json!({
        "schemas": [RESOURCE_TYPE],
        "id": rt.name,
        "name": rt.name,
        "endpoint": rt.endpoint,
        "description": rt.description,
        "schema": rt.schema.id,
        "schemaExtensions": extensions.collect::<Value>(),
        "meta": meta(base_url, "ResourceType", &format!("/ResourceTypes/{}", rt.name)),
    })
}

/// The resource at `/Schemas/{urn}` (RFC 7643 section 7).
pub fn schema_resource(base_url: &str, schema: &Schema) -> Value {
    // RFC 7643 section 3.1 leaves common attributes out of schemas. Entra ID maps externalId by
    // default, and Microsoft's validator looks up every mapped attribute here.
    let listed = [USER, GROUP].contains(&schema.id.as_str());
    let external_id = common().attribute("externalId").filter(|_| listed);
    let attributes = external_id.into_iter().chain(&schema.attributes);
    json!({
        "schemas": [SCHEMA],
        "id": schema.id,
        "name": schema.name,
        "description": schema.description,
        "attributes": attributes.map(|attribute| attribute_value(attribute)).collect::<Value>(),
        "meta": meta(base_url, "Schema", &format!("/Schemas/{}", schema.id)),
    })
}

fn attribute_value(attribute: &Attribute) -> Value {
    let mut body = Map::new();
    let mut put = |name: &str, value: Value| body.insert(name.to_owned(), value);
    put("name", json!(attribute.name));
    put("type", json!(attribute.kind));
    put("multiValued", json!(attribute.multi_valued));
    put("description", json!(attribute.description));
    put("required", json!(attribute.required));
    if !attribute.canonical_values.is_empty() {
        put("canonicalValues", json!(attribute.canonical_values));
    }
    // Only texts have a letter case.
    if matches!(
        attribute.kind,
        Type::String | Type::Reference | Type::Binary
    ) {
        put("caseExact", json!(attribute.case_exact));
    }
    put("mutability", json!(attribute.mutability));
    put("returned", json!(attribute.returned));
    put("uniqueness", json!(attribute.uniqueness));
    if attribute.kind == Type::Reference {
        put("referenceTypes", json!(attribute.reference_types));
    }
    if attribute.is_complex() {
        let subs = attribute.sub_attributes.iter();
        put(
            "subAttributes",
            subs.map(|sub| attribute_value(sub)).collect(),
        );
    }
    Value::Object(body)
}

fn meta(base_url: &str, resource_type: &str, path: &str) -> Value {
    let base_url = base_url.trim_end_matches('/');
    json!({ "resourceType": resource_type, "location": format!("{base_url}{path}") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Registry;

    const BASE: &str = "https://scim.example.com/scim/v2";

    #[test]
    fn errors() {
        assert_eq!(
            error_body(409, Some("uniqueness"), "\"ada\" is taken"),
            r#"{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"409","scimType":"uniqueness","detail":"\"ada\" is taken"}"#
        );
        assert_eq!(
            error_body(404, None, "no"),
            r#"{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"404","detail":"no"}"#
        );
        assert_eq!(
            error(&ScimError::new(crate::ErrorKind::Sensitive, "no")),
            error_body(403, Some("sensitive"), "no")
        );
    }

    #[test]
    fn bodies() {
        assert_eq!(parse_body(br#"{"a": 1}"#).unwrap(), json!({ "a": 1 }));
        let error = parse_body(b"{\"a\": s3cret}").unwrap_err();
        assert_eq!(error.kind, crate::ErrorKind::InvalidSyntax);
        assert_eq!(
            error.detail,
            "The body is not JSON: expected value at line 1 column 7."
        );
    }

    #[test]
    fn lists() {
        let check = |total, start, resources: &[&str], expected: &str| {
            let resources: Vec<String> = resources.iter().map(|&text| text.to_owned()).collect();
            assert_eq!(
                list_response(total, start, &resources),
                format!(
                    r#"{{"schemas":["urn:ietf:params:scim:api:messages:2.0:ListResponse"],{expected}}}"#
                )
            );
        };
        check(
            0,
            1,
            &[],
            r#""totalResults":0,"startIndex":1,"itemsPerPage":0,"Resources":[]"#,
        );
        check(
            7,
            3,
            &["{}", r#"{"a":1}"#],
            r#""totalResults":7,"startIndex":3,"itemsPerPage":2,"Resources":[{},{"a":1}]"#,
        );
        let two = ["{}".to_owned(), "{}".to_owned()];
        assert_eq!(whole_list(&two), list_response(2, 1, &two));
    }

    #[test]
    fn pages_by_cursor() {
        let check = |cursored: Cursored, expected: &str| {
            let body = cursor_response(&cursored, &["{}".to_owned()]);
            let expected = format!(
                r#"{{"schemas":["{LIST_RESPONSE}"],{expected}"itemsPerPage":1,"Resources":[{{}}]}}"#
            );
            assert_eq!(body, expected);
        };
        check(Cursored::default(), "");
        let cursored = Cursored {
            total: Some(7),
            previous: Some("p".to_owned()),
            next: Some("n".to_owned()),
        };
        check(
            cursored,
            r#""totalResults":7,"previousCursor":"p","nextCursor":"n","#,
        );
    }

    #[test]
    fn responses_to_bulk_requests() {
        let results = ["{}".to_owned(), r#"{"a":1}"#.to_owned()];
        assert_eq!(
            bulk_response(&results),
            r#"{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkResponse"],"Operations":[{},{"a":1}]}"#
        );
    }

    #[test]
    fn service_provider_configs() {
        insta::assert_json_snapshot!(service_provider_config(
            &format!("{BASE}/"),
            &Capabilities::default()
        ));
        let mut all = Capabilities {
            documentation_uri: Some("https://docs.example.com".to_owned()),
            authentication: vec![Authentication::Basic],
            ..Capabilities::default()
        };
        all.pagination.cursor = true;
        all.pagination.cursor_timeout_seconds = 600;
        let body = service_provider_config(BASE, &all);
        assert_eq!(body["pagination"]["cursorTimeout"], 600);
        assert_eq!(body["documentationUri"], "https://docs.example.com");
        assert_eq!(body["authenticationSchemes"][0]["primary"], true);
        assert_eq!(body["authenticationSchemes"].as_array().unwrap().len(), 1);
    }

    #[test]
    fn discovery() {
        let registry = Registry::standard();
        insta::assert_json_snapshot!(resource_type_resource(BASE, &registry.types()[0]));
        let group = registry.schema(crate::name::GROUP).unwrap();
        insta::assert_json_snapshot!(schema_resource(BASE, group));
        for schema in registry.schemas() {
            let body = schema_resource(BASE, schema);
            assert_eq!(body["id"], body["id"].as_str().unwrap());
            // The output can be read again as the same schema, after the common attribute that it
            // lists.
            let again: Schema = serde_json::from_value(body).unwrap();
            let listed = usize::from([USER, GROUP].contains(&schema.id.as_str()));
            let (common, own) = again.attributes.split_at(listed);
            assert!(
                common
                    .iter()
                    .all(|attribute| attribute.name == "externalId")
            );
            assert_eq!(own, schema.attributes, "{}", schema.id);
        }
    }
}
