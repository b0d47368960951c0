//! A full import: everybody, a hundred at a time.

use std::time::Duration;

use anyhow::ensure;
use serde_json::Value;

use crate::measure::median;
use crate::report::{Fact, Section, Target};
use crate::server::Server;

/// As Okta does it, by startIndex, and by cursor: seconds a walk, and what the last pages cost against the first.
pub fn walk(server: &Server, users: usize, section: &mut Section) -> anyhow::Result<()> {
    let (by_index, growth) = pages(server, users, |_, seen| {
        Some(format!("startIndex={}", seen + 1))
    })?;
    let (by_cursor, _) = pages(server, users, |answer, _| {
        let Some(answer) = answer else {
            return Some("cursor=".to_owned());
        };
        let next = answer.get("nextCursor")?.as_str()?;
        Some(format!("cursor={next}"))
    })?;
    section
        .facts
        .push(Fact::new("import by startIndex, 100 a page", by_index, "s"));
    section
        .facts
        .push(Fact::new("walk by cursor, 100 a page", by_cursor, "s"));
    let ratio = Fact::new(
        "import by startIndex against the walk by cursor",
        by_index / by_cursor,
        "",
    );
    section.facts.push(ratio.within(Target::AtMost(2.0)));
    let growth = Fact::new("import by startIndex, last pages against first", growth, "");
    section.facts.push(growth.within(Target::AtMost(1.5)));
    Ok(())
}

/// `next` makes the query of a page from the answer before, and from how many were seen; `None` ends it.
fn pages(
    server: &Server,
    users: usize,
    next: impl Fn(Option<&Value>, usize) -> Option<String>,
) -> anyhow::Result<(f64, f64)> {
    let mut connection = server.connect()?;
    let (mut times, mut seen, mut answer): (Vec<Duration>, usize, Option<Value>) =
        (Vec::new(), 0, None);
    let mut spent = Duration::ZERO;
    while let Some(query) = next(answer.as_ref(), seen) {
        let request = connection.request("GET", &format!("/Users?count=100&{query}"), None);
        let took = connection.send(&request)?;
        spent += took;
        times.push(took);
        // What the client does with a page is not the server's time.
        let page = connection.body()?;
        seen += page
            .get("Resources")
            .and_then(Value::as_array)
            .map_or(0, Vec::len);
        let total = page.get("totalResults").and_then(Value::as_u64);
        if total.is_some_and(|total| u64::try_from(seen).is_ok_and(|seen| seen >= total)) {
            break;
        }
        answer = Some(page);
    }
    ensure!(seen >= users, "a walk saw {seen} of {users}");
    let edge = times.len().div_ceil(10);
    let growth = median(times.iter().rev().take(edge).map(Duration::as_secs_f64))
        / median(times.iter().take(edge).map(Duration::as_secs_f64));
    Ok((spent.as_secs_f64(), growth))
}
