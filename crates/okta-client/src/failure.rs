//! What Okta refuses, as a sentence that says what to do. Okta promises the code alone; its summaries may change, so
//! they are shown and never decided by, but for one word that no code tells: the network zone.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

/// The kind of a failure; it decides what the caller does and what the command exits with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The credential is wrong, has lapsed, or may not do this.
    Refused,
    /// Okta does not answer, or tells to come later.
    Unreachable,
    /// A write was sent and no answer came: it may have been done.
    Uncertain,
    /// There is no such thing.
    Gone,
    /// It is there already.
    Taken,
    /// Okta does not offer this here.
    Unsupported,
    /// The request or the wish is wrong.
    Invalid,
}

impl FailureKind {
    /// What `rollcall setup` exits with.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Refused => 3,
            Self::Unreachable | Self::Uncertain => 4,
            Self::Gone | Self::Taken | Self::Unsupported | Self::Invalid => 1,
        }
    }
}

/// A call that did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    pub why: FailureKind,
    pub message: String,
    #[serde(flatten)]
    pub okta: Box<Details>,
}

/// What Okta's answer said of it, where there was one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Details {
    #[serde(rename = "okta_status", skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    #[serde(rename = "okta_code", skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// What Okta's support asks for.
    #[serde(rename = "okta_error_id", skip_serializing_if = "Option::is_none")]
    pub error_id: Option<String>,
    #[serde(rename = "okta_request_id", skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<String>,
}

impl std::error::Error for Failure {}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if !self.okta.causes.is_empty() {
            write!(f, " Okta says: {}", self.okta.causes.join("; "))?;
        }
        let mut marks = Vec::new();
        if let Some(code) = &self.okta.code {
            marks.push(code.clone());
        }
        if let Some(id) = &self.okta.error_id {
            marks.push(format!("error {id}"));
        } else if let Some(id) = &self.okta.request_id {
            marks.push(format!("request {id}"));
        }
        if !marks.is_empty() {
            write!(f, " [{}]", marks.join(", "))?;
        }
        Ok(())
    }
}

impl Failure {
    /// A failure that is no answer of Okta's.
    pub fn new(why: FailureKind, message: impl Into<String>) -> Self {
        Self {
            why,
            message: message.into(),
            okta: Box::default(),
        }
    }

    /// Reads an answer that is no success.
    pub fn read(call: &Call<'_>, status: u16, body: &Value, request_id: Option<String>) -> Self {
        let text = |name| body.get(name).and_then(Value::as_str);
        // The token endpoint speaks OAuth (RFC 6749 section 5.2), all others Okta's own form.
        let code = text("errorCode").or_else(|| text("error")).map(short);
        let mut causes: Vec<String> = body
            .get("errorCauses")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|cause| cause.get("errorSummary").and_then(Value::as_str))
            .map(short)
            .collect();
        if causes.is_empty() {
            let summary = text("errorSummary").or_else(|| text("error_description"));
            causes.extend(summary.map(short));
        }
        let zone = causes
            .iter()
            .any(|cause| cause.to_ascii_lowercase().contains("network zone"));
        let (why, sentence) = if zone {
            (FailureKind::Refused, ZONE.to_owned())
        } else {
            advice(code.as_deref().unwrap_or_default(), status, call)
        };
        Self {
            why,
            message: sentence,
            okta: Box::new(Details {
                status: Some(status),
                code,
                error_id: text("errorId").map(short),
                request_id,
                causes,
            }),
        }
    }
}

/// The call that failed, as far as the sentence needs it.
#[derive(Debug, Clone, Copy)]
pub struct Call<'c> {
    pub method: &'c str,
    /// Without origin and query.
    pub path: &'c str,
}

const ZONE: &str = "Okta refuses the credential from this machine's address: it is bound to a network zone. Run setup \
                    from inside the zone, or add this address to it (Security > Networks).";
const TOKEN: &str = "Okta does not accept the credential: it is mistyped, was revoked, has lapsed after 30 days without \
                     use, belongs to another org, or its creator was deactivated. Check the org's address; else make a new \
                     token (Security > API > Tokens).";
const LATER: &str =
    "Okta cannot do this at the moment. Run the command again later; it goes on where it stopped.";

