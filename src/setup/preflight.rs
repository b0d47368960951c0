//! `rollcall setup check`: reads only, and says what would stand in the way.

use jiff::Timestamp;
use okta_client::value::text;
use okta_client::{Login, client};
use serde_json::Value;

use crate::setup::report::Report;
use crate::setup::session::Session;
use crate::setup::{Failure, FailureKind, OktaId};

/// Okta ends a token after so many days without use.
const WARN_DAYS: i64 = 7;
/// A proof or an assertion from a clock that is further off is refused.
const MAX_SKEW_S: i64 = 60;

/// Who the credential is.
#[derive(Debug, Clone, Default)]
pub struct Identity {
    /// The user who made the API token.
    pub user: Option<OktaId>,
    pub name: String,
}

/// The org itself, asked without a credential.
///
/// # Errors
/// See [`Failure`].
pub async fn org(session: &Session, report: &mut Report) -> Result<String, Failure> {
    let answer = session
        .client
        .get_openly("/.well-known/okta-organization")
        .await
        .map_err(|failure| match failure.why {
            FailureKind::Gone => Failure::new(
                FailureKind::Invalid,
                format!(
                    "{} is no Okta org. Check `org` in setup.toml.",
                    session.wish.org
                ),
            ),
            _ => failure,
        })?;
    let id = text(&answer.body, "/id").unwrap_or_default().to_owned();
    let engine = match text(&answer.body, "/pipeline") {
        Some("idx") => "Identity Engine",
        Some("v1") => "Classic Engine",
        _ => "unknown engine",
    };
    report.ok("org", format!("{} ({engine}, id {id})", session.wish.org));
    let now = session.client.now();
    match client::skew_s(answer.limits, now) {
        Some(skew) if skew.abs() > MAX_SKEW_S => report.fault(
            "clock",
            format!(
                "this machine's clock is {} seconds {} Okta's; a service app's proofs are refused. Set the clock by NTP.",
                skew.abs(),
                if skew > 0 { "ahead of" } else { "behind" }
            ),
        ),
        Some(_) => report.ok("clock", "agrees with Okta's"),
        None => {}
    }
    Ok(id)
}

/// Who the credential is, what it may do, when it will lapse.
///
/// # Errors
/// A credential that Okta does not take; rights that are lacking are only reported.
pub async fn credential(session: &Session, report: &mut Report) -> Result<Identity, Failure> {
    match session.client.login() {
        Login::Token(_) => token(session, report).await,
        Login::ServiceApp(app) => {
            let granted = session.client.granted_scopes().await?.unwrap_or_default();
            report.ok("credential", format!("the service app {}", app.client_id));
            scopes(session, &granted, report);
            Ok(Identity {
                user: None,
                name: app.client_id.clone(),
            })
        }
    }
}

async fn token(session: &Session, report: &mut Report) -> Result<Identity, Failure> {
    let me = session
        .client
        .get("/api/v1/users/me", &[])
        .await
        .map_err(|failure| match (failure.why, failure.okta.status) {
            // Every token may ask who it is, whatever its rights.
            (FailureKind::Refused, Some(403)) if !failure.message.contains("network zone") => Failure {
                message: "Okta refuses even to say whose token it is: mostly the token is bound to a network zone that this machine is not in (Security > API > Tokens).".to_owned(),
                ..failure
            },
            _ => failure,
        })?;
    let profile = me.body.get("profile").unwrap_or(&Value::Null);
    let name = text(profile, "/login").unwrap_or("unknown").to_owned();
    let user = text(&me.body, "/id").and_then(|id| OktaId::parse(id).ok());
    report.ok("credential", format!("an API token of {name}"));
    if looks_personal(profile) {
        report.warn(
            "owner",
            format!(
                "the token belongs to a person ({name}): it has that person's rights and dies with the account. Let a service account own it, or use a service app."
            ),
        );
    }
    if let Some(id) = &user {
        roles(session, id, report).await?;
        lifetime(session, id, report).await?;
    }
    Ok(Identity { user, name })
}

/// A service account mostly says so in its name. Only a hint.
fn looks_personal(profile: &Value) -> bool {
    let words = [
        "svc",
        "service",
        "bot",
        "robot",
        "api",
        "automation",
        "scim",
        "provision",
        "rollcall",
        "integration",
    ];
    let all = [
        "/login",
        "/firstName",
        "/lastName",
        "/displayName",
        "/title",
        "/userType",
    ]
    .iter()
    .filter_map(|name| text(profile, name))
    .collect::<Vec<_>>()
    .join(" ")
    .to_ascii_lowercase();
    !words.iter().any(|word| all.contains(word))
}

