//! Tokens in the order in which they became visible, so that a node reads only those that it does
//! not have yet.

use diesel::sql_types::{BigInt, Nullable, Text};

use crate::store::engine::statement::{Fetch as _, Statement};
use crate::store::{Conn, StoreError, TenantId};

/// What a node keeps of a token. All times are microseconds since the epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumberedToken {
    pub number: i64,
    pub tenant: TenantId,
    pub name: String,
    pub hash: String,
    pub expires: Option<i64>,
    pub revoked: Option<i64>,
}

type Row = (i64, i64, String, String, Option<i64>, Option<i64>);
type Columns = (
    BigInt,
    BigInt,
    Text,
    Text,
    Nullable<BigInt>,
    Nullable<BigInt>,
);

static AFTER: Statement<Columns> = Statement::new(
    "SELECT number, tenant_id, name, hash, expires, revoked FROM tokens \
     WHERE number > $1 ORDER BY number LIMIT 0 + $2",
);

/// Returns the tokens after this number, of all tenants and in any state, at most `limit`. No token
/// gets a lower number later.
pub fn after(conn: &mut Conn, number: i64, limit: i64) -> Result<Vec<NumberedToken>, StoreError> {
    let rows: Vec<Row> = AFTER.bind(&[number.into(), limit.into()]).fetch_all(conn)?;
    let token = |(number, tenant, name, hash, expires, revoked)| NumberedToken {
        number,
        tenant: TenantId(tenant),
        name,
        hash,
        expires,
        revoked,
    };
    Ok(rows.into_iter().map(token).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tables::tokens;
    use crate::store::tables::tokens::Token;
    use crate::store::testing::{TENANT, with_store};

    #[test]
    fn tokens_are_numbered_as_they_are_created() {
        with_store(|store| async move {
            for id in ["3", "1", "2"] {
                let token = Token {
                    id: id.into(),
                    tenant: TENANT,
                    name: format!("name of {id}"),
                    hash: format!("hash of {id}"),
                    scopes: "scim".into(),
                    created: 1,
                    expires: None,
                    last_used: None,
                    revoked: None,
                    fields: None,
                };
                let insert = move |conn: &mut Conn| tokens::insert(conn, token.clone());
                store.admin(insert).await.unwrap();
            }
            let read = |number, limit| {
                let store = &store;
                async move {
                    let rows = store
                        .look_up(TenantId::SERVICE, move |conn| after(conn, number, limit))
                        .await;
                    let rows = rows.unwrap().into_iter();
                    rows.map(|row| (row.number, row.hash)).collect::<Vec<_>>()
                }
            };
            let all = read(0, 10).await;
            let hashes: Vec<&str> = all.iter().map(|(_, hash)| &**hash).collect();
            assert_eq!(hashes, ["hash of 3", "hash of 1", "hash of 2"]);
            assert_eq!(read(0, 2).await, all[..2]);
            assert_eq!(read(all[1].0, 10).await, all[2..]);
            // A change of a token does not move it.
            let revoke = |conn: &mut Conn| tokens::revoke(conn, TENANT, "3", 7);
            store.admin(revoke).await.unwrap();
            assert_eq!(read(all[2].0, 10).await, []);
        });
    }
}
