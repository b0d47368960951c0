//! Tokens: creating, listing and revoking them.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;

use crate::auth::{Fields, Scope, Scopes, token};
use crate::clock::Clock;
use crate::service::Error;
use crate::settings::{days, settings};
use crate::store::tables::tokens::Token;
use crate::store::tables::{tenants, tokens};
use crate::store::{Store, StoreError};

/// The name of the tenant that exists from the start; its admins are the operators.
pub const DEFAULT_TENANT: &str = "default";

settings! {
    /// Limits on new tokens.
    #[derive(Debug, Clone, Copy, Default)]
    pub struct TokenLimits {
        /// Most days for which a new token may be valid: each then needs an expiry. 0 is no limit.
        /// Tokens that exist already keep theirs.
        pub max: Option<Duration> = setting(
            "token_max_days",
            days(0..=36_500).map(|time| (!time.is_zero()).then_some(time)),
            0
        ),
    }
}

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
    fn check(&self, limits: TokenLimits, now: Timestamp) -> Result<(), Error> {
        let bad = |text: &str| Err(Error::BadRequest(text.to_owned()));
        let name = self.name.as_str();
        if name.trim().is_empty() || name.len() > 200 || name.contains(is_invisible) {
            return bad(
                "a token's name has 1 to 200 bytes, and no control characters or invisible ones, such as those that change the direction of text",
            );
        }
        if let TokenRef::Id(_) = TokenRef::parse(name) {
            return bad("a token's name cannot be a UUID, which would be the id of a token");
        }
        if name == RESERVED_NAME {
            return bad("the name `bootstrap` means the token of the environment; choose another");
        }
        if self.scopes == Scopes::default() {
            return bad("a token needs at least one of the scopes scim, read, admin and operator");
        }
        if self.scopes.allow(Scope::Operator) && self.tenant != DEFAULT_TENANT {
            return bad("only a token of the tenant `default` can have the scope `operator`");
        }
        // The response to a write shows the whole resource, and an admin can create any token.
        if self.fields.is_some() && self.scopes != self.scopes.only_reading() {
            return bad("`fields` limit what a token reads, so its only scope must be `read`");
        }
        if self.expires.is_some_and(|expires| expires <= now) {
            return bad("the token would be expired already");
        }
        let Some(max) = limits.max else {
            return Ok(());
        };
        let latest = now.saturating_add(max).map_err(Error::internal)?;
        if self.expires.is_none_or(|expires| expires > latest) {
            return Err(Error::BadRequest(format!(
                "the setting `token_max_days` requires that a token expires at {latest} or earlier"
            )));
        }
        Ok(())
    }
}

/// The name under which changes record the token of the environment.
const RESERVED_NAME: &str = "bootstrap";

/// Returns whether a character would let a name look like another one in a list or a log: control
/// characters, line separators, and those without a width, above all the ones that change the
/// direction of text.
fn is_invisible(character: char) -> bool {
    let hidden = [
        '\u{ad}'..='\u{ad}',
        '\u{61c}'..='\u{61c}',
        '\u{180e}'..='\u{180e}',
        '\u{200b}'..='\u{200f}',
        '\u{2028}'..='\u{202e}',
        '\u{2060}'..='\u{206f}',
        '\u{feff}'..='\u{feff}',
        '\u{fff9}'..='\u{fffb}',
        '\u{e0000}'..='\u{e007f}',
    ];
    character.is_control() || hidden.iter().any(|range| range.contains(&character))
}

/// A token that is to be revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenRef {
    /// The UUID that `list` shows.
    Id(String),
    /// The name of a live token.
    Name(String),
}

impl TokenRef {
    /// Reads a UUID as an id and any other text as a name, which no token can have both ways.
    pub fn parse(text: &str) -> Self {
        match uuid::Uuid::try_parse(text) {
            Ok(id) => Self::Id(id.to_string()),
            Err(_) => Self::Name(text.to_owned()),
        }
    }
}

impl fmt::Display for TokenRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => write!(f, "with the id `{id}`"),
            Self::Name(name) => write!(f, "named `{name}`"),
        }
    }
}

/// Creates a token and returns its secret, which is not stored.
///
/// # Errors
/// [`Error::NotFound`] for the tenant, [`Error::Conflict`] for a name that is taken,
/// [`Error::BadRequest`] for an invalid name, scopes or expiry.
pub async fn create(
    store: &Store,
    new: NewToken,
    limits: TokenLimits,
    clock: &dyn Clock,
) -> Result<String, Error> {
    let now = clock.now();
    new.check(limits, now)?;
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

/// Revokes a token. It is rejected from the next request on.
///
/// # Errors
/// [`Error::NotFound`] for the tenant or the token.
pub async fn revoke(
    store: &Store,
    tenant: String,
    token: TokenRef,
    now_us: i64,
) -> Result<(), Error> {
    store
        .admin(move |conn| {
            let row = tenants::by_name(conn, &tenant)?
                .ok_or_else(|| Error::NotFound(format!("The tenant `{tenant}`")))?;
            let revoked = match &token {
                TokenRef::Id(id) => tokens::revoke_by_id(conn, row.id, id, now_us)?,
                TokenRef::Name(name) => tokens::revoke(conn, row.id, name, now_us)?,
            };
            match revoked {
                Some(_) => Ok(()),
                None => Err(Error::NotFound(format!(
                    "A live token {token} in the tenant `{tenant}`"
                ))),
            }
        })
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let now = Timestamp::UNIX_EPOCH;
        let check = |name: &str, is_valid: bool| {
            let new = NewToken {
                tenant: DEFAULT_TENANT.to_owned(),
                name: name.to_owned(),
                scopes: Scopes::every(),
                fields: None,
                expires: None,
            };
            let checked = new.check(TokenLimits::default(), now);
            assert_eq!(checked.is_ok(), is_valid, "{name:?}: {checked:?}");
        };
        for name in ["okta", "Bücher 1", "a:b", "数", "n".repeat(200).as_str()] {
            check(name, true);
        }
        for name in [
            "",
            " ",
            "a\u{0}b",
            "a\nb",
            "\u{85}",
            "okta\u{202e}",
            "ok\u{200b}ta",
        ] {
            check(name, false);
        }
        for name in [
            "\u{61c}x",
            "\u{2066}x",
            "x\u{2069}",
            "x\u{feff}",
            "x\u{2028}",
            "x\u{e0041}",
        ] {
            check(name, false);
        }
        check("bootstrap", false);
        check("01890000-0000-7000-8000-000000000001", false);
        check("01890000000070008000000000000001", false);
        check("n".repeat(201).as_str(), false);
    }

    #[test]
    fn the_longest_time() {
        let now = Timestamp::UNIX_EPOCH;
        let limits = TokenLimits {
            max: Some(Duration::from_secs(86_400)),
        };
        let check = |seconds: Option<i64>, is_valid: bool| {
            let new = NewToken {
                tenant: DEFAULT_TENANT.to_owned(),
                name: "okta".to_owned(),
                scopes: Scopes::every(),
                fields: None,
                expires: seconds.map(|at| Timestamp::from_second(at).unwrap()),
            };
            assert_eq!(new.check(limits, now).is_ok(), is_valid, "{seconds:?}");
        };
        check(Some(86_400), true);
        check(Some(86_401), false);
        check(None, false);
    }
}
