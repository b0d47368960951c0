//! Tokens as rows. It must not know the secret of a token, only its hash, or the meaning of a
//! scope.

use diesel::{
    BoolExpressionMethods, ExpressionMethods, Insertable, OptionalExtension, QueryDsl, Queryable,
    RunQueryDsl,
};

use crate::store::engine::schema::{access_epochs, tenants, tokens};
use crate::store::tables::tenants::{POLICY, Policy, PolicyRow};
use crate::store::{Conn, StoreError, TenantId};

/// All times are microseconds since the epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    pub id: String,
    pub tenant: TenantId,
    pub name: String,
    pub hash: String,
    pub scopes: String,
    pub created: i64,
    pub expires: Option<i64>,
    pub last_used: Option<i64>,
    pub revoked: Option<i64>,
    /// The attributes that it may read; `None` for all.
    pub fields: Option<String>,
}

/// The columns, in the order of the table.
#[derive(Queryable, Insertable)]
#[diesel(table_name = tokens)]
struct TokenRow {
    id: String,
    tenant_id: i64,
    name: String,
    hash: String,
    scopes: String,
    created: i64,
    expires: Option<i64>,
    last_used: Option<i64>,
    revoked: Option<i64>,
    fields: Option<String>,
}

impl From<TokenRow> for Token {
    fn from(row: TokenRow) -> Self {
        Self {
            id: row.id,
            tenant: TenantId(row.tenant_id),
            name: row.name,
            hash: row.hash,
            scopes: row.scopes,
            created: row.created,
            expires: row.expires,
            last_used: row.last_used,
            revoked: row.revoked,
            fields: row.fields,
        }
    }
}

/// A token, and the settings for its tenant's clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenWithPolicy {
    pub token: Token,
    pub policy: Policy,
    /// The tenant's access epoch, which advances with every change of the token or the policy.
    pub epoch: i64,
}

/// Inserts a token. Fails with `Duplicate(TokenName)` if the tenant has a live token of that name,
/// or with `UnknownTenant`.
pub fn insert(conn: &mut Conn, token: Token) -> Result<(), StoreError> {
    let tenant = token.tenant;
    let row = TokenRow {
        id: token.id,
        tenant_id: tenant.0,
        name: token.name,
        hash: token.hash,
        scopes: token.scopes,
        created: token.created,
        expires: token.expires,
        last_used: token.last_used,
        revoked: token.revoked,
        fields: token.fields,
    };
    match diesel::insert_into(tokens::table).values(row).execute(conn) {
        Ok(_) => Ok(()),
        Err(diesel::result::Error::DatabaseError(
            diesel::result::DatabaseErrorKind::ForeignKeyViolation,
            _,
        )) => Err(StoreError::UnknownTenant(tenant)),
        Err(error) => Err(error.into()),
    }
}

/// Returns all tokens of a tenant, also revoked ones, by age.
pub fn list(conn: &mut Conn, tenant: TenantId) -> Result<Vec<Token>, StoreError> {
    let rows: Vec<TokenRow> = tokens::table
        .filter(tokens::tenant_id.eq(tenant.0))
        .order((tokens::created, tokens::id))
        .select(tokens::all_columns)
        .load(conn)?;
    Ok(rows.into_iter().map(Token::from).collect())
}

/// Revokes the live token with that name, and returns it, if there is one.
pub fn revoke(
    conn: &mut Conn,
    tenant: TenantId,
    name: &str,
    at: i64,
) -> Result<Option<Token>, StoreError> {
    let row: Option<TokenRow> = diesel::update(
        tokens::table
            .filter(tokens::tenant_id.eq(tenant.0))
            .filter(tokens::revoked.is_null())
            .filter(tokens::name.eq(name)),
    )
    .set(tokens::revoked.eq(at))
    .returning(tokens::all_columns)
    .get_result(conn)
    .optional()?;
    Ok(row.map(Token::from))
}

/// Revokes the live token with that id, and returns it, if there is one.
pub fn revoke_by_id(
    conn: &mut Conn,
    tenant: TenantId,
    id: &str,
    at: i64,
) -> Result<Option<Token>, StoreError> {
    let row: Option<TokenRow> = diesel::update(
        tokens::table
            .filter(tokens::tenant_id.eq(tenant.0))
            .filter(tokens::revoked.is_null())
            .filter(tokens::id.eq(id)),
    )
    .set(tokens::revoked.eq(at))
    .returning(tokens::all_columns)
    .get_result(conn)
    .optional()?;
    Ok(row.map(Token::from))
}

