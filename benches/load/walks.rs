//! A full import of all users, a hundred per page.

use std::time::Duration;

use anyhow::ensure;
use serde_json::Value;

use crate::numbers::{median, number};
use crate::report::{Fact, Section};
use crate::server::Server;
use crate::target::Target;

/// A longer walk is stopped: the pages until then suffice.
const LONGEST: Duration = Duration::from_secs(60);

/// Walks like Okta, by startIndex, and by cursor.
pub fn walk(server: &Server, users: usize, section: &mut Section) -> anyhow::Result<()> {
    let by_index = pages(server, users, |_, seen| {
        Some(format!("startIndex={}", seen + 1))
    })?;
    let by_cursor = pages(server, users, |answer, _| {
        let Some(answer) = answer else {
            return Some("cursor=".to_owned());
        };
        let next = answer.get("nextCursor")?.as_str()?;
        Some(format!("cursor={next}"))
    })?;
    for (name, walk) in [
        ("import by startIndex", &by_index),
        ("walk by cursor", &by_cursor),
    ] {
        let what = format!("{name}: a page of 100, mean");
        section.facts.push(Fact::new(&what, walk.mean_ms, "ms"));
        let what = format!("{name}: its dearest tenth against its cheapest");
        let spread = Fact::new(&what, walk.spread, "");
        section.facts.push(spread.within(Target::AtMost(2.0)));
    }
    let ratio = by_index.mean_ms / by_cursor.mean_ms;
    let ratio = Fact::new("import by startIndex against the walk by cursor", ratio, "");
    section.facts.push(ratio.within(Target::AtMost(2.0)));
    Ok(())
}

struct Walk {
    mean_ms: f64,
    /// The ratio of the medians of its tenths; constant if the walk is linear.
    spread: f64,
}

/// `next` returns the query of a page, given the last response and the number of users seen; `None`
/// ends the walk.
fn pages(
    server: &Server,
    users: usize,
    next: impl Fn(Option<&Value>, usize) -> Option<String>,
) -> anyhow::Result<Walk> {
    let mut connection = server.connect()?;
    let (mut times, mut seen, mut answer): (Vec<Duration>, usize, Option<Value>) =
        (Vec::new(), 0, None);
    let mut spent = Duration::ZERO;
    while let Some(query) = next(answer.as_ref(), seen) {
        let request = connection.request("GET", &format!("/Users?count=100&{query}"), None);
        let took = connection.send(&request)?;
        spent += took;
        times.push(took);
        // Excludes the client's own processing from the server's time.
        let page = connection.body()?;
        seen += page
            .get("Resources")
            .and_then(Value::as_array)
            .map_or(0, Vec::len);
        let total = page.get("totalResults").and_then(Value::as_u64);
        let is_last =
            total.is_some_and(|total| u64::try_from(seen).is_ok_and(|seen| seen >= total));
        if is_last || spent > LONGEST {
            break;
        }
        answer = Some(page);
    }
    ensure!(
        seen >= users || spent > LONGEST,
        "a walk saw {seen} of {users}"
    );
    let tenths = times.chunks(times.len().div_ceil(10));
    let mut tenths: Vec<f64> = tenths
        .map(|tenth| median(tenth.iter().map(Duration::as_secs_f64)))
        .collect();
    tenths.sort_by(f64::total_cmp);
    let (cheapest, dearest) = (tenths.first().copied(), tenths.last().copied());
    Ok(Walk {
        mean_ms: spent.as_secs_f64() * 1e3 / number(times.len()),
        spread: dearest.unwrap_or_default() / cheapest.unwrap_or_default(),
    })
}
