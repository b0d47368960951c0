//! The operations of the server, from its OpenAPI document.

use anyhow::Context as _;
use serde_json::Value;

use crate::connection::Connection;

/// The operations.
pub struct Document {
    pub operations: Vec<Operation>,
}

/// A method, a path with its parameters in braces, and what it takes.
pub struct Operation {
    pub method: String,
    pub path: String,
    /// The names of its query parameters.
    pub parameters: Vec<String>,
    /// A valid body.
    pub example: Option<Value>,
}

impl Document {
    /// Reads the document of a server.
    pub fn read(connection: &mut Connection) -> anyhow::Result<Self> {
        let request = connection.request_at("GET", "/openapi.json", None);
        connection.send(&request)?;
        let document = connection.body()?;
        let paths = document.get("paths").and_then(Value::as_object);
        let mut operations = Vec::new();
        for (path, methods) in paths.context("no paths")? {
            for (method, operation) in methods.as_object().into_iter().flatten() {
                // An endless response would keep a connection for itself.
                if path.ends_with("/stream") || !operation.is_object() {
                    continue;
                }
                operations.push(Operation {
                    method: method.to_uppercase(),
                    path: path.clone(),
                    parameters: query_parameters(&document, operation),
                    example: example(operation),
                });
            }
        }
        Ok(Self { operations })
    }
}

fn query_parameters(document: &Value, operation: &Value) -> Vec<String> {
    let parameters = operation.get("parameters").and_then(Value::as_array);
    parameters
        .into_iter()
        .flatten()
        .map(|parameter| {
            let pointer = parameter.get("$ref").and_then(Value::as_str);
            let pointer = pointer.and_then(|text| text.strip_prefix('#'));
            pointer
                .and_then(|at| document.pointer(at))
                .unwrap_or(parameter)
        })
        .filter(|parameter| parameter.get("in").is_some_and(|place| place == "query"))
        .filter_map(|parameter| parameter.get("name").and_then(Value::as_str))
        .map(str::to_owned)
        .collect()
}

fn example(operation: &Value) -> Option<Value> {
    let contents = operation.pointer("/requestBody/content")?.as_object()?;
    let content = contents.values().next()?;
    if let Some(example) = content.get("example") {
        return Some(example.clone());
    }
    let named = content.get("examples")?.as_object()?.values().next()?;
    named.get("value").cloned()
}
