//! Writes a database anew, so that nothing remains in it of what was deleted: free pages, dead rows, samples that the
//! planner took.

use std::sync::Arc;
use std::time::{Duration, Instant};

use diesel::sql_types::BigInt;
use diesel::{QueryableByName, RunQueryDsl};

use crate::store::engine::conn;
use crate::store::engine::conn::Role;
use crate::store::engine::error::Fault;
use crate::store::engine::sql::Sql;
use crate::store::tables::erasure;
use crate::store::{Backend, Conn, DatabaseUrl, StoreError};

/// The tables that hold what people are called.
const TABLES: [&str; 7] = [
    "resources",
    "attributes",
    "members",
    "unique_values",
    "changes",
    "setups",
    "walks",
];

/// How long others are waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// Writes the database anew while others use it. Blocks, and writes wait meanwhile; on PostgreSQL reads too.
///
/// # Errors
/// [`StoreError::Open`] with a text for the operator, where the file is not there or others would not let go of it.
pub fn run(url: &DatabaseUrl) -> Result<(), StoreError> {
    // Opening would make an empty database.
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

/// `VACUUM` writes through the log, which is copied into the file after it and cut to nothing.
fn sqlite(conn: &mut Conn) -> Result<(), StoreError> {
    let told = |error: StoreError| {
        match error {
        StoreError::Busy => refused(
            "others have been writing to the database for a minute without a pause; try again when they have less to do"
                .to_owned(),
        ),
        other => other,
    }
    };
    erasure::forget_samples(conn).map_err(told)?;
    conn.batch("VACUUM").map_err(told)?;
    let done: Checkpoint = Sql::new("PRAGMA wal_checkpoint(TRUNCATE)").get_result(conn)?;
    if done.busy != 0 {
        return Err(refused(
            "the database is written anew, but somebody read it for a minute without a pause, such as an export, so that \
             the log beside it could not be emptied; run it again when that has ended"
                .to_owned(),
        ));
    }
    Ok(())
}

/// Each table is copied into new files; the old ones are emptied at the end of the statement. `ANALYZE` takes new samples,
/// and the rows of the old ones go with `pg_statistic`, where the user may do that.
fn postgres(conn: &mut Conn) -> Result<(), StoreError> {
    let since = Instant::now();
    let_go(conn, since)?;
    for table in TABLES {
        conn.batch(&format!("VACUUM (FULL, ANALYZE) {table}"))?;
    }
    let_go(conn, since)?;
    conn.batch("VACUUM (FULL) pg_catalog.pg_statistic")
}

/// Waits until nobody can see the rows that were deleted before: those would be copied too.
///
/// What a session may see reaches back to the oldest transaction that was open when it looked, in any database of the
/// server. So the transactions of now have to end everywhere, and the looks that were taken before they had ended, here;
/// a session that is only just connecting belongs to no database yet and counts.
fn let_go(conn: &mut Conn, since: Instant) -> Result<(), StoreError> {
    let now: CountRow = Sql::new("SELECT txid_current() AS n").get_result(conn)?;
    loop {
        let held: CountRow = Sql::new(
            "SELECT (txid_snapshot_xmin(txid_current_snapshot()) <= $1)::INT + count(*) AS n FROM pg_stat_activity \
             WHERE (datname = current_database() OR datname IS NULL) AND pid <> pg_backend_pid() \
             AND age(backend_xmin) >= age(($1 % 4294967296)::TEXT::XID)",
        )
        .int(now.n)
        .get_result(conn)?;
        if held.n == 0 {
            return Ok(());
        }
        if since.elapsed() > PATIENCE {
            return Err(refused(
                "somebody has been reading or writing the database, or another one of this server, in one transaction for \
                 more than a minute, such as an export; run it again when that has ended"
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
