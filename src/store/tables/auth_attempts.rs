//! Times and counts of authenticated requests, by credential and outcome. No credential, address or
//! name is stored.

use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl};

use crate::store::engine::schema::arrivals;
use crate::store::engine::statement::Statement;
use crate::store::{Conn, StoreError, TenantId};

/// A token, by its tenant and its id.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TokenKey {
    pub tenant: TenantId,
    pub id: String,
}

/// The columns of a token. They cannot be null: requests without a valid token are stored under
/// tenant 0 and an empty id.
fn columns(token: Option<&TokenKey>) -> (TenantId, &str) {
    token.map_or((TenantId(0), ""), |token| (token.tenant, &token.id))
}

/// Some requests of one kind. All times are microseconds since the epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthAttempt {
    /// `None` for requests without a valid token.
    pub token: Option<TokenKey>,
    pub kind: String,
    pub first: i64,
    pub last: i64,
    pub times: i64,
}

/// Adds to the recorded attempts.
pub fn note(conn: &mut Conn, new: &AuthAttempt) -> Result<(), StoreError> {
    static ADD: Statement = Statement::new(
        "INSERT INTO arrivals (tenant_id, token_id, kind, first_at, last_at, times) \
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (tenant_id, token_id, kind) DO UPDATE SET \
         times = arrivals.times + excluded.times, \
         first_at = CASE WHEN excluded.first_at < arrivals.first_at \
           THEN excluded.first_at ELSE arrivals.first_at END, \
         last_at = CASE WHEN excluded.last_at > arrivals.last_at \
           THEN excluded.last_at ELSE arrivals.last_at END",
    );
    let (tenant, token) = columns(new.token.as_ref());
    let binds = [
        tenant.into(),
        token.into(),
        (&new.kind).into(),
        new.first.into(),
        new.last.into(),
        new.times.into(),
    ];
    ADD.bind(&binds).execute(conn)?;
    Ok(())
}

/// Returns the attempts with one token, or those without a valid one.
pub fn of_token(conn: &mut Conn, token: Option<&TokenKey>) -> Result<Vec<AuthAttempt>, StoreError> {
    let (tenant_id, token_id) = columns(token);
    let rows: Vec<(String, i64, i64, i64)> = arrivals::table
        .filter(arrivals::tenant_id.eq(tenant_id.0))
        .filter(arrivals::token_id.eq(token_id))
        .order(arrivals::kind)
        .select((
            arrivals::kind,
            arrivals::first_at,
            arrivals::last_at,
            arrivals::times,
        ))
        .load(conn)?;
    Ok(rows
        .into_iter()
        .map(|(kind, first, last, times)| AuthAttempt {
            token: token.cloned(),
            kind,
            first,
            last,
            times,
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::{TENANT, with_store};

    fn token() -> TokenKey {
        TokenKey {
            tenant: TENANT,
            id: "t".into(),
        }
    }

    fn attempt(kind: &str, first: i64, last: i64, times: i64) -> AuthAttempt {
        AuthAttempt {
            token: Some(token()),
            kind: kind.into(),
            first,
            last,
            times,
        }
    }

    #[test]
    fn several_nodes_add_up() {
        with_store(|store| async move {
            for new in [
                attempt("accepted", 10, 20, 3),
                attempt("accepted", 5, 15, 2),
                attempt("bare", 30, 30, 1),
            ] {
                store.admin(move |conn| note(conn, &new)).await.unwrap();
            }
            let found = store
                .read(|conn| of_token(conn, Some(&token())))
                .await
                .unwrap();
            assert_eq!(
                found,
                [attempt("accepted", 5, 20, 5), attempt("bare", 30, 30, 1)]
            );
            let others = store.read(|conn| of_token(conn, None)).await.unwrap();
            assert_eq!(others, []);
        });
    }
}
