//! The measured values, as a table and as JSON.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::measure::Case;

/// The maximum cost of the large side relative to the small one.
const LIMIT: f64 = 2.0;

/// The tables of all databases.
#[derive(Default)]
pub struct Report {
    sections: Vec<Section>,
    skipped: Vec<&'static str>,
}

/// One table.
pub struct Section {
    database: &'static str,
    /// The names of the sides, the baseline first.
    sides: [String; 2],
    rows: Vec<Row>,
}

struct Row {
    operation: &'static str,
    rounds: usize,
    baseline: Spread,
    large: Spread,
}

/// In microseconds.
struct Spread {
    median: f64,
    p90: f64,
}

impl Spread {
    fn of(mut taken: Vec<Duration>) -> Self {
        taken.sort_unstable();
        let at = |percent: usize| {
            let index = (taken.len() * percent / 100).min(taken.len().saturating_sub(1));
            let found = taken.get(index).copied().unwrap_or_default();
            found.as_secs_f64() * 1e6
        };
        Self {
            median: at(50),
            p90: at(90),
        }
    }
}

impl Row {
    fn ratio(&self) -> f64 {
        self.large.median / self.baseline.median
    }

    fn is_within_limit(&self) -> bool {
        self.ratio() <= LIMIT
    }
}

impl Section {
    pub fn new(database: &'static str, sides: [String; 2], cases: Vec<Case>) -> Self {
        let row = |case: Case| Row {
            operation: case.name,
            rounds: case.large.len(),
            baseline: Spread::of(case.baseline),
            large: Spread::of(case.large),
        };
        Self {
            database,
            sides,
            rows: cases.into_iter().map(row).collect(),
        }
    }

    /// Prints the table.
    pub fn print(&self) {
        let [baseline, large] = &self.sides;
        let rounds = self.rows.first().map_or(0, |row| row.rounds);
        println!("  median latency in µs, {rounds} rounds");
        println!(
            "  {:<26} {baseline:>14} {large:>16} {:>6}  within {LIMIT}x",
            "", "ratio"
        );
        for row in &self.rows {
            println!(
                "  {:<26} {:>14.0} {:>16.0} {:>6.2}  {}",
                row.operation,
                row.baseline.median,
                row.large.median,
                row.ratio(),
                if row.is_within_limit() { "yes" } else { "NO" }
            );
        }
    }

    fn to_json(&self) -> Value {
        let spread = |spread: &Spread| json!({ "median_us": spread.median, "p90_us": spread.p90 });
        let row = |row: &Row| {
            json!({
                "operation": row.operation,
                "rounds": row.rounds,
                "baseline": spread(&row.baseline),
                "large": spread(&row.large),
                "ratio": row.ratio(),
                "within_limit": row.is_within_limit(),
            })
        };
        let [baseline, large] = &self.sides;
        json!({
            "database": self.database,
            "baseline": baseline,
            "large": large,
            "rows": self.rows.iter().map(row).collect::<Vec<_>>(),
        })
    }
}

impl Report {
    pub fn add(&mut self, sections: Vec<Section>) {
        self.sections.extend(sections);
    }

    pub fn skip(&mut self, database: &'static str) {
        println!("\nSKIPPED: {database}: this machine has none, and nothing below speaks of it");
        self.skipped.push(database);
    }

    pub fn is_within_limit(&self) -> bool {
        let mut rows = self.sections.iter().flat_map(|section| &section.rows);
        rows.all(Row::is_within_limit)
    }

    /// Writes `bench/scaling.json` in Cargo's target directory.
    pub fn write(&self) -> anyhow::Result<PathBuf> {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent();
        let directory = target.context("no target directory")?.join("bench");
        std::fs::create_dir_all(&directory)?;
        let file = directory.join("scaling.json");
        let report = json!({
            "limit": LIMIT,
            "within_limit": self.is_within_limit(),
            "sections": self.sections.iter().map(Section::to_json).collect::<Vec<_>>(),
            "skipped": self.skipped,
        });
        std::fs::write(&file, format!("{report:#}\n"))?;
        Ok(file)
    }
}
