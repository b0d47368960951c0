//! The desired state, and a client with the credential.

use std::sync::Arc;

use okta_client::{
    Client, ClientOptions, Credential, DEFAULT_SCOPES, RetryPolicy, ServiceApp, SigningKey,
};
use secrecy::ExposeSecret as _;

use crate::clock::Clock;
use crate::config::OktaSettings;
use crate::setup::desired::DesiredState;
use crate::setup::{Failure, FailureKind, Mode, file};

/// The desired state, and a client for the org.
pub struct Session {
    pub desired: DesiredState,
    pub client: Client,
}

impl Session {
    /// Reads `setup.toml` and the credential. Sends nothing to Okta.
    ///
    /// # Errors
    /// Returns an error if the file is invalid, or if the credential is missing or malformed.
    pub fn open(settings: &OktaSettings, clock: Arc<dyn Clock>) -> Result<Self, Failure> {
        let mode = if settings.rehearse {
            Mode::Simulated
        } else {
            Mode::Live
        };
        let desired = file::read(&settings.file, mode)?;
        let credential = credential(settings, &desired)?;
        let options = ClientOptions {
            user_agent: concat!("rollcall/", env!("CARGO_PKG_VERSION")).to_owned(),
            retry: RetryPolicy {
                max_wait: settings.max_wait,
                ..RetryPolicy::default()
            },
            time: Arc::new(move || clock.now()),
        };
        let client = Client::new(desired.org.clone(), credential, options)?;
        Ok(Self { desired, client })
    }
}

fn credential(settings: &OktaSettings, desired: &DesiredState) -> Result<Credential, Failure> {
    let fault = |message: String| Failure::new(FailureKind::Invalid, message);
    if let Some(client_id) = &desired.client_id {
        let key = settings.key.as_ref().ok_or_else(|| {
            fault("setup.toml names a service app (okta.client_id), so its private key is needed: --okta-key-file FILE".to_owned())
        })?;
        let key = SigningKey::parse(key.expose_secret(), desired.key_id.as_deref())
            .map_err(|problem| fault(format!("The service app's key cannot be used: {problem}")))?;
        let app = ServiceApp::new(client_id.clone(), key, desired.required_scopes())?;
        return Ok(Credential::ServiceApp(Box::new(app)));
    }
    match &settings.token {
        Some(token) => Credential::api_token(token.expose_secret()),
        None if settings.key.is_some() => Err(fault(
            "There is a key, but setup.toml does not name the service app: set okta.client_id.".to_owned(),
        )),
        None => Err(fault(
            "No credential for Okta. Put an API token into ROLLCALL_OKTA_TOKEN or into a file named by --okta-token-file (`-` reads standard input); create it under Security > API > Tokens.".to_owned(),
        )),
    }
}

impl DesiredState {
    /// Returns the scopes that a service app needs for this state, all of which are requested.
    pub fn required_scopes(&self) -> Vec<String> {
        if let Some(scopes) = &self.scopes {
            return scopes.clone();
        }
        let mut scopes = DEFAULT_SCOPES.map(str::to_owned).to_vec();
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
