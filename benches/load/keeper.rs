//! Cleans up after a killed run. A run that ends by itself, even with an error, cleans up as it
//! ends.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::Context as _;

/// A small `sh` in its own process group, which receives a list of resources and removes them once
/// its input ends.
pub struct Keeper(Child);

const SCRIPT: &str = "while read -r kind what; do case $kind in \
                      process) processes=\"$processes $what\" ;; \
                      folder) folders=\"$folders $what\" ;; \
                      done) exit ;; \
                      esac; done; kill $processes; rm -rf $folders";

impl Keeper {
    pub fn start() -> anyhow::Result<Self> {
        let child = Command::new("sh")
            .args(["-c", SCRIPT])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .context("cannot start sh")?;
        Ok(Self(child))
    }

    pub fn process(&self, process: u32) -> anyhow::Result<()> {
        self.send(&format!("process {process}"))
    }

    pub fn folder(&self, folder: &Path) -> anyhow::Result<()> {
        self.send(&format!("folder {}", folder.display()))
    }

    fn send(&self, what: &str) -> anyhow::Result<()> {
        let mut input = self.0.stdin.as_ref().context("no pipe")?;
        Ok(writeln!(input, "{what}")?)
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.send("done").ok();
        self.0.wait().ok();
    }
}
