//! Test harness: the real server on both databases, a tenant for each test, and a client. A shared
//! server per database serves most tests; tests that need settings or stop the server start their
//! own.

mod client;
pub mod cluster;
pub mod disk;
pub mod issuer;
pub mod load;
pub mod postgres;
pub mod proxy;
pub mod raw;
pub mod receiver;
pub mod sample;
mod server;

use std::hash::{BuildHasher as _, RandomState};
use std::ops::Deref;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

pub use client::{Client, Page, Reply, SCIM, id, member_ids, percent_encode, texts, with_query};
pub use server::{Database, Server, TIMEOUT};

/// The configuration file that declares types for the tests.
pub const TYPES: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/fixtures/types/rollcall.toml"
);

/// Runs a test on both databases: `name::sqlite` and `name::postgres`.
macro_rules! both {
    ($name:ident, $test:expr $(,)?) => {
        fn $name(backend: crate::harness::Backend) {
            crate::harness::run_shared(backend, $test);
        }

        mod $name {
            #[test]
            fn sqlite() {
                super::$name(crate::harness::Backend::Sqlite);
            }

            #[test]
            fn postgres() {
                super::$name(crate::harness::Backend::Postgres);
            }
        }
    };
}
pub(crate) use both;

/// As `both`, for a test that starts servers itself: it gets an empty database.
macro_rules! both_alone {
    ($name:ident, $test:expr $(,)?) => {
        fn $name(backend: crate::harness::Backend) {
            crate::harness::run_alone(backend, $test);
        }

        mod $name {
            #[test]
            fn sqlite() {
                super::$name(crate::harness::Backend::Sqlite);
            }

            #[test]
            fn postgres() {
                super::$name(crate::harness::Backend::Postgres);
            }
        }
    };
}
pub(crate) use both_alone;

/// As `both`, on a server with the types and extensions of `tests/fixtures/types`.
macro_rules! both_typed {
    ($name:ident, $test:expr $(,)?) => {
        fn $name(backend: crate::harness::Backend) {
            crate::harness::run_typed(backend, $test);
        }

        mod $name {
            #[test]
            fn sqlite() {
                super::$name(crate::harness::Backend::Sqlite);
            }

            #[test]
            fn postgres() {
                super::$name(crate::harness::Backend::Postgres);
            }
        }
    };
}
pub(crate) use both_typed;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    Sqlite,
    Postgres,
}

/// A running server and a tenant on it that no other test uses.
pub struct TestApp {
    pub server: &'static Server,
    pub database: &'static Database,
    pub tenant: String,
    /// A client with the scope `scim`, to which the app dereferences: `app.get(..)`.
    pub client: Client,
}

impl TestApp {
    /// `None` where this machine has no PostgreSQL.
    pub async fn start(backend: Backend) -> Option<Self> {
        let (database, server) = shared(backend)?;
        Some(Self::in_new_tenant(database, server).await)
    }

    /// Creates another tenant on the same server.
    pub async fn neighbour(&self) -> Self {
        Self::in_new_tenant(self.database, self.server).await
    }

    /// Starts a server of its own, for state that a server shares between its tenants. It runs
    /// until the tests end.
    pub async fn alone(backend: Backend) -> Option<Self> {
        let database: &'static Database = Box::leak(Box::new(Database::fresh(backend)?));
        let server = Box::leak(Box::new(Server::start(database)));
        Some(Self::in_new_tenant(database, server).await)
    }

    async fn in_new_tenant(database: &'static Database, server: &'static Server) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let tenant = format!("tenant-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let admin = server.admin().site();
        let created = admin
            .post("/admin/v1/tenants", &json!({ "name": tenant }))
            .await;
        assert_eq!(created.status, 201, "{created:?}");
        let mut app = Self {
            server,
            database,
            tenant,
            client: server.admin(),
        };
        app.client = app.client_with_scopes(&["scim"]).await;
        app
    }

    /// Creates another tenant on the same server, with strict compatibility.
    pub async fn strict(&self) -> Self {
        let app = self.neighbour().await;
        app.set(&json!({ "compatibility": "strict" })).await;
        app
    }

    /// Changes settings of this tenant.
    pub async fn set(&self, settings: &Value) {
        let path = format!("/admin/v1/tenants/{}", self.tenant);
        let set = self.server.admin().site().patch(&path, settings).await;
        assert_eq!(set.status, 200, "{set:?}");
    }

