//! Cleans up after a run that was killed. One that ends by itself, also by an error, does so as it goes.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::Context as _;

/// A small `sh` in a group of its own, which is told what there is, and acts when nobody can tell it more.
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
        self.tell(&format!("process {process}"))
    }

    pub fn folder(&self, folder: &Path) -> anyhow::Result<()> {
        self.tell(&format!("folder {}", folder.display()))
    }

    fn tell(&self, what: &str) -> anyhow::Result<()> {
        let mut input = self.0.stdin.as_ref().context("no pipe")?;
        Ok(writeln!(input, "{what}")?)
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.tell("done").ok();
        self.0.wait().ok();
    }
}
