//! Failures: Okta's error codes as kinds and as messages for an administrator.
//!
//! Okta guarantees the codes, not its summaries. Summaries are shown; the only one that decides
//! anything is the one about the network zone, for which there is no code.

use std::fmt;
use std::time::Duration;

use serde_json::Value;

/// The kind of a [`Failure`], to decide what to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// The credential is wrong, has expired, or lacks a right.
    AccessDenied,
    /// Okta does not respond, or asks to try again later.
    Unavailable,
    /// A write was sent and no response came: Okta may have executed it.
    OutcomeUnknown,
    /// The object does not exist.
    NotFound,
    /// The object exists already.
    AlreadyExists,
    /// Okta does not offer this in the org or for the object.
    Unsupported,
    /// The request or a value in it is invalid.
    Invalid,
    /// The response is not one of Okta's API: a redirect, no JSON, or a next page at another
    /// origin.
    UnexpectedResponse,
}

/// A call that did not succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The kind, to act on.
    pub kind: FailureKind,
    /// One or more sentences for an administrator.
    pub message: String,
    /// How long Okta asked to wait, if that is longer than the retry policy allows.
    pub retry_after: Option<Duration>,
    /// Okta's own description of the failure; empty if there was no response.
    pub okta: Box<Details>,
}

/// The content of Okta's error response.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Details {
    /// The HTTP status.
    pub status: Option<u16>,
    /// Okta's error code, such as `E0000006`, or the `error` of the token endpoint.
    pub code: Option<String>,
    /// The id of the error (`errorId`), which Okta's support asks for.
    pub error_id: Option<String>,
    /// The id of the request (`X-Okta-Request-Id`).
    pub request_id: Option<String>,
    /// Okta's summaries, each at most 300 characters on one line.
    pub causes: Vec<String>,
}

impl std::error::Error for Failure {}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if !self.okta.causes.is_empty() {
            write!(f, " Okta says: {}", self.okta.causes.join("; "))?;
        }
        let mut ids = Vec::new();
        if let Some(code) = &self.okta.code {
            ids.push(code.clone());
        }
        if let Some(id) = &self.okta.error_id {
            ids.push(format!("error {id}"));
        } else if let Some(id) = &self.okta.request_id {
            ids.push(format!("request {id}"));
        }
        if !ids.is_empty() {
            write!(f, " [{}]", ids.join(", "))?;
        }
        Ok(())
    }
}

impl Failure {
    /// Creates a failure that is not a response of Okta's.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            retry_after: None,
            okta: Box::default(),
        }
    }

    /// Returns whether Okta refused the credential because this machine is outside its network
    /// zone.
    pub fn is_outside_network_zone(&self) -> bool {
        self.okta.code.as_deref() == Some("access_denied") || mentions_zone(&self.okta.causes)
    }

    /// Reads an error response.
    pub(crate) fn read(
        call: &Call<'_>,
        status: u16,
        body: &Value,
        request_id: Option<String>,
    ) -> Self {
        let text = |name| body.get(name).and_then(Value::as_str);
        // The token endpoint uses OAuth's form (RFC 6749 section 5.2), all others Okta's own.
        let code = text("errorCode")
            .or_else(|| text("error"))
            .map(to_short_line);
        let mut causes: Vec<String> = body
            .get("errorCauses")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|cause| cause.get("errorSummary").and_then(Value::as_str))
            .map(to_short_line)
            .collect();
        if causes.is_empty() {
            let summary = text("errorSummary").or_else(|| text("error_description"));
            causes.extend(summary.map(to_short_line));
        }
        let (kind, message) = if mentions_zone(&causes) {
            (FailureKind::AccessDenied, NETWORK_ZONE.to_owned())
        } else {
            classify(code.as_deref().unwrap_or_default(), status, call)
        };
        Self {
            kind,
            message,
            retry_after: None,
            okta: Box::new(Details {
                status: Some(status),
                code,
                error_id: text("errorId").map(to_short_line),
                request_id,
                causes,
            }),
        }
    }
}

/// The call that failed, as far as a message needs it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call<'c> {
    pub method: &'c str,
    /// The path, without origin and query.
    pub path: &'c str,
}

