//! Rollcall's own token, the connection, and the step that Okta leaves to a person.

use jiff::Timestamp;
use okta_client::transport::RequestBody;
use okta_client::value::{text, texts};
use reqwest::Method;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use crate::service::access::auth_attempts::AuthOutcome as Arrived;
use crate::setup::desired::DesiredState;
use crate::setup::run::{Action, PlannedChange, Run, Write, ours};
use crate::setup::state::{StateChange, TokenState};
use crate::setup::steps::app_template::Carries;
use crate::setup::{Failure, FailureKind, OktaId};

pub const TOKEN_STEP: &str = "token";
pub const STEP: &str = "connection";
pub const MANUAL_STEP: &str = "console";
const TOKEN_NAME: &str = "okta-setup";

/// What is to be done about our own token, where a person types it into the console.
///
/// # Errors
/// Where the database does not answer.
pub async fn look_at_token(run: &Run) -> Result<Vec<PlannedChange>, Failure> {
    let make = |text: &str| {
        vec![PlannedChange {
            step: TOKEN_STEP,
            sign: '+',
            text: text.to_owned(),
            action: Action::MakeToken,
        }]
    };
    let Some(kept) = &run.kept.token else {
        return Ok(make(
            "make a token for Okta, with the right to provision alone",
        ));
    };
    if run.options.new_token {
        return Ok(make("make a new token for Okta and revoke the old one"));
    }
    if !kept.delivered {
        return Ok(make(
            "make the token for Okta anew: the one before was shown to nobody",
        ));
    }
    match run.records.token(&kept.name).await.map_err(ours)? {
        Some(token) if token.is_live => Ok(Vec::new()),
        _ => Ok(make(
            "make a new token for Okta: the old one was revoked or has expired",
        )),
    }
}

/// Makes the token, in such an order that a crash leaves none that counts and is known to nobody.
///
/// # Errors
/// Where the database does not answer, or somebody else's token has the name.
pub async fn make_token(run: &mut Run) -> Result<SecretString, Failure> {
    if run.kept.token.is_some() {
        run.records.revoke_token(TOKEN_NAME).await.map_err(ours)?;
    }
    let is_new = run.kept.token.is_none();
    let token = run.records.token(TOKEN_NAME).await.map_err(ours)?;
    if is_new && token.is_some_and(|token| token.is_live) {
        return Err(Failure::new(
            FailureKind::Taken,
            format!(
                "A token named `{TOKEN_NAME}` exists that is not of this setup. Revoke it first: rollcall token revoke {TOKEN_NAME} --tenant {}",
                run.session.wish.rollcall.tenant
            ),
        ));
    }
    run.kept.token = Some(TokenState {
        name: TOKEN_NAME.to_owned(),
        delivered: false,
    });
    run.save().await?;
    let expires = match run.session.wish.provisioning.token_days {
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
        .map_err(ours)?;
    Ok(SecretString::from(secret))
}

/// What Okta says of the app's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connection {
    /// There is one, made by the API.
    Enabled,
    /// There is one, switched off.
    Disabled,
    /// Okta answers 200 and `UNKNOWN`: the API cannot make it here.
    NotByApi,
}

/// Asks for the connection. Okta answers 200 also where provisioning is out of reach: the body tells.
///
/// # Errors
/// See [`Failure`].
pub async fn probe(run: &Run, app: &OktaId) -> Result<Connection, Failure> {
    let path = format!("/api/v1/apps/{app}/connections/default");
    match run.session.client.get(&path, &[]).await {
        Ok(answer) => Ok(match text(&answer.body, "/status") {
            Some("ENABLED") => Connection::Enabled,
            Some("DISABLED") => Connection::Disabled,
            _ => Connection::NotByApi,
        }),
        Err(failure)
            if matches!(
                failure.why,
                FailureKind::Gone | FailureKind::Invalid | FailureKind::Unsupported
            ) =>
        {
            Ok(Connection::NotByApi)
        }
        Err(failure) => Err(failure),
    }
}

/// What is to be done about a connection that the API can make, and about its switches.
///
/// # Errors
/// See [`Failure`].
pub async fn look(run: &Run, app: Option<&OktaId>) -> Result<Vec<PlannedChange>, Failure> {
    let wish = &run.session.wish;
    let line = format!("connect it with {}", wish.rollcall.base_url);
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
        Connection::Enabled => look_at_features(run, app).await,
    }
}

/// The body that connects an app which takes a token.
pub fn connection_body(wish: &DesiredState, secret: &SecretString) -> Value {
    json!({
        "baseUrl": wish.rollcall.base_url,
        "profile": { "authScheme": "TOKEN", "token": secret.expose_secret() },
    })
}

