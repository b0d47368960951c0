//! Records how requests were authenticated, so that `rollcall setup`, another process on the same
//! database, can see when Okta first called and what is wrong with the credential that an
//! administrator entered there.
//!
//! Only kinds and times are recorded, never a credential. A request takes a lock and a map lookup;
//! the database is written at most every few seconds for each kind, in the background, and no
//! request waits for it or fails over it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::auth::credential::Form;
use crate::store::Store;
use crate::store::tables::auth_attempts;
use crate::store::tables::auth_attempts::{AuthAttempt, TokenKey};

/// The shortest time between two writes for one kind of one token, in microseconds.
const STEP_US: i64 = 5 * 1_000_000;
/// Tokens and kinds beyond this number are not recorded until a restart.
const MAX_KEYS: usize = 10_000;

/// How a request was authenticated, or why it was not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AuthOutcome {
    /// `Bearer TOKEN`.
    Accepted,
    /// The token without `Bearer`, accepted all the same.
    Bare,
    /// `Bearer Bearer TOKEN`, accepted too.
    Doubled,
    /// `Basic`, with the token as the password.
    Basic,
    /// No `Authorization` at all.
    Missing,
    /// A header that contains no credential.
    Malformed,
    /// A revoked token of this service.
    Revoked,
    /// An expired token of this service.
    Expired,
    /// It starts as the tokens of this service do, and is shorter or longer.
    Cut,
    /// A token for Okta's own API.
    Okta,
    /// Any other text.
    Unknown,
}

/// Requests of one kind, as another process reads them. All times are microseconds since the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttemptSummary {
    pub kind: AuthOutcome,
    pub first_us: i64,
    pub last_us: i64,
    pub times: i64,
}

impl AuthOutcome {
    const ALL: [Self; 11] = [
        Self::Accepted,
        Self::Bare,
        Self::Doubled,
        Self::Basic,
        Self::Missing,
        Self::Malformed,
        Self::Revoked,
        Self::Expired,
        Self::Cut,
        Self::Okta,
        Self::Unknown,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Bare => "bare",
            Self::Doubled => "doubled",
            Self::Basic => "basic",
            Self::Missing => "missing",
            Self::Malformed => "malformed",
            Self::Revoked => "revoked",
            Self::Expired => "expired",
            Self::Cut => "cut",
            Self::Okta => "okta",
            Self::Unknown => "unknown",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// Returns how a valid token was sent.
    pub fn of_form(form: Form) -> Self {
        match form {
            Form::Bearer => Self::Accepted,
            Form::Bare => Self::Bare,
            Form::Doubled => Self::Doubled,
            Form::Basic => Self::Basic,
        }
    }

    /// Classifies a secret that belongs to no token.
    pub fn of_unknown_secret(secret: &str) -> Self {
        let word = secret.split(' ').next().unwrap_or_default();
        if secret.starts_with(crate::auth::token::PREFIX)
            && !crate::auth::token::has_token_form(secret)
        {
            Self::Cut
        } else if word.eq_ignore_ascii_case("ssws")
            || (secret.len() == 42 && secret.starts_with("00"))
        {
            Self::Okta
        } else {
            Self::Unknown
        }
    }

    /// Returns whether the request was accepted.
    pub fn is_accepted(self) -> bool {
        matches!(
            self,
            Self::Accepted | Self::Bare | Self::Doubled | Self::Basic
        )
    }
}

/// The attempts that are not written yet.
#[derive(Debug, Default)]
pub struct AuthAttempts {
    pending: Mutex<HashMap<(Option<TokenKey>, AuthOutcome), PendingCount>>,
}

#[derive(Debug, Clone, Copy)]
struct PendingCount {
    first_us: i64,
    times: i64,
    written_us: Option<i64>,
}

impl AuthAttempts {
    /// Records a request, with the token that it was made with if that is known.
    pub(in crate::service) fn record(
        &self,
        store: &Arc<Store>,
        token: Option<&TokenKey>,
        kind: AuthOutcome,
        now_us: i64,
    ) {
        let Some(attempt) = self.count(token, kind, now_us) else {
            return;
        };
        let store = Arc::clone(store);
        tokio::spawn(async move {
            let written = store
                .admin(move |conn| auth_attempts::note(conn, &attempt))
                .await;
            if let Err(error) = written {
                tracing::debug!(%error, "cannot write an authentication attempt");
            }
        });
    }

    /// Counts one request and returns the count to write now, if any.
    fn count(
        &self,
        token: Option<&TokenKey>,
        kind: AuthOutcome,
        now_us: i64,
    ) -> Option<AuthAttempt> {
        let mut all = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (token.cloned(), kind);
        if all.len() >= MAX_KEYS && !all.contains_key(&key) {
            return None;
        }
        let pending = all.entry(key).or_insert(PendingCount {
            first_us: now_us,
            times: 0,
            written_us: None,
        });
        if pending.times == 0 {
            pending.first_us = now_us;
        }
        pending.times = pending.times.saturating_add(1);
        if pending
            .written_us
            .is_some_and(|at| now_us.saturating_sub(at) < STEP_US)
        {
            return None;
        }
        let times = std::mem::take(&mut pending.times);
        pending.written_us = Some(now_us);
        Some(AuthAttempt {
            token: token.cloned(),
            kind: kind.as_str().to_owned(),
            first: pending.first_us,
            last: now_us,
            times,
        })
    }
}

/// Returns the requests with a token, or those without a valid one.
pub async fn of_token(
    store: &Store,
    token: Option<TokenKey>,
) -> Result<Vec<AttemptSummary>, crate::service::Error> {
    let rows = store
        .read(move |conn| {
            Ok::<_, crate::service::Error>(auth_attempts::of_token(conn, token.as_ref())?)
        })
        .await?;
    Ok(rows
        .into_iter()
        .filter_map(|row| {
            Some(AttemptSummary {
                kind: AuthOutcome::parse(&row.kind)?,
                first_us: row.first,
                last_us: row.last,
                times: row.times,
            })
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::TenantId;

    #[test]
    fn the_first_is_written_at_once_and_the_rest_together() {
        let attempts = AuthAttempts::default();
        let token = TokenKey {
            tenant: TenantId::DEFAULT,
            id: "t".to_owned(),
        };
        let count = |now_us| attempts.count(Some(&token), AuthOutcome::Accepted, now_us);
        let first = count(100).unwrap();
        assert_eq!((first.first, first.last, first.times), (100, 100, 1));
        assert_eq!(count(200), None);
        assert_eq!(count(300), None);
        let later = count(100 + STEP_US).unwrap();
        assert_eq!(
            (later.first, later.last, later.times),
            (200, 100 + STEP_US, 3)
        );
        assert!(
            attempts
                .count(Some(&token), AuthOutcome::Bare, 400)
                .is_some(),
            "another kind"
        );
    }

    #[test]
    fn unknown_secrets_are_classified() {
        let check = |secret: &str, kind| {
            assert_eq!(AuthOutcome::of_unknown_secret(secret), kind, "{secret}")
        };
        check("rct_short", AuthOutcome::Cut);
        check(&crate::auth::token::format([7; 32]), AuthOutcome::Unknown);
        check("SSWS 00abc", AuthOutcome::Okta);
        check(&format!("00{}", "a".repeat(40)), AuthOutcome::Okta);
        check("password", AuthOutcome::Unknown);
    }

    #[test]
    fn every_kind_has_its_own_word() {
        for kind in AuthOutcome::ALL {
            assert_eq!(AuthOutcome::parse(kind.as_str()), Some(kind));
        }
        assert_eq!(AuthOutcome::parse("other"), None);
    }
}
