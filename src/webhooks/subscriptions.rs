//! Subscriptions to changes: creating, listing, changing and deleting them.

use jiff::{SignedDuration, Timestamp};

use crate::clock::Clock;
use crate::service::Error;
use crate::store::tables::changes::ChangeKind;
use crate::store::tables::subscriptions::{DeadLetter, Subscription};
use crate::store::tables::tenants::Tenant;
use crate::store::tables::{subscriptions, tenants};
use crate::store::{Conn, Store, StoreError};
use crate::webhooks::message::{DeliveryTarget, target_of};
use crate::webhooks::sign::SigningSecret;

/// How many dead letters are shown.
const LETTERS_SHOWN: i64 = 1000;

/// What a new subscription shall be.
#[derive(Debug, Clone)]
pub struct NewSubscription {
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
pub struct SubscriptionView {
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
pub async fn create(
    store: &Store,
    wish: NewSubscription,
    clock: &dyn Clock,
) -> Result<SigningSecret, Error> {
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
                tenant: tenant.id,
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

fn check(wish: &NewSubscription) -> Result<(), Error> {
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
pub async fn list(store: &Store, tenant_name: String) -> Result<Vec<SubscriptionView>, Error> {
    store
        .read(move |conn| {
            let tenant = tenant(conn, &tenant_name)?;
            let rows = subscriptions::list(conn, tenant.id)?;
            rows.into_iter()
                .map(|row| {
                    Ok(SubscriptionView {
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
pub enum Redelivery {
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
    again: Redelivery,
) -> Result<usize, Error> {
    store
        .admin(move |conn| {
            let row = find(conn, &tenant_name, &name)?;
            let key = row.key();
            let (wanted, done_seq) = match again {
                Redelivery::DeadLetters => (subscriptions::want(conn, &key, None)?, None),
                Redelivery::DeadLetter { seq } => {
                    let wanted = subscriptions::want(conn, &key, Some(seq))?;
                    if wanted == 0 {
                        return Err(Error::NotFound(format!(
                            "A dead letter of change {seq} for the webhook `{name}`"
                        )));
                    }
                    (wanted, None)
                }
                Redelivery::After { seq } => {
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
) -> Result<DeliveryTarget, Error> {
    store
        .read(move |conn| target_of(&find(conn, &tenant, &name)?, now))
        .await
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
