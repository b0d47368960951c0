//! Parses `cases.txt`. Its first lines describe the format.

use reqwest::Method;
use serde_json::{Value, json};

use super::case::{Case, Draft, Outcome, Request, Row};

const EXTENSIONS: [&str; 4] = ["{enterprise}", "{desk}", "{premises}", "{purpose}"];

const SCIM_TYPES: [&str; 3] = ["noTarget", "mutability", "uniqueness"];

pub fn rows(text: &str) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    let mut table = String::new();
    for block in text.split("\n\n") {
        if let Some(first_cell) = block.strip_prefix("## ") {
            rows.push(Row {
                table: table.clone(),
                first_cell: first_cell.to_owned(),
                cases: Vec::new(),
            });
        } else if let Some(heading) = block.strip_prefix("# ") {
            heading.clone_into(&mut table);
        } else if let Some(row) = rows.last_mut() {
            row.cases.push(case(block));
        }
    }
    rows
}

fn case(block: &str) -> Case {
    let (mut settings, mut before, mut request) = (json!({}), None, None);
    let (mut tolerant, mut strict) = (None, None);
    for line in block.lines() {
        let (word, rest) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
        match word {
            "with" => settings = json(rest),
            "given" => before = Some(draft(rest)),
            "tolerant:" => tolerant = Some(outcome(rest)),
            "strict:" => strict = Some(outcome(rest)),
            "both:" => {
                tolerant = Some(outcome(rest));
                strict = Some(outcome(rest));
            }
            "POST" => request = Some(Request::Post(draft(rest))),
            "PUT" => {
                let endpoint = before.as_ref().map(|before: &Draft| before.endpoint);
                let name = endpoint
                    .expect("something to replace")
                    .trim_start_matches('/');
                request = Some(Request::Put(draft(&format!("{name} {rest}"))));
            }
            "PATCH" => request = Some(Request::Patch(json(rest))),
            "FIND" => request = Some(Request::Find(rest.replace("\\t", "\t"))),
            "SEND" => request = Some(raw(rest)),
            _ => panic!("cases.txt: {line}"),
        }
    }
    match (request, tolerant, strict) {
        (Some(request), Some(tolerant), Some(strict)) => Case {
            settings,
            before,
            request,
            tolerant,
            strict,
        },
        _ => panic!("cases.txt: not a whole case: {block}"),
    }
}

fn json(text: &str) -> Value {
    match text {
        "" => json!({}),
        text => serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}")),
    }
}

/// Parses `Users {"title": "T"}`: attributes in addition to those of every draft of the type.
fn draft(text: &str) -> Draft {
    let (name, attributes) = text.split_once(' ').unwrap_or((text, ""));
    let (endpoint, mut body) = match name {
        "Users" => (
            "/Users",
            json!({ "schemas": ["{user}"], "userName": "eve" }),
        ),
        "Groups" => (
            "/Groups",
            json!({ "schemas": ["{group}"], "displayName": "Crew" }),
        ),
        "Devices" => (
            "/Devices",
            json!({
                "schemas": ["{device}", "{warranty}"],
                "serial": "S1",
                "{warranty}": { "until": "2030-01-01T00:00:00Z" },
            }),
        ),
        other => panic!("cases.txt: no endpoint {other}"),
    };
    let Value::Object(mut attributes) = json(attributes) else {
        panic!("cases.txt: no object: {text}");
    };
    let left_out = attributes.shift_remove("without").unwrap_or(json!([]));
    for name in EXTENSIONS
        .iter()
        .filter(|name| attributes.contains_key(**name))
    {
        let urns = body["schemas"].as_array_mut().expect("a list");
        urns.push(json!(name));
    }
    for (name, value) in attributes {
        body[name] = value;
    }
    for name in left_out.as_array().expect("a list of names") {
        let body = body.as_object_mut().expect("an object");
        body.shift_remove(name.as_str().expect("a name"));
    }
    Draft { endpoint, body }
}

/// Parses `PATCH /Users/{id} accept=text/html {"schemas": []}`.
fn raw(text: &str) -> Request {
    let (head, body) = match text.split_once(" {") {
        Some((head, rest)) => (head, json(&format!("{{{rest}"))),
        None => (text, Value::Null),
    };
    let mut words = head.split(' ');
    let method = words.next().and_then(|word| word.parse::<Method>().ok());
    let path = words.next().expect("a path");
    let headers = words.map(|word| word.split_once('=').expect("a header with a value"));
    Request::Raw {
        method: method.expect("a method"),
        path: path.to_owned(),
        headers: headers
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        body,
    }
}

fn outcome(text: &str) -> Outcome {
    match text {
        "unchanged" => return Outcome::Unchanged,
        "finds it" => return Outcome::Finds(true),
        "finds nothing" => return Outcome::Finds(false),
        _ if text.starts_with('{') => return Outcome::Becomes(json(text)),
        _ => {}
    }
    let (status, rest) = text.split_once(' ').unwrap_or((text, ""));
    let status: u16 = status.parse().expect("a status");
    if status < 300 {
        return Outcome::Answers(status, json(rest));
    }
    let is_type = |word: &&str| word.starts_with("invalid") || SCIM_TYPES.contains(word);
    let scim_type = rest.split(' ').next().filter(is_type).unwrap_or_default();
    let detail = rest.strip_prefix(scim_type).unwrap_or(rest).trim_start();
    Outcome::Refused(status, scim_type.to_owned(), detail.to_owned())
}
