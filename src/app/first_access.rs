//! The first token of a new installation.

use secrecy::ExposeSecret as _;

use crate::auth::Scopes;
use crate::clock::Clock;
use crate::config::TokenSettings;
use crate::service::access::authenticator::Bootstrap;
use crate::service::access::tokens::{DEFAULT_TENANT, NewToken, TokenLimits};
use crate::service::access::{tenants, tokens};
use crate::store::Store;

/// The access of a client before any token was created.
#[derive(Default)]
pub struct FirstAccess {
    /// The token from the environment.
    pub bootstrap: Option<Bootstrap>,
    /// The token that was created because the database had none.
    pub token: Option<String>,
}

/// Takes the bootstrap token, or creates a first token if the database has none.
pub async fn prepare(
    store: &Store,
    settings: &TokenSettings,
    clock: &dyn Clock,
) -> anyhow::Result<FirstAccess> {
    if let Some(secret) = settings.bootstrap()? {
        tracing::warn!(
            "the bootstrap token has every scope and does not expire; create tokens for its clients, then start without it"
        );
        let tenant = tenants::by_name(store, DEFAULT_TENANT.to_owned()).await?.id;
        return Ok(FirstAccess {
            bootstrap: Some(Bootstrap::new(secret.expose_secret(), tenant)),
            token: None,
        });
    }
    if tokens::any(store).await? {
        return Ok(FirstAccess::default());
    }
    let first = NewToken {
        tenant: DEFAULT_TENANT.to_owned(),
        name: "first".to_owned(),
        scopes: Scopes::every(),
        fields: None,
        expires: None,
    };
    Ok(FirstAccess {
        bootstrap: None,
        token: Some(tokens::create(store, first, TokenLimits::default(), clock).await?),
    })
}
