//! Rollcall's token for Okta, the connection, and the state of the manual steps.

use jiff::Timestamp;
use okta_client::json::{str_at, strs_at};
use okta_client::{Method, RequestBody};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use crate::service::access::auth_attempts::AuthOutcome;
use crate::setup::desired::{DesiredState, Provisioning};
use crate::setup::report::{Report, StepState};
use crate::setup::run::{Action, PlannedChange, Run, Write, store_failure};
use crate::setup::state::{StateChange, TokenState};
use crate::setup::steps::app_template::ProvisioningSupport;
use crate::setup::{Failure, FailureKind, OktaId};

pub const TOKEN_STEP: &str = "token";
pub const STEP: &str = "connection";
pub const MANUAL_STEP: &str = "console";
/// What a report says when the manual steps are done.
pub const MANUAL_STEPS_DONE: &str = "Okta has used the token, and the actions are enabled";
const TOKEN_NAME: &str = "okta-setup";

/// Returns the creation of a token that the user enters in the console, if there is no usable one.
///
/// # Errors
/// Returns an error if the database cannot be read.
pub async fn diff_token(run: &Run) -> Result<Vec<PlannedChange>, Failure> {
    let create = |text: &str| {
        vec![PlannedChange {
            step: TOKEN_STEP,
            sign: '+',
            text: text.to_owned(),
            action: Action::CreateToken,
        }]
    };
    let Some(known) = &run.state.token else {
        return Ok(create("create a token for Okta that may only provision"));
    };
    if run.options.new_token {
        return Ok(create("create a new token for Okta and revoke the old one"));
    }
    if !known.delivered {
        return Ok(create(
            "create another token for Okta: the last one was never shown",
        ));
    }
    match run
        .records
        .token(&known.name)
        .await
        .map_err(store_failure)?
    {
        Some(token) if token.is_live => Ok(Vec::new()),
        _ => Ok(create(
            "create a new token for Okta: the old one was revoked or has expired",
        )),
    }
}

/// Creates the token. The state is saved first, so that the next run replaces a token whose secret
/// was lost in a crash.
///
/// # Errors
/// Returns an error if a live token that setup did not create has the name.
pub async fn create_token(run: &mut Run) -> Result<SecretString, Failure> {
    if run.state.token.is_some() {
        run.records
            .revoke_token(TOKEN_NAME)
            .await
            .map_err(store_failure)?;
    }
    let is_new = run.state.token.is_none();
    let token = run.records.token(TOKEN_NAME).await.map_err(store_failure)?;
    if is_new && token.is_some_and(|token| token.is_live) {
        return Err(Failure::new(
            FailureKind::AlreadyExists,
            format!(
                "A token named `{TOKEN_NAME}` exists that setup did not create. Revoke it first: rollcall token revoke {TOKEN_NAME} --tenant {}",
                run.session.desired.rollcall.tenant
            ),
        ));
    }
    run.state.token = Some(TokenState {
        name: TOKEN_NAME.to_owned(),
        delivered: false,
    });
    run.save().await?;
    let expires = match run.session.desired.provisioning.token_days {
        None => None,
        Some(days) => {
            let now = run.session.client.now();
            let span = jiff::SignedDuration::from_hours(i64::from(days).saturating_mul(24));
            let expires: Result<Timestamp, _> = now.checked_add(span);
            Some(expires.map_err(|_| {
                Failure::new(FailureKind::Invalid, "provisioning.token_days is too large")
            })?)
        }
    };
    let secret = run
        .records
        .make_token(TOKEN_NAME, expires)
        .await
        .map_err(store_failure)?;
    Ok(SecretString::from(secret))
}

/// The state of the app's connection, as Okta reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connection {
    /// Created by the API.
    Enabled,
    /// Created by the API, and switched off.
    Disabled,
    /// The API cannot create one: Okta answers 200 and `UNKNOWN`.
    NotByApi,
}

/// Reads the state of the connection.
///
/// # Errors
/// Returns an error if Okta denies access or is unavailable.
pub async fn probe(run: &Run, app: &OktaId) -> Result<Connection, Failure> {
    let path = format!("/api/v1/apps/{app}/connections/default");
    match run.session.client.get(&path, &[]).await {
        Ok(response) => Ok(match str_at(&response.body, "/status") {
            Some("ENABLED") => Connection::Enabled,
            Some("DISABLED") => Connection::Disabled,
            _ => Connection::NotByApi,
        }),
        Err(failure)
            if matches!(
                failure.kind,
                FailureKind::NotFound | FailureKind::Invalid | FailureKind::Unsupported
            ) =>
        {
            Ok(Connection::NotByApi)
        }
        Err(failure) => Err(failure),
    }
}