/// Kind and sentence of an error code; where the code is unknown, of the status.
fn advice(code: &str, status: u16, call: &Call<'_>) -> (FailureKind, String) {
    use FailureKind as W;
    let (why, sentence) = match code {
        "E0000011" | "E0000004" => (W::Refused, TOKEN),
        "E0000005" => (
            W::Refused,
            "Okta finds no usable credential in the request. Check that an API token is given as a token and the service app's key as a key.",
        ),
        "E0000006" => return (W::Refused, lacking(call)),
        "E0000015" => (
            W::Unsupported,
            "This org's edition does not have this feature. Ask Okta for it, or leave this part out of setup.toml.",
        ),
        "E0000007" => (
            W::Gone,
            "Okta has no such thing; it was deleted, or the id is of another org.",
        ),
        "E0000008" => (
            W::Invalid,
            "Okta has no such address. Check `org` in setup.toml: it is the org's own host, not the Admin Console's.",
        ),
        "E0000022" => (
            W::Invalid,
            "Okta does not allow this method here; this is a fault of ours, please report it.",
        ),
        "E0000001" | "E0000002" | "E0000020" | "E0000037" => (
            W::Invalid,
            "Okta refuses a value that was sent. Correct it in setup.toml.",
        ),
        "E0000003" | "E0000018" | "E0000019" | "E0000021" | "E0000012" | "E0000122"
        | "E0000031" | "E0000053" | "E0000212" => (
            W::Invalid,
            "Okta does not understand the request; this is a fault of ours, please report it.",
        ),
        "E0000024" => (
            W::Unsupported,
            "Okta does not support this for the app. Do it in the Admin Console.",
        ),
        "E0000027" => (
            W::Invalid,
            "Okta refuses to push the group. Mostly provisioning is not on yet, or Push Groups is not among its actions.",
        ),
        "E0000039" | "E0000059" => (
            W::Invalid,
            "Okta's test of the connection failed. Rollcall must be reachable from the internet by https at base_url, with a certificate that the public trusts.",
        ),
        "E0000040" => (
            W::Taken,
            "An app with this label exists already. Choose another label, or name that app with --app-id.",
        ),
        "E0000056" | "E0000255" => (
            W::Invalid,
            "Okta does not let it be deleted; deactivate it first.",
        ),
        "E0000062" => (W::Taken, "The user is assigned already."),
        "E0000075" => (
            W::Invalid,
            "The attribute is mapped in Okta, so it cannot be given with an assignment. Change the mapping instead.",
        ),
        "E0000117" => (W::Invalid, "The user is not active in Okta."),
        "E0000047" => (
            W::Unreachable,
            "Okta's rate limit is reached. Run the command again in a minute; it goes on where it stopped.",
        ),
        "E0000195" | "E0000268" => (
            W::Unreachable,
            "Another change of the same thing is running in Okta. Run the command again in a moment.",
        ),
        "E0000141" | "E0000131" => (W::Unsupported, "Okta refuses to switch this feature."),
        "E0000009" => (
            W::Unreachable,
            "Okta failed inside. Where attributes of your own are added to a SCIM app, a name may clash with one of Okta's; else run the command again later.",
        ),
        "E0000010" | "E0000100" => (W::Unreachable, LATER),
        "E0000260" => (
            W::Refused,
            "Okta has deactivated this developer org. Sign in to the Admin Console to wake it up, or make a new one.",
        ),
        oauth => return oauth_advice(oauth, status, call),
    };
    (why, sentence.to_owned())
}

/// The token endpoint's errors.
fn oauth_advice(code: &str, status: u16, call: &Call<'_>) -> (FailureKind, String) {
    let sentence = match code {
        "invalid_client" => {
            "Okta does not accept the service app's key. Check client_id, that the public half of this very key stands on the app (General > Client Credentials), key_id, and this machine's clock."
        }
        "consent_required" => {
            "None of the scopes is granted to the service app. Grant them under Okta API Scopes of the app; `rollcall setup check` lists them."
        }
        "invalid_scope" => {
            "The service app lacks a scope. Grant it under Okta API Scopes of the app; `rollcall setup check` lists them."
        }
        "unauthorized_client" => {
            "The app may not ask for tokens in this way. It must be of the kind API Services, with a public key."
        }
        "access_denied" => ZONE,
        "invalid_dpop_proof" | "use_dpop_nonce" => {
            "Okta refuses the proof of possession (DPoP). Mostly this machine's clock is wrong by more than five minutes."
        }
        "invalid_grant" | "invalid_request" => {
            "Okta refuses the request for a token; this is a fault of ours, please report it."
        }
        _ => return by_status(status, call),
    };
    (FailureKind::Refused, sentence.to_owned())
}

