//! What there is: the org and the app first, then step by step what differs from the wish.

use std::sync::Arc;

use okta_client::value::{id_of, text, texts};
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::setup::run::{PlannedChange, Run};
use crate::setup::steps::app_template::Carries;
use crate::setup::steps::assignments::Resolved;
use crate::setup::steps::manual_steps::TokenLocation;
use crate::setup::steps::{app, assignments, connection, event_hook, manual_steps, profile};
use crate::setup::{Failure, FailureKind, OktaId, preflight, recover};

/// The steps, in the order in which they are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    App,
    Logo,
    Token,
    Connection,
    Console,
    Profile,
    Assign,
    Push,
    Hook,
}

pub const STEPS: [Step; 9] = [
    Step::App,
    Step::Logo,
    Step::Token,
    Step::Connection,
    Step::Console,
    Step::Profile,
    Step::Assign,
    Step::Push,
    Step::Hook,
];

impl Step {
    pub fn name(self) -> &'static str {
        match self {
            Self::App => app::STEP,
            Self::Logo => app::LOGO_STEP,
            Self::Token => connection::TOKEN_STEP,
            Self::Connection => connection::STEP,
            Self::Console => connection::MANUAL_STEP,
            Self::Profile => profile::STEP,
            Self::Assign => assignments::STEP,
            Self::Push => assignments::PUSH_STEP,
            Self::Hook => event_hook::STEP,
        }
    }
}

/// What a run has found so far.
pub struct OrgState {
    pub app: Option<Value>,
    pub wished: Resolved,
    pub token: TokenLocation,
    pub hook_secret: Option<SecretString>,
}

impl OrgState {
    pub fn app_id(&self) -> Option<OktaId> {
        self.app.as_ref().and_then(id_of)
    }
}

/// Reads the org, the credential, the wished names and the app.
///
/// # Errors
/// See [`Failure`].
pub async fn find(run: &mut Run, hook_secret: Option<SecretString>) -> Result<OrgState, Failure> {
    let session = Arc::clone(&run.session);
    run.report.org = Some(session.wish.org.to_string());
    // Who only wants something done need not read what is well; `check` and `status` tell it.
    run.report.hush(run.report.verb != "status");
    let org_id = preflight::org(&session, &mut run.report).await?;
    match &run.kept.org_id {
        Some(kept) if *kept != org_id => {
            return Err(Failure::new(
                FailureKind::Invalid,
                format!(
                    "{} is another org (id {org_id}) than the one that was set up (id {kept}).",
                    session.wish.org
                ),
            ));
        }
        _ => run.kept.org_id = Some(org_id),
    }
    preflight::credential(&session, &mut run.report).await?;
    run.report.hush(false);
    recover::lost_write(run).await?;
    let wished = assignments::resolve(&session).await?;
    let app = app::find(run).await?;
    run.report.app = app.as_ref().map(short);
    Ok(OrgState {
        app,
        wished,
        token: token_place(run),
        hook_secret,
    })
}

pub fn token_place(run: &Run) -> TokenLocation {
    match &run.kept.token {
        Some(token) if token.delivered => TokenLocation::Earlier,
        _ => TokenLocation::None,
    }
}

/// The app as a report shows it.
pub fn short(app: &Value) -> Value {
    json!({
        "id": text(app, "/id"),
        "name": text(app, "/name"),
        "label": text(app, "/label"),
        "status": text(app, "/status"),
        "features": texts(app, "/features"),
    })
}

pub async fn look(
    run: &mut Run,
    found: &OrgState,
    step: Step,
) -> Result<Vec<PlannedChange>, Failure> {
    let wish = run.session.wish.clone();
    let id = found.app_id();
    let provisions = wish.app.provisioning;
    let by_api = wish.app.carries() == Carries::ByApi;
    match step {
        Step::App => Ok(app::look(run, found.app.as_ref())),
        Step::Logo => app::look_at_logo(run, id.as_ref()),
        Step::Token if provisions && !by_api => connection::look_at_token(run).await,
        Step::Connection if provisions && by_api => connection::look(run, id.as_ref()).await,
        Step::Profile => profile::look(run, id.as_ref()).await,
        Step::Assign => assignments::look(run, id.as_ref(), &found.wished).await,
        Step::Push => assignments::look_at_pushes(run, id.as_ref(), &found.wished).await,
        Step::Hook => event_hook::look(run, found.hook_secret.as_ref()).await,
        Step::Token | Step::Connection | Step::Console => Ok(Vec::new()),
    }
}

/// What differs and must not be put right by a PUT.
pub fn report_drift(run: &mut Run, app: &Value) {
    let wish = &run.session.wish;
    if wish.app.carries() == Carries::Never {
        return;
    }
    let drift = app::drift(wish, app);
    if !drift.is_empty() {
        let link = manual_steps::link(wish, app, "general");
        run.report.warn(
            "drift",
            format!(
                "{} of the app differ from setup.toml. A change by the API could switch SCIM off, so change them by hand: {link}",
                drift.join(", ")
            ),
        );
    }
}

/// Reads the app again.
///
/// # Errors
/// See [`Failure`].
pub async fn read_back(run: &mut Run, found: &mut OrgState) -> Result<(), Failure> {
    // An app that was just made, and not one that --app-id named, is read by its id.
    if let Some(kept) = run.kept.app.clone() {
        let path = format!("/api/v1/apps/{}", kept.id);
        let app = run.session.client.get(&path, &[]).await?.body;
        run.report.app = Some(short(&app));
        found.app = Some(app);
    }
    Ok(())
}
