//! Subscriptions to changes: making, listing and ending them, and what a delivery says.
//!
//! The form is that of Standard Webhooks (<https://www.standardwebhooks.com>). How it gets there is the business of
//! `deliver`.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use scim_core::Registry;
use secrecy::{ExposeSecret as _, SecretSlice};
use serde::Serialize;
use serde_json::json;

use crate::clock::{self, Clock};
use crate::service::Error;
use crate::service::feed::{Change, View};
use crate::store::changes::{self, ChangeKind, Recorded};
use crate::store::subscriptions::{self, DeadLetter, Subscription};
use crate::store::tenants::{self, Tenant};
use crate::store::{Conn, Store, StoreError, TenantId};

/// What a secret starts with where it is shown.
const SECRET_PREFIX: &str = "whsec_";

/// Of a secret; Standard Webhooks asks for 24 to 64.
const SECRET_BYTES: usize = 32;

/// How many dead letters are shown.
const LETTERS_SHOWN: i64 = 1000;

/// The key that signs the deliveries of a subscription.
#[derive(Debug, Clone)]
pub struct SigningSecret(SecretSlice<u8>);

impl SigningSecret {
    fn generate() -> Result<Self, Error> {
        let bytes: [u8; SECRET_BYTES] = clock::random_bytes().map_err(Error::internal)?;
        Ok(Self(bytes.to_vec().into()))
    }

    /// The key of the HMAC.
    pub fn expose_secret(&self) -> &[u8] {
        self.0.expose_secret()
    }

    /// `whsec_…`, as receivers' libraries take it.
    pub fn to_text(&self) -> String {
        format!("{SECRET_PREFIX}{}", STANDARD.encode(self.expose_secret()))
    }

    /// # Errors
    /// Where it is none.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let bytes = text
            .strip_prefix(SECRET_PREFIX)
            .and_then(|text| STANDARD.decode(text).ok());
        bytes
            .map(|bytes| Self(bytes.into()))
            .ok_or_else(|| Error::internal("a stored secret of a webhook is damaged"))
    }
}

/// What a new subscription shall be.
#[derive(Debug, Clone)]
pub struct Wish {
    pub tenant: String,
    pub name: String,
    pub url: String,
    /// Names of kinds, such as `created` or `member_added`; none: all.
    pub kinds: Vec<String>,
    /// Names of resource types; none: all.
    pub resource_types: Vec<String>,
    /// The number of the last change that it shall not hear of; `None`: it hears of what happens from now on.
    pub after: Option<i64>,
}

/// A subscription as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    pub name: String,
    pub url: String,
    pub kinds: Vec<String>,
    pub resource_types: Vec<String>,
    /// Microseconds since the epoch.
    pub created: i64,
    /// Why nothing is sent any more.
    pub stopped: Option<String>,
    /// The last change that is done with.
    pub done_seq: i64,
    /// How many changes of the tenant are still to be looked at.
    pub behind: i64,
    pub attempts: i64,
    /// Why the last attempt failed, where it did.
    pub failure: Option<String>,
    pub dead_letters: i64,
}

/// Makes a subscription and answers its secret.
///
/// # Errors
/// An unknown tenant, a name that is taken, a URL, kind or number that cannot be.
pub async fn create(store: &Store, wish: Wish, clock: &dyn Clock) -> Result<SigningSecret, Error> {
    check(&wish)?;
    let secret = SigningSecret::generate()?;
    let (id, created, text) = (
        clock.new_id(),
        clock.now().as_microsecond(),
        secret.to_text(),
    );
    store
        .admin(move |conn| {
            let tenant = tenant(conn, &wish.tenant)?;
            let done_seq = wish.after.unwrap_or(tenant.change_seq);
            if !(0..=tenant.change_seq).contains(&done_seq) {
                return Err(Error::BadRequest(format!(
                    "the last change of this tenant is number {}; `after` is a number up to that",
                    tenant.change_seq
                )));
            }
            let name = wish.name.clone();
            let row = Subscription {
                tenant_id: tenant.id.0,
                id,
                name: wish.name,
                url: wish.url,
                kinds: wish.kinds.join(" "),
                resource_types: wish.resource_types.join(" "),
                secret: text,
                old_secret: None,
                old_secret_until: None,
                created,
                stopped: None,
                done_seq,
                attempts: 0,
                next_at: 0,
                failure: None,
                owner: None,
                owner_until: 0,
            };
            subscriptions::insert(conn, &row).map_err(|error| match error {
                StoreError::Duplicate(_) => Error::Conflict(format!(
                    "a webhook named `{name}` exists in this tenant; choose another name or delete that one first"
                )),
                other => other.into(),
            })
        })
        .await?;
    Ok(secret)
}