/// For answers without a code: the edge in front of Okta sends such.
fn by_status(status: u16, call: &Call<'_>) -> (FailureKind, String) {
    match status {
        300..=399 => (
            FailureKind::Invalid,
            "The address answers with a redirect, which is not followed with a credential. Check `org` in setup.toml: it must be the org's own host.".to_owned(),
        ),
        401 => (FailureKind::Refused, TOKEN.to_owned()),
        403 => (FailureKind::Refused, lacking(call)),
        404 => (FailureKind::Gone, "There is no such thing in this org, or the address is no Okta org.".to_owned()),
        409 => (FailureKind::Taken, "It exists already.".to_owned()),
        429 => (
            FailureKind::Unreachable,
            "Okta's rate limit is reached. Run the command again in a minute; it goes on where it stopped.".to_owned(),
        ),
        500.. => (FailureKind::Unreachable, LATER.to_owned()),
        other => (FailureKind::Invalid, format!("Okta refuses the request with status {other}.")),
    }
}

/// What the step needs, by what was called.
fn lacking(call: &Call<'_>) -> String {
    let (scope, role) = needed(call);
    format!(
        "The credential may not do this ({} {}). It needs the role {role}; a service app needs the scope {scope} as well.",
        call.method, call.path
    )
}

/// The scope and the admin role that a call needs.
pub fn needed(call: &Call<'_>) -> (&'static str, &'static str) {
    let reads = call.method == "GET";
    let path = call.path.strip_prefix("/api/v1/").unwrap_or(call.path);
    let either = |read, manage| if reads { read } else { manage };
    let application = "Application Administrator";
    let group = "Group Administrator";
    match path.split('/').next().unwrap_or_default() {
        "apps" if path.contains("/group-push/") => (
            either(
                "okta.apps.read and okta.groups.read",
                "okta.apps.manage and okta.groups.manage",
            ),
            "Application Administrator and Group Administrator",
        ),
        "apps" => (either("okta.apps.read", "okta.apps.manage"), application),
        "groups" => (either("okta.groups.read", "okta.groups.manage"), group),
        "users" if path.ends_with("/roles") => ("okta.roles.read", "Organization Administrator"),
        "users" => (either("okta.users.read", "okta.users.manage"), group),
        "meta" => (
            either("okta.schemas.read", "okta.schemas.manage"),
            application,
        ),
        "mappings" => (
            either("okta.profileMappings.read", "okta.profileMappings.manage"),
            application,
        ),
        "eventHooks" => (
            either("okta.eventHooks.read", "okta.eventHooks.manage"),
            "Super Administrator",
        ),
        "logs" => ("okta.logs.read", "Report Administrator"),
        "api-tokens" => (
            either("okta.apiTokens.read", "okta.apiTokens.manage"),
            "Super Administrator",
        ),
        _ => ("for this part of the API", "Super Administrator"),
    }
}

