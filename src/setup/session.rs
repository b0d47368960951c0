//! One run: the wish, and a client with the credential.

use std::sync::Arc;

use okta_client::client::RetryPolicy;
use okta_client::key::SigningKey;
use okta_client::login::{SCOPES, ServiceApp};
use okta_client::{Client, Login};
use secrecy::ExposeSecret as _;

use crate::clock::Clock;
use crate::config::OktaSettings;
use crate::setup::desired::DesiredState;
use crate::setup::{Failure, FailureKind, Mode, file};

pub struct Session {
    pub wish: DesiredState,
    pub client: Client,
}

impl Session {
    /// Reads the wish and takes the credential. Asks Okta nothing.
    ///
    /// # Errors
    /// A wrong file, or a credential that is missing or cannot be one.
    pub fn open(settings: &OktaSettings, clock: Arc<dyn Clock>) -> Result<Self, Failure> {
        let mode = if settings.rehearse {
            Mode::Rehearsal
        } else {
            Mode::Real
        };
        let wish = file::read(&settings.file, mode)?;
        let login = login(settings, &wish)?;
        let patience = RetryPolicy {
            mode,
            max_wait: settings.max_wait,
        };
        let client = Client::new(
            wish.org.clone(),
            login,
            Arc::new(move || clock.now()),
            patience,
        )?;
        Ok(Self { wish, client })
    }
}

fn login(settings: &OktaSettings, wish: &DesiredState) -> Result<Login, Failure> {
    let fault = |message: String| Failure::new(FailureKind::Invalid, message);
    if let Some(client_id) = &wish.client_id {
        let key = settings.key.as_ref().ok_or_else(|| {
            fault("setup.toml names a service app (okta.client_id), so its private key is needed: --okta-key-file FILE".to_owned())
        })?;
        let key = SigningKey::parse(key.expose_secret(), wish.key_id.as_deref())
            .map_err(|problem| fault(format!("The service app's key cannot be used: {problem}")))?;
        let app = ServiceApp::new(client_id.clone(), key, wish.wanted_scopes())?;
        return Ok(Login::ServiceApp(Box::new(app)));
    }
    match &settings.token {
        Some(token) => Login::token(token.expose_secret()),
        None if settings.key.is_some() => Err(fault(
            "A key was given, but setup.toml does not name the service app: set okta.client_id.".to_owned(),
        )),
        None => Err(fault(
            "No credential for Okta. Put an API token into ROLLCALL_OKTA_TOKEN or into a file named by --okta-token-file (`-` reads standard input); it is made under Security > API > Tokens.".to_owned(),
        )),
    }
}

impl DesiredState {
    /// The scopes that a service app needs for this wish; all of them are asked for.
    pub fn wanted_scopes(&self) -> Vec<String> {
        if let Some(scopes) = &self.scopes {
            return scopes.clone();
        }
        let mut scopes = SCOPES.map(str::to_owned).to_vec();
        if !self.push_groups.is_empty() {
            scopes.push("okta.groups.manage".to_owned());
        }
        if !self.attributes.is_empty() {
            scopes.push("okta.schemas.manage".to_owned());
            scopes.push("okta.profileMappings.manage".to_owned());
        }
        if self.event_hook.is_some() {
            scopes.push("okta.eventHooks.manage".to_owned());
        }
        scopes
    }
}
