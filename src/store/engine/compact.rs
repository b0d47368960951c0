//! Rewrites a database, so that nothing of deleted data remains in it: no free pages, dead rows or
//! samples of the planner.

use std::sync::Arc;
use std::time::{Duration, Instant};

use diesel::QueryableByName;
use diesel::sql_types::BigInt;

use crate::store::engine::analyze;
use crate::store::engine::conn;
use crate::store::engine::conn::Role;
use crate::store::engine::error::Fault;
use crate::store::engine::statement::{Fetch, Statement};
use crate::store::{Backend, Conn, DatabaseUrl, StoreError};

/// The tables that hold personal data.
const TABLES: [&str; 7] = [
    "resources",
    "attributes",
    "members",
    "unique_values",
    "changes",
    "setups",
    "walks",
];

/// The longest wait for other sessions.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Rewrites the database while others use it. Blocks; writes wait meanwhile, and on PostgreSQL
/// reads too.
///
/// # Errors
/// [`StoreError::Open`] with a text for the operator, if the file does not exist or others kept
/// using it.
pub fn run(url: &DatabaseUrl) -> Result<(), StoreError> {
    // Opening a missing file would create an empty database.
    if let DatabaseUrl::Sqlite(path) = url
        && !path.is_file()
    {
        return Err(refused(format!("there is no file {}", path.display())));
    }
    let conn = &mut conn::open(url, Role::Compactor)?;
    match conn.backend() {
        Backend::Sqlite => sqlite(conn),
        Backend::Postgres => postgres(conn),
    }
}

#[derive(QueryableByName)]
struct CountRow {
    #[diesel(sql_type = BigInt)]
    n: i64,
}

#[derive(QueryableByName)]
struct Checkpoint {
    #[diesel(sql_type = BigInt)]
    busy: i64,
}

/// `VACUUM` writes to the log, which is then copied into the file and truncated.
fn sqlite(conn: &mut Conn) -> Result<(), StoreError> {
    let explain = |error: StoreError| {
        match error {
        StoreError::Busy => refused(
            "other processes have been writing to the database for a minute without a pause; try again when they \
             have less to do"
                .to_owned(),
        ),
        other => other,
    }
    };
    analyze::forget_samples(conn).map_err(explain)?;
    conn.batch("VACUUM").map_err(explain)?;
    static CHECKPOINT: Statement = Statement::new("PRAGMA wal_checkpoint(TRUNCATE)");
    let done: Checkpoint = CHECKPOINT.bind(&[]).fetch_one(conn)?;
    if done.busy != 0 {
        return Err(refused(
            "the database is rewritten, but another process, such as an export, read it for a minute without a pause, \
             so that its log could not be truncated; run this again when that process has ended"
                .to_owned(),
        ));
    }
    Ok(())
}

/// Copies each table into new files; the statement truncates the old ones at its end. `ANALYZE`
/// takes new samples, and rewriting `pg_statistic` removes the old ones, if the user may do that.
fn postgres(conn: &mut Conn) -> Result<(), StoreError> {
    let since = Instant::now();
    wait_for_sessions(conn, since)?;
    for table in TABLES {
        conn.batch(&format!("VACUUM (FULL, ANALYZE) {table}"))?;
    }
    wait_for_sessions(conn, since)?;
    conn.batch("VACUUM (FULL) pg_catalog.pg_statistic")
}

/// Waits until no session can see the rows deleted before, because they would be copied too.
///
/// A session may see rows back to the oldest transaction that was open when it took its snapshot,
/// in any database of the server. So the current transactions have to end in all databases, and in
/// this one the snapshots taken before they ended. A session that is still connecting belongs to no
/// database yet and counts.
fn wait_for_sessions(conn: &mut Conn, since: Instant) -> Result<(), StoreError> {
    static NOW: Statement = Statement::new("SELECT txid_current() AS n");
    static HELD: Statement = Statement::new(
        "SELECT (txid_snapshot_xmin(txid_current_snapshot()) <= $1)::INT + count(*) AS n \
         FROM pg_stat_activity \
         WHERE (datname = current_database() OR datname IS NULL) AND pid <> pg_backend_pid() \
         AND age(backend_xmin) >= age(($1 % 4294967296)::TEXT::XID)",
    );
    let now: CountRow = NOW.bind(&[]).fetch_one(conn)?;
    loop {
        let held: CountRow = HELD.bind(&[now.n.into()]).fetch_one(conn)?;
        if held.n == 0 {
            return Ok(());
        }
        if since.elapsed() > LONGEST_WAIT {
            return Err(refused(
                "a session, such as an export, has been using this database or another one of this server in one \
                 transaction for more than a minute; run this again when that transaction has ended"
                    .to_owned(),
            ));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn refused(why: String) -> StoreError {
    StoreError::Open {
        cause: Arc::new(Fault(why.clone())),
        message: why,
    }
}
