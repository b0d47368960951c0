//! Comparisons of two alternating sides, so that other load on the machine affects both: a large
//! and a small directory, a large and a small group, with and without listeners.

use crate::groups::{Group, Groups};
use crate::measure::Bench;
use crate::numbers::{count, mean, median, mega, number, thousands};
use crate::operations::{self, Kind, Operation};
use crate::process;
use crate::report::{Fact, Section};
use crate::streams::Listeners;
use crate::target::Target;
use crate::wrk::Outcome;

const ROUNDS: usize = 5;
const LISTENERS: usize = 10;

/// Compares the median latency of one client in the large and the small directory.
pub fn sizes(small: &mut Bench<'_>, large: &mut Bench<'_>) -> anyhow::Result<Section> {
    let against = thousands(number(small.users));
    let mut section = large.section(&format!(" against {against}"));
    for operation in operations::main() {
        let (mut few, mut many) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            few.push(small.load(&operation, 1, 1)?);
            many.push(large.load(&operation, 1, 1)?);
        }
        push(&mut section, &operation.title, &few, &many, 1.3);
    }
    let peak = Fact::new(
        "memory at its peak",
        mega(process::memory(large.server.id())?.peak),
        "MB",
    );
    section.facts.push(peak.within(Target::AtMost(150.0)));
    Ok(section)
}

/// Compares a member change in a large group and in a group of ten members.
pub fn groups(bench: &mut Bench<'_>, groups: &Groups, section: &mut Section) -> anyhow::Result<()> {
    let pool = groups.pool.path().display().to_string();
    let edit = |group: &Group| {
        let title = format!("PATCH one member of {}", thousands(number(group.members)));
        Operation::new(
            "member",
            &title,
            Kind::Change,
            vec![group.path.clone(), pool.clone()],
        )
    };
    let Some(small) = groups.all.first() else {
        return Ok(());
    };
    let connections = bench.arguments.connections.first().copied().unwrap_or(64);
    for group in &groups.all {
        section.push(bench.row(&edit(group), connections, bench.arguments.seconds)?);
    }
    for group in groups.all.iter().skip(1) {
        let (mut few, mut many) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            few.push(bench.load(&edit(small), 1, 1)?);
            many.push(bench.load(&edit(group), 1, 1)?);
        }
        push(
            section,
            &format!("{} against 10", edit(group).title),
            &few,
            &many,
            1.2,
        );
    }
    if let Some(group) = groups.of(50_000) {
        let path = format!("{}/members/", group.path.to_lowercase());
        let check = Operation::new(
            "membership",
            "directory: membership in 50,000",
            Kind::Read,
            vec![path],
        );
        section.push(bench.row(&check, connections, bench.arguments.seconds)?);
    }
    Ok(())
}

fn push(section: &mut Section, what: &str, few: &[Outcome], many: &[Outcome], limit: f64) {
    let p50 = |outcomes: &[Outcome]| median(outcomes.iter().map(|outcome| outcome.p50));
    let what = format!("{what}: median latency of one client (µs), large against small");
    let ratio = Fact::ratio(&what, p50(many), p50(few), "");
    section.facts.push(ratio.within(Target::AtMost(limit)));
}

/// Measures the cost of listeners for writers.
pub fn listeners(bench: &mut Bench<'_>, section: &mut Section) -> anyhow::Result<()> {
    let create = Operation::new("create", "create", Kind::Create, Vec::new());
    let connections = bench.arguments.connections.first().copied().unwrap_or(64);
    let (mut alone, mut followed, mut told, mut made) = (Vec::new(), Vec::new(), 0, 0);
    for _ in 0..2 {
        alone.push(bench.load(&create, connections, 2)?);
        let listeners = Listeners::attach(&bench.server.host, LISTENERS)?;
        let outcome = bench.load(&create, connections, 2)?;
        told += listeners.events();
        made += outcome.requests;
        followed.push(outcome);
    }
    let rate = |outcomes: &[Outcome]| mean(outcomes.iter().map(Outcome::per_second));
    let (alone, followed) = (rate(&alone), rate(&followed));
    let what = "creates a second with ten listeners, against none";
    section.facts.push(Fact::ratio(what, followed, alone, ""));
    let share = count(told) / count(made) / 10.0;
    section.facts.push(Fact::new(
        "share of the changes that a listener had by then",
        share,
        "",
    ));
    Ok(())
}