/// Returns the changes to a connection that the API can create, and to its actions.
///
/// # Errors
/// Returns an error if Okta denies access or is unavailable.
pub async fn diff(run: &Run, app: Option<&OktaId>) -> Result<Vec<PlannedChange>, Failure> {
    let desired = &run.session.desired;
    let line = format!("connect it with {}", desired.rollcall.base_url);
    let connect = |app| PlannedChange {
        step: STEP,
        sign: '+',
        text: line.clone(),
        action: Action::Connect { app },
    };
    let Some(app) = app else {
        return Ok(vec![connect(None)]);
    };
    match probe(run, app).await? {
        Connection::NotByApi | Connection::Disabled => Ok(vec![connect(Some(app.clone()))]),
        Connection::Enabled => diff_features(run, app).await,
    }
}

/// Returns the body that connects an app which authenticates with a token.
pub fn connection_body(desired: &DesiredState, secret: &SecretString) -> Value {
    json!({
        "baseUrl": desired.rollcall.base_url,
        "profile": { "authScheme": "TOKEN", "token": secret.expose_secret() },
    })
}

fn feature_status(is_enabled: bool) -> &'static str {
    if is_enabled { "ENABLED" } else { "DISABLED" }
}

fn features_body(desired: &Provisioning) -> Value {
    json!({
        "create": { "lifecycleCreate": { "status": feature_status(desired.create) } },
        "update": {
            "profile": { "status": feature_status(desired.update) },
            "lifecycleDeactivate": { "status": feature_status(desired.deactivate) },
            "password": { "status": "DISABLED", "seed": "RANDOM", "change": "KEEP_EXISTING" },
        },
    })
}

async fn diff_features(run: &Run, app: &OktaId) -> Result<Vec<PlannedChange>, Failure> {
    let path = format!("/api/v1/apps/{app}/features");
    let all = run.session.client.get(&path, &[]).await?.body;
    let Some(feature) = all
        .as_array()
        .into_iter()
        .flatten()
        .find(|one| str_at(one, "/name") == Some("USER_PROVISIONING"))
    else {
        return Ok(Vec::new());
    };
    let desired = &run.session.desired.provisioning;
    let switches = [
        (
            "/capabilities/create/lifecycleCreate/status",
            desired.create,
            "Create Users",
        ),
        (
            "/capabilities/update/profile/status",
            desired.update,
            "Update User Attributes",
        ),
        (
            "/capabilities/update/lifecycleDeactivate/status",
            desired.deactivate,
            "Deactivate Users",
        ),
    ];
    let different: Vec<String> = switches
        .iter()
        .filter(|(pointer, on, _)| str_at(feature, pointer) != Some(feature_status(*on)))
        .map(|(_, on, title)| format!("{title} {}", if *on { "on" } else { "off" }))
        .collect();
    if different.is_empty() {
        return Ok(Vec::new());
    }
    let body = features_body(desired);
    let path = format!("/api/v1/apps/{app}/features/USER_PROVISIONING");
    let write = Write::new(
        Method::PUT,
        path,
        RequestBody::Json(body),
        StateChange::Nothing,
    );
    Ok(vec![PlannedChange::write(
        STEP,
        '~',
        format!("switch {}", different.join(", ")),
        write,
    )])
}

/// Returns whether the app has to be connected in the console.
pub fn needs_manual_steps(desired: &DesiredState) -> bool {
    desired.app.provisioning && desired.app.provisioning_support() != ProvisioningSupport::Api
}

/// What is missing of the manual steps, and mistakes that Rollcall can see.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ManualStepStatus {
    pub missing: Vec<String>,
    pub hints: Vec<String>,
}

impl ManualStepStatus {
    /// Returns whether nothing is missing.
    pub fn is_done(&self) -> bool {
        self.missing.is_empty()
    }

    /// Reports what is missing, and the hints.
    pub fn report_open(&self, report: &mut Report) {
        report.step(MANUAL_STEP, StepState::Open, self.missing.join("; "));
        for hint in &self.hints {
            report.warn(MANUAL_STEP, hint.clone());
        }
    }
}

