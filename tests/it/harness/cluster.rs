//! A PostgreSQL cluster for one test, which can be killed, restarted and copied. Unlike the shared
//! one, it waits for its disk. It listens on a Unix socket in its directory, so that no port can
//! clash.

use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use diesel::{Connection as _, PgConnection, RunQueryDsl as _};

use super::postgres::throwaway::{find_programs, unprivileged_user};
use super::server::{Keeper, TIMEOUT};

pub struct Cluster {
    directory: PathBuf,
    programs: PathBuf,
    /// The user and group it runs as, if the tests run as root.
    user: Option<(u32, u32)>,
    /// The script that stops it and removes its files.
    end: String,
    _keeper: Keeper,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let mut shell = Command::new("sh");
        shell.args(["-c", &self.end]).stderr(Stdio::null());
        shell.status().ok();
    }
}

const SETTINGS: &str = "
listen_addresses = ''
max_connections = 100
shared_buffers = 32MB
dynamic_shared_memory_type = mmap
wal_level = replica
hot_standby = on
fsync = on
synchronous_commit = on
";

impl Cluster {
    /// Starts a new cluster, or returns `None` if this machine has no PostgreSQL.
    pub fn start() -> Option<Self> {
        let cluster = Self::prepare()?;
        let data = cluster.data();
        let arguments = [
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--no-locale",
            "--no-sync",
            "-D",
        ];
        cluster.run("initdb", &arguments, &[&data]);
        cluster.set_up("");
        cluster.start_again();
        Some(cluster)
    }

    /// Starts a standby of this cluster with this name.
    pub fn standby(&self, name: &str) -> Self {
        let standby = Self::prepare().expect("the programs are there");
        let from = format!(
            "host={} user=postgres application_name={name}",
            self.directory.display()
        );
        let arguments = [
            "-R",
            "-X",
            "stream",
            "-c",
            "fast",
            "--no-sync",
            "-d",
            &from,
            "-D",
        ];
        standby.run("pg_basebackup", &arguments, &[&standby.data()]);
        // Of repeated settings, the last one counts.
        standby.set_up("hot_standby_feedback = on\n");
        standby.start_again();
        self.wait_for(&format!(
            "SELECT 1 FROM pg_stat_replication WHERE application_name = '{name}' AND state = 'streaming'"
        ));
        standby
    }

    /// From now on, a write waits until this standby has it on disk.
    pub fn commit_with(&self, name: &str) {
        self.execute(&format!(
            "ALTER SYSTEM SET synchronous_standby_names = '{name}'"
        ));
        self.execute("SELECT pg_reload_conf()");
        self.wait_for(&format!(
            "SELECT 1 FROM pg_stat_replication WHERE application_name = '{name}' AND sync_state = 'sync'"
        ));
    }

    /// Promotes a standby to the primary.
    pub fn promote(&self) {
        self.run("pg_ctl", &["promote", "-w", "-s", "-D"], &[&self.data()]);
    }

    /// Whether a query returns a row.
    pub fn finds(&self, sql: &str) -> bool {
        let found = diesel::sql_query(sql).execute(&mut self.connect());
        found.expect("asks") > 0
    }

    /// Waits until a query returns a row.
    pub fn wait_for(&self, sql: &str) {
        let deadline = Instant::now() + TIMEOUT;
        let mut connection = self.connect();
        while diesel::sql_query(sql)
            .execute(&mut connection)
            .expect("asks")
            == 0
        {
            assert!(Instant::now() < deadline, "still nothing: {sql}");
        }
    }

    fn connect(&self) -> PgConnection {
        PgConnection::establish(&self.url("postgres")).expect("connects")
    }

