//! Bulk requests (RFC 7644 section 3.7): the envelope, the references between operations, and the
//! order in which they can be run.
//!
//! Knows nothing of how an operation is run, or of authorization.
//!
//! ```
//! use scim_core::bulk::{BulkTarget, Envelope, Operation, Verb};
//! use scim_core::{Compatibility, Registry, message};
//! use serde_json::json;
//!
//! let registry = Registry::standard();
//! let body = json!({
//!     "schemas": [message::BULK_REQUEST],
//!     "Operations": [
//!         { "method": "POST", "path": "/Users", "bulkId": "a", "data": { "userName": "ada" } },
//!         { "method": "DELETE", "path": "/Users/7" },
//!         { "method": "PUT", "path": "/Shoes/1", "data": {} },
//!     ],
//! });
//! let envelope = Envelope::parse(body, Compatibility::Strict)?;
//! let read = |operation| Operation::parse(&registry, &["/scim/v2"], operation);
//! let operations: Vec<Operation> = envelope.operations.into_iter().map(read).collect();
//! assert_eq!(operations[0].bulk_id.as_deref(), Some("a"));
//! let delete = operations[1].task.as_ref().expect("it makes sense");
//! assert_eq!((delete.verb, &delete.target), (Verb::Delete, &Some(BulkTarget::Id("7".to_owned()))));
//! assert!(operations[2].task.is_err());
//! # Ok::<(), scim_core::ScimError>(())
//! ```

mod order;
mod references;

use std::iter::Filter;
use std::str::Split;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::message::BULK_REQUEST;
use crate::registry::{Registry, ResourceType};
use crate::{Compatibility, ScimError};

pub use order::units;
pub use references::{KnownResource, PREFIX, References};

/// The endpoints that exist and hold no resources.
const NO_RESOURCES: [&str; 6] = [
    "Bulk",
    "Me",
    "ServiceProviderConfig",
    "ResourceTypes",
    "Schemas",
    ".search",
];

/// A bulk request whose operations have not been checked yet.
#[derive(Debug)]
pub struct Envelope {
    /// The number of failures after which to stop.
    pub fail_on_errors: Option<usize>,
    /// The operations, unread: see [`Operation::parse`].
    pub operations: Vec<Value>,
}

/// One operation: the members that its result echoes, and the task.
#[derive(Debug)]
pub struct Operation {
    /// As sent; in upper case if it is a known method.
    pub method: String,
    /// The client's name for the resource that a POST creates.
    pub bulk_id: Option<String>,
    /// The task, or the error of an operation that makes no sense.
    pub task: Result<Task, ScimError>,
}

/// The task of an operation.
#[derive(Debug)]
pub struct Task {
    /// The operation on the resource.
    pub verb: Verb,
    /// The resource type that the path names.
    pub rt: Arc<ResourceType>,
    /// The resource of a PUT, PATCH or DELETE.
    pub target: Option<BulkTarget>,
    /// The version that the target must have, as in `If-Match`.
    pub version: Option<String>,
    /// The body that the request would have by itself; null for a DELETE.
    pub data: Value,
}

/// The operation that the method of a bulk operation stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// POST.
    Create,
    /// PUT.
    Replace,
    /// PATCH.
    Patch,
    /// DELETE.
    Delete,
}

/// The resource that a path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BulkTarget {
    /// The resource with this id.
    Id(String),
    /// The resource that the POST with this `bulkId` creates.
    BulkId(String),
}

impl Envelope {
    /// Reads the envelope of a bulk request.
    ///
    /// # Errors
    /// `invalidSyntax` if the body is no bulk request, `invalidValue` for an impossible
    /// `failOnErrors`.
    pub fn parse(body: Value, compatibility: Compatibility) -> Result<Self, ScimError> {
        let Value::Object(mut body) = body else {
            return Err(ScimError::invalid_syntax("A bulk request is an object."));
        };
        let schemas = take(&mut body, "schemas");
        let is_bulk = |urn: &Value| {
            urn.as_str()
                .is_some_and(|urn| urn.eq_ignore_ascii_case(BULK_REQUEST))
        };
        let is_named = schemas
            .as_ref()
            .and_then(Value::as_array)
            .is_some_and(|urns| urns.iter().any(is_bulk));
        // The endpoint says as much, and clients leave it out.
        if compatibility.is_strict() && !is_named {
            return Err(ScimError::invalid_syntax(format!(
                "schemas must hold \"{BULK_REQUEST}\"."
            )));
        }
        let Some(Value::Array(operations)) = take(&mut body, "Operations") else {
            return Err(ScimError::invalid_syntax(
                "Operations must be a list of operations.",
            ));
        };
        let fail_on_errors = take(&mut body, "failOnErrors").unwrap_or_default();
        Ok(Self {
            fail_on_errors: fail_on_errors_in(&fail_on_errors, compatibility)?,
            operations,
        })
    }
}

