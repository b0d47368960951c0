//! The binary as a child process on a fresh database, and its system statistics.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use tempfile::TempDir;

use crate::client::Connection;
use crate::{Backend, postgres};

const TOKEN: &str = "the-token-of-the-benchmark-of-overload";
/// `sysconf(_SC_CLK_TCK)`, which has this value everywhere on Linux.
const TICKS_PER_S: u32 = 100;

/// An empty database, removed when dropped.
pub struct Database {
    url: String,
    directory: TempDir,
    backend: Backend,
}

impl Database {
    /// Creates it below Cargo's target directory, which is on a real disk. Returns `None` if this
    /// machine has no such database.
    pub fn fresh(backend: Backend) -> anyhow::Result<Option<Self>> {
        let directory = TempDir::with_prefix_in("overload-", env!("CARGO_TARGET_TMPDIR"))?;
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
    host: String,
}

impl Server {
    pub fn start(database: &Database) -> anyhow::Result<Self> {
        let log = std::fs::File::create(database.directory.path().join("log"))?;
        let mut child = Command::new(env!("CARGO_BIN_EXE_rollcall"))
            .args(["serve", "--listen", "127.0.0.1:0", "--database"])
            .arg(&database.url)
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
        };
        for line in BufReader::new(stdout).lines() {
            if let Some(address) = line?.strip_prefix("listening on ") {
                server.host = address.trim_start_matches("http://").to_owned();
                return Ok(server);
            }
        }
        bail!("the server did not start");
    }

    pub async fn connect(&self) -> anyhow::Result<Connection> {
        Connection::open(&self.host, TOKEN).await
    }

    /// Returns a line of `/proc/PID/status`, such as `VmRSS`.
    pub fn memory_kib(&self, name: &str) -> anyhow::Result<usize> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|line| line.split_whitespace().nth(1));
        Ok(number.context("no such line")?.parse()?)
    }

    /// Returns the CPU time on all cores since the start.
    pub fn cpu(&self) -> anyhow::Result<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let (_, fields) = stat.rsplit_once(')').context("no stat")?;
        let mut ticks: u32 = 0;
        for field in fields.split_whitespace().skip(11).take(2) {
            ticks += field.parse::<u32>()?;
        }
        Ok(Duration::from_secs_f64(
            f64::from(ticks) / f64::from(TICKS_PER_S),
        ))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