fn check(wish: &Wish) -> Result<(), Error> {
    let fits = !wish.name.is_empty()
        && wish.name.len() <= 63
        && wish
            .name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    if !fits {
        return Err(Error::BadRequest(
            "a webhook's name has 1 to 63 characters out of A-Z, a-z, 0-9, `-`, `_` and `.`".into(),
        ));
    }
    if wish.url.len() > 2_000 {
        return Err(Error::BadRequest(
            "a webhook's URL has at most 2000 bytes".into(),
        ));
    }
    if let Some(unknown) = wish
        .kinds
        .iter()
        .find(|kind| ChangeKind::parse(kind).is_none())
    {
        let known: Vec<&str> = ChangeKind::ALL.iter().map(|kind| kind.as_str()).collect();
        return Err(Error::BadRequest(format!(
            "there is no kind of change `{unknown}`; the kinds are {}",
            known.join(", ")
        )));
    }
    let is_word = |name: &String| {
        (1..=100).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric())
    };
    if !wish.resource_types.iter().all(is_word) || wish.resource_types.len() > 100 {
        return Err(Error::BadRequest(
            "a resource type is named as in /ResourceTypes, such as User".into(),
        ));
    }
    Ok(())
}

/// The subscriptions of a tenant, by name, without their secrets.
///
/// # Errors
/// An unknown tenant.
pub async fn list(store: &Store, tenant_name: String) -> Result<Vec<Shown>, Error> {
    store
        .read(move |conn| {
            let tenant = tenant(conn, &tenant_name)?;
            let rows = subscriptions::list(conn, tenant.id)?;
            rows.into_iter()
                .map(|row| {
                    Ok(Shown {
                        dead_letters: subscriptions::count_dead_letters(conn, &row.key())?,
                        name: row.name,
                        url: row.url,
                        kinds: words(&row.kinds),
                        resource_types: words(&row.resource_types),
                        created: row.created,
                        stopped: row.stopped,
                        behind: tenant.change_seq.saturating_sub(row.done_seq),
                        done_seq: row.done_seq,
                        attempts: row.attempts,
                        failure: row.failure,
                    })
                })
                .collect()
        })
        .await
}

/// The changes that were given up for a subscription, the first thousand.
///
/// # Errors
/// An unknown tenant or name.
pub async fn dead_letters(
    store: &Store,
    tenant: String,
    name: String,
) -> Result<Vec<DeadLetter>, Error> {
    store
        .read(move |conn| {
            let row = find(conn, &tenant, &name)?;
            Ok(subscriptions::dead_letters(
                conn,
                &row.key(),
                LETTERS_SHOWN,
            )?)
        })
        .await
}

/// Ends a subscription; what is on its way may still arrive.
///
/// # Errors
/// An unknown tenant or name.
pub async fn delete(store: &Store, tenant: String, name: String) -> Result<(), Error> {
    store
        .admin(move |conn| {
            let row = find(conn, &tenant, &name)?;
            Ok(subscriptions::delete(conn, &row.key())?)
        })
        .await
}

/// Makes a new secret; the one before signs beside it for `keep`.
///
/// # Errors
/// An unknown tenant or name.
pub async fn rotate(
    store: &Store,
    tenant: String,
    name: String,
    keep: SignedDuration,
    now: Timestamp,
) -> Result<SigningSecret, Error> {
    let secret = SigningSecret::generate()?;
    let text = secret.to_text();
    let until = now.saturating_add(keep).map_err(Error::internal)?;
    store
        .admin(move |conn| {
            let row = find(conn, &tenant, &name)?;
            let until = until.as_microsecond();
            subscriptions::rotate(conn, &row.key(), &text, &row.secret, until)?;
            Ok::<_, Error>(())
        })
        .await?;
    Ok(secret)
}

/// What to deliver once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// Every dead letter.
    DeadLetters,
    /// The dead letter of one change.
    DeadLetter { seq: i64 },
    /// Every change behind this number, delivered before or not.
    After { seq: i64 },
}

/// Asks for deliveries once more and has a subscription that waits or was stopped go on; returns how many dead letters
/// were asked for.
///
/// # Errors
/// An unknown tenant, name or number.
pub async fn redeliver(
    store: &Store,
    tenant_name: String,
    name: String,
    again: Again,
) -> Result<usize, Error> {
    store
        .admin(move |conn| {
            let row = find(conn, &tenant_name, &name)?;
            let key = row.key();
            let (wanted, done_seq) = match again {
                Again::DeadLetters => (subscriptions::want(conn, &key, None)?, None),
                Again::DeadLetter { seq } => {
                    let wanted = subscriptions::want(conn, &key, Some(seq))?;
                    if wanted == 0 {
                        return Err(Error::NotFound(format!(
                            "A dead letter of change {seq} for the webhook `{name}`"
                        )));
                    }
                    (wanted, None)
                }
                Again::After { seq } => {
                    if !(0..=row.done_seq).contains(&seq) {
                        return Err(Error::BadRequest(format!(
                            "the webhook `{name}` has not got beyond change {}; name a number up to that",
                            row.done_seq
                        )));
                    }
                    (0, Some(seq))
                }
            };
            subscriptions::resume(conn, &key, done_seq)?;
            Ok(wanted)
        })
        .await
}

