//! A PostgreSQL cluster in a temporary directory, with a Unix socket there, so that no port can
//! clash. A small `sh` outlives the process, however it ends, and removes everything.

use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

/// Removed when dropped, or when the process ends.
pub struct Throwaway {
    /// The URL of a superuser.
    pub url: String,
    _keeper: (Child, ChildStdin),
}

impl Throwaway {
    /// `settings` are options of `postgres`.
    pub fn start(programs: &Path, settings: &str) -> Self {
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

        // The keeper starts first, so that it cleans up after any later failure.
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
            "-c listen_addresses= -c unix_socket_directories='{socket}' -c max_connections=400 {settings}"
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
        Self {
            url: format!("postgresql://postgres@{host}/postgres"),
            _keeper: (keeper, stdin),
        }
    }
}

/// Returns the directory of `initdb` and `pg_ctl`, the newest version first.
pub fn find_programs() -> Option<PathBuf> {
    let path = search_path();
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

#[expect(
    clippy::disallowed_methods,
    reason = "the tests have no configuration layer"
)]
fn search_path() -> String {
    std::env::var("PATH").unwrap_or_default()
}

/// Returns the user and group to run PostgreSQL as, because it refuses to run as root.
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
