//! The state of the org, and the difference from the desired state, step by step.

use std::sync::Arc;

use okta_client::json::{object_id, str_at, strs_at};
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::setup::run::{PlannedChange, Run};
use crate::setup::steps::app_template::ProvisioningSupport;
use crate::setup::steps::assignments::ResolvedNames;
use crate::setup::steps::manual_steps::TokenLocation;
use crate::setup::steps::{app, assignments, connection, event_hook, manual_steps, profile};
use crate::setup::{Failure, FailureKind, OktaId, preflight, recover};

/// The steps of a setup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    App,
    Logo,
    Token,
    Connection,
    ManualSteps,
    Profile,
    Assign,
    Push,
    Hook,
}

/// The steps, in the order in which they are applied.
pub const STEPS: [Step; 9] = [
    Step::App,
    Step::Logo,
    Step::Token,
    Step::Connection,
    Step::ManualSteps,
    Step::Profile,
    Step::Assign,
    Step::Push,
    Step::Hook,
];

impl Step {
    /// Returns the name of the step in a report.
    pub fn name(self) -> &'static str {
        match self {
            Self::App => app::STEP,
            Self::Logo => app::LOGO_STEP,
            Self::Token => connection::TOKEN_STEP,
            Self::Connection => connection::STEP,
            Self::ManualSteps => connection::MANUAL_STEP,
            Self::Profile => profile::STEP,
            Self::Assign => assignments::STEP,
            Self::Push => assignments::PUSH_STEP,
            Self::Hook => event_hook::STEP,
        }
    }
}

/// The org as a run has read it.
pub struct OrgState {
    pub app: Option<Value>,
    pub names: ResolvedNames,
    pub token: TokenLocation,
    pub hook_secret: Option<SecretString>,
}

impl OrgState {
    /// Returns the id of the app.
    ///
    /// # Errors
    /// Returns an error if the app does not exist yet.
    pub fn required_app_id(&self) -> Result<OktaId, Failure> {
        self.app_id().ok_or_else(app::not_created)
    }

    /// Returns the id of the app, if it exists.
    pub fn app_id(&self) -> Option<OktaId> {
        self.app.as_ref().and_then(object_id)
    }
}

/// Reads the org, the credential, the names in `setup.toml` and the app.
///
/// # Errors
/// Returns an error if Okta refuses the credential, if the org is not the one that was set up, if a
/// name does not exist, or if several apps could be ours.
pub async fn load(run: &mut Run, hook_secret: Option<SecretString>) -> Result<OrgState, Failure> {
    let session = Arc::clone(&run.session);
    run.report.org = Some(session.desired.org.to_string());
    // Only `check` and `status` show what is in order.
    if run.report.verb != "status" {
        run.report.mute_ok();
    }
    let org_id = preflight::check_org(&session, &mut run.report).await?;
    match &run.state.org_id {
        Some(known) if *known != org_id => {
            return Err(Failure::new(
                FailureKind::Invalid,
                format!(
                    "{} is another org (id {org_id}) than the one that was set up (id {known}).",
                    session.desired.org
                ),
            ));
        }
        _ => run.state.org_id = Some(org_id),
    }
    preflight::check_credential(&session, &mut run.report).await?;
    run.report.unmute_ok();
    recover::resolve_pending_write(run).await?;
    let names = assignments::resolve(&session).await?;
    let app = app::find(run).await?;
    run.report.app = app.as_ref().map(app_summary);
    Ok(OrgState {
        app,
        names,
        token: token_location(run),
        hook_secret,
    })
}

/// Returns where the token is, as far as the state tells.
pub fn token_location(run: &Run) -> TokenLocation {
    match &run.state.token {
        Some(token) if token.delivered => TokenLocation::ShownEarlier,
        _ => TokenLocation::NotCreated,
    }
}

/// Returns the app as a report shows it.
pub fn app_summary(app: &Value) -> Value {
    json!({
        "id": str_at(app, "/id"),
        "name": str_at(app, "/name"),
        "label": str_at(app, "/label"),
        "status": str_at(app, "/status"),
        "features": strs_at(app, "/features"),
    })
}

/// Returns the changes that a step needs.
///
/// # Errors
/// Returns an error if Okta refuses to show the current state, or if a file that `setup.toml` names
/// cannot be used.
pub async fn diff(
    run: &mut Run,
    org: &OrgState,
    step: Step,
) -> Result<Vec<PlannedChange>, Failure> {
    let desired = run.session.desired.clone();
    let id = org.app_id();
    let provisions = desired.app.provisioning;
    let is_by_api = desired.app.provisioning_support() == ProvisioningSupport::Api;
    match step {
        Step::App => Ok(app::diff(run, org.app.as_ref())),
        Step::Logo => app::diff_logo(run, id.as_ref()),
        Step::Token if provisions && !is_by_api => connection::diff_token(run).await,
        Step::Connection if provisions && is_by_api => connection::diff(run, id.as_ref()).await,
        Step::Profile => profile::diff(run, id.as_ref()).await,
        Step::Assign => assignments::diff(run, id.as_ref(), &org.names).await,
        Step::Push => assignments::diff_group_push(run, id.as_ref(), &org.names).await,
        Step::Hook => event_hook::diff(run, org.hook_secret.as_ref()).await,
        Step::Token | Step::Connection | Step::ManualSteps => Ok(Vec::new()),
    }
}

/// Warns about differences in the app that a PUT must not correct.
pub fn report_drift(run: &mut Run, app: &Value) {
    let desired = &run.session.desired;
    if desired.app.provisioning_support() == ProvisioningSupport::Never {
        return;
    }
    let drift = app::drift(desired, app);
    if !drift.is_empty() {
        let link = manual_steps::link(desired, app, "general");
        run.report.warn(
            "drift",
            format!(
                "these settings of the app differ from setup.toml: {}. A change by API could switch SCIM off, so change them in the console: {link}",
                drift.join(", ")
            ),
        );
    }
}

/// Reads the app again.
///
/// # Errors
/// Returns an error if Okta does not return the app.
pub async fn reload_app(run: &mut Run, org: &mut OrgState) -> Result<(), Failure> {
    if let Some(known) = run.state.app.clone() {
        let path = format!("/api/v1/apps/{}", known.id);
        let app = run.session.client.get(&path, &[]).await?.body;
        run.report.app = Some(app_summary(&app));
        org.app = Some(app);
    }
    Ok(())
}
