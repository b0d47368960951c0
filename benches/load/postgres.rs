//! PostgreSQL as in production: with fsync, and commits that wait for it. It has the functions of
//! the tests' module of this name, for server.rs.

#[expect(
    clippy::expect_used,
    reason = "shared with the tests, which fail by panicking"
)]
#[path = "../../tests/it/harness/throwaway.rs"]
mod throwaway;

use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use diesel::{Connection as _, PgConnection, RunQueryDsl as _, sql_query};

use throwaway::Throwaway;

/// Settings of a small server; a checkpoint happens by time and not in the middle of a measurement.
const SETTINGS: &str = "-c fsync=on -c synchronous_commit=on -c full_page_writes=on -c shared_buffers=512MB \
                        -c max_wal_size=4GB -c checkpoint_timeout=30min";

pub fn fresh_database() -> Option<String> {
    create("template0")
}

/// Copies a database that has no connections.
pub fn copy(url: &str) -> Option<String> {
    create(url.rsplit('/').next()?)
}

fn create(template: &str) -> Option<String> {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let cluster = cluster()?;
    let name = format!("load{}", NEXT.fetch_add(1, Ordering::Relaxed));
    run(
        &cluster.url,
        &format!("CREATE DATABASE {name} TEMPLATE {template}"),
    )
    .ok()?;
    let (server, _) = cluster.url.rsplit_once('/')?;
    Some(format!("{server}/{name}"))
}

pub fn drop_database(url: &str) {
    let name = url.rsplit('/').next().unwrap_or_default();
    if let Some(cluster) = cluster() {
        run(
            &cluster.url,
            &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"),
        )
        .ok();
    }
}

/// Runs one statement.
pub fn run(url: &str, sql: &str) -> anyhow::Result<()> {
    sql_query(sql).execute(&mut PgConnection::establish(url)?)?;
    Ok(())
}

/// Returns the path of a PostgreSQL program.
pub fn program(name: &str) -> PathBuf {
    let installed = throwaway::find_programs().map(|programs| programs.join(name));
    installed
        .filter(|path| path.exists())
        .unwrap_or_else(|| name.into())
}

fn cluster() -> Option<&'static Throwaway> {
    static CLUSTER: OnceLock<Option<Throwaway>> = OnceLock::new();
    let start = || Some(Throwaway::start(&throwaway::find_programs()?, SETTINGS));
    CLUSTER.get_or_init(start).as_ref()
}