async fn roles(session: &Session, user: &OktaId, report: &mut Report) -> Result<(), Failure> {
    let path = format!("/api/v1/users/{user}/roles");
    let answer = match session.client.get(&path, &[]).await {
        Ok(answer) => answer,
        Err(failure) if is_only_rights(&failure) => {
            report.ok(
                "roles",
                "the token may not read its own roles, which is usual for an Application Administrator",
            );
            return Ok(());
        }
        Err(failure) => return Err(failure),
    };
    let held: Vec<(&str, &str)> = answer
        .body
        .as_array()
        .into_iter()
        .flatten()
        .filter(|role| text(role, "/status") != Some("INACTIVE"))
        .filter_map(|role| {
            Some((
                text(role, "/type")?,
                text(role, "/label").unwrap_or_default(),
            ))
        })
        .collect();
    if held.is_empty() {
        report.fault(
            "roles",
            "the token's owner has no admin role. Give it Application Administrator (Security > Administrators).",
        );
        return Ok(());
    }
    let labels: Vec<&str> = held
        .iter()
        .map(|(kind, label)| if label.is_empty() { *kind } else { *label })
        .collect();
    report.ok("roles", labels.join(", "));
    let has = |kinds: &[&str]| held.iter().any(|(kind, _)| kinds.contains(kind));
    if !has(&["SUPER_ADMIN", "APP_ADMIN", "CUSTOM"]) {
        report.fault(
            "roles",
            "none of them may make apps: Application Administrator is lacking.",
        );
    }
    let wants_groups = !session.wish.push_groups.is_empty();
    if wants_groups && !has(&["SUPER_ADMIN", "ORG_ADMIN", "USER_ADMIN", "CUSTOM"]) {
        report.warn(
            "roles",
            "for push_groups Group Administrator is needed as well.",
        );
    }
    if session.wish.event_hook.is_some() && !has(&["SUPER_ADMIN", "ORG_ADMIN", "CUSTOM"]) {
        report.warn("roles", "for the event hook Super Administrator is needed.");
    }
    Ok(())
}

/// When the token lapses: 30 days after its last use, which is now.
async fn lifetime(session: &Session, user: &OktaId, report: &mut Report) -> Result<(), Failure> {
    let answer = match session.client.get("/api/v1/api-tokens", &[]).await {
        Ok(answer) => answer,
        Err(failure) if is_only_rights(&failure) => {
            report.ok(
                "lifetime",
                "each use keeps the token alive for 30 days; unused for so long it is gone. Run `setup status` once a month, or use a service app.",
            );
            return Ok(());
        }
        Err(failure) => return Err(failure),
    };
    let now = session.client.now();
    let own = answer
        .body
        .as_array()
        .into_iter()
        .flatten()
        .filter(|one| text(one, "/userId") == Some(user.as_str()));
    for one in own {
        let name = text(one, "/name").unwrap_or("unnamed");
        let Some(expires) = text(one, "/expiresAt").and_then(|at| at.parse::<Timestamp>().ok())
        else {
            continue;
        };
        let days = expires.as_second().saturating_sub(now.as_second()) / 86_400;
        let line = format!("the token `{name}` lapses on {expires:.0} if it is not used before");
        if days < WARN_DAYS {
            report.warn("lifetime", format!("{line}: in {days} days"));
        } else {
            report.ok("lifetime", line);
        }
    }
    Ok(())
}

fn scopes(session: &Session, granted: &[String], report: &mut Report) {
    let has = |scope: &str| {
        granted.iter().any(|one| one == scope)
            || scope
                .strip_suffix(".read")
                .is_some_and(|area| granted.iter().any(|one| *one == format!("{area}.manage")))
    };
    report.ok("scopes", granted.join(" "));
    let lacking: Vec<String> = session
        .wish
        .wanted_scopes()
        .into_iter()
        .filter(|scope| !has(scope))
        .collect();
    if !lacking.is_empty() {
        report.fault(
            "scopes",
            format!(
                "lacking: {}. Grant them under Okta API Scopes of the service app.",
                lacking.join(" ")
            ),
        );
    }
    report.ok(
        "roles",
        "a service app needs an admin role beside its scopes: Application Administrator (Admin Roles of the app)",
    );
}

/// Whether the credential may read apps at all, and how much room the rate limit leaves.
///
/// # Errors
/// See [`Failure`].
pub async fn apps(session: &Session, report: &mut Report) -> Result<(), Failure> {
    let answer = session
        .client
        .get("/api/v1/apps", &[("limit", "1")])
        .await?;
    report.ok("rights", "may read apps");
    if let (Some(limit), Some(left)) = (answer.limits.limit, answer.limits.remaining) {
        let line = format!("{left} of {limit} requests a minute are left for apps");
        if answer.limits.is_scarce() {
            report.warn("rate limit", line);
        } else {
            report.ok("rate limit", line);
        }
    }
    Ok(())
}

fn is_only_rights(failure: &Failure) -> bool {
    failure.why == FailureKind::Refused && failure.okta.status == Some(403)
}
