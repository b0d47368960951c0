//! Event hooks and the System Log.

use serde_json::{Value, json};

use super::handler::{body, only_query};
use super::http::{Reply, Request};
use super::org::Org;

pub fn route(
    org: &mut Org,
    request: &Request,
    segments: &[&str],
    outside: Option<Result<(), String>>,
) -> Option<Reply> {
    if let ["eventHooks", id, ..] = segments
        && !org.hooks.contains_key(*id)
    {
        return Some(Reply::not_found(id));
    }
    let reply = match (request.method.as_str(), segments) {
        ("GET", ["eventHooks"]) => {
            Reply::ok(json!(org.hooks.values().map(hook_json).collect::<Vec<_>>()))
        }
        ("POST", ["eventHooks"]) => create(org, request),
        ("GET", ["eventHooks", id]) => Reply::ok(hook_json(&org.hooks[*id])),
        ("PUT", ["eventHooks", id]) => {
            let given = body(org, request, &["name", "description", "events", "channel"]);
            let hook = org.hooks.get_mut(*id).expect("looked up above");
            for name in ["name", "events", "channel"] {
                hook[name] = given[name].clone();
            }
            hook["verificationStatus"] = json!("UNVERIFIED");
            Reply::ok(hook_json(hook))
        }
        ("DELETE", ["eventHooks", id]) => {
            org.hooks.remove(*id);
            Reply::empty()
        }
        ("POST", ["eventHooks", id, "lifecycle", step]) => {
            let (name, value) = match (*step, outside) {
                ("verify", Some(Err(problem))) => {
                    return Some(Reply::invalid(&format!(
                        "Event hook verification failed: {problem}"
                    )));
                }
                ("verify", _) => ("verificationStatus", "VERIFIED"),
                ("activate", _) => ("status", "ACTIVE"),
                ("deactivate", _) => ("status", "INACTIVE"),
                _ => return None,
            };
            let hook = org.hooks.get_mut(*id).expect("looked up above");
            hook[name] = json!(value);
            Reply::ok(hook_json(hook))
        }
        ("GET", ["logs"]) => logs(org, request),
        _ => return None,
    };
    Some(reply)
}

/// Returns the hook without its secrets, as Okta does.
fn hook_json(hook: &Value) -> Value {
    let mut hook = hook.clone();
    if let Some(scheme) = hook
        .pointer_mut("/channel/config/authScheme")
        .and_then(Value::as_object_mut)
    {
        scheme.remove("value");
    }
    hook
}

fn create(org: &mut Org, request: &Request) -> Reply {
    let mut hook = body(org, request, &["name", "description", "events", "channel"]);
    for needed in ["/name", "/events/items/0", "/channel/config/uri"] {
        if hook.pointer(needed).is_none() {
            return Reply::invalid(&format!("{needed}: must be set"));
        }
    }
    if hook["events"]["type"] != "EVENT_TYPE" || hook["channel"]["version"] != "1.0.0" {
        return Reply::invalid("events.type or channel.version");
    }
    let id = org.new_id("who");
    hook["id"] = json!(id);
    hook["status"] = json!("ACTIVE");
    hook["verificationStatus"] = json!("UNVERIFIED");
    org.hooks.insert(id, hook.clone());
    Reply::ok(hook_json(&hook))
}

/// Okta's verification request to a hook's URL: the hook must return the challenge.
pub async fn challenge(http: &reqwest::Client, config: &Value) -> Result<(), String> {
    let uri = config["uri"].as_str().unwrap_or_default();
    let asked = http.get(uri).header("x-okta-verification-challenge", "v1");
    let answer = asked.send().await.map_err(|error| error.to_string())?;
    let status = answer.status();
    let body: Value = answer.json().await.unwrap_or_default();
    if status == 200 && body["verification"] == "v1" {
        Ok(())
    } else {
        Err(format!("{status}"))
    }
}

