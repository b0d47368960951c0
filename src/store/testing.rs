//! Helpers of the store's tests: a fresh database per test, on SQLite and, if this machine has it,
//! on PostgreSQL.

#[path = "../../tests/it/harness/postgres.rs"]
mod postgres;

use scim_core::indexing::HotColumns;
use tempfile::TempDir;

use crate::settings::{Settings as _, Sources};
use crate::store::tables::resources;
use crate::store::tables::resources::NewResource;
use crate::store::{Config, DatabaseUrl, ResourceId, Store, StoreError, TenantId, Tx};

/// A database that is deleted after the test.
pub(crate) struct Fresh {
    pub config: Config,
    _dir: Option<TempDir>,
    postgres: Option<String>,
}

impl Drop for Fresh {
    fn drop(&mut self) {
        if let Some(url) = &self.postgres {
            postgres::drop_database(url);
        }
    }
}

fn config(url: DatabaseUrl) -> Config {
    Config {
        url,
        ..Config::load(&Sources::default()).unwrap()
    }
}

fn on_sqlite() -> Fresh {
    let dir = TempDir::new().unwrap();
    let url = DatabaseUrl::Sqlite(dir.path().join("rollcall.db"));
    Fresh {
        config: config(url),
        _dir: Some(dir),
        postgres: None,
    }
}

fn on_postgres() -> Option<Fresh> {
    let url = postgres::fresh_database()?;
    Some(Fresh {
        config: config(DatabaseUrl::Postgres(url.clone())),
        _dir: None,
        postgres: Some(url),
    })
}

/// Runs a test on a fresh database of each kind.
pub(crate) fn on_each(test: impl Fn(&Fresh)) {
    test(&on_sqlite());
    if let Some(fresh) = on_postgres() {
        test(&fresh);
    }
}

/// Like [`on_each`], with an open store.
pub(crate) fn with_store<F: Future<Output = ()>>(test: impl Fn(std::sync::Arc<Store>) -> F) {
    on_each(|fresh| {
        let store = std::sync::Arc::new(Store::open(&fresh.config).unwrap());
        block_on(test(store.clone()));
        store.close();
    });
}

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

pub(crate) const TENANT: TenantId = TenantId::DEFAULT;

pub(crate) fn id(text: &str) -> ResourceId {
    ResourceId::parse(text).unwrap()
}

pub(crate) fn ids(texts: &[&str]) -> Vec<ResourceId> {
    texts.iter().map(|text| id(text)).collect()
}

/// A user whose name is its id.
pub(crate) fn user(name: &str) -> NewResource {
    NewResource {
        id: id(name),
        resource_type: "User".into(),
        at: 1,
        hot: HotColumns {
            user_name: Some(name.to_lowercase()),
            external_id: None,
            display_name: None,
            active: Some(true),
        },
        label: Some(name.into()),
        password_hash: None,
        doc: format!(r#"{{"id":"{name}","userName":"{name}"}}"#),
        rows: Vec::new(),
    }
}

/// A group whose name is its id.
pub(crate) fn group(name: &str) -> NewResource {
    NewResource {
        id: id(name),
        resource_type: "Group".into(),
        at: 1,
        hot: HotColumns {
            display_name: Some(name.to_lowercase()),
            ..HotColumns::default()
        },
        label: Some(name.into()),
        password_hash: None,
        doc: format!(r#"{{"id":"{name}","displayName":"{name}"}}"#),
        rows: Vec::new(),
    }
}

impl Store {
    pub(crate) async fn put(&self, new: Vec<NewResource>) {
        self.tx(move |tx| {
            for one in &new {
                resources::insert(tx, one)?;
            }
            Ok(())
        })
        .await
        .unwrap();
    }

    pub(crate) async fn tx<T: Send + 'static>(
        &self,
        work: impl Fn(&mut Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.write(TENANT, work).await
    }
}
