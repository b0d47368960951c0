//! wrk: a load generator in C, which sends the requests of requests.lua.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use serde::Deserialize;

use crate::numbers;
use crate::operations::Operation;
use crate::server::TOKEN;

/// The requests, and their target.
#[derive(Clone, Copy)]
pub struct Load<'a> {
    pub operation: &'a Operation,
    pub host: &'a str,
    pub users: usize,
    pub connections: usize,
    pub seconds: u64,
    /// Different in each run, so that no user is created twice.
    pub salt: u64,
}

#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Outcome {
    pub requests: u64,
    micros: f64,
    /// In microseconds.
    pub p50: f64,
    /// In microseconds.
    pub p99: f64,
    /// Responses with status 400 and above.
    refused: u64,
    /// Broken connections and missing responses.
    broken: u64,
    /// Acknowledged requests that recorded no change.
    #[serde(default)]
    pub undone: u64,
}

impl Outcome {
    pub fn per_second(&self) -> f64 {
        numbers::count(self.requests) * 1e6 / self.micros.max(1.0)
    }

    pub fn errors(&self) -> u64 {
        self.refused + self.broken + self.undone
    }
}

/// Uses one thread, because it shares the processors with the server.
pub fn run(load: &Load<'_>) -> anyhow::Result<Outcome> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/load/requests.lua");
    let output = Command::new("wrk")
        .args(["-t", "1", "-c", &load.connections.to_string()])
        .args([
            "-d",
            &format!("{}s", load.seconds),
            "--timeout",
            "30s",
            "-s",
        ])
        .arg(script)
        .arg(format!("http://{}/", load.host))
        .args(["--", load.operation.name, TOKEN])
        .args([load.users.to_string(), load.salt.to_string()])
        .args(&load.operation.arguments)
        .stdin(Stdio::null())
        .output()
        .context("cannot run wrk; `just bench` installs it")?;
    let said = String::from_utf8_lossy(&output.stdout);
    let result = said.lines().find_map(|line| line.strip_prefix("RESULT "));
    let result = result.with_context(|| {
        let errors = String::from_utf8_lossy(&output.stderr);
        format!("wrk failed: {said}{errors}")
    })?;
    let outcome: Outcome = serde_json::from_str(result)?;
    ensure!(
        outcome.requests > 0,
        "{}: nothing was answered",
        load.operation.title
    );
    Ok(outcome)
}
