//! The requests of real identity providers in `shared/acceptance/field`, where it lies beside the project.
//!
//! A case is a list of steps. A step sends `body` (or `raw`) with `headers` to `path` and looks at the
//! answer: its `status` is one of the list, every member of `has` is in it, no member of `lacks` is.
//! `keep` stores members of the answer for later steps, where `{name}` stands for them.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use reqwest::Method;
use serde_json::{Value, json};

use crate::compatibility_table::{coded, inside};
use crate::harness::{Client, SCIM, Server, both_alone, sample};

/// The extension that the folder's `config.toml` declares.
const FIELD: &str = "urn:example:params:scim:schemas:extension:field:2.0:User";

both_alone!(every_case_is_answered_as_it_should, |database| async move {
    let Some(folder) = find_folder() else {
        let note = "\nSKIPPED: requests of identity providers: no shared/acceptance/field beside the project\n";
        std::io::stderr().write_all(note.as_bytes()).ok();
        return;
    };
    let config = folder.join("config.toml");
    let arguments = ["--config", config.to_str().expect("a path in UTF-8")];
    let server = Server::start_with(&database, &arguments, &[]);
    let cases = std::fs::read_to_string(folder.join("cases.json")).expect("reads the cases");
    let cases: Value = serde_json::from_str(&cases).expect("JSON");
    let cases = cases["cases"].as_array().expect("a list");
    assert!(cases.len() >= 30, "only {} cases", cases.len());
    let mut problems = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        if let Err(problem) = run(&server.admin(), case, number).await {
            problems.push(format!("{} {}: {problem}", case["id"], case["name"]));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
});

fn find_folder() -> Option<PathBuf> {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .map(|directory| directory.join("shared/acceptance/field"))
        .find(|directory| directory.join("cases.json").exists())
}

async fn run(client: &Client, case: &Value, number: usize) -> Result<(), String> {
    let mut names = BTreeMap::from([
        ("CORE".to_owned(), sample::USER.to_owned()),
        ("GROUP".to_owned(), sample::GROUP.to_owned()),
        ("ENT".to_owned(), sample::ENTERPRISE.to_owned()),
        ("PO".to_owned(), sample::PATCH_OP.to_owned()),
        ("X".to_owned(), FIELD.to_owned()),
        ("n".to_owned(), number.to_string()),
    ]);
    for step in case["steps"].as_array().expect("a list of steps") {
        let step = filled(step, &names);
        let kept = check(client, &step).await?;
        names.extend(kept);
    }
    Ok(())
}

/// Sends one step; answers what it keeps.
async fn check(client: &Client, step: &Value) -> Result<BTreeMap<String, String>, String> {
    let text = |name: &str| step[name].as_str();
    let method = text("method").unwrap_or("GET");
    let path = text("path").expect("a path");
    let mut headers = vec![("content-type", SCIM)];
    for (name, value) in step["headers"].as_object().into_iter().flatten() {
        let value = value.as_str().expect("a text");
        match name.to_ascii_lowercase().as_str() {
            "content-encoding" => headers.push(("content-encoding", value)),
            "content-type" => headers[0].1 = value,
            _ => headers.push((name, value)),
        }
    }
    let body = match (text("raw"), step.get("body")) {
        (Some(raw), _) => coded(&headers, raw),
        (None, Some(body)) => coded(&headers, &body.to_string()),
        (None, None) => Vec::new(),
    };
    let method_name = Method::from_bytes(method.as_bytes()).expect("a method");
    let reply = client.send(method_name, path, &headers, body).await;
    let shown = format!("{method} {path}: {} {}", reply.status, reply.body);
    let fault = |problem: String| Err(format!("{shown}\n    {problem}"));
    let expected = step
        .get("status")
        .cloned()
        .unwrap_or(json!([200, 201, 204]));
    if !expected
        .as_array()
        .expect("a list")
        .contains(&json!(reply.status))
    {
        return fault(format!("the status should be one of {expected}"));
    }
    let answer = match &reply.body {
        Value::Null => json!({}),
        answer => answer.clone(),
    };
    if let Some(Err(problem)) = step.get("has").map(|wanted| inside(wanted, &answer)) {
        return fault(problem);
    }
    let lacks = step["lacks"].as_array().into_iter().flatten();
    for name in lacks.filter_map(Value::as_str) {
        if answer.get(name).is_some() {
            return fault(format!("{name} is there"));
        }
    }
    let keep = step["keep"].as_object().into_iter().flatten();
    Ok(keep
        .map(|(name, member)| {
            let value = &answer[member.as_str().expect("a name")];
            let value = value.as_str().map_or(value.to_string(), str::to_owned);
            (name.clone(), value)
        })
        .collect())
}

fn filled(value: &Value, names: &BTreeMap<String, String>) -> Value {
    let fill = |text: &str| {
        names.iter().fold(text.to_owned(), |text, (name, value)| {
            text.replace(&format!("{{{name}}}"), value)
        })
    };
    match value {
        Value::String(text) => Value::String(fill(text)),
        Value::Array(elements) => elements.iter().map(|one| filled(one, names)).collect(),
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| (fill(name), filled(value, names)))
            .collect(),
        other => other.clone(),
    }
}
