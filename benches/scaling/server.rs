//! The release binary as a child process, on a fresh database.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use tempfile::TempDir;

use crate::connection::Connection;
use crate::{Backend, postgres};

pub const TOKEN: &str = "the-token-of-the-benchmark-of-scaling";

/// An empty database, removed when dropped.
pub struct Database {
    pub url: String,
    directory: TempDir,
    backend: Backend,
}

impl Database {
    /// Creates it below Cargo's target directory, which is on a real disk. Returns `None` if this
    /// machine has no such database.
    pub fn fresh(backend: Backend) -> anyhow::Result<Option<Self>> {
        let directory = TempDir::with_prefix_in("scaling-", env!("CARGO_TARGET_TMPDIR"))?;
        let url = match backend {
            Backend::Sqlite => Some(format!(
                "sqlite:{}",
                directory.path().join("rollcall.sqlite").display()
            )),
            Backend::Postgres => postgres::fresh_database(),
        };
        Ok(url.map(|url| Self {
            url,
            directory,
            backend,
        }))
    }
}

impl Database {
    /// The directory of the database file and the server's log.
    pub fn folder(&self) -> &Path {
        self.directory.path()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if self.backend == Backend::Postgres {
            postgres::drop_database(&self.url);
        }
    }
}

/// A listening server. Killed when dropped.
pub struct Server {
    child: Child,
    pub host: String,
    /// The time from the start of the process until it listened.
    pub ready: Duration,
}

impl Server {
    pub fn start(database: &Database) -> anyhow::Result<Self> {
        let log = std::fs::File::create(database.directory.path().join("log"))?;
        let started = Instant::now();
        let mut child = Command::new(env!("CARGO_BIN_EXE_rollcall"))
            .args([
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--database",
                &database.url,
            ])
            .env("ROLLCALL_BOOTSTRAP_TOKEN", TOKEN)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .context("cannot start the server")?;
        let stdout = child.stdout.take().context("no pipe")?;
        let mut server = Self {
            child,
            host: String::new(),
            ready: Duration::ZERO,
        };
        for line in BufReader::new(stdout).lines() {
            if let Some(address) = line?.strip_prefix("listening on ") {
                server.ready = started.elapsed();
                server.host = address.trim_start_matches("http://").to_owned();
                return Ok(server);
            }
        }
        bail!("the server did not start");
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn connect(&self) -> anyhow::Result<Connection> {
        Connection::open(&self.host, TOKEN)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
