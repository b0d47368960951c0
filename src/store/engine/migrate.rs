//! Migrates a database. The migrations are part of the binary; diesel's table in the database
//! records which have run.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use diesel::backend::Backend;
use diesel::connection::{AnsiTransactionManager, TransactionManager};
use diesel::migration::{Migration, MigrationSource};
use diesel::pg::Pg;
use diesel::sql_types::{BigInt, Bool, Text};
use diesel::{PgConnection, QueryableByName, RunQueryDsl, SqliteConnection, sql_query};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use crate::store::StoreError;
use crate::store::engine::conn::Conn;
use crate::store::engine::error::Fault;

const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");
const POSTGRES: EmbeddedMigrations = embed_migrations!("migrations/postgres");

/// The advisory lock by which nodes migrate one after another.
const LOCK: i64 = 0x526f_6c6c_6361_6c6c;
/// The longest wait for another node's migration.
const PATIENCE: Duration = Duration::from_secs(300);

/// Runs the pending migrations and returns their names. Several processes may call it at once: one
/// works, the others wait.
pub fn up(conn: &mut Conn) -> Result<Vec<String>, StoreError> {
    match conn {
        Conn::Sqlite(conn) => up_sqlite(conn),
        Conn::Postgres(inner) => {
            if is_current(inner)? {
                return Ok(Vec::new());
            }
            lock(inner)?;
            let done = run_pending(inner, || POSTGRES);
            let unlocked = sql_query("SELECT pg_advisory_unlock($1) AS held")
                .bind::<BigInt, _>(LOCK)
                .execute(inner);
            let done = done?;
            unlocked?;
            Ok(done)
        }
    }
}

/// Returns the migrations that [`up`] would run.
pub fn pending(conn: &mut Conn) -> Result<Vec<String>, StoreError> {
    match conn {
        Conn::Sqlite(conn) => Ok(names(conn.pending_migrations(SQLITE).map_err(fault)?)),
        Conn::Postgres(conn) => {
            if is_current(conn)? {
                return Ok(Vec::new());
            }
            Ok(names(conn.pending_migrations(POSTGRES).map_err(fault)?))
        }
    }
}

/// Returns whether all migrations have run. Unlike diesel, it does not create diesel's table first,
/// which a role without rights on the schema may not, even if the table exists.
fn is_current(conn: &mut PgConnection) -> Result<bool, StoreError> {
    let found: Held =
        sql_query("SELECT to_regclass('__diesel_schema_migrations') IS NOT NULL AS held")
            .get_result(conn)?;
    if !found.held {
        return Ok(false);
    }
    let rows: Vec<Applied> =
        sql_query("SELECT version FROM __diesel_schema_migrations").load(conn)?;
    let applied: HashSet<String> = rows.into_iter().map(|row| row.version).collect();
    let all = MigrationSource::<Pg>::migrations(&POSTGRES).map_err(fault)?;
    Ok(all
        .iter()
        .all(|one| applied.contains(&one.name().version().to_string())))
}

#[derive(QueryableByName)]
struct Applied {
    #[diesel(sql_type = Text)]
    version: String,
}

/// Reverts all migrations, for the tests of `down.sql`.
#[cfg(test)]
pub(in crate::store) fn down(conn: &mut Conn) -> Result<(), StoreError> {
    match conn {
        Conn::Sqlite(conn) => conn.revert_all_migrations(SQLITE).map_err(fault)?,
        Conn::Postgres(conn) => conn.revert_all_migrations(POSTGRES).map_err(fault)?,
    };
    Ok(())
}

/// SQLite has no advisory lock; one transaction around all migrations has the same effect.
fn up_sqlite(conn: &mut SqliteConnection) -> Result<Vec<String>, StoreError> {
    if !conn.has_pending_migration(SQLITE).map_err(fault)? {
        return Ok(Vec::new());
    }
    AnsiTransactionManager::begin_transaction_sql(conn, "BEGIN IMMEDIATE")?;
    match run_pending(conn, || SQLITE) {
        Ok(done) => {
            AnsiTransactionManager::commit_transaction(conn)?;
            Ok(done)
        }
        Err(error) => {
            AnsiTransactionManager::rollback_transaction(conn)?;
            Err(error)
        }
    }
}

fn run_pending<C, DB>(
    conn: &mut C,
    source: fn() -> EmbeddedMigrations,
) -> Result<Vec<String>, StoreError>
where
    C: MigrationHarness<DB>,
    DB: Backend,
    EmbeddedMigrations: MigrationSource<DB>,
{
    let names = names(conn.pending_migrations(source()).map_err(fault)?);
    conn.run_pending_migrations(source()).map_err(fault)?;
    Ok(names)
}

fn names<DB: Backend>(migrations: Vec<Box<dyn Migration<DB>>>) -> Vec<String> {
    migrations
        .iter()
        .map(|one| one.name().to_string())
        .collect()
}

#[derive(QueryableByName)]
struct Held {
    #[diesel(sql_type = Bool)]
    held: bool,
}

/// Polls instead of waiting inside the database: a waiting statement holds a snapshot, and a
/// `CREATE INDEX CONCURRENTLY` of the migrating node would wait for that snapshot.
fn lock(conn: &mut PgConnection) -> Result<(), StoreError> {
    let since = Instant::now();
    loop {
        let row: Held = sql_query("SELECT pg_try_advisory_lock($1) AS held")
            .bind::<BigInt, _>(LOCK)
            .get_result(conn)?;
        if row.held {
            return Ok(());
        }
        if since.elapsed() > PATIENCE {
            return Err(fault(
                "another process has been migrating this database for 5 minutes".into(),
            ));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn fault(error: Box<dyn std::error::Error + Send + Sync>) -> StoreError {
    let owner = match error.to_string().contains("permission denied") {
        true => "; run `rollcall migrate` as the role that owns the tables",
        false => "",
    };
    StoreError::Open {
        message: format!("cannot migrate the database: {error}{owner}"),
        cause: Arc::new(Fault(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::engine::conn;
    use crate::store::engine::conn::Role;
    use crate::store::testing::on_each;

    #[test]
    fn up_down_up() {
        on_each(|fresh| {
            let conn = &mut conn::open(&fresh.config.url, Role::Migrator).unwrap();
            let all = pending(conn).unwrap();
            assert!(!all.is_empty());
            assert_eq!(up(conn).unwrap(), all);
            assert_eq!(up(conn).unwrap(), Vec::<String>::new());
            assert_eq!(pending(conn).unwrap(), Vec::<String>::new());
            down(conn).unwrap();
            assert_eq!(up(conn).unwrap(), all);
        });
    }

    #[test]
    fn several_at_once() {
        on_each(|fresh| {
            let url = &fresh.config.url;
            let all = pending(&mut conn::open(url, Role::Migrator).unwrap()).unwrap();
            let done: usize = std::thread::scope(|scope| {
                let nodes: Vec<_> = (0..4)
                    .map(|_| {
                        scope.spawn(|| {
                            up(&mut conn::open(url, Role::Migrator).unwrap())
                                .unwrap()
                                .len()
                        })
                    })
                    .collect();
                nodes.into_iter().map(|node| node.join().unwrap()).sum()
            });
            assert_eq!(done, all.len());
        });
    }
}
