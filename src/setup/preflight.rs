//! Checks of the org and the credential, which every subcommand begins with.

use jiff::Timestamp;
use okta_client::Credential;
use okta_client::json::str_at;
use serde_json::Value;

use crate::setup::report::Report;
use crate::setup::session::Session;
use crate::setup::{Failure, FailureKind, OktaId};

/// A token that expires within this many days is a warning.
const WARN_DAYS: i64 = 7;
/// A larger clock skew is a fault: Okta may refuse the proofs and assertions of a service app.
const MAX_SKEW_S: i64 = 60;

/// Checks the org and this machine's clock, without the credential. Returns the org's id.
///
/// # Errors
/// Returns an error if the address is not that of an Okta org.
pub async fn check_org(session: &Session, report: &mut Report) -> Result<String, Failure> {
    let response = session
        .client
        .get_unauthenticated("/.well-known/okta-organization")
        .await
        .map_err(|failure| match failure.kind {
            FailureKind::NotFound => Failure::new(
                FailureKind::Invalid,
                format!(
                    "{} is not an Okta org. Check `org` in setup.toml.",
                    session.desired.org
                ),
            ),
            _ => failure,
        })?;
    let id = str_at(&response.body, "/id").unwrap_or_default().to_owned();
    let engine = match str_at(&response.body, "/pipeline") {
        Some("idx") => "Identity Engine",
        Some("v1") => "Classic Engine",
        _ => "unknown engine",
    };
    report.ok(
        "org",
        format!("{} ({engine}, id {id})", session.desired.org),
    );
    let now = session.client.now();
    match response.rate_limits.clock_skew_s(now) {
        Some(skew) if skew.abs() > MAX_SKEW_S => report.fault(
            "clock",
            format!(
                "this machine's clock is {} seconds {} Okta's, which refuses the proofs of a service app. Synchronize the clock, for example with NTP.",
                skew.abs(),
                if skew > 0 { "ahead of" } else { "behind" }
            ),
        ),
        Some(_) => report.ok("clock", "agrees with Okta's"),
        None => {}
    }
    Ok(id)
}

/// Checks whose credential it is, its rights and its expiry. Missing rights are only reported.
///
/// # Errors
/// Returns an error if Okta does not accept the credential.
pub async fn check_credential(session: &Session, report: &mut Report) -> Result<(), Failure> {
    match session.client.credential() {
        Credential::ApiToken(_) => check_token(session, report).await,
        Credential::ServiceApp(app) => {
            let granted = session.client.granted_scopes().await?.unwrap_or_default();
            report.ok("credential", format!("the service app {}", app.client_id()));
            check_scopes(session, &granted, report);
            Ok(())
        }
    }
}

async fn check_token(session: &Session, report: &mut Report) -> Result<(), Failure> {
    let me = session
        .client
        .get("/api/v1/users/me", &[])
        .await
        .map_err(|failure| match (failure.kind, failure.okta.status) {
            // Every token may read its own user, whatever its rights.
            (FailureKind::AccessDenied, Some(403)) if !failure.is_outside_network_zone() => Failure {
                message: "Okta does not even say whose token it is. Usually the token is bound to a network zone that this machine is not in (Security > API > Tokens).".to_owned(),
                ..failure
            },
            _ => failure,
        })?;
    let profile = me.body.get("profile").unwrap_or(&Value::Null);
    let name = str_at(profile, "/login").unwrap_or("unknown").to_owned();
    let user = str_at(&me.body, "/id").and_then(|id| OktaId::parse(id).ok());
    report.ok("credential", format!("an API token of {name}"));
    if is_probably_personal(profile) {
        report.warn(
            "owner",
            format!(
                "the token belongs to a person ({name}): it has that person's rights and is deleted with the account. Use a token of a service account, or a service app."
            ),
        );
    }
    if let Some(id) = &user {
        check_roles(session, id, report).await?;
        check_expiry(session, id, report).await?;
    }
    Ok(())
}

/// Returns whether a user is probably not a service account. Only a hint: service accounts usually
/// say so in their name.
fn is_probably_personal(profile: &Value) -> bool {
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
    .filter_map(|name| str_at(profile, name))
    .collect::<Vec<_>>()
    .join(" ")
    .to_ascii_lowercase();
    !words.iter().any(|word| all.contains(word))
}

