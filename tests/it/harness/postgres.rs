//! One throwaway PostgreSQL cluster for the tests of one process. The module is self-contained and
//! independent of Rollcall, so that the unit tests of the crate can include it by path.
//!
//! `ROLLCALL_TEST_POSTGRES` (the URL of a superuser) names a server to use instead of a new
//! cluster.

use std::io::Write as _;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use diesel::{Connection as _, PgConnection, RunQueryDsl as _};

#[path = "throwaway.rs"]
pub mod throwaway;

use throwaway::Throwaway;

/// Tests may lose data when the machine crashes.
const SETTINGS: &str = "-c fsync=off -c full_page_writes=off";

/// Returns the URL of a new, empty database, or `None` if this machine has no PostgreSQL: then the
/// caller returns early. On CI (`CI` is set) a missing PostgreSQL is a failure.
pub fn fresh_database() -> Option<String> {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let server = server()?;
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("rollcall_test_{}_{number}", std::process::id());
    let mut connection = PgConnection::establish(server).expect("connects to PostgreSQL");
    diesel::sql_query(format!("CREATE DATABASE {name} TEMPLATE template0"))
        .execute(&mut connection)
        .expect("creates a database");
    Some(with_database(server, &name))
}

/// Removes a database that [`fresh_database`] created: an external server outlives the tests.
pub fn drop_database(url: &str) {
    let Some(server) = server() else { return };
    let (main, _) = url.split_once('?').unwrap_or((url, ""));
    let name = main.rsplit('/').next().unwrap_or_default();
    if let Ok(mut connection) = PgConnection::establish(server) {
        diesel::sql_query(format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
            .execute(&mut connection)
            .ok();
    }
}

/// Returns the URL of a superuser's connection to the test server.
fn server() -> Option<&'static str> {
    static SERVER: OnceLock<Option<String>> = OnceLock::new();
    SERVER.get_or_init(find_server).as_deref()
}

fn find_server() -> Option<String> {
    if let Some(url) = variable("ROLLCALL_TEST_POSTGRES") {
        return Some(url);
    }
    let Some(programs) = throwaway::find_programs() else {
        assert!(
            variable("CI").is_none(),
            "no PostgreSQL for the tests: install it, or set ROLLCALL_TEST_POSTGRES"
        );
        // Bypasses the test runner's capture, which hides the output of passing tests.
        let note = "\nSKIPPED: PostgreSQL half of the tests: no initdb found and ROLLCALL_TEST_POSTGRES not set\n\n";
        std::io::stderr().write_all(note.as_bytes()).ok();
        return None;
    };
    static CLUSTER: OnceLock<Throwaway> = OnceLock::new();
    let cluster = CLUSTER.get_or_init(|| Throwaway::start(&programs, SETTINGS));
    Some(cluster.url.clone())
}

#[expect(
    clippy::disallowed_methods,
    reason = "the tests have no configuration layer"
)]
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Returns the same URL with another database.
fn with_database(url: &str, name: &str) -> String {
    let (main, query) = url.split_once('?').unwrap_or((url, ""));
    let (scheme, rest) = main.split_once("://").expect("a URL");
    let authority = rest.split('/').next().unwrap_or(rest);
    if query.is_empty() {
        format!("{scheme}://{authority}/{name}")
    } else {
        format!("{scheme}://{authority}/{name}?{query}")
    }
}
