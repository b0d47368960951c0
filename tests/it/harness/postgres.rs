//! One throwaway PostgreSQL for the tests of one process. It stands alone, so that the tests inside
//! the crate can include it by path. It knows nothing of Rollcall.
//!
//! `ROLLCALL_TEST_POSTGRES` (the URL of a superuser) names a server to use; else an installed
//! `initdb` makes a cluster in a temporary directory, reached by a Unix socket there, so that no port
//! can clash. A small `sh` outlives the tests, however they end, and removes everything.

use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use diesel::{Connection as _, PgConnection, RunQueryDsl as _};

/// The URL of a new, empty database, or `None` where this machine has no PostgreSQL: then the caller
/// returns early. On CI (`CI` is set) a missing PostgreSQL is a failure.
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

/// Removes a database that [`fresh_database`] made: the server may be one that lives on.
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

/// The URL of a superuser's connection to the test server.
fn server() -> Option<&'static str> {
    static SERVER: OnceLock<Option<String>> = OnceLock::new();
    SERVER.get_or_init(find_server).as_deref()
}

fn find_server() -> Option<String> {
    if let Some(url) = variable("ROLLCALL_TEST_POSTGRES") {
        return Some(url);
    }
    let Some(programs) = find_programs() else {
        assert!(
            variable("CI").is_none(),
            "no PostgreSQL for the tests: install it, or set ROLLCALL_TEST_POSTGRES"
        );
        // Past the capture of the test runner, which shows nothing of a test that passes.
        let note = "\nSKIPPED: PostgreSQL half of the tests: no initdb found and ROLLCALL_TEST_POSTGRES not set\n\n";
        std::io::stderr().write_all(note.as_bytes()).ok();
        return None;
    };
    Some(start_cluster(&programs))
}

#[expect(
    clippy::disallowed_methods,
    reason = "the tests have no configuration layer"
)]
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The directory that holds `initdb` and `pg_ctl`, the newest version first.
pub fn find_programs() -> Option<PathBuf> {
    let path = variable("PATH").unwrap_or_default();
    let mut versions: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .collect();
    versions.sort();
    versions
        .into_iter()
        .rev()
        .map(|(_, directory)| directory)
        .chain([PathBuf::from("/usr/local/pgsql/bin")])
        .chain(std::env::split_paths(&path))
        .find(|directory| directory.join("initdb").exists() && directory.join("pg_ctl").exists())
}

fn start_cluster(programs: &Path) -> String {
    static KEEPER: OnceLock<(Child, ChildStdin)> = OnceLock::new();
    let directory = tempfile::Builder::new()
        .prefix("rollcall-pg-")
        .tempdir()
        .expect("makes a temporary directory")
        .keep();
    let user = unprivileged_user();
    if let Some((uid, gid)) = user {
        chown(&directory, Some(uid), Some(gid)).expect("gives the directory away");
    }
    let run = |program: &Path, arguments: &[&str]| {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(&directory);
        if let Some((uid, gid)) = user {
            command.uid(uid).gid(gid);
        }
        command
    };
    let data = directory.join("data");
    let data = data.to_str().expect("a UTF-8 path");
    let socket = directory.to_str().expect("a UTF-8 path");

    // The keeper comes first: whatever fails from here on, it cleans up.
    let script = format!(
        "read -r _; '{}' stop -D '{data}' -m immediate -s; rm -rf '{socket}'",
        programs.join("pg_ctl").display()
    );
    let mut keeper = run(Path::new("sh"), &["-c", &script])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .expect("starts sh");
    let stdin = keeper.stdin.take().expect("a pipe");
    KEEPER.set((keeper, stdin)).expect("one cluster a process");

    let initdb = run(
        &programs.join("initdb"),
        &[
            "-D",
            data,
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--no-locale",
            "--no-sync",
        ],
    )
    .output()
    .expect("runs initdb");
    let said = String::from_utf8_lossy(&initdb.stderr);
    assert!(initdb.status.success(), "initdb failed: {said}");

    let log = directory.join("log");
    let settings = format!(
        "-c listen_addresses= -c unix_socket_directories='{socket}' -c max_connections=400 \
         -c fsync=off -c full_page_writes=off"
    );
    let started = run(
        &programs.join("pg_ctl"),
        &["start", "-w", "-s", "-D", data, "-o", &settings, "-l"],
    )
    .arg(&log)
    .stdin(Stdio::null())
    .stdout(Stdio::null())
    .stderr(Stdio::null())
    .status()
    .expect("runs pg_ctl");
    let said = std::fs::read_to_string(&log).unwrap_or_default();
    assert!(started.success(), "PostgreSQL did not start: {said}");
    let host = socket.replace('/', "%2F");
    format!("postgresql://postgres@{host}/postgres")
}

/// PostgreSQL refuses to run as root: whom to run it as then.
pub fn unprivileged_user() -> Option<(u32, u32)> {
    let owner = std::fs::metadata("/proc/self").map_or(1, |entry| entry.uid());
    if owner != 0 {
        return None;
    }
    let users = std::fs::read_to_string("/etc/passwd").expect("reads /etc/passwd");
    let find = |name: &str| {
        users.lines().find_map(|line| {
            let mut fields = line.split(':');
            let found = fields.next()? == name;
            let (uid, gid) = (fields.nth(1)?, fields.next()?);
            found.then(|| Some((uid.parse().ok()?, gid.parse().ok()?)))?
        })
    };
    let user = find("postgres").or_else(|| find("nobody"));
    Some(user.expect("a user `postgres` or `nobody` to run PostgreSQL as"))
}

/// The same URL with another database in it.
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
