//! Notes how requests were authenticated, so that `rollcall setup`, which is another process on the same database, can see
//! when Okta first came and what is wrong with what an admin typed there.
//!
//! Kinds and times alone, never a credential. It costs a request a lock and a look; the database is written to at most
//! every few seconds for each kind, in the background, and no request waits for it or fails over it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::auth::credential::Form;
use crate::store::tables::auth_attempts;
use crate::store::tables::auth_attempts::AuthAttempt;
use crate::store::{Store, TenantId};

/// How often one kind of one token is written, in microseconds.
const STEP_US: i64 = 5 * 1_000_000;
/// Tokens beyond this many are not noted until a restart.
const MAX_KEYS: usize = 10_000;

/// How a request was authenticated, or why it was not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AuthOutcome {
    /// `Bearer TOKEN`.
    Accepted,
    /// The token alone, without the word in front: it was taken all the same.
    Bare,
    /// `Bearer Bearer TOKEN`: taken too.
    Doubled,
    /// `Basic`, with the token as the password.
    Basic,
    /// No `Authorization` at all.
    Missing,
    /// A header that holds no credential.
    Malformed,
    /// A token of ours that was revoked.
    Revoked,
    /// A token of ours whose time is over.
    Expired,
    /// It starts as our tokens do, and is shorter or longer.
    Cut,
    /// A token for Okta's own API was typed in the place of ours.
    Okta,
    /// Whatever else is no token of ours.
    Unknown,
}

/// A note for another process to read. All times are microseconds since the epoch.
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

    /// How a good token came.
    pub fn of_form(form: Form) -> Self {
        match form {
            Form::Bearer => Self::Accepted,
            Form::Bare => Self::Bare,
            Form::Doubled => Self::Doubled,
            Form::Basic => Self::Basic,
        }
    }

    /// What a secret is that no token has.
    pub fn of_stranger(secret: &str) -> Self {
        let word = secret.split(' ').next().unwrap_or_default();
        if secret.starts_with(crate::auth::token::PREFIX)
            && !crate::auth::token::has_token_length(secret)
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

    /// Whether the request was let in.
    pub fn is_accepted(self) -> bool {
        matches!(
            self,
            Self::Accepted | Self::Bare | Self::Doubled | Self::Basic
        )
    }
}

/// What was seen and not yet written.
#[derive(Debug, Default)]
pub struct AuthAttempts {
    seen: Mutex<HashMap<(i64, String, AuthOutcome), Seen>>,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    first_us: i64,
    times: i64,
    written_us: Option<i64>,
}

impl AuthAttempts {
    /// Counts one request; answers what is to be written now, if anything is.
    fn count(
        &self,
        tenant: TenantId,
        token: &str,
        kind: AuthOutcome,
        now_us: i64,
    ) -> Option<AuthAttempt> {
        let mut all = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (tenant.0, token.to_owned(), kind);
        if all.len() >= MAX_KEYS && !all.contains_key(&key) {
            return None;
        }
        let seen = all.entry(key).or_insert(Seen {
            first_us: now_us,
            times: 0,
            written_us: None,
        });
        if seen.times == 0 {
            seen.first_us = now_us;
        }
        seen.times = seen.times.saturating_add(1);
        if seen
            .written_us
            .is_some_and(|at| now_us.saturating_sub(at) < STEP_US)
        {
            return None;
        }
        let times = std::mem::take(&mut seen.times);
        seen.written_us = Some(now_us);
        Some(AuthAttempt {
            tenant,
            token: token.to_owned(),
            kind: kind.as_str().to_owned(),
            first: seen.first_us,
            last: now_us,
            times,
        })
    }
}

/// Notes a request of a known token.
pub fn note(
    arrivals: &AuthAttempts,
    store: &Arc<Store>,
    tenant: TenantId,
    token: &str,
    kind: AuthOutcome,
    now_us: i64,
) {
    let Some(arrival) = arrivals.count(tenant, token, kind, now_us) else {
        return;
    };
    let store = Arc::clone(store);
    tokio::spawn(async move {
        let written = store
            .admin(move |conn| auth_attempts::note(conn, &arrival))
            .await;
        if let Err(error) = written {
            tracing::debug!(%error, "an arrival was not written");
        }
    });
}

/// Notes a request that was refused because its credential is nobody's.
pub fn note_stranger(arrivals: &AuthAttempts, store: &Arc<Store>, kind: AuthOutcome, now_us: i64) {
    note(arrivals, store, NOBODY, "", kind, now_us);
}

/// What stands for no tenant.
pub const NOBODY: TenantId = TenantId(0);

/// Reads the notes of a token, and with no token those of strangers.
///
/// # Errors
/// Where the database does not answer.
pub async fn of_token(
    store: &Store,
    tenant: TenantId,
    token: String,
) -> Result<Vec<AttemptSummary>, crate::service::Error> {
    let rows = store
        .read(move |conn| {
            Ok::<_, crate::service::Error>(auth_attempts::of_token(conn, tenant, &token)?)
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

    const TENANT: TenantId = TenantId(1);

    #[test]
    fn the_first_is_written_at_once_and_the_rest_together() {
        let arrivals = AuthAttempts::default();
        let count = |now_us| arrivals.count(TENANT, "t", AuthOutcome::Accepted, now_us);
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
            arrivals
                .count(TENANT, "t", AuthOutcome::Bare, 400)
                .is_some(),
            "another kind"
        );
    }

    #[test]
    fn strangers() {
        let check =
            |secret: &str, kind| assert_eq!(AuthOutcome::of_stranger(secret), kind, "{secret}");
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
