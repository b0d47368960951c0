//! Profiles the server during one operation with perf, at a thousand samples per second.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};

use crate::measure::Bench;
use crate::numbers::thousands;
use crate::operations;
use crate::report::Row;

/// Writes `bench/OPERATION-DATABASE.perf` in Cargo's target directory.
pub fn record(bench: &mut Bench<'_>, wanted: &str) -> anyhow::Result<PathBuf> {
    let mut known = operations::main();
    known.extend(operations::others(&bench.server, bench.users)?);
    let names: Vec<&str> = known.iter().map(|operation| operation.name).collect();
    let operation = known.iter().find(|operation| operation.name == wanted);
    let operation = operation.with_context(|| format!("no operation {wanted}, only {names:?}"))?;
    let connections = bench.arguments.connections.first().copied().unwrap_or(64);
    // Warms up caches and prepared statements.
    bench.row(operation, connections, 2)?;
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent();
    let folder = target.context("no target directory")?.join("bench");
    std::fs::create_dir_all(&folder)?;
    let file = folder.join(format!("{wanted}-{:?}.perf", bench.backend).to_lowercase());
    let seconds = bench.arguments.seconds;
    // A virtual machine has no hardware counters, but a clock. The binary has no frame pointers.
    let perf = Command::new("perf")
        .args([
            "record",
            "-e",
            "cpu-clock",
            "-F",
            "997",
            "--call-graph",
            "dwarf,16384",
            "-o",
        ])
        .arg(&file)
        .args([
            "-p",
            &bench.server.id().to_string(),
            "--",
            "sleep",
            &seconds.to_string(),
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot run perf; `just profile` installs it")?;
    let row: Row = bench.row(operation, connections, seconds + 1)?;
    let output = perf.wait_with_output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "perf failed: {errors}");
    println!(
        "{}: {} a second while perf looked",
        row.operation,
        thousands(row.per_second)
    );
    Ok(file)
}