/// Returns the number of failures after which to stop. A tolerant tenant also takes the number as
/// text.
fn fail_on_errors_in(
    value: &Value,
    compatibility: Compatibility,
) -> Result<Option<usize>, ScimError> {
    let number = match value {
        Value::Null => return Ok(None),
        Value::String(text) if !compatibility.is_strict() => match text.trim() {
            "" => return Ok(None),
            text => text.parse().ok(),
        },
        other => other.as_u64(),
    };
    match number.and_then(|number| usize::try_from(number).ok()) {
        // Clients that leave a number at its default send zero.
        Some(0) if !compatibility.is_strict() => Ok(None),
        Some(number) if number > 0 => Ok(Some(number)),
        _ => Err(ScimError::invalid_value(
            "failOnErrors must be a whole number from 1.",
        )),
    }
}

impl Operation {
    /// Reads one operation. `bases` are the prefixes that an address may have before the endpoint.
    ///
    /// An invalid operation is no error here: its [`task`](Self::task) is, so that the others still
    /// run.
    pub fn parse(registry: &Registry, bases: &[&str], operation: Value) -> Self {
        let Value::Object(mut members) = operation else {
            return Self {
                method: String::new(),
                bulk_id: None,
                task: Err(ScimError::invalid_syntax("An operation is an object.")),
            };
        };
        let method = match take(&mut members, "method") {
            Some(Value::String(text)) => text,
            _ => String::new(),
        };
        let verb = [
            ("POST", Verb::Create),
            ("PUT", Verb::Replace),
            ("PATCH", Verb::Patch),
            ("DELETE", Verb::Delete),
        ]
        .into_iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(&method));
        let bulk_id = take(&mut members, "bulkId");
        let echo = bulk_id.as_ref().and_then(Value::as_str).map(str::to_owned);
        let task = match verb {
            Some((_, verb)) => Task::parse(registry, bases, verb, bulk_id.as_ref(), members),
            None => Err(ScimError::invalid_value(format!(
                "The method must be POST, PUT, PATCH or DELETE, and not \"{method}\"."
            ))),
        };
        Self {
            method: verb.map_or(method, |(name, _)| name.to_owned()),
            bulk_id: echo,
            task,
        }
    }
}

impl Task {
    fn parse(
        registry: &Registry,
        bases: &[&str],
        verb: Verb,
        bulk_id: Option<&Value>,
        mut members: Map<String, Value>,
    ) -> Result<Self, ScimError> {
        check_bulk_id(verb, bulk_id)?;
        let Some(Value::String(path)) = take(&mut members, "path") else {
            return Err(ScimError::invalid_value(
                "An operation needs a path, such as \"/Users\".",
            ));
        };
        let (rt, target) = resolve_path(registry, bases, &path)?;
        match (verb, &target) {
            (Verb::Create, Some(_)) => {
                return Err(ScimError::invalid_value(format!(
                    "The path of a POST is an endpoint such as \"{}\", and not \"{path}\".",
                    rt.endpoint
                )));
            }
            (Verb::Replace | Verb::Patch | Verb::Delete, None) => {
                return Err(ScimError::invalid_value(format!(
                    "The path must name one resource, such as \"{}/<id>\".",
                    rt.endpoint
                )));
            }
            _ => {}
        }
        let version = match take(&mut members, "version") {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => Some(text),
            Some(_) => return Err(ScimError::invalid_value("A version is a text.")),
        };
        let data = read_data(verb, take(&mut members, "data"))?;
        Ok(Self {
            verb,
            rt,
            target,
            version,
            data,
        })
    }
}

fn check_bulk_id(verb: Verb, bulk_id: Option<&Value>) -> Result<(), ScimError> {
    match bulk_id {
        None | Some(Value::Null) if verb == Verb::Create => {
            Err(ScimError::invalid_value("A POST needs a bulkId."))
        }
        None | Some(Value::Null) => Ok(()),
        Some(Value::String(text)) if !text.is_empty() => Ok(()),
        Some(_) => Err(ScimError::invalid_value(
            "bulkId must be a text and not empty.",
        )),
    }
}