    /// Returns another client of this tenant, with a token of these scopes.
    pub async fn client_with_scopes(&self, scopes: &[&str]) -> Client {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let name = format!("token-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        Client::new(&self.server.address, &self.token(&name, scopes).await)
    }

    /// Returns another client of this tenant that reads only these fields.
    pub async fn limited(&self, fields: &[&str]) -> Client {
        let name = format!("limited-{}", fields.join("-"));
        let new_token =
            json!({ "tenant": self.tenant, "name": name, "scopes": ["read"], "fields": fields });
        Client::new(&self.server.address, &self.make_token(&new_token).await)
    }

    /// Creates a token of this tenant.
    pub async fn token(&self, name: &str, scopes: &[&str]) -> String {
        let new_token = json!({ "tenant": self.tenant, "name": name, "scopes": scopes });
        self.make_token(&new_token).await
    }

    async fn make_token(&self, new_token: &Value) -> String {
        let admin = self.server.admin().site();
        let created = admin.post("/admin/v1/tokens", new_token).await;
        assert_eq!(created.status, 201, "{created:?}");
        let token = created.body["token"].as_str();
        token.expect("a token in the answer").to_owned()
    }
}

impl Deref for TestApp {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

/// Runs a test on the shared server of this database.
pub fn run_shared<F>(backend: Backend, test: impl FnOnce(TestApp) -> F)
where
    F: Future<Output = ()>,
{
    runtime().block_on(async {
        let Some(app) = TestApp::start(backend).await else {
            return;
        };
        let _log = LogOnFailure(app.server);
        test(app).await;
    });
}

/// Runs a test on the shared server with declared types.
pub fn run_typed<F>(backend: Backend, test: impl FnOnce(TestApp) -> F)
where
    F: Future<Output = ()>,
{
    runtime().block_on(async {
        let Some((database, server)) = shared_typed(backend) else {
            return;
        };
        let _log = LogOnFailure(server);
        test(TestApp::in_new_tenant(database, server).await).await;
    });
}

/// Runs a test on an empty database, if this machine has one.
pub fn run_alone<F>(backend: Backend, test: impl FnOnce(Database) -> F)
where
    F: Future<Output = ()>,
{
    if let Some(database) = Database::fresh(backend) {
        runtime().block_on(test(database));
    }
}

/// Connections belong to the runtime that they were opened on, so each test has its own.
pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("builds a runtime")
}

/// Runs the tasks concurrently; returns the results in their order.
pub async fn together<T: Send + 'static>(
    tasks: impl IntoIterator<Item: Future<Output = T> + Send + 'static>,
) -> Vec<T> {
    let running: Vec<_> = tasks.into_iter().map(tokio::spawn).collect();
    let mut answers = Vec::new();
    for task in running {
        answers.push(task.await.expect("a task ends well"));
    }
    answers
}

/// The number of crashes in a crash test: few in an ordinary run, and as many as `just crash` sets.
pub fn rounds() -> usize {
    let configured = postgres::variable("ROLLCALL_TEST_CRASHES");
    configured.map_or(3, |text| text.parse().expect("a number of crashes"))
}

/// Returns 128 unpredictable bits, taken from the hash keys of the standard library.
pub fn random_token() -> String {
    let bits = || RandomState::new().hash_one(0);
    format!("{:016x}{:016x}", bits(), bits())
}

fn shared(backend: Backend) -> Option<&'static (Database, Server)> {
    static SQLITE: OnceLock<Option<(Database, Server)>> = OnceLock::new();
    static POSTGRES: OnceLock<Option<(Database, Server)>> = OnceLock::new();
    let place = match backend {
        Backend::Sqlite => &SQLITE,
        Backend::Postgres => &POSTGRES,
    };
    let start = || {
        let database = Database::fresh(backend)?;
        let server = Server::start(&database);
        Some((database, server))
    };
    place.get_or_init(start).as_ref()
}

fn shared_typed(backend: Backend) -> Option<&'static (Database, Server)> {
    static SQLITE: OnceLock<Option<(Database, Server)>> = OnceLock::new();
    static POSTGRES: OnceLock<Option<(Database, Server)>> = OnceLock::new();
    let place = match backend {
        Backend::Sqlite => &SQLITE,
        Backend::Postgres => &POSTGRES,
    };
    let start = || {
        let database = Database::fresh(backend)?;
        let server = Server::start_with(&database, &["--config", TYPES], &[]);
        Some((database, server))
    };
    place.get_or_init(start).as_ref()
}

/// Prints the end of the server's log if a test fails.
struct LogOnFailure(&'static Server);

impl Drop for LogOnFailure {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("the end of the server's log:\n{}", self.0.log_tail());
        }
    }
}