async fn check_roles(session: &Session, user: &OktaId, report: &mut Report) -> Result<(), Failure> {
    let path = format!("/api/v1/users/{user}/roles");
    let response = match session.client.get(&path, &[]).await {
        Ok(response) => response,
        Err(failure) if lacks_right(&failure) => {
            report.ok(
                "roles",
                "the token may not read its own roles, which is usual for an Application Administrator",
            );
            return Ok(());
        }
        Err(failure) => return Err(failure),
    };
    let held: Vec<(&str, &str)> = response
        .body
        .as_array()
        .into_iter()
        .flatten()
        .filter(|role| str_at(role, "/status") != Some("INACTIVE"))
        .filter_map(|role| {
            Some((
                str_at(role, "/type")?,
                str_at(role, "/label").unwrap_or_default(),
            ))
        })
        .collect();
    if held.is_empty() {
        report.fault(
            "roles",
            "the token's owner has no admin role. Assign Application Administrator (Security > Administrators).",
        );
        return Ok(());
    }
    let labels: Vec<&str> = held
        .iter()
        .map(|(kind, label)| if label.is_empty() { *kind } else { *label })
        .collect();
    report.ok("roles", labels.join(", "));
    report_missing_roles(session, &held, report);
    Ok(())
}

/// Reports which parts of `setup.toml` the roles do not cover.
fn report_missing_roles(session: &Session, held: &[(&str, &str)], report: &mut Report) {
    let has = |kinds: &[&str]| held.iter().any(|(kind, _)| kinds.contains(kind));
    if !has(&["SUPER_ADMIN", "APP_ADMIN", "CUSTOM"]) {
        report.fault(
            "roles",
            "none of them may create apps: Application Administrator is missing.",
        );
    }
    let has_pushes = !session.desired.push_groups.is_empty();
    if has_pushes && !has(&["SUPER_ADMIN", "ORG_ADMIN", "USER_ADMIN", "CUSTOM"]) {
        report.warn("roles", "push_groups also need Group Administrator.");
    }
    if session.desired.event_hook.is_some() && !has(&["SUPER_ADMIN", "ORG_ADMIN", "CUSTOM"]) {
        report.warn("roles", "the event hook needs Super Administrator.");
    }
}

/// Checks when the token expires: 30 days after its last use, which is now.
async fn check_expiry(
    session: &Session,
    user: &OktaId,
    report: &mut Report,
) -> Result<(), Failure> {
    let response = match session.client.get("/api/v1/api-tokens", &[]).await {
        Ok(response) => response,
        Err(failure) if lacks_right(&failure) => {
            report.ok(
                "lifetime",
                "the token expires after 30 days without use. Run `setup status` once a month, or use a service app.",
            );
            return Ok(());
        }
        Err(failure) => return Err(failure),
    };
    let now = session.client.now();
    let own = response
        .body
        .as_array()
        .into_iter()
        .flatten()
        .filter(|token| str_at(token, "/userId") == Some(user.as_str()));
    for token in own {
        let name = str_at(token, "/name").unwrap_or("unnamed");
        let Some(expires) = str_at(token, "/expiresAt").and_then(|at| at.parse::<Timestamp>().ok())
        else {
            continue;
        };
        let days = expires.as_second().saturating_sub(now.as_second()) / 86_400;
        let line = format!("the token `{name}` expires on {expires:.0} if it is not used before");
        if days < WARN_DAYS {
            report.warn("lifetime", format!("{line}: in {days} days"));
        } else {
            report.ok("lifetime", line);
        }
    }
    Ok(())
}

fn check_scopes(session: &Session, granted: &[String], report: &mut Report) {
    let has = |scope: &str| {
        granted.iter().any(|granted| granted == scope)
            || scope.strip_suffix(".read").is_some_and(|area| {
                granted
                    .iter()
                    .any(|granted| *granted == format!("{area}.manage"))
            })
    };
    report.ok("scopes", granted.join(" "));
    let missing: Vec<String> = session
        .desired
        .required_scopes()
        .into_iter()
        .filter(|scope| !has(scope))
        .collect();
    if !missing.is_empty() {
        report.fault(
            "scopes",
            format!(
                "missing: {}. Grant them under Okta API Scopes of the service app.",
                missing.join(" ")
            ),
        );
    }
    report.ok(
        "roles",
        "a service app needs an admin role in addition to its scopes: Application Administrator (Admin Roles of the app)",
    );
}

/// Checks that the credential may read apps, and the rate limit.
///
/// # Errors
/// Returns an error if the credential may not read apps.
pub async fn check_apps(session: &Session, report: &mut Report) -> Result<(), Failure> {
    let response = session
        .client
        .get("/api/v1/apps", &[("limit", "1")])
        .await?;
    report.ok("rights", "may read apps");
    if let (Some(limit), Some(left)) = (response.rate_limits.limit, response.rate_limits.remaining)
    {
        let line = format!("{left} of {limit} requests per minute are left for apps");
        if response.rate_limits.is_scarce() {
            report.warn("rate limit", line);
        } else {
            report.ok("rate limit", line);
        }
    }
    Ok(())
}

/// Returns whether the credential is valid but lacks a right.
fn lacks_right(failure: &Failure) -> bool {
    failure.kind == FailureKind::AccessDenied && failure.okta.status == Some(403)
}