fn logs(org: &mut Org, request: &Request) -> Reply {
    let known = [
        "since",
        "until",
        "after",
        "filter",
        "q",
        "limit",
        "sortOrder",
    ];
    only_query(org, request, &known);
    let query = request.query();
    let filter = query.get("filter").map_or("", String::as_str);
    let Some(parsed) = LogFilter::read(filter) else {
        org.complain(format!("a filter that Okta cannot parse: {filter}"));
        return Reply::error(400, "E0000053", "Invalid filter");
    };
    let since = query.get("since").map_or("", String::as_str);
    let until = query.get("until").map_or("9", String::as_str);
    let start: usize = match query.get("after").map(|after| after.strip_prefix("at")) {
        None => 0,
        Some(Some(number)) => number.parse().expect("a cursor"),
        Some(None) => return Reply::invalid("after: no cursor of ours"),
    };
    let limit: usize = query
        .get("limit")
        .map_or(100, |limit| limit.parse().expect("a limit"));
    let rest = org.log.iter().enumerate().skip(start);
    let hits = rest.filter(|(_, event)| {
        let published = event["published"].as_str().unwrap_or_default();
        since <= published && published < until && parsed.fits(event)
    });
    let hits: Vec<(usize, Value)> = hits
        .take(limit.min(org.page_size))
        .map(|(at, event)| (at, event.clone()))
        .collect();
    let next = hits.last().map_or(org.log.len(), |(at, _)| at + 1);
    let is_polling = !query.contains_key("until");
    let is_more = org.log.len() > next;
    let events: Vec<Value> = hits.into_iter().map(|(_, event)| event).collect();
    let reply = Reply::ok(json!(events));
    if !is_polling && !is_more {
        return reply;
    }
    let others = request
        .raw_query
        .split('&')
        .filter(|pair| !pair.is_empty() && !pair.starts_with("after="));
    let others: Vec<&str> = others.collect();
    let next_url = format!(
        "{}{}?after=at{next}&{}",
        org.url,
        request.path,
        others.join("&")
    );
    reply.with(
        "link",
        format!("<{}>; rel=\"next\"", next_url.trim_end_matches(['&', '?'])),
    )
}

/// The filters that are useful for one app: a target, an outcome, some events.
#[derive(Default)]
struct LogFilter {
    target: Option<String>,
    outcome: Option<String>,
    events: Vec<(String, bool)>,
}

impl LogFilter {
    fn read(filter: &str) -> Option<Self> {
        let mut parsed = Self::default();
        if filter.is_empty() {
            return Some(parsed);
        }
        for term in filter.split(" and ").flat_map(|part| part.split(" or ")) {
            let term = term.trim().trim_matches(['(', ')']);
            let mut words = term.splitn(3, ' ');
            let (name, operator) = (words.next()?, words.next()?);
            let value = words
                .next()?
                .strip_prefix('"')?
                .strip_suffix('"')?
                .to_owned();
            match (name, operator) {
                ("target.id", "eq") => parsed.target = Some(value),
                ("outcome.result", "eq") => parsed.outcome = Some(value),
                ("eventType", "eq") => parsed.events.push((value, true)),
                ("eventType", "sw") => parsed.events.push((value, false)),
                _ => return None,
            }
        }
        Some(parsed)
    }

    fn fits(&self, event: &Value) -> bool {
        let kind = event["eventType"].as_str().unwrap_or_default();
        let is_target = |id: &String| {
            let targets = event["target"].as_array().into_iter().flatten();
            targets.into_iter().any(|target| target["id"] == **id)
        };
        self.target.as_ref().is_none_or(is_target)
            && self
                .outcome
                .as_ref()
                .is_none_or(|result| event["outcome"]["result"] == **result)
            && (self.events.is_empty()
                || self.events.iter().any(|(name, is_whole)| {
                    if *is_whole {
                        kind == name
                    } else {
                        kind.starts_with(name.as_str())
                    }
                }))
    }
}
