//! The real binary as a child process, with its own database.

use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection as _;
use diesel::sql_types::{BigInt, Text};
use diesel::{Connection as _, PgConnection, RunQueryDsl as _, SqliteConnection};
use tempfile::TempDir;

use super::cluster::Cluster;
use super::{Backend, Client, postgres};

/// How long a process may take to start or stop before a test fails.
pub const TIMEOUT: Duration = Duration::from_secs(60);

/// A database; several servers may run on it, one after the other or at once.
pub struct Database {
    pub url: String,
    pub backend: Backend,
    directory: TempDir,
    /// In the PostgreSQL cluster that all tests share.
    is_shared: bool,
    _keeper: Keeper,
}

impl Database {
    /// Returns `None` if this machine has no PostgreSQL.
    pub fn fresh(backend: Backend) -> Option<Self> {
        let directory = TempDir::with_prefix("rollcall-it-").expect("makes a temporary directory");
        let url = match backend {
            Backend::Sqlite => format!("sqlite:{}", directory.path().join("test.db").display()),
            Backend::Postgres => postgres::fresh_database()?,
        };
        let mut database = Self::at(url, backend, directory);
        database.is_shared = backend == Backend::Postgres;
        Some(database)
    }

    /// Returns a database in a cluster of the test.
    pub fn on(cluster: &Cluster) -> Self {
        let directory = TempDir::with_prefix("rollcall-it-").expect("makes a temporary directory");
        cluster.execute("CREATE DATABASE rollcall TEMPLATE template0");
        Self::at(cluster.url("rollcall"), Backend::Postgres, directory)
    }

    /// Returns the same database for another role, whose name replaces the superuser's in the URL.
    pub fn as_role(&self, role: &str) -> Self {
        let directory = TempDir::with_prefix("rollcall-it-").expect("makes a temporary directory");
        let url = self.url.replacen("postgres@", &format!("{role}@"), 1);
        Self::at(url, Backend::Postgres, directory)
    }

    /// Returns a database in this file, which the caller removes.
    pub fn in_file(file: &Path) -> Self {
        let directory = TempDir::with_prefix("rollcall-it-").expect("makes a temporary directory");
        let url = format!("sqlite:{}", file.display());
        Self::at(url, Backend::Sqlite, directory)
    }

    fn at(url: String, backend: Backend, directory: TempDir) -> Self {
        let dir = directory.path().display();
        // A server may still be writing in it.
        let keeper = Keeper::new(&format!("rm -rf '{dir}' || {{ sleep 1; rm -rf '{dir}'; }}"));
        Self {
            url,
            backend,
            directory,
            is_shared: false,
            _keeper: keeper,
        }
    }

    /// Runs a `SELECT count(*) AS n ..` directly on the database, for state that no response of the
    /// server shows.
    pub fn count(&self, sql: &str) -> i64 {
        #[derive(diesel::QueryableByName)]
        struct Count {
            #[diesel(sql_type = BigInt)]
            n: i64,
        }
        let query = diesel::sql_query(sql);
        let counted: Count = match self.backend {
            Backend::Sqlite => {
                let file = self.url.trim_start_matches("sqlite:");
                let mut connection = SqliteConnection::establish(file).expect("opens the database");
                query.get_result(&mut connection).expect("counts")
            }
            Backend::Postgres => {
                let mut connection = PgConnection::establish(&self.url).expect("connects");
                query.get_result(&mut connection).expect("counts")
            }
        };
        counted.n
    }

    /// Runs a `SELECT .. AS t ..` of texts directly on the database.
    pub fn texts(&self, sql: &str) -> Vec<String> {
        #[derive(diesel::QueryableByName)]
        struct Row {
            #[diesel(sql_type = Text)]
            t: String,
        }
        let query = diesel::sql_query(sql);
        let rows: Vec<Row> = match self.backend {
            Backend::Sqlite => {
                let file = self.url.trim_start_matches("sqlite:");
                let mut connection = SqliteConnection::establish(file).expect("opens the database");
                query.load(&mut connection).expect("selects")
            }
            Backend::Postgres => {
                let mut connection = PgConnection::establish(&self.url).expect("connects");
                query.load(&mut connection).expect("selects")
            }
        };
        rows.into_iter().map(|row| row.t).collect()
    }

    /// Closes all connections to the database and drops it. (A file is removed with its directory.)
    pub fn remove(&self) {
        if self.is_shared {
            postgres::drop_database(&self.url);
        }
    }

    /// Inserts users of the default tenant directly, because thousands of HTTP requests take too
    /// long.
    pub fn plant_users(&self, count: usize) {
        let numbers = match self.backend {
            Backend::Sqlite => format!(
                "WITH RECURSIVE numbers(n) AS \
                 (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < {count}) \
                 SELECT n, printf('%012d', n) AS digits FROM numbers"
            ),
            Backend::Postgres => format!(
                "SELECT n, lpad(n::text, 12, '0') AS digits FROM generate_series(0, {count} - 1) AS n"
            ),
        };
        self.execute(&format!(
            "INSERT INTO resources (tenant_id, id, resource_type, version, created, modified, active, user_name, doc) \
             SELECT 1, '01890000-0000-7000-8000-' || digits, 'User', 1, 1, 1, TRUE, 'planted' || digits, \
             '{{\"schemas\":[\"urn:ietf:params:scim:schemas:core:2.0:User\"],\"id\":\"01890000-0000-7000-8000-' || digits \
             || '\",\"userName\":\"planted' || digits || '\",\"active\":true}}' \
             FROM ({numbers}) AS planted"
        ));
    }

