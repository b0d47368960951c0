//! The number of the agreement on indexed paths, which each tenant's row has.
//!
//! It changes when a node starts with other paths. A writer that finds another number than it
//! started with stops.

use diesel::sql_types::BigInt;

use crate::store::engine::statement::{Fetch, Statement};
use crate::store::{Conn, StoreError, TenantId};

/// Returns the epoch of the first tenant, which always exists. A new tenant gets the same.
pub(in crate::store) fn get(conn: &mut Conn) -> Result<i64, StoreError> {
    static GET: Statement<BigInt> = Statement::new("SELECT index_epoch FROM tenants WHERE id = $1");
    Ok(GET.bind(&[TenantId::DEFAULT.into()]).fetch_one(conn)?)
}

/// Keeps other nodes from agreeing on paths until the end of the transaction.
pub(in crate::store) fn lock(conn: &mut Conn) -> Result<(), StoreError> {
    static LOCK: Statement =
        Statement::new("UPDATE tenants SET index_epoch = index_epoch WHERE id = $1");
    LOCK.bind(&[TenantId::DEFAULT.into()]).execute(conn)?;
    Ok(())
}
