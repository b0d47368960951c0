//! The first token of a new installation.

use secrecy::{ExposeSecret as _, SecretString};

use crate::auth::Scopes;
use crate::clock::Clock;
use crate::service::access::authenticator::Bootstrap;
use crate::service::access::tokens::{DEFAULT_TENANT, NewToken};
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
    bootstrap_token: Option<&SecretString>,
    clock: &dyn Clock,
) -> anyhow::Result<FirstAccess> {
    if let Some(secret) = bootstrap_token {
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
        token: Some(tokens::create(store, first, clock).await?),
    })
}
