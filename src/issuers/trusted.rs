//! The trusted issuers, and the verification of tokens with their keys.

use std::sync::Arc;

use jiff::Timestamp;

use crate::auth::Principal;
use crate::auth::jwt::{self, Issuer, KeySet, Rejected, Subject, UnverifiedToken};
use crate::issuers::Origin;
use crate::issuers::fetch::Bounds;
use crate::issuers::keys::{Keys, Pace};

/// All trusted issuers.
#[derive(Debug, Default)]
pub struct Issuers(Vec<Trusted>);

#[derive(Debug)]
struct Trusted {
    issuer: Issuer,
    keys: Arc<Keys>,
}

/// The result of verifying a token.
#[derive(Debug)]
pub struct Verified {
    pub principal: Principal,
    pub validity: Validity,
}

/// The conditions under which a token was found valid: while they hold, verifying it again would
/// have the same result.
#[derive(Debug)]
pub struct Validity {
    keys: Arc<Keys>,
    set: Arc<KeySet>,
    until_s: i64,
}

impl Validity {
    /// Returns whether the token has not expired, and the keys that verified it are still the
    /// issuer's and not due for a refresh.
    pub fn holds(&self, now: Timestamp) -> bool {
        now.as_second() < self.until_s && self.keys.is_current(&self.set, now)
    }

    /// The second from which the token has expired.
    pub fn until_s(&self) -> i64 {
        self.until_s
    }
}

impl Issuers {
    /// Creates the set of issuers. Several entries may name one issuer, each with its own audience;
    /// they share its keys.
    pub fn new(entries: Vec<(Issuer, Origin)>, pace: Pace, bounds: Bounds) -> Self {
        let mut trusted: Vec<Trusted> = Vec::with_capacity(entries.len());
        for (issuer, origin) in entries {
            let shared = trusted
                .iter()
                .find(|other| other.keys.matches(&issuer.issuer, &origin))
                .map(|other| Arc::clone(&other.keys));
            let keys = shared.unwrap_or_else(|| Keys::new(&issuer.issuer, origin, pace, bounds));
            trusted.push(Trusted { issuer, keys });
        }
        Self(trusted)
    }

    /// Verifies an access token and returns its principal.
    ///
    /// Fetches keys only if the token names a trusted issuer, and never more often than the pace
    /// allows.
    ///
    /// # Errors
    /// The reason for which the token is not valid.
    pub async fn verify(&self, token: &str, now: Timestamp) -> Result<Verified, Rejected> {
        let unverified = UnverifiedToken::parse(token)?;
        let mut reason = Rejected::Issuer;
        let entries = self
            .0
            .iter()
            .filter(|trusted| trusted.issuer.issuer == unverified.issuer);
        for trusted in entries {
            let set = trusted.keys.get(&unverified.kid, now).await;
            match jwt::verify(&unverified, &trusted.issuer, &set, now) {
                Ok(Subject { principal, until_s }) => {
                    let keys = Arc::clone(&trusted.keys);
                    let validity = Validity { keys, set, until_s };
                    return Ok(Verified {
                        principal,
                        validity,
                    });
                }
                Err(rejected) => reason = rejected,
            }
        }
        Err(reason)
    }
}