/// Compares the manual steps with the app in Okta and with the requests that Rollcall has received.
///
/// # Errors
/// Returns an error if the database cannot be read.
pub async fn check_manual_steps(run: &Run, app: &Value) -> Result<ManualStepStatus, Failure> {
    let mut manual = ManualStepStatus::default();
    let token = match &run.state.token {
        Some(known) => run
            .records
            .token(&known.name)
            .await
            .map_err(store_failure)?,
        None => None,
    };
    let attempts = match &token {
        Some(token) => run.records.attempts(token).await.map_err(store_failure)?,
        None => Vec::new(),
    };
    let was_used = attempts.iter().any(|attempt| attempt.kind.is_accepted())
        || token
            .as_ref()
            .is_some_and(|token| token.last_used_us.is_some());
    if !was_used {
        manual
            .missing
            .push("no request with the token has arrived yet".to_owned());
    }
    let features = strs_at(app, "/features");
    for (is_desired, feature, title) in actions(&run.session.desired) {
        if is_desired && !features.contains(&feature) {
            manual.missing.push(format!("{title} is off ({feature})"));
        }
    }
    if attempts
        .iter()
        .any(|attempt| attempt.kind == AuthOutcome::Doubled)
    {
        manual.hints.push("The token was entered with the word Bearer although Okta adds it. Rollcall accepts that.".to_owned());
    }
    if !was_used {
        let since_us = token.map_or(i64::MAX, |token| token.created_us);
        manual.hints.extend(refusal_hints(run, since_us).await?);
    }
    Ok(manual)
}

/// Returns the actions under *Provisioning > To App*: whether they are desired, Okta's feature and
/// the title.
fn actions(desired: &DesiredState) -> [(bool, &'static str, &'static str); 3] {
    let desired = &desired.provisioning;
    [
        (desired.create, "PUSH_NEW_USERS", "Create Users"),
        (
            desired.update,
            "PUSH_PROFILE_UPDATES",
            "Update User Attributes",
        ),
        (
            desired.deactivate,
            "PUSH_USER_DEACTIVATION",
            "Deactivate Users",
        ),
    ]
}

/// Returns hints for requests that were refused since the token was created.
async fn refusal_hints(run: &Run, since_us: i64) -> Result<Vec<String>, Failure> {
    let mut refused = run
        .records
        .unauthenticated_attempts()
        .await
        .map_err(store_failure)?;
    if let Some(known) = &run.state.token {
        let old = run.records.rejected_attempts(&known.name).await;
        refused.extend(old.map_err(store_failure)?);
    }
    Ok(refused
        .into_iter()
        .filter(|attempt| attempt.last_us >= since_us)
        .filter_map(|attempt| hint(attempt.kind))
        .map(str::to_owned)
        .collect())
}

/// Returns what a refused request says about the values entered in Okta.
fn hint(outcome: AuthOutcome) -> Option<&'static str> {
    match outcome {
        AuthOutcome::Missing => Some(
            "A request without Authorization arrived and was answered 401. If it was Okta's, the field of the token is empty, or the authentication mode is not HTTP Header.",
        ),
        AuthOutcome::Malformed => Some(
            "A request with a malformed Authorization arrived and was answered 401. For Basic Auth the token is the password, with any user name.",
        ),
        AuthOutcome::Unknown => Some(
            "A request with a token that is not Rollcall's arrived and was answered 401: the token entered in Okta is wrong. Header Auth needs `Bearer`, a space and the token, and nothing else.",
        ),
        AuthOutcome::Cut => Some(
            "A request with a damaged Rollcall token arrived and was answered 401: it was cut or mistyped, or something follows it.",
        ),
        AuthOutcome::Okta => Some(
            "A request with a token for Okta's own API arrived and was answered 401: in the Provisioning tab the token is Rollcall's (it starts with rct_), not the SSWS one.",
        ),
        AuthOutcome::Revoked => Some(
            "A request with an earlier, revoked token arrived and was answered 401: enter the newest one.",
        ),
        AuthOutcome::Expired => Some(
            "A request with an expired token arrived and was answered 401: create a new one with --new-token.",
        ),
        AuthOutcome::Accepted | AuthOutcome::Bare | AuthOutcome::Doubled | AuthOutcome::Basic => {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_has_its_hint_and_no_success_has() {
        for kind in [
            AuthOutcome::Missing,
            AuthOutcome::Malformed,
            AuthOutcome::Unknown,
            AuthOutcome::Cut,
            AuthOutcome::Okta,
            AuthOutcome::Revoked,
            AuthOutcome::Expired,
        ] {
            assert!(
                hint(kind).is_some_and(|text| text.contains("401")),
                "{kind:?}"
            );
        }
        assert_eq!(hint(AuthOutcome::Accepted), None);
        assert_eq!(hint(AuthOutcome::Bare), None);
    }

    #[test]
    fn manual_steps_by_kind() {
        let check = |app: &str, expected| {
            let desired =
                crate::setup::file::tests::desired(&format!("[app]\nlabel = \"a\"\n{app}"));
            assert_eq!(needs_manual_steps(&desired), expected, "{app}");
        };
        check("", true);
        check(
            "kind = \"saml\"\nsaml = { acs_url = \"https://a\", audience = \"b\" }",
            true,
        );
        check("kind = \"catalog\"\nname = \"zscalerbyz\"", false);
        check("provisioning = false", false);
    }
}