/// Okta's text, bounded and on one line.
fn short(text: &str) -> String {
    text.chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .take(300)
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(method: &str, path: &str, status: u16, body: &Value) -> Failure {
        Failure::read(&Call { method, path }, status, body, Some("req-1".into()))
    }

    #[test]
    fn every_code_has_its_kind_and_its_sentence() {
        let rows = [
            (
                "E0000011",
                401,
                FailureKind::Refused,
                "lapsed after 30 days",
            ),
            (
                "E0000004",
                401,
                FailureKind::Refused,
                "lapsed after 30 days",
            ),
            (
                "E0000005",
                403,
                FailureKind::Refused,
                "no usable credential",
            ),
            ("E0000015", 401, FailureKind::Unsupported, "edition"),
            (
                "E0000006",
                403,
                FailureKind::Refused,
                "Application Administrator",
            ),
            ("E0000007", 404, FailureKind::Gone, "deleted"),
            ("E0000008", 404, FailureKind::Invalid, "Check `org`"),
            ("E0000022", 405, FailureKind::Invalid, "report"),
            ("E0000001", 400, FailureKind::Invalid, "Correct it"),
            ("E0000003", 400, FailureKind::Invalid, "report"),
            ("E0000024", 400, FailureKind::Unsupported, "Admin Console"),
            ("E0000027", 400, FailureKind::Invalid, "push the group"),
            (
                "E0000039",
                403,
                FailureKind::Invalid,
                "reachable from the internet",
            ),
            (
                "E0000059",
                400,
                FailureKind::Invalid,
                "reachable from the internet",
            ),
            ("E0000040", 400, FailureKind::Taken, "--app-id"),
            ("E0000056", 403, FailureKind::Invalid, "deactivate it first"),
            ("E0000062", 409, FailureKind::Taken, "assigned already"),
            ("E0000075", 403, FailureKind::Invalid, "mapping"),
            ("E0000117", 403, FailureKind::Invalid, "not active"),
            ("E0000047", 429, FailureKind::Unreachable, "rate limit"),
            ("E0000195", 409, FailureKind::Unreachable, "Another change"),
            ("E0000131", 400, FailureKind::Unsupported, "feature"),
            ("E0000009", 500, FailureKind::Unreachable, "clash"),
            ("E0000010", 503, FailureKind::Unreachable, "later"),
            ("E0000260", 403, FailureKind::Refused, "developer org"),
            ("E9999999", 418, FailureKind::Invalid, "status 418"),
            ("invalid_client", 401, FailureKind::Refused, "key_id"),
            (
                "consent_required",
                400,
                FailureKind::Refused,
                "None of the scopes",
            ),
            ("invalid_scope", 400, FailureKind::Refused, "lacks a scope"),
            (
                "unauthorized_client",
                400,
                FailureKind::Refused,
                "API Services",
            ),
            ("access_denied", 403, FailureKind::Refused, "network zone"),
            ("invalid_dpop_proof", 400, FailureKind::Refused, "clock"),
        ];
        for (code, status, why, part) in rows {
            let body = json!({ "errorCode": code });
            let failure = read("POST", "/api/v1/apps", status, &body);
            assert_eq!(failure.why, why, "{code}");
            assert!(
                failure.message.contains(part),
                "{code}: {}",
                failure.message
            );
            assert_eq!(failure.okta.code.as_deref(), Some(code));
        }
    }

    #[test]
    fn without_a_code_the_status_decides() {
        let rows = [
            (302, FailureKind::Invalid, "redirect"),
            (401, FailureKind::Refused, "credential"),
            (403, FailureKind::Refused, "Application Administrator"),
            (404, FailureKind::Gone, "no such thing"),
            (409, FailureKind::Taken, "exists"),
            (429, FailureKind::Unreachable, "rate limit"),
            (502, FailureKind::Unreachable, "again later"),
            (400, FailureKind::Invalid, "status 400"),
        ];
        for (status, why, part) in rows {
            let failure = read("GET", "/api/v1/apps", status, &Value::Null);
            assert_eq!(failure.why, why, "{status}");
            assert!(
                failure.message.contains(part),
                "{status}: {}",
                failure.message
            );
        }
    }

    #[test]
    fn what_okta_says_is_shown_with_the_ids_for_its_support() {
        let body = json!({"errorCode": "E0000001", "errorSummary": "Api validation failed: label",
            "errorId": "oaeXYZ", "errorCauses": [{"errorSummary": "label: too\nlong"}]});
        assert_eq!(
            read("POST", "/api/v1/apps", 400, &body).to_string(),
            "Okta refuses a value that was sent. Correct it in setup.toml. Okta says: label: too long [E0000001, error oaeXYZ]"
        );
        assert!(
            read("GET", "/api/v1/apps", 502, &Value::Null)
                .to_string()
                .ends_with("[request req-1]")
        );
    }

    #[test]
    fn a_network_zone_is_named() {
        let body = json!({"errorCode": "E0000006", "errorSummary": "This token is outside of its Network Zone"});
        let failure = read("GET", "/api/v1/users/me", 403, &body);
        assert!(failure.message.contains("bound to a network zone"));
    }

    #[test]
    fn a_403_names_what_is_needed() {
        let check = |method, path, scope| {
            assert_eq!(needed(&Call { method, path }).0, scope, "{method} {path}");
        };
        check("GET", "/api/v1/apps/0oa1/groups", "okta.apps.read");
        check("PUT", "/api/v1/apps/0oa1/groups/00g1", "okta.apps.manage");
        check(
            "POST",
            "/api/v1/apps/0oa1/group-push/mappings",
            "okta.apps.manage and okta.groups.manage",
        );
        check("GET", "/api/v1/groups", "okta.groups.read");
        check("GET", "/api/v1/users/00u1/roles", "okta.roles.read");
        check("GET", "/api/v1/logs", "okta.logs.read");
        check("POST", "/api/v1/eventHooks", "okta.eventHooks.manage");
        check(
            "POST",
            "/api/v1/mappings/prm1",
            "okta.profileMappings.manage",
        );
        check(
            "POST",
            "/api/v1/meta/schemas/apps/0oa1/default",
            "okta.schemas.manage",
        );
    }
}