/// Returns the token with this hash, of any tenant and in any state: the caller checks that it is
/// valid. Also returns its tenant's policy, which every request needs.
pub fn by_hash(conn: &mut Conn, hash: &str) -> Result<Option<TokenWithPolicy>, StoreError> {
    let row: Option<(TokenRow, PolicyRow, i64)> = tokens::table
        .inner_join(tenants::table.inner_join(access_epochs::table))
        .filter(tokens::hash.eq(hash))
        .select((tokens::all_columns, POLICY, access_epochs::epoch))
        .get_result(conn)
        .optional()?;
    Ok(row.map(|(token, policy, epoch)| TokenWithPolicy {
        token: token.into(),
        policy: policy.into(),
        epoch,
    }))
}

/// Records a use, unless a later one is recorded.
pub fn touch_last_used(
    conn: &mut Conn,
    tenant: TenantId,
    id: &str,
    at: i64,
) -> Result<(), StoreError> {
    diesel::update(
        tokens::table
            .filter(tokens::tenant_id.eq(tenant.0))
            .filter(tokens::id.eq(id))
            .filter(tokens::last_used.is_null().or(tokens::last_used.lt(at))),
    )
    .set(tokens::last_used.eq(at))
    .execute(conn)?;
    Ok(())
}

/// Whether there is any token, live or not.
pub fn any(conn: &mut Conn) -> Result<bool, StoreError> {
    let first: Option<String> = tokens::table.select(tokens::id).first(conn).optional()?;
    Ok(first.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Unique;
    use crate::store::testing::{TENANT, with_store};

    fn token(id: &str, name: &str) -> Token {
        Token {
            id: id.into(),
            tenant: TENANT,
            name: name.into(),
            hash: format!("hash of {id}"),
            scopes: "scim".into(),
            created: 1,
            expires: Some(100),
            last_used: None,
            revoked: None,
            fields: None,
        }
    }

    #[test]
    fn a_life() {
        with_store(|store| async move {
            assert!(!store.read(any).await.unwrap());
            store
                .admin(|conn| insert(conn, token("1", "okta")))
                .await
                .unwrap();
            let taken = store.admin(|conn| insert(conn, token("2", "okta"))).await;
            assert!(
                matches!(taken, Err(StoreError::Duplicate(Unique::TokenName))),
                "{taken:?}"
            );
            let found = store.read(|conn| by_hash(conn, "hash of 1")).await.unwrap();
            let known = TokenWithPolicy {
                token: token("1", "okta"),
                policy: Policy::default(),
                epoch: 1,
            };
            assert_eq!(found, Some(known));
            for at in [5, 9, 7] {
                store
                    .admin(move |conn| touch_last_used(conn, TENANT, "1", at))
                    .await
                    .unwrap();
            }
            let revoked = store
                .admin(|conn| revoke(conn, TENANT, "okta", 20))
                .await
                .unwrap()
                .unwrap();
            assert_eq!((revoked.last_used, revoked.revoked), (Some(9), Some(20)));
            assert_eq!(
                store
                    .admin(|conn| revoke_by_id(conn, TENANT, "1", 30))
                    .await
                    .unwrap(),
                None
            );
            store
                .admin(|conn| insert(conn, token("3", "okta")))
                .await
                .unwrap();
            let known = store.read(|conn| by_hash(conn, "hash of 1")).await.unwrap();
            assert_eq!(
                known.map(|known| known.epoch),
                Some(2),
                "a use is no change"
            );
            let all = store.read(|conn| list(conn, TENANT)).await.unwrap();
            assert_eq!(
                all.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(),
                ["1", "3"]
            );
            assert!(store.read(any).await.unwrap());
            let mut stray = token("4", "x");
            stray.tenant = TenantId(99);
            let unknown = store.admin(move |conn| insert(conn, stray.clone())).await;
            assert!(
                matches!(unknown, Err(StoreError::UnknownTenant(_))),
                "{unknown:?}"
            );
        });
    }
}
