//! Secrets that all nodes of a service share.

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl};

use crate::store::engine::schema::secrets;
use crate::store::engine::statement::Statement;
use crate::store::{Conn, StoreError};

/// Returns the secret of this name. The first caller sets it to `fresh`; every later caller, on any
/// node, gets the same.
pub fn once(conn: &mut Conn, name: &str, fresh: &str, at: i64) -> Result<String, StoreError> {
    if let Some(present) = get(conn, name)? {
        return Ok(present);
    }
    static INSERT: Statement = Statement::new(
        "INSERT INTO secrets (name, value, created) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
    );
    INSERT
        .bind(&[name.into(), fresh.into(), at.into()])
        .execute(conn)?;
    get(conn, name)?
        .ok_or_else(|| StoreError::internal(format!("the secret {name} was not stored")))
}

fn get(conn: &mut Conn, name: &str) -> Result<Option<String>, StoreError> {
    Ok(secrets::table
        .filter(secrets::name.eq(name))
        .select(secrets::value)
        .get_result(conn)
        .optional()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;
    use crate::store::testing::{block_on, on_each};

    #[test]
    fn a_secret_is_made_once() {
        on_each(|fresh| {
            let nodes = [(); 2].map(|()| Store::open(&fresh.config).unwrap());
            let ask = |store: &Store, name: &'static str, fresh: &'static str| {
                block_on(store.admin(move |conn| once(conn, name, fresh, 1))).unwrap()
            };
            assert_eq!(ask(&nodes[0], "a", "first"), "first");
            assert_eq!(ask(&nodes[1], "a", "second"), "first");
            assert_eq!(ask(&nodes[1], "b", "other"), "other");
            nodes.iter().for_each(Store::close);
        });
    }
}
