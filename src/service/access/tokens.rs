//! Tokens: creating, listing and revoking them.

use jiff::Timestamp;

use crate::auth::{Fields, Scopes, token};
use crate::clock::Clock;
use crate::service::Error;
use crate::store::tables::tokens::Token;
use crate::store::tables::{tenants, tokens};
use crate::store::{Store, StoreError};

/// The name of the tenant that exists from the start; its admins are the operators.
pub const DEFAULT_TENANT: &str = "default";

/// What a new token shall be.
#[derive(Debug, Clone)]
pub struct NewToken {
    pub tenant: String,
    pub name: String,
    pub scopes: Scopes,
    /// What it may read; `None`: everything. Only a token that does nothing but read can have this.
    pub fields: Option<Fields>,
    pub expires: Option<Timestamp>,
}

/// Makes a token and answers its text, which is nowhere else.
///
/// # Errors
/// An unknown tenant, a name that is taken in it, an empty name or no scope.
pub async fn create(store: &Store, wish: NewToken, clock: &dyn Clock) -> Result<String, Error> {
    let (id, now_us) = (clock.new_id(), clock.now().as_microsecond());
    if wish.name.trim().is_empty() || wish.name.len() > 200 || wish.name.contains(char::is_control)
    {
        return Err(Error::BadRequest(
            "a token's name has 1 to 200 characters and none of them is a control character".into(),
        ));
    }
    if wish.scopes == Scopes::default() {
        return Err(Error::BadRequest(
            "a token needs at least one of the scopes scim, read and admin".into(),
        ));
    }
    // An answer to a write shows the whole resource, and an admin makes whatever token it likes.
    if wish.fields.is_some() && wish.scopes != wish.scopes.only_reading() {
        return Err(Error::BadRequest(
            "`fields` limit what a token reads, so its only scope must be `read`".into(),
        ));
    }
    if wish
        .expires
        .is_some_and(|expires| expires.as_microsecond() <= now_us)
    {
        return Err(Error::BadRequest(
            "the token would be expired already".into(),
        ));
    }
    let secret = token::format(crate::clock::random_bytes().map_err(Error::internal)?);
    let hash = token::hash(&token::digest(&secret));
    store
        .admin(move |conn| {
            let tenant = tenants::by_name(conn, &wish.tenant)?
                .ok_or_else(|| Error::NotFound(format!("The tenant `{}`", wish.tenant)))?;
            let name = wish.name.clone();
            let row = Token {
                id,
                tenant: tenant.id,
                name: wish.name,
                hash,
                scopes: wish.scopes.to_string(),
                created: now_us,
                expires: wish.expires.map(Timestamp::as_microsecond),
                last_used: None,
                revoked: None,
                fields: wish.fields.map(|fields| fields.to_string()),
            };
            tokens::insert(conn, row)
            .map_err(|error| match error {
                StoreError::Duplicate(_) => Error::Conflict(format!(
                    "a token named `{name}` exists in this tenant; choose another name or revoke that one first"
                )),
                other => other.into(),
            })
        })
        .await?;
    Ok(secret)
}

/// Whether any token was ever made.
///
/// # Errors
/// Where the database does not answer.
pub async fn any(store: &Store) -> Result<bool, Error> {
    store.read(|conn| Ok(tokens::any(conn)?)).await
}

/// All tokens of a tenant, newest first, without their secrets.
///
/// # Errors
/// An unknown tenant.
pub async fn list(store: &Store, tenant: String) -> Result<Vec<Token>, Error> {
    store
        .read(move |conn| {
            let tenant = tenants::by_name(conn, &tenant)?
                .ok_or_else(|| Error::NotFound(format!("The tenant `{tenant}`")))?;
            Ok(tokens::list(conn, tenant.id)?)
        })
        .await
}

/// Revokes a token by its name; it stops working with the next request.
///
/// # Errors
/// An unknown tenant or name.
pub async fn revoke(store: &Store, tenant: String, name: String, now_us: i64) -> Result<(), Error> {
    store
        .admin(move |conn| {
            let row = tenants::by_name(conn, &tenant)?
                .ok_or_else(|| Error::NotFound(format!("The tenant `{tenant}`")))?;
            match tokens::revoke(conn, row.id, &name, now_us)? {
                Some(_) => Ok(()),
                None => Err(Error::NotFound(format!(
                    "A live token named `{name}` in the tenant `{tenant}`"
                ))),
            }
        })
        .await
}