    /// Returns the id of a planted user.
    pub fn planted_id(number: usize) -> String {
        format!("01890000-0000-7000-8000-{number:012}")
    }

    /// Runs one statement directly on the database.
    pub fn execute(&self, sql: &str) {
        let query = diesel::sql_query(sql);
        match self.backend {
            Backend::Sqlite => {
                let file = self.url.trim_start_matches("sqlite:");
                let mut connection = SqliteConnection::establish(file).expect("opens the database");
                let connected = diesel::sql_query("PRAGMA busy_timeout = 30000");
                connected
                    .execute(&mut connection)
                    .expect("sets the time-out");
                query.execute(&mut connection).expect("executes");
            }
            Backend::Postgres => {
                let mut connection = PgConnection::establish(&self.url).expect("connects");
                query.execute(&mut connection).expect("executes");
            }
        }
    }

    /// Blocks all other writers until it is dropped.
    pub fn hold_writes(&self) -> Hold {
        match self.backend {
            Backend::Sqlite => {
                let file = self.url.trim_start_matches("sqlite:");
                let mut connection = SqliteConnection::establish(file).expect("opens the database");
                let begin = "PRAGMA busy_timeout = 30000; BEGIN IMMEDIATE";
                connection.batch_execute(begin).expect("begins");
                Hold::Sqlite(connection)
            }
            Backend::Postgres => {
                let mut connection = PgConnection::establish(&self.url).expect("connects");
                let begin = "BEGIN; LOCK TABLE tenants IN EXCLUSIVE MODE";
                connection.batch_execute(begin).expect("begins");
                Hold::Postgres(connection)
            }
        }
    }

    /// Fails if the tables are inconsistent, as they would be after a partial write.
    pub fn assert_whole(&self) {
        for broken in [
            // Members and index rows without a resource, or a user without the rows of its e-mail.
            "SELECT count(*) AS n FROM members AS m WHERE NOT EXISTS \
             (SELECT 1 FROM resources AS r WHERE r.tenant_id = m.tenant_id AND r.id = m.member_id)",
            "SELECT count(*) AS n FROM members AS m WHERE NOT EXISTS \
             (SELECT 1 FROM resources AS r WHERE r.tenant_id = m.tenant_id AND r.id = m.group_id)",
            "SELECT count(*) AS n FROM attributes AS a WHERE NOT EXISTS \
             (SELECT 1 FROM resources AS r WHERE r.tenant_id = a.tenant_id AND r.id = a.resource_id)",
            "SELECT count(*) AS n FROM resources AS r WHERE doc LIKE '%\"emails\"%' AND NOT EXISTS \
             (SELECT 1 FROM attributes AS a WHERE a.tenant_id = r.tenant_id AND a.resource_id = r.id \
             AND a.path = 'emails.value')",
            // A resource without its change, a gap in the numbers, an unissued number.
            "SELECT count(*) AS n FROM resources AS r WHERE NOT EXISTS \
             (SELECT 1 FROM changes AS c WHERE c.tenant_id = r.tenant_id AND c.resource_id = r.id)",
            "SELECT count(*) AS n FROM tenants AS t WHERE change_seq <> \
             (SELECT count(*) FROM changes AS c WHERE c.tenant_id = t.id)",
            "SELECT count(*) AS n FROM tenants AS t WHERE change_seq <> \
             coalesce((SELECT max(seq) FROM changes AS c WHERE c.tenant_id = t.id), 0)",
            // The counts that paging relies on.
            "SELECT count(*) AS n FROM counts AS c WHERE live <> (SELECT count(*) FROM resources AS r \
             WHERE r.tenant_id = c.tenant_id AND r.resource_type = c.resource_type)",
            // What is counted as stored: documents, memberships and changes, and 200 for each row.
            "SELECT count(*) AS n FROM tenants AS t WHERE document_bytes <> \
             coalesce((SELECT sum(octet_length(doc) + 200) FROM resources AS r WHERE r.tenant_id = t.id), 0) \
             + 200 * (SELECT count(*) FROM members AS m WHERE m.tenant_id = t.id)",
            "SELECT count(*) AS n FROM tenants AS t WHERE history_bytes <> \
             coalesce((SELECT sum(octet_length(payload) + 200) FROM changes AS c WHERE c.tenant_id = t.id), 0)",
        ] {
            assert_eq!(self.count(broken), 0, "{broken}");
        }
    }

    /// Runs one command on this database until it ends.
    pub fn cli(&self, arguments: &[&str]) -> Output {
        self.cli_in(arguments, &[])
    }

    /// The same with additional environment variables.
    pub fn cli_in(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_rollcall"))
            .args(arguments)
            .envs(environment.iter().copied())
            .args(["--database", &self.url])
            .output()
            .expect("runs the binary")
    }