const NETWORK_ZONE: &str = "Okta refuses the credential from this machine's address: it is bound to a network zone. Use a \
                    machine inside the zone, or add this address to it (Security > Networks).";
const CREDENTIAL: &str = "Okta does not accept the credential: it is mistyped, was revoked, lapsed after 30 days without \
                     use, belongs to another org, or its creator was deactivated. Check the org's address; otherwise create \
                     a new token (Security > API > Tokens).";
const UNAVAILABLE: &str = "Okta is unavailable at the moment.";
const RATE_LIMIT: &str = "Okta's rate limit is reached.";

/// Returns the kind and the message for an error code, or for the status if the code is unknown.
fn classify(code: &str, status: u16, call: &Call<'_>) -> (FailureKind, String) {
    if code == "E0000006" {
        return (FailureKind::AccessDenied, missing_right(call));
    }
    by_okta_code(code)
        .or_else(|| by_oauth_code(code))
        .map(|(kind, message)| (kind, message.to_owned()))
        .unwrap_or_else(|| by_status(status, call))
}

fn by_okta_code(code: &str) -> Option<(FailureKind, &'static str)> {
    use FailureKind as K;
    Some(match code {
        "E0000011" | "E0000004" => (K::AccessDenied, CREDENTIAL),
        "E0000005" => (
            K::AccessDenied,
            "Okta finds no usable credential in the request. Check that an API token is given as a token and a service app's key as a key.",
        ),
        "E0000260" => (
            K::AccessDenied,
            "Okta has deactivated this developer org. Sign in to the Admin Console to reactivate it, or create a new one.",
        ),
        "E0000015" => (
            K::Unsupported,
            "This feature is not part of the org's edition.",
        ),
        "E0000024" => (
            K::Unsupported,
            "Okta does not support this for the app. Do it in the Admin Console.",
        ),
        "E0000141" | "E0000131" => (K::Unsupported, "Okta refuses to switch this feature."),
        "E0000007" => (
            K::NotFound,
            "Okta has no such object: it was deleted, or the id belongs to another org.",
        ),
        "E0000040" => (K::AlreadyExists, "An app with this label exists already."),
        "E0000062" => (K::AlreadyExists, "The user is assigned already."),
        "E0000047" => (K::Unavailable, RATE_LIMIT),
        "E0000195" | "E0000268" => (
            K::Unavailable,
            "Another change of the same object is running in Okta.",
        ),
        "E0000009" => (
            K::Unavailable,
            "Okta had an internal error. If custom attributes were added to a SCIM app, a name may clash with one of Okta's.",
        ),
        "E0000010" | "E0000100" => (K::Unavailable, UNAVAILABLE),
        _ => (K::Invalid, by_invalid_request(code)?),
    })
}

/// Returns the message for a code that says what is wrong with the request.
fn by_invalid_request(code: &str) -> Option<&'static str> {
    Some(match code {
        "E0000008" => {
            "Okta has no such address. Use the org's own host, not the one of the Admin Console."
        }
        "E0000022" => "Okta does not allow this method here.",
        "E0000001" | "E0000002" | "E0000020" | "E0000037" => "Okta rejects a value in the request.",
        "E0000003" | "E0000018" | "E0000019" | "E0000021" | "E0000012" | "E0000122"
        | "E0000031" | "E0000053" | "E0000212" => "Okta does not understand the request.",
        "E0000027" => {
            "Okta refuses to push the group. Usually provisioning is not enabled yet, or Push Groups is not among its actions."
        }
        "E0000039" | "E0000059" => {
            "Okta's test of the connection failed. The SCIM server must be reachable from the internet over HTTPS, with a publicly trusted certificate."
        }
        "E0000056" | "E0000255" => "Okta does not delete an active object; deactivate it first.",
        "E0000075" => {
            "The attribute is mapped in Okta, so it cannot be set with an assignment. Change the mapping instead."
        }
        "E0000117" => "The user is not active in Okta.",
        _ => return None,
    })
}

