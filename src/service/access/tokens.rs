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

/// A token to create.
#[derive(Debug, Clone)]
pub struct NewToken {
    pub tenant: String,
    pub name: String,
    pub scopes: Scopes,
    /// The attributes that it may read. `None` allows all; only a token that cannot write may have
    /// a list.
    pub fields: Option<Fields>,
    pub expires: Option<Timestamp>,
}

impl NewToken {
    fn check(&self, now: Timestamp) -> Result<(), Error> {
        let bad = |text: &str| Err(Error::BadRequest(text.to_owned()));
        let name = self.name.as_str();
        if name.trim().is_empty() || name.len() > 200 || name.contains(char::is_control) {
            return bad(
                "a token's name has 1 to 200 characters and none of them is a control character",
            );
        }
        if self.scopes == Scopes::default() {
            return bad("a token needs at least one of the scopes scim, read and admin");
        }
        // The response to a write shows the whole resource, and an admin can create any token.
        if self.fields.is_some() && self.scopes != self.scopes.only_reading() {
            return bad("`fields` limit what a token reads, so its only scope must be `read`");
        }
        if self.expires.is_some_and(|expires| expires <= now) {
            return bad("the token would be expired already");
        }
        Ok(())
    }
}

/// Creates a token and returns its secret, which is not stored.
///
/// # Errors
/// [`Error::NotFound`] for the tenant, [`Error::Conflict`] for a name that is taken,
/// [`Error::BadRequest`] for an invalid name, scopes or expiry.
pub async fn create(store: &Store, new: NewToken, clock: &dyn Clock) -> Result<String, Error> {
    let now = clock.now();
    new.check(now)?;
    let id = clock.new_id();
    let secret = token::format(crate::clock::random_bytes().map_err(Error::internal)?);
    let hash = token::hash(&token::digest(&secret));
    store
        .admin(move |conn| {
            let tenant = tenants::by_name(conn, &new.tenant)?
                .ok_or_else(|| Error::NotFound(format!("The tenant `{}`", new.tenant)))?;
            let name = &new.name;
            let row = Token {
                id: id.clone(),
                tenant: tenant.id,
                name: name.clone(),
                hash: hash.clone(),
                scopes: new.scopes.to_string(),
                created: now.as_microsecond(),
                expires: new.expires.map(Timestamp::as_microsecond),
                last_used: None,
                revoked: None,
                fields: new.fields.as_ref().map(ToString::to_string),
            };
            tokens::insert(conn, row).map_err(|error| match error {
                StoreError::Duplicate(_) => Error::Conflict(format!(
                    "a token named `{name}` exists in this tenant; choose another name or revoke that one first"
                )),
                other => other.into(),
            })
        })
        .await?;
    Ok(secret)
}

/// Returns whether any token exists, revoked ones included.
pub async fn any(store: &Store) -> Result<bool, Error> {
    store.read(|conn| Ok(tokens::any(conn)?)).await
}

/// Lists the tokens of a tenant, newest first, without their secrets.
///
/// # Errors
/// [`Error::NotFound`] for the tenant.
pub async fn list(store: &Store, tenant: String) -> Result<Vec<Token>, Error> {
    store
        .read(move |conn| {
            let tenant = tenants::by_name(conn, &tenant)?
                .ok_or_else(|| Error::NotFound(format!("The tenant `{tenant}`")))?;
            Ok(tokens::list(conn, tenant.id)?)
        })
        .await
}

/// Revokes a token by its name. It is rejected from the next request on.
///
/// # Errors
/// [`Error::NotFound`] for the tenant or the name.
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