fn read_data(verb: Verb, data: Option<Value>) -> Result<Value, ScimError> {
    match (verb, data) {
        (Verb::Delete, _) => Ok(Value::Null),
        (_, Some(data @ Value::Object(_))) => Ok(data),
        (_, None | Some(Value::Null)) => Err(ScimError::invalid_value(
            "A POST, PUT or PATCH needs data: the body that it would have by itself.",
        )),
        (_, Some(_)) => Err(ScimError::invalid_syntax("data must be an object.")),
    }
}

/// Resolves a path: an endpoint, or one resource. Clients also send whole addresses. Slashes at
/// the end and doubled ones say nothing, as in the address of a request.
fn resolve_path(
    registry: &Registry,
    bases: &[&str],
    path: &str,
) -> Result<(Arc<ResourceType>, Option<BulkTarget>), ScimError> {
    let mut rest = bases
        .iter()
        .find_map(|base| strip_base(path, base))
        .unwrap_or_else(|| segments(path));
    let endpoint = rest.next().unwrap_or_default();
    let Some(rt) = registry.by_endpoint(&format!("/{endpoint}")) else {
        return Err(ScimError::invalid_value(
            if NO_RESOURCES.contains(&endpoint) {
                format!("\"{path}\" cannot be part of a bulk request: it holds no resources.")
            } else {
                format!("\"{path}\" names no resource type of this service.")
            },
        ));
    };
    let target = match (rest.next(), rest.next()) {
        (None, _) => None,
        (Some(id), None) if !id.contains(['?', '#']) && !id.starts_with('.') => {
            Some(match id.strip_prefix(PREFIX) {
                Some(bulk_id) => BulkTarget::BulkId(bulk_id.to_owned()),
                None => BulkTarget::Id(id.to_owned()),
            })
        }
        (Some(_), _) => {
            return Err(ScimError::invalid_value(format!(
                "\"{path}\" names neither an endpoint nor a resource."
            )));
        }
    };
    Ok((Arc::clone(rt), target))
}

type Segments<'p> = Filter<Split<'p, char>, fn(&&str) -> bool>;

fn segments(path: &str) -> Segments<'_> {
    path.split('/').filter(|segment| !segment.is_empty())
}

/// The segments of a path behind those of a base; `None` where it does not begin with them.
fn strip_base<'p>(path: &'p str, base: &str) -> Option<Segments<'p>> {
    let mut rest = segments(path);
    for segment in segments(base) {
        rest.next().filter(|other| *other == segment)?;
    }
    Some(rest)
}