    /// Creates the directory, and the process that cleans it up.
    fn prepare() -> Option<Self> {
        let programs = find_programs()?;
        let directory = tempfile::Builder::new()
            .prefix("rollcall-cluster-")
            .tempdir()
            .expect("makes a temporary directory")
            .keep();
        let user = unprivileged_user();
        if let Some((uid, gid)) = user {
            chown(&directory, Some(uid), Some(gid)).expect("gives the directory away");
        }
        let dir = directory.display();
        // QUIT ends it immediately, if the process id is still its own; the shared memory of a
        // killed cluster remains under the id that it recorded.
        let end = format!(
            "pid='{dir}/data/postmaster.pid'; main=$(sed -n 1p $pid); \
             grep -qa '{dir}' /proc/$main/cmdline && kill -QUIT $main; \
             ipcrm -m $(sed -n 7p $pid | awk '{{ print $2 }}'); \
             rm -rf '{dir}' || {{ sleep 1; rm -rf '{dir}'; }}"
        );
        Some(Self {
            directory,
            programs,
            user,
            _keeper: Keeper::new(&end),
            end,
        })
    }

    fn set_up(&self, more: &str) {
        let dir = self.directory.display();
        let settings = format!("{SETTINGS}unix_socket_directories = '{dir}'\n{more}");
        let file = self.data().join("postgresql.conf");
        let mut text = std::fs::read_to_string(&file).expect("reads the settings");
        text.push_str(&settings);
        std::fs::write(file, text).expect("writes the settings");
    }

    fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    /// Runs one of PostgreSQL's programs until it ends.
    fn run(&self, program: &str, arguments: &[&str], paths: &[&Path]) {
        assert!(
            self.tries(program, arguments, paths),
            "{program} failed: {}",
            self.log()
        );
    }

    fn tries(&self, program: &str, arguments: &[&str], paths: &[&Path]) -> bool {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.log_file());
        let log = log.expect("opens the log");
        let mut command = Command::new(self.programs.join(program));
        command
            .args(arguments)
            .args(paths)
            .current_dir(&self.directory);
        command.stdin(Stdio::null());
        command
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log);
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        command.status().expect("runs a program").success()
    }

    fn log_file(&self) -> PathBuf {
        self.directory.join("log")
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// Restarts it, and waits until it answers.
    pub fn start_again(&self) {
        let data = self.data();
        let deadline = Instant::now() + TIMEOUT;
        // A backend that briefly outlives its killed parent prevents the start of the new one.
        while !self.tries("pg_ctl", &["start", "-w", "-s", "-D"], &[&data]) {
            assert!(Instant::now() < deadline, "did not start: {}", self.log());
        }
    }

    /// Sends SIGKILL to all its processes, so that none can clean up.
    pub fn kill(&self) {
        let parent = std::fs::read_to_string(self.data().join("postmaster.pid"));
        let parent = parent.expect("it runs");
        let parent = parent.lines().next().expect("a number");
        // A stopped parent starts no more children.
        signal("-STOP", &[parent.to_owned()]);
        let mut all = children(parent);
        all.push(parent.to_owned());
        signal("-KILL", &all);
    }

    /// An immediate shutdown: the next start runs the recovery.
    pub fn stop_at_once(&self) {
        self.run(
            "pg_ctl",
            &["stop", "-m", "immediate", "-w", "-s", "-D"],
            &[&self.data()],
        );
    }

    /// The part of a URL that names the socket.
    fn host(&self) -> String {
        self.directory.display().to_string().replace('/', "%2F")
    }

    /// The URL of a database in this cluster.
    pub fn url(&self, name: &str) -> String {
        format!("postgresql://postgres@{}/{name}", self.host())
    }

    /// The URL of a database in this cluster or another, whichever is the primary.
    pub fn url_with(&self, other: &Self, name: &str) -> String {
        let (one, other) = (self.host(), other.host());
        format!("postgresql://postgres@{one},{other}/{name}?target_session_attrs=read-write")
    }

    /// Runs one statement as a superuser.
    pub fn execute(&self, sql: &str) {
        diesel::sql_query(sql)
            .execute(&mut self.connect())
            .expect("executes");
    }
}

/// The child processes of this process.
fn children(parent: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").expect("reads /proc").flatten() {
        // `pid (name) state parent ..`; the name may contain anything.
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let Some((_, rest)) = stat.rsplit_once(')') else {
            continue;
        };
        if rest.split_whitespace().nth(1) == Some(parent) {
            found.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    found
}

fn signal(signal: &str, processes: &[String]) {
    // One of them may already have ended.
    let sent = Command::new("kill")
        .arg(signal)
        .args(processes)
        .stderr(Stdio::null())
        .status();
    sent.expect("runs kill");
}
