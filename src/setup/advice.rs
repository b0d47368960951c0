//! What a user of `rollcall setup` can do about a failure of Okta's API.
//!
//! The client's messages say what happened; they know neither setup.toml nor the flags.

use crate::setup::{Failure, FailureKind};

const RUN_AGAIN: &str = "Run the command again later; it continues where it stopped.";
const CHECK_ORG: &str = "Check `org` in setup.toml, and whether a proxy is in between.";
const REPORT_BUG: &str = "This is a bug in Rollcall; please report it.";

/// Appends the advice to the failure's message.
pub fn add(mut failure: Failure) -> Failure {
    if let Some(advice) = find(&failure) {
        failure.message = format!("{} {advice}", failure.message);
    }
    failure
}

fn find(failure: &Failure) -> Option<&'static str> {
    if failure.retry_after.is_some() {
        return Some(
            "That is more than --max-wait. Run the command again later; it continues where it stopped.",
        );
    }
    by_code(failure.okta.code.as_deref().unwrap_or_default()).or(match failure.kind {
        FailureKind::Unavailable => Some(RUN_AGAIN),
        FailureKind::OutcomeUnknown => {
            Some("Run the command again: it looks first and creates nothing twice.")
        }
        FailureKind::UnexpectedResponse => Some(CHECK_ORG),
        FailureKind::AccessDenied
        | FailureKind::NotFound
        | FailureKind::AlreadyExists
        | FailureKind::Unsupported
        | FailureKind::Invalid => None,
    })
}

/// Returns the advice for one of Okta's error codes.
fn by_code(code: &str) -> Option<&'static str> {
    Some(match code {
        "E0000015" => "Ask Okta for it, or leave this part out of setup.toml.",
        "E0000008" => "Check `org` in setup.toml.",
        "E0000001" | "E0000002" | "E0000020" | "E0000037" => "Correct it in setup.toml.",
        "E0000022" | "E0000003" | "E0000018" | "E0000019" | "E0000021" | "E0000012"
        | "E0000122" | "E0000031" | "E0000053" | "E0000212" | "invalid_grant"
        | "invalid_request" => REPORT_BUG,
        "E0000039" | "E0000059" => "Check rollcall.base_url in setup.toml.",
        "E0000040" => "Choose another label, or pass that app with --app-id.",
        "invalid_client" => "Check okta.client_id and okta.key_id in setup.toml.",
        "consent_required" | "invalid_scope" => "`rollcall setup check` lists the scopes.",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_follows_the_message() {
        let check = |kind, code: &str, expected: &str| {
            let mut failure = Failure::new(kind, "It failed.");
            failure.okta.code = Some(code.to_owned()).filter(|code| !code.is_empty());
            assert_eq!(add(failure).message, expected, "{code}");
        };
        check(
            FailureKind::Invalid,
            "E0000001",
            "It failed. Correct it in setup.toml.",
        );
        check(
            FailureKind::AlreadyExists,
            "E0000040",
            "It failed. Choose another label, or pass that app with --app-id.",
        );
        check(
            FailureKind::Unavailable,
            "E0000047",
            "It failed. Run the command again later; it continues where it stopped.",
        );
        check(
            FailureKind::OutcomeUnknown,
            "",
            "It failed. Run the command again: it looks first and creates nothing twice.",
        );
        check(
            FailureKind::UnexpectedResponse,
            "",
            "It failed. Check `org` in setup.toml, and whether a proxy is in between.",
        );
        check(FailureKind::Invalid, "", "It failed.");
    }

    #[test]
    fn a_wait_beyond_the_limit_names_the_flag() {
        let mut failure = Failure::new(FailureKind::Unavailable, "Too fast.");
        failure.retry_after = Some(std::time::Duration::from_secs(600));
        assert!(add(failure).message.contains("--max-wait"));
    }
}