async fn look_at_features(run: &Run, app: &OktaId) -> Result<Vec<PlannedChange>, Failure> {
    let path = format!("/api/v1/apps/{app}/features");
    let all = run.session.client.get(&path, &[]).await?.body;
    let Some(feature) = all
        .as_array()
        .into_iter()
        .flatten()
        .find(|one| text(one, "/name") == Some("USER_PROVISIONING"))
    else {
        return Ok(Vec::new());
    };
    let wished = &run.session.wish.provisioning;
    let status = |on: bool| if on { "ENABLED" } else { "DISABLED" };
    let switches = [
        (
            "/capabilities/create/lifecycleCreate/status",
            wished.create,
            "Create Users",
        ),
        (
            "/capabilities/update/profile/status",
            wished.update,
            "Update User Attributes",
        ),
        (
            "/capabilities/update/lifecycleDeactivate/status",
            wished.deactivate,
            "Deactivate Users",
        ),
    ];
    let different: Vec<String> = switches
        .iter()
        .filter(|(pointer, on, _)| text(feature, pointer) != Some(status(*on)))
        .map(|(_, on, title)| format!("{title} {}", if *on { "on" } else { "off" }))
        .collect();
    if different.is_empty() {
        return Ok(Vec::new());
    }
    let body = json!({
        "create": { "lifecycleCreate": { "status": status(wished.create) } },
        "update": {
            "profile": { "status": status(wished.update) },
            "lifecycleDeactivate": { "status": status(wished.deactivate) },
            "password": { "status": "DISABLED", "seed": "RANDOM", "change": "KEEP_EXISTING" },
        },
    });
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

/// Whether the app needs the clicks, by what is wished.
pub fn is_by_hand(wish: &DesiredState) -> bool {
    wish.app.provisioning && wish.app.carries() != Carries::ByApi
}

/// What of the clicks is still missing, and the mistakes that can be seen from here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Manual {
    pub missing: Vec<String>,
    pub hints: Vec<String>,
}

impl Manual {
    pub fn is_done(&self) -> bool {
        self.missing.is_empty()
    }
}

/// Compares the clicks with what the app says of itself and with what arrived here.
///
/// # Errors
/// Where the database does not answer.
pub async fn look_at_clicks(run: &Run, app: &Value) -> Result<Manual, Failure> {
    let wish = &run.session.wish;
    let mut manual = Manual::default();
    let features = texts(app, "/features");
    let switches = [
        (wish.provisioning.create, "PUSH_NEW_USERS", "Create Users"),
        (
            wish.provisioning.update,
            "PUSH_PROFILE_UPDATES",
            "Update User Attributes",
        ),
        (
            wish.provisioning.deactivate,
            "PUSH_USER_DEACTIVATION",
            "Deactivate Users",
        ),
    ];
    let token = match &run.kept.token {
        Some(kept) => run.records.token(&kept.name).await.map_err(ours)?,
        None => None,
    };
    let notes = match &token {
        Some(token) => run.records.attempts(token).await.map_err(ours)?,
        None => Vec::new(),
    };
    let came = notes.iter().any(|note| note.kind.is_accepted())
        || token
            .as_ref()
            .is_some_and(|token| token.last_used_us.is_some());
    if !came {
        manual
            .missing
            .push("no request with the token has come yet".to_owned());
    }
    for (wished, feature, title) in switches {
        if wished && !features.contains(&feature) {
            manual.missing.push(format!("{title} is off ({feature})"));
        }
    }
    if notes.iter().any(|note| note.kind == Arrived::Doubled) {
        manual.hints.push("The token was typed with the word Bearer where Okta adds it itself. It is taken all the same.".to_owned());
    }
    if !came {
        let since = token.map_or(i64::MAX, |token| token.created_us);
        let refused = run.records.unauthenticated_attempts().await.map_err(ours)?;
        let old = match &run.kept.token {
            Some(kept) => run
                .records
                .rejected_attempts(&kept.name)
                .await
                .map_err(ours)?,
            None => Vec::new(),
        };
        manual.hints.extend(
            refused
                .into_iter()
                .chain(old)
                .filter(|note| note.last_us >= since)
                .filter_map(|note| mistake(note.kind))
                .map(str::to_owned),
        );
    }
    Ok(manual)
}

/// What a refused request says of what was typed in Okta.
fn mistake(kind: Arrived) -> Option<&'static str> {
    match kind {
        Arrived::Missing => Some(
            "A request without any Authorization arrived and was answered 401. If it was Okta's: the token's field is empty, or the authentication mode is not HTTP Header.",
        ),
        Arrived::Malformed => Some(
            "A request with an Authorization that holds no credential arrived and was answered 401. For Basic Auth the token is the password, with any user name.",
        ),
        Arrived::Unknown => Some(
            "A request with a token that is not Rollcall's arrived and was answered 401: the token typed in Okta is wrong. Header Auth needs `Bearer`, a blank and the token, and nothing else.",
        ),
        Arrived::Cut => Some(
            "A request with only a part of a Rollcall token arrived and was answered 401: it was cut when it was pasted, or has something behind it.",
        ),
        Arrived::Okta => Some(
            "A request with a token for Okta's own API arrived and was answered 401: in the Provisioning tab the token is Rollcall's (it starts with rct_), not the SSWS one.",
        ),
        Arrived::Revoked => Some(
            "A request with an earlier, revoked token arrived and was answered 401: enter the newest one.",
        ),
        Arrived::Expired => Some(
            "A request with a token whose time is over arrived and was answered 401: make a new one with --new-token.",
        ),
        Arrived::Accepted | Arrived::Bare | Arrived::Doubled | Arrived::Basic => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_has_its_hint_and_no_success_has() {
        for kind in [
            Arrived::Missing,
            Arrived::Malformed,
            Arrived::Unknown,
            Arrived::Cut,
            Arrived::Okta,
            Arrived::Revoked,
            Arrived::Expired,
        ] {
            assert!(
                mistake(kind).is_some_and(|text| text.contains("401")),
                "{kind:?}"
            );
        }
        assert_eq!(mistake(Arrived::Accepted), None);
        assert_eq!(mistake(Arrived::Bare), None);
    }

    #[test]
    fn who_needs_the_clicks() {
        let check = |app: &str, expected| {
            let wish = crate::setup::file::tests::wish(&format!("[app]\nlabel = \"a\"\n{app}"));
            assert_eq!(is_by_hand(&wish), expected, "{app}");
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
