//! The measured values, as a Markdown table and as JSON.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::Serialize;

use crate::numbers::{mean, median, thousands};
use crate::target::Target;
use crate::wrk::Outcome;

/// The ratio of a number to its baseline in the same run.
#[derive(Debug, Clone, Serialize)]
pub struct Comparison {
    pub baseline: String,
    pub value: f64,
    /// The median of the rounds, because a disturbance of one side is not a property of either.
    pub ratio: f64,
    /// The lowest and the highest round.
    pub between: [f64; 2],
    pub target: Option<Target>,
}

impl Comparison {
    /// Compares values that were measured alternately.
    pub fn new(baseline: &str, ours: &[f64], theirs: &[f64], target: Option<Target>) -> Self {
        let pairs = ours.iter().zip(theirs);
        let ratios: Vec<f64> = pairs.map(|(ours, theirs)| ours / theirs).collect();
        let all = || ratios.iter().copied();
        Self {
            baseline: baseline.to_owned(),
            value: median(theirs.iter().copied()),
            ratio: median(all()),
            between: [
                all().fold(f64::INFINITY, f64::min),
                all().fold(0.0, f64::max),
            ],
            target,
        }
    }
}

/// One operation under load.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    pub operation: String,
    pub connections: usize,
    pub per_second: f64,
    pub p50_us: f64,
    pub p99_us: f64,
    pub errors: u64,
    pub comparisons: Vec<Comparison>,
}

impl Row {
    pub fn new(operation: String, connections: usize, outcomes: &[Outcome]) -> Self {
        Self {
            operation,
            connections,
            per_second: median(outcomes.iter().map(Outcome::per_second)),
            p50_us: mean(outcomes.iter().map(|outcome| outcome.p50)),
            p99_us: mean(outcomes.iter().map(|outcome| outcome.p99)),
            errors: outcomes.iter().map(Outcome::errors).sum(),
            comparisons: Vec::new(),
        }
    }
}

/// A number with its own limit.
#[derive(Debug, Clone, Serialize)]
pub struct Fact {
    pub what: String,
    pub value: f64,
    pub unit: &'static str,
    /// The values that it was computed from.
    pub parts: Vec<f64>,
    pub target: Option<Target>,
}

/// One database of one size.
#[derive(Debug, Clone, Serialize)]
pub struct Section {
    pub title: String,
    pub rows: Vec<Row>,
    pub facts: Vec<Fact>,
}

impl Fact {
    pub fn new(what: &str, value: f64, unit: &'static str) -> Self {
        Self {
            what: what.to_owned(),
            value,
            unit,
            parts: Vec::new(),
            target: None,
        }
    }

    /// Describes a quotient by its two values.
    pub fn ratio(what: &str, dividend: f64, divisor: f64, unit: &'static str) -> Self {
        let mut fact = Self::new(what, dividend / divisor, unit);
        fact.parts = vec![dividend, divisor];
        fact
    }

    pub fn within(mut self, target: Target) -> Self {
        self.target = Some(target);
        self
    }
}

#[derive(Debug, Default, Serialize)]
pub struct Report {
    pub machine: String,
    pub sections: Vec<Section>,
    pub missed: Vec<String>,
}

impl Section {
    pub fn new(title: String) -> Self {
        Self {
            title,
            rows: Vec::new(),
            facts: Vec::new(),
        }
    }

    pub fn push(&mut self, row: Row) {
        let Row {
            operation,
            connections,
            ..
        } = &row;
        eprintln!(
            "  {operation}, {connections} connections: {} a second",
            thousands(row.per_second)
        );
        self.rows.push(row);
    }

    fn missed(&self) -> Vec<String> {
        let mut missed = Vec::new();
        for row in &self.rows {
            let name = format!(
                "{}: {}, {} connections",
                self.title, row.operation, row.connections
            );
            if row.errors > 0 {
                missed.push(format!("{name}: {} errors", row.errors));
            }
            for comparison in &row.comparisons {
                if let Some(target) = comparison
                    .target
                    .filter(|target| !target.is_met(comparison.ratio))
                {
                    missed.push(format!(
                        "{name}: {:.2} of {}, not {target}",
                        comparison.ratio, comparison.baseline
                    ));
                }
            }
        }
        for fact in &self.facts {
            if let Some(target) = fact.target.filter(|target| !target.is_met(fact.value)) {
                missed.push(format!(
                    "{}: {}: {:.2} {}, not {target}",
                    self.title, fact.what, fact.value, fact.unit
                ));
            }
        }
        missed
    }

    pub fn print(&self) {
        println!("\n### {}\n", self.title);
        if !self.rows.is_empty() {
            println!(
                "| operation | connections | a second | p50 µs | p99 µs | errors | against | ratio | target |"
            );
            println!("|---|--:|--:|--:|--:|--:|---|--:|---|");
        }
        for row in &self.rows {
            let Row {
                operation,
                connections,
                errors,
                ..
            } = row;
            print!(
                "| {operation} | {connections} | {} | {} | {} | {errors} ",
                thousands(row.per_second),
                thousands(row.p50_us),
                thousands(row.p99_us)
            );
            if row.comparisons.is_empty() {
                println!("| | | |");
            }
            for (index, comparison) in row.comparisons.iter().enumerate() {
                if index > 0 {
                    print!("| | | | | | ");
                }
                println!(
                    "| {}: {} | {} | {} |",
                    comparison.baseline,
                    thousands(comparison.value),
                    ratio(comparison),
                    verdict(comparison.target, comparison.ratio)
                );
            }
        }
        if !self.rows.is_empty() {
            println!();
        }
        if !self.facts.is_empty() {
            println!("| | | | target |\n|---|--:|--:|---|");
        }
        for fact in &self.facts {
            let value = if fact.value < 100.0 {
                format!("{:.2}", fact.value)
            } else {
                thousands(fact.value)
            };
            let parts: Vec<String> = fact.parts.iter().copied().map(thousands).collect();
            println!(
                "| {} | {} | {value} {} | {} |",
                fact.what,
                parts.join(" / "),
                fact.unit,
                verdict(fact.target, fact.value)
            );
        }
    }
}

fn ratio(comparison: &Comparison) -> String {
    let [least, greatest] = comparison.between;
    if least < greatest {
        format!("{:.2} ({least:.2} to {greatest:.2})", comparison.ratio)
    } else {
        format!("{:.2}", comparison.ratio)
    }
}

fn verdict(target: Option<Target>, value: f64) -> String {
    match target {
        None => String::new(),
        Some(target) if target.is_met(value) => format!("{target}: met"),
        Some(target) => format!("{target}: **missed**"),
    }
}

impl Report {
    pub fn add(&mut self, section: Section) {
        if section.rows.is_empty() && section.facts.is_empty() {
            return;
        }
        section.print();
        self.missed.extend(section.missed());
        self.sections.push(section);
    }

    /// Writes `bench/load.json` in Cargo's target directory.
    pub fn write(&self) -> anyhow::Result<PathBuf> {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent();
        let directory = target.context("no target directory")?.join("bench");
        std::fs::create_dir_all(&directory)?;
        let file = directory.join("load.json");
        std::fs::write(&file, serde_json::to_string_pretty(self)? + "\n")?;
        Ok(file)
    }
}