    /// Returns the output of a command; the test fails if the command does.
    pub fn cli_ok(&self, arguments: &[&str]) -> String {
        let output = self.cli(arguments);
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "rollcall {arguments:?}: {complaint}"
        );
        String::from_utf8(output.stdout).expect("UTF-8 on stdout")
    }
}

/// A transaction that blocks writers and writes nothing.
pub enum Hold {
    Sqlite(#[expect(dead_code, reason = "open until it is dropped")] SqliteConnection),
    Postgres(#[expect(dead_code, reason = "open until it is dropped")] PgConnection),
}

impl Drop for Database {
    fn drop(&mut self) {
        self.remove();
    }
}

/// A running server. Dropping kills it.
pub struct Server {
    pub address: String,
    pub bootstrap: String,
    /// The output before it reported its address.
    pub printed: Vec<String>,
    child: Child,
    log: PathBuf,
    /// Dropped explicitly, before the process id of the child is free again.
    keeper: Option<Keeper>,
}

impl Server {
    pub fn start(database: &Database) -> Self {
        Self::start_with(database, &[], &[])
    }

    /// Starts with additional arguments and environment, and waits until it listens.
    pub fn start_with(
        database: &Database,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        let binary = Command::new(env!("CARGO_BIN_EXE_rollcall"));
        Self::launch(database, binary, arguments, environment)
    }

    /// Starts it with this signal ignored.
    pub fn start_ignoring(database: &Database, signal: &str) -> Self {
        let mut shell = Command::new("sh");
        let script = format!("trap '' {signal}; exec \"$0\" \"$@\"");
        shell.args(["-c", &script, env!("CARGO_BIN_EXE_rollcall")]);
        Self::launch(database, shell, &[], &[])
    }

    fn launch(
        database: &Database,
        mut command: Command,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        let bootstrap = super::random_token();
        let log = database
            .directory
            .path()
            .join(format!("{bootstrap}.stderr"));
        let stderr = std::fs::File::create(&log).expect("creates the log");
        let mut child = command
            .args(["serve", "--listen", "127.0.0.1:0", "--database"])
            .arg(&database.url)
            .args(arguments)
            .env("ROLLCALL_BOOTSTRAP_TOKEN", &bootstrap)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .expect("starts the binary");
        let keeper = Keeper::new(&format!("kill -KILL {}", child.id()));
        let stdout = child.stdout.take().expect("a pipe");
        let (lines, lines_read) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                lines.send(line).ok();
            }
        });
        let mut server = Self {
            address: String::new(),
            bootstrap,
            printed: Vec::new(),
            child,
            log,
            keeper: Some(keeper),
        };
        loop {
            let Ok(line) = lines_read.recv_timeout(TIMEOUT) else {
                panic!("the server did not start:\n{}", server.log_tail());
            };
            if let Some(address) = line.strip_prefix("listening on ") {
                server.address = address.to_owned();
                break;
            }
            server.printed.push(line);
        }
        server
    }

    /// Returns a client with the bootstrap token: every scope, in the default tenant.
    pub fn admin(&self) -> Client {
        Client::new(&self.address, &self.bootstrap)
    }

    /// Sends SIGKILL, so that the process cannot clean up.
    pub fn kill(mut self) {
        self.child.kill().expect("kills the server");
        self.child.wait().expect("waits for the server");
    }

    /// Returns the process id.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Sends SIGTERM: the process shuts down.
    pub fn terminate(&self) {
        let asked = Command::new("kill")
            .args(["-TERM", &self.child.id().to_string()])
            .status();
        assert!(asked.expect("runs kill").success());
    }

    /// Waits for the end after `terminate`.
    pub fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            if let Some(status) = self.child.try_wait().expect("asks for the status") {
                return status;
            }
            assert!(
                Instant::now() < deadline,
                "still running: {}",
                self.log_tail()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Returns the whole log so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Returns the last lines of the log, to print with a failure.
    pub fn log_tail(&self) -> String {
        let mut text = Vec::new();
        if let Ok(mut file) = std::fs::File::open(&self.log) {
            let size = file.seek(SeekFrom::End(0)).unwrap_or(0);
            file.seek(SeekFrom::Start(size.saturating_sub(4_000))).ok();
            file.read_to_end(&mut text).ok();
        }
        String::from_utf8_lossy(&text).into_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        drop(self.keeper.take());
        self.child.wait().ok();
    }
}

/// A shell that cleans up if the tests end without doing so: the runner ends by `exit`, which drops
/// no statics, and it may be killed. After a drop it does nothing.
pub struct Keeper {
    shell: Child,
    /// Closed when this process ends, for whatever reason.
    _signal: ChildStdin,
}

impl Keeper {
    pub fn new(script: &str) -> Self {
        let mut shell = Command::new("sh")
            .args(["-c", &format!("read -r _; {script}")])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("starts sh");
        let signal = shell.stdin.take().expect("a pipe");
        Self {
            shell,
            _signal: signal,
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.shell.kill().ok();
        self.shell.wait().ok();
    }
}