/// Returns the kind and the message for an error of the token endpoint.
fn by_oauth_code(code: &str) -> Option<(FailureKind, &'static str)> {
    let message = match code {
        "invalid_client" => {
            "Okta does not accept the service app's key. Check the client id, that the public key of this private key is on the app (General > Client Credentials), the key id, and this machine's clock."
        }
        "consent_required" => {
            "None of the scopes is granted to the service app. Grant them under Okta API Scopes of the app."
        }
        "invalid_scope" => {
            "The service app lacks a scope. Grant it under Okta API Scopes of the app."
        }
        "unauthorized_client" => {
            "The app may not request tokens in this way. It must be of the type API Services, with a public key."
        }
        "access_denied" => NETWORK_ZONE,
        "invalid_dpop_proof" | "use_dpop_nonce" => {
            "Okta rejects the proof of possession (DPoP). Usually this machine's clock is wrong by more than five minutes."
        }
        "invalid_grant" | "invalid_request" => "Okta does not understand the token request.",
        _ => return None,
    };
    Some((FailureKind::AccessDenied, message))
}

/// Returns the kind and the message for a response without a known code, such as those of the edge
/// in front of Okta.
fn by_status(status: u16, call: &Call<'_>) -> (FailureKind, String) {
    let (kind, message) = match status {
        300..=399 => (
            FailureKind::UnexpectedResponse,
            "The address answers with a redirect, which is not followed with a credential. Use the org's own host.",
        ),
        401 => (FailureKind::AccessDenied, CREDENTIAL),
        403 => return (FailureKind::AccessDenied, missing_right(call)),
        404 => (
            FailureKind::NotFound,
            "The object does not exist in this org, or the address is not an Okta org.",
        ),
        409 => (FailureKind::AlreadyExists, "The object exists already."),
        429 => (FailureKind::Unavailable, RATE_LIMIT),
        500.. => (FailureKind::Unavailable, UNAVAILABLE),
        other => {
            return (
                FailureKind::Invalid,
                format!("Okta rejects the request with status {other}."),
            );
        }
    };
    (kind, message.to_owned())
}

/// Returns the message for a 403, with the scope and the role that the call needs.
fn missing_right(call: &Call<'_>) -> String {
    let (scope, role) = needed_rights(call);
    format!(
        "The credential may not do this ({} {}). It needs the role {role}; a service app also needs the scope {scope}.",
        call.method, call.path
    )
}

