//! The issuers that are trusted, and the check of a token against their keys.

use std::sync::Arc;

use jiff::Timestamp;

use crate::auth::Principal;
use crate::auth::jwt::{self, Claimed, Issuer, KeySet, Rejected, Spoken};
use crate::issuers::fetch::Bounds;
use crate::issuers::keys::{Keys, Pace};

/// Where an issuer's keys come from.
#[derive(Debug, Clone)]
pub enum Origin {
    /// A file, read once.
    Fixed(KeySet),
    /// The address of the key set.
    Address(String),
    /// The issuer's metadata name the address (`OpenID` Connect Discovery section 4, RFC 8414 section 3).
    Discovery,
}

/// All issuers that are trusted.
#[derive(Debug, Default)]
pub struct Issuers(Vec<Trusted>);

#[derive(Debug)]
struct Trusted {
    issuer: Issuer,
    keys: Arc<Keys>,
}

/// A token that was checked.
#[derive(Debug)]
pub struct Verified {
    pub principal: Principal,
    pub pass: Pass,
}

/// What the verdict on a token stands on: to check it again would come to the same for as long as this holds.
#[derive(Debug)]
pub struct Pass {
    keys: Arc<Keys>,
    set: Arc<KeySet>,
    until_s: i64,
}

impl Pass {
    /// Whether the token has not expired, and the keys that it was checked with are still the issuer's and not so old that
    /// they would be asked for again.
    pub fn holds(&self, now: Timestamp) -> bool {
        now.as_second() < self.until_s && self.keys.are_still(&self.set, now)
    }
}

impl Issuers {
    /// Several entries may name one issuer, each with an audience of its own; they share its keys.
    pub fn new(entries: Vec<(Issuer, Origin)>, pace: Pace, bounds: Bounds) -> Self {
        let mut trusted: Vec<Trusted> = Vec::with_capacity(entries.len());
        for (issuer, origin) in entries {
            let shared = trusted
                .iter()
                .find(|other| other.keys.are_of(&issuer.issuer, &origin))
                .map(|other| Arc::clone(&other.keys));
            let keys = shared.unwrap_or_else(|| Keys::new(&issuer.issuer, origin, pace, bounds));
            trusted.push(Trusted { issuer, keys });
        }
        Self(trusted)
    }

    /// Checks an access token and answers who it speaks for.
    ///
    /// Keys are asked for only where the token names an issuer that is trusted, and never more often than the pace
    /// allows, whatever tokens come.
    ///
    /// # Errors
    /// See [`Rejected`].
    pub async fn verify(&self, token: &str, now: Timestamp) -> Result<Verified, Rejected> {
        let claimed = Claimed::read(token)?;
        let mut reason = Rejected::Issuer;
        let of_issuer = self
            .0
            .iter()
            .filter(|trusted| trusted.issuer.issuer == claimed.issuer);
        for trusted in of_issuer {
            let set = trusted.keys.for_kid(&claimed.kid, now).await;
            match jwt::verify(token, &claimed, &trusted.issuer, &set, now) {
                Ok(Spoken { principal, until_s }) => {
                    let keys = Arc::clone(&trusted.keys);
                    let pass = Pass { keys, set, until_s };
                    return Ok(Verified { principal, pass });
                }
                Err(rejected) => reason = rejected,
            }
        }
        Err(reason)
    }
}