/// Takes a member out, whatever the letter case of its name.
fn take(members: &mut Map<String, Value>, name: &str) -> Option<Value> {
    let key = members
        .keys()
        .find(|key| key.eq_ignore_ascii_case(name))?
        .clone();
    members.swap_remove(&key)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::ErrorKind;

    const BASES: [&str; 2] = ["https://h/scim/v2", "/scim/v2"];

    fn parse(operation: Value) -> Operation {
        Operation::parse(&Registry::standard(), &BASES, operation)
    }

    #[test]
    fn envelopes() {
        let check =
            |body: Value, compatibility, expected: Result<(Option<usize>, usize), ErrorKind>| {
                let found = Envelope::parse(body.clone(), compatibility)
                    .map(|envelope| (envelope.fail_on_errors, envelope.operations.len()))
                    .map_err(|error| error.kind);
                assert_eq!(found, expected, "{body}");
            };
        use Compatibility::{Strict, Tolerant};
        let bulk = |more: Value| {
            let mut body = json!({ "schemas": [BULK_REQUEST], "Operations": [{}] });
            body.as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            body
        };
        check(bulk(json!({})), Strict, Ok((None, 1)));
        check(bulk(json!({ "failOnErrors": 3 })), Strict, Ok((Some(3), 1)));
        check(bulk(json!({ "FAILONERRORS": null })), Strict, Ok((None, 1)));
        check(bulk(json!({ "failOnErrors": 0 })), Tolerant, Ok((None, 1)));
        check(
            bulk(json!({ "failOnErrors": 0 })),
            Strict,
            Err(ErrorKind::InvalidValue),
        );
        for wrong in [
            json!(-1),
            json!(1.5),
            json!("-1"),
            json!("x"),
            json!(true),
            json!([]),
        ] {
            let body = bulk(json!({ "failOnErrors": wrong }));
            check(body, Tolerant, Err(ErrorKind::InvalidValue));
        }
        for (text, expected) in [("3", Some(3)), (" 1 ", Some(1)), ("0", None), ("", None)] {
            let body = bulk(json!({ "failOnErrors": text }));
            check(body.clone(), Tolerant, Ok((expected, 1)));
            check(body, Strict, Err(ErrorKind::InvalidValue));
        }
        let syntax = Err(ErrorKind::InvalidSyntax);
        check(bulk(json!({ "Operations": [] })), Strict, Ok((None, 0)));
        check(bulk(json!({ "Operations": {} })), Tolerant, syntax);
        check(bulk(json!({ "Operations": null })), Tolerant, syntax);
        for schemas in [
            json!([]),
            json!(["urn:x"]),
            json!(BULK_REQUEST),
            json!(null),
            json!(7),
        ] {
            let body = bulk(json!({ "schemas": schemas }));
            check(body.clone(), Tolerant, Ok((None, 1)));
            check(body, Strict, syntax);
        }
        check(json!({ "Operations": [] }), Tolerant, Ok((None, 0)));
        check(json!({ "Operations": [] }), Strict, syntax);
        check(json!({ "schemas": [BULK_REQUEST] }), Tolerant, syntax);
        check(json!([]), Tolerant, syntax);
    }

    #[test]
    fn paths() {
        let check = |path: &str, method: &str, expected: Option<(&str, Option<BulkTarget>)>| {
            let operation =
                parse(json!({ "method": method, "path": path, "bulkId": "b", "data": {} }));
            let found = operation
                .task
                .ok()
                .map(|task| (task.rt.name.clone(), task.target));
            let expected = expected.map(|(name, target)| (name.to_owned(), target));
            assert_eq!(found, expected, "{method} {path}");
        };
        let one = |id: &str| Some(BulkTarget::Id(id.to_owned()));
        for path in [
            "/Users",
            "Users",
            "/scim/v2/Users",
            "https://h/scim/v2/Users",
            "//Users",
            "//scim/v2//Users",
            "https://h//scim/v2//Users",
        ] {
            check(path, "POST", Some(("User", None)));
            check(&format!("{path}//"), "POST", Some(("User", None)));
            check(&format!("{path}//1/"), "DELETE", Some(("User", one("1"))));
            check(&format!("{path}/1"), "put", Some(("User", one("1"))));
        }
        check(
            "/Groups/bulkId:x",
            "PATCH",
            Some(("Group", Some(BulkTarget::BulkId("x".to_owned())))),
        );
        check("/Users", "DELETE", None);
        check("/Users/1", "POST", None);
        for path in [
            "",
            "/",
            "/Nothing",
            "/users",
            "/Bulk",
            "/Me",
            "/.search",
            "/Users/.search",
            "/Schemas/x",
            "/Users/1/2",
            "/Users//1//2",
            "//",
            "/scim/v2/",
            "/scim/v2/scim/v2/Users/1",
            "/Users/1?attributes=id",
            "https://other/scim/v2/Users/1",
            "/v1/Users/1",
        ] {
            for method in ["POST", "PUT", "PATCH", "DELETE"] {
                check(path, method, None);
            }
        }
    }

    #[test]
    fn operations() {
        let check = |operation: Value, expected: Option<ErrorKind>| {
            let found = parse(operation.clone()).task.err().map(|error| error.kind);
            assert_eq!(found, expected, "{operation}");
        };
        let (value, syntax) = (
            Some(ErrorKind::InvalidValue),
            Some(ErrorKind::InvalidSyntax),
        );
        let post = |more: Value| {
            let mut body = json!({ "method": "POST", "path": "/Users", "bulkId": "b", "data": {} });
            body.as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            body
        };
        check(post(json!({})), None);
        check(post(json!({ "version": "W/\"1\"" })), None);
        check(post(json!({ "version": 1 })), value);
        check(post(json!({ "bulkId": null })), value);
        check(post(json!({ "bulkId": "" })), value);
        check(post(json!({ "bulkId": 7 })), value);
        check(post(json!({ "data": null })), value);
        check(post(json!({ "data": [] })), syntax);
        check(post(json!({ "data": "{}" })), syntax);
        check(post(json!({ "path": 1 })), value);
        check(post(json!({ "method": "GET" })), value);
        check(post(json!({ "method": null })), value);
        check(json!("POST"), syntax);
        check(json!({ "METHOD": "delete", "Path": "/Users/1" }), None);
        check(
            json!({ "method": "DELETE", "path": "/Users/1", "data": [1] }),
            None,
        );
        let echoed = parse(json!({ "method": "post", "bulkId": "b" }));
        assert_eq!(
            (echoed.method.as_str(), echoed.bulk_id.as_deref()),
            ("POST", Some("b"))
        );
    }
}