/// Returns the scope and the administrator role that a call needs.
fn needed_rights(call: &Call<'_>) -> (&'static str, &'static str) {
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

fn mentions_zone(causes: &[String]) -> bool {
    causes
        .iter()
        .any(|cause| cause.to_ascii_lowercase().contains("network zone"))
}

/// Puts Okta's text on one line of at most 300 characters.
fn to_short_line(text: &str) -> String {
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
    fn every_code_has_its_kind_and_its_message() {
        use FailureKind as K;
        let rows = [
            ("E0000011", 401, K::AccessDenied, "lapsed after 30 days"),
            ("E0000004", 401, K::AccessDenied, "lapsed after 30 days"),
            ("E0000005", 403, K::AccessDenied, "no usable credential"),
            ("E0000015", 401, K::Unsupported, "edition"),
            ("E0000141", 400, K::Unsupported, "switch this feature"),
            (
                "E0000006",
                403,
                K::AccessDenied,
                "Application Administrator",
            ),
            ("E0000007", 404, K::NotFound, "deleted"),
            ("E0000008", 404, K::Invalid, "own host"),
            ("E0000022", 405, K::Invalid, "this method"),
            ("E0000001", 400, K::Invalid, "rejects a value"),
            ("E0000003", 400, K::Invalid, "not understand"),
            ("E0000024", 400, K::Unsupported, "Admin Console"),
            ("E0000027", 400, K::Invalid, "push the group"),
            ("E0000039", 403, K::Invalid, "reachable from the internet"),
            ("E0000059", 400, K::Invalid, "reachable from the internet"),
            ("E0000040", 400, K::AlreadyExists, "label"),
            ("E0000056", 403, K::Invalid, "deactivate it first"),
            ("E0000255", 403, K::Invalid, "deactivate it first"),
            ("E0000062", 409, K::AlreadyExists, "assigned already"),
            ("E0000075", 403, K::Invalid, "mapping"),
            ("E0000117", 403, K::Invalid, "not active"),
            ("E0000047", 429, K::Unavailable, "rate limit"),
            ("E0000195", 409, K::Unavailable, "Another change"),
            ("E0000268", 409, K::Unavailable, "Another change"),
            ("E0000131", 400, K::Unsupported, "switch this feature"),
            ("E0000009", 500, K::Unavailable, "clash"),
            ("E0000010", 503, K::Unavailable, "unavailable"),
            ("E0000100", 503, K::Unavailable, "unavailable"),
            ("E0000260", 403, K::AccessDenied, "developer org"),
            ("invalid_client", 401, K::AccessDenied, "key id"),
            (
                "consent_required",
                400,
                K::AccessDenied,
                "None of the scopes",
            ),
            ("invalid_scope", 400, K::AccessDenied, "lacks a scope"),
            ("unauthorized_client", 400, K::AccessDenied, "API Services"),
            ("access_denied", 403, K::AccessDenied, "network zone"),
            ("invalid_dpop_proof", 400, K::AccessDenied, "clock"),
            ("use_dpop_nonce", 400, K::AccessDenied, "clock"),
            ("invalid_grant", 400, K::AccessDenied, "token request"),
            ("invalid_request", 400, K::AccessDenied, "token request"),
        ];
        for (code, status, kind, part) in rows {
            // The code decides, whatever the status.
            for status in [status, 418] {
                let body = json!({ "errorCode": code });
                let failure = read("POST", "/api/v1/apps", status, &body);
                assert_eq!(failure.kind, kind, "{code}");
                assert!(
                    failure.message.contains(part),
                    "{code}: {}",
                    failure.message
                );
                assert_eq!(failure.okta.code.as_deref(), Some(code));
                assert_eq!(failure.okta.status, Some(status));
            }
        }
    }

    #[test]
    fn many_codes_say_that_the_request_is_wrong() {
        let rejected = ["E0000001", "E0000002", "E0000020", "E0000037"];
        let misunderstood = [
            "E0000003", "E0000018", "E0000019", "E0000021", "E0000012", "E0000122", "E0000031",
            "E0000053", "E0000212",
        ];
        let message = |code: &str| {
            let failure = read("POST", "/api/v1/apps", 418, &json!({ "errorCode": code }));
            assert_eq!(failure.kind, FailureKind::Invalid, "{code}");
            failure.message
        };
        for code in rejected {
            assert_eq!(message(code), "Okta rejects a value in the request.");
        }
        for code in misunderstood {
            assert_eq!(message(code), "Okta does not understand the request.");
        }
        assert_eq!(
            message("E9999999"),
            "Okta rejects the request with status 418."
        );
    }

    #[test]
    fn without_a_code_the_status_decides() {
        let rows = [
            (302, FailureKind::UnexpectedResponse, "redirect"),
            (401, FailureKind::AccessDenied, "credential"),
            (403, FailureKind::AccessDenied, "Application Administrator"),
            (404, FailureKind::NotFound, "does not exist"),
            (409, FailureKind::AlreadyExists, "exists"),
            (429, FailureKind::Unavailable, "rate limit"),
            (502, FailureKind::Unavailable, "unavailable"),
            (400, FailureKind::Invalid, "status 400"),
        ];
        for (status, kind, part) in rows {
            let failure = read("GET", "/api/v1/apps", status, &Value::Null);
            assert_eq!(failure.kind, kind, "{status}");
            assert!(
                failure.message.contains(part),
                "{status}: {}",
                failure.message
            );
        }
    }

    #[test]
    fn okta_s_text_is_shown_with_the_ids_for_its_support() {
        let body = json!({"errorCode": "E0000001", "errorSummary": "Api validation failed: label",
            "errorId": "oaeXYZ", "errorCauses": [{"errorSummary": "label: too\nlong"}]});
        assert_eq!(
            read("POST", "/api/v1/apps", 400, &body).to_string(),
            "Okta rejects a value in the request. Okta says: label: too long [E0000001, error oaeXYZ]"
        );
        assert!(
            read("GET", "/api/v1/apps", 502, &Value::Null)
                .to_string()
                .ends_with("[request req-1]")
        );
        let other = Failure::new(FailureKind::Invalid, "The token is empty.");
        assert_eq!(other.to_string(), "The token is empty.");
        let body = json!({"error": "invalid_scope", "error_description": "No scope."});
        assert_eq!(
            read("POST", "/oauth2/v1/token", 400, &body).to_string(),
            "The service app lacks a scope. Grant it under Okta API Scopes of the app. Okta says: No scope. \
             [invalid_scope, request req-1]"
        );
    }

    #[test]
    fn okta_s_text_is_bounded() {
        let summary = "\u{7}é".repeat(1000);
        let body = json!({ "errorSummary": summary, "errorId": summary });
        let okta = read("GET", "/api/v1/apps", 400, &body).okta;
        let short = " é".repeat(150);
        assert_eq!(okta.causes, [short.as_str()]);
        assert_eq!(okta.error_id, Some(short));
    }

    #[test]
    fn a_network_zone_is_named() {
        let body = json!({"errorCode": "E0000006", "errorSummary": "This token is outside of its Network Zone"});
        let failure = read("GET", "/api/v1/users/me", 403, &body);
        assert!(failure.message.contains("bound to a network zone"));
        assert!(failure.is_outside_network_zone());
        for (body, expected) in [
            (json!({ "error": "access_denied" }), true),
            (json!({ "error": "invalid_client" }), false),
            (json!({ "errorCode": "E0000006" }), false),
            (Value::Null, false),
        ] {
            let failure = read("POST", "/oauth2/v1/token", 403, &body);
            assert_eq!(failure.is_outside_network_zone(), expected, "{body}");
        }
    }

    #[test]
    fn a_403_names_what_is_needed() {
        let check = |method, path, scope, role| {
            let rights = needed_rights(&Call { method, path });
            assert_eq!(rights, (scope, role), "{method} {path}");
        };
        let application = "Application Administrator";
        let group = "Group Administrator";
        let owner = "Super Administrator";
        for (path, read, manage, role) in [
            (
                "/api/v1/apps/0oa1/groups/00g1",
                "okta.apps.read",
                "okta.apps.manage",
                application,
            ),
            (
                "/api/v1/apps/0oa1/group-push/mappings",
                "okta.apps.read and okta.groups.read",
                "okta.apps.manage and okta.groups.manage",
                "Application Administrator and Group Administrator",
            ),
            (
                "/api/v1/groups",
                "okta.groups.read",
                "okta.groups.manage",
                group,
            ),
            (
                "/api/v1/users/00u1",
                "okta.users.read",
                "okta.users.manage",
                group,
            ),
            (
                "/api/v1/meta/schemas/apps/0oa1/default",
                "okta.schemas.read",
                "okta.schemas.manage",
                application,
            ),
            (
                "/api/v1/mappings/prm1",
                "okta.profileMappings.read",
                "okta.profileMappings.manage",
                application,
            ),
            (
                "/api/v1/eventHooks",
                "okta.eventHooks.read",
                "okta.eventHooks.manage",
                owner,
            ),
            (
                "/api/v1/api-tokens/current",
                "okta.apiTokens.read",
                "okta.apiTokens.manage",
                owner,
            ),
        ] {
            check("GET", path, read, role);
            check("POST", path, manage, role);
            check("PUT", path, manage, role);
        }
        check(
            "GET",
            "/api/v1/users/00u1/roles",
            "okta.roles.read",
            "Organization Administrator",
        );
        check(
            "GET",
            "/api/v1/logs",
            "okta.logs.read",
            "Report Administrator",
        );
        check("GET", "/api/v1/brands", "for this part of the API", owner);
        assert_eq!(
            read("PUT", "/api/v1/apps/0oa1", 403, &Value::Null).message,
            "The credential may not do this (PUT /api/v1/apps/0oa1). It needs the role Application \
             Administrator; a service app also needs the scope okta.apps.manage."
        );
    }
}