/// Where a test is to be sent, and what signs it.
///
/// # Errors
/// An unknown tenant or name.
pub async fn target(
    store: &Store,
    tenant: String,
    name: String,
    now: Timestamp,
) -> Result<Target, Error> {
    store
        .read(move |conn| target_of(&find(conn, &tenant, &name)?, now))
        .await
}

/// Where a subscription's deliveries go, and the secrets that sign them, the newest first.
#[derive(Debug, Clone)]
pub struct Target {
    pub url: String,
    pub secrets: Vec<SigningSecret>,
}

/// # Errors
/// Where a stored secret is damaged.
pub fn target_of(row: &Subscription, now: Timestamp) -> Result<Target, Error> {
    let mut secrets = vec![SigningSecret::parse(&row.secret)?];
    if let (Some(old), Some(until)) = (&row.old_secret, row.old_secret_until)
        && now.as_microsecond() < until
    {
        secrets.push(SigningSecret::parse(old)?);
    }
    Ok(Target {
        url: row.url.clone(),
        secrets,
    })
}

/// Whether a subscription wants to hear of a change.
pub fn wants(row: &Subscription, change: &Recorded) -> bool {
    let is_in = |list: &str, word: &str| {
        list.is_empty() || list.split(' ').any(|one| one.eq_ignore_ascii_case(word))
    };
    // An erasure is told to everybody: whoever asks for some kinds has got values by them.
    let is_wanted =
        change.change.kind == ChangeKind::Erased || is_in(&row.kinds, change.change.kind.as_str());
    is_wanted && is_in(&row.resource_types, &change.change.resource_type)
}

/// What is posted: an id that stays the same over all attempts, and the body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub id: String,
    pub body: String,
}

/// Puts changes into words: what the feed tells one who may read everything.
pub struct Voice(View);

impl Voice {
    pub fn new(registry: &Arc<Registry>) -> Self {
        Self(View::whole(registry))
    }

    /// With the standard's types alone.
    #[cfg(test)]
    pub(crate) fn standard() -> Self {
        Self::new(&Arc::new(Registry::standard()))
    }

    /// The message of a change; `None` where there is nothing in it to see.
    ///
    /// # Errors
    /// Never in practice: what is told is JSON already.
    pub fn message(&self, tenant: &Tenant, recorded: Recorded) -> Result<Option<Message>, Error> {
        let Some(change) = self.0.change(recorded) else {
            return Ok(None);
        };
        let kind = change.kind.as_str();
        let body = Body {
            kind: format!("{}.{kind}", change.resource_type.to_ascii_lowercase()),
            timestamp: change.at,
            data: Data {
                tenant: &tenant.name,
                change: &change,
            },
        };
        Ok(Some(Message {
            id: format!("change_{}_{}", tenant.id.0, change.seq),
            body: serde_json::to_string(&body).map_err(Error::internal)?,
        }))
    }
}

#[derive(Serialize)]
struct Body<'a> {
    #[serde(rename = "type")]
    kind: String,
    timestamp: Timestamp,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    tenant: &'a str,
    #[serde(flatten)]
    change: &'a Change,
}

/// A message that says nothing, to try a receiver with.
pub fn test_message(tenant: &str, id: &str, now: Timestamp) -> Message {
    let body = json!({
        "type": "webhook.test",
        "timestamp": now.to_string(),
        "data": { "tenant": tenant },
    });
    Message {
        id: format!("test_{id}"),
        body: body.to_string(),
    }
}

/// The tenant's name and the changes behind a number, at most so many.
///
/// # Errors
/// Where the database does not answer.
pub fn changes_after(
    conn: &mut Conn,
    tenant: TenantId,
    seq: i64,
    limit: u32,
) -> Result<Option<(Tenant, Vec<Recorded>)>, StoreError> {
    let Some(tenant) = tenants::get(conn, tenant)? else {
        return Ok(None);
    };
    let found = changes::after(conn, tenant.id, seq, limit)?;
    Ok(Some((tenant, found)))
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn tenant(conn: &mut Conn, name: &str) -> Result<Tenant, Error> {
    tenants::by_name(conn, name)?.ok_or_else(|| Error::NotFound(format!("The tenant `{name}`")))
}

fn find(conn: &mut Conn, tenant_name: &str, name: &str) -> Result<Subscription, Error> {
    let tenant = tenant(conn, tenant_name)?;
    subscriptions::by_name(conn, tenant.id, name)?.ok_or_else(|| {
        Error::NotFound(format!(
            "A webhook named `{name}` in the tenant `{tenant_name}`"
        ))
    })
}
