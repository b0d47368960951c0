//! Fills a database by `rollcall import`, so that the server itself writes the rows, and checks
//! that all exist.

use std::io::{BufWriter, Write};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::template::{Template, id, name};

/// Writes lines, and computes their checksum.
struct Sheet<W> {
    output: W,
    digest: Sha256,
}

impl<W: Write> Sheet<W> {
    fn line(&mut self, line: &str) -> std::io::Result<()> {
        for part in [line, "\n"] {
            self.digest.update(part);
            self.output.write_all(part.as_bytes())?;
        }
        Ok(())
    }
}

/// Creates this many users, each with the change that created it; returns the duration.
pub fn users(url: &str, template: &Template, count: usize) -> anyhow::Result<f64> {
    let started = Instant::now();
    let mut import = Command::new(env!("CARGO_BIN_EXE_rollcall"))
        .args(["import", "-", "--database", url])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let input = import.stdin.take().context("no pipe")?;
    let written = write(input, template, count);
    let output = import.wait_with_output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the import failed: {errors}");
    written?;
    Ok(started.elapsed().as_secs_f64())
}

fn write(input: impl Write, template: &Template, count: usize) -> anyhow::Result<()> {
    let mut sheet = Sheet {
        output: BufWriter::new(input),
        digest: Sha256::new(),
    };
    let mut header = template.header.clone();
    let field = header.pointer_mut("/rollcallExport/changeSeq");
    *field.context("another form of export")? = json!(count);
    sheet.line(&header.to_string())?;
    for number in 0..count {
        sheet.line(&template.resource.fill(&id(number), &name(number)))?;
    }
    for number in 0..count {
        let line = template.change.fill(&id(number), &name(number));
        let mut change: Value = serde_json::from_str(&line)?;
        let seq = change.pointer_mut("/change/seq");
        *seq.context("another form of export")? = json!(number + 1);
        sheet.line(&change.to_string())?;
    }
    let counted = json!({ "count": { "resourceType": "User", "live": count, "deleted": 0 } });
    sheet.line(&counted.to_string())?;
    let digest: String = sheet
        .digest
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let end = json!({ "end": {
        "resources": count, "members": 0, "changes": count, "tokens": 0, "sha256": digest,
    }});
    writeln!(sheet.output, "{end}")?;
    sheet.output.flush()?;
    Ok(())
}
