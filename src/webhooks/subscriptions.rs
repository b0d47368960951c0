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

/// The most dead letters that are listed.
const MAX_DEAD_LETTERS: i64 = 1000;

/// A subscription to create.
#[derive(Debug, Clone)]
pub struct NewSubscription {
    pub tenant: String,
    pub name: String,
    pub url: String,
    /// Names of kinds, such as `created` or `member_added`; an empty list selects all.
    pub kinds: Vec<String>,
    /// Names of resource types; an empty list selects all.
    pub resource_types: Vec<String>,
    /// The number of the change after which it begins; `None` begins with the next change.
    pub after: Option<i64>,
}

/// A subscription as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriptionView {
    pub name: String,
    pub url: String,
    pub kinds: Vec<String>,
    pub resource_types: Vec<String>,
    /// Microseconds since the epoch.
    pub created: i64,
    /// The reason why it was stopped.
    pub stopped: Option<String>,
    /// The number of the last change that was delivered, given up or not selected.
    pub done_seq: i64,
    /// The number of the tenant's changes after that one.
    pub behind: i64,
    pub attempts: i64,
    /// The reason why the last attempt failed.
    pub failure: Option<String>,
    pub dead_letters: i64,
}

/// Creates a subscription and returns its secret.
///
/// # Errors
/// [`Error::NotFound`] for the tenant, [`Error::Conflict`] for a name that is taken,
/// [`Error::BadRequest`] for an invalid name, URL, kind or number.
pub async fn create(
    store: &Store,
    new: NewSubscription,
    clock: &dyn Clock,
) -> Result<SigningSecret, Error> {
    check(&new)?;
    let secret = SigningSecret::generate()?;
    let id = clock.new_id();
    let created = clock.now().as_microsecond();
    let text = secret.to_text();
    store
        .admin(move |conn| {
            let tenant = tenant(conn, &new.tenant)?;
            let done_seq = new.after.unwrap_or(tenant.change_seq);
            if !(0..=tenant.change_seq).contains(&done_seq) {
                return Err(Error::BadRequest(format!(
                    "the last change of this tenant is number {}; `after` is a number up to that",
                    tenant.change_seq
                )));
            }
            let name = &new.name;
            let row = Subscription {
                tenant: tenant.id,
                id: id.clone(),
                name: name.clone(),
                url: new.url.clone(),
                kinds: new.kinds.join(" "),
                resource_types: new.resource_types.join(" "),
                secret: text.clone(),
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

fn check(new: &NewSubscription) -> Result<(), Error> {
    let fits = !new.name.is_empty()
        && new.name.len() <= 63
        && new
            .name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    if !fits {
        return Err(Error::BadRequest(
            "a webhook's name has 1 to 63 characters out of A-Z, a-z, 0-9, `-`, `_` and `.`".into(),
        ));
    }
    if new.url.len() > 2_000 {
        return Err(Error::BadRequest(
            "a webhook's URL has at most 2000 bytes".into(),
        ));
    }
    if let Some(unknown) = new
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
    if !new.resource_types.iter().all(is_word) || new.resource_types.len() > 100 {
        return Err(Error::BadRequest(
            "a resource type is named as in /ResourceTypes, such as User".into(),
        ));
    }
    Ok(())
}

/// Lists the subscriptions of a tenant by name, without their secrets.
///
/// # Errors
/// [`Error::NotFound`] for the tenant.
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

/// Lists the first thousand changes that were given up for a subscription.
///
/// # Errors
/// [`Error::NotFound`] for the tenant or the name.
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
                MAX_DEAD_LETTERS,
            )?)
        })
        .await
}

/// Deletes a subscription. Deliveries in flight may still arrive.
///
/// # Errors
/// [`Error::NotFound`] for the tenant or the name.
pub async fn delete(store: &Store, tenant: String, name: String) -> Result<(), Error> {
    store
        .admin(move |conn| {
            let row = find(conn, &tenant, &name)?;
            Ok(subscriptions::delete(conn, &row.key())?)
        })
        .await
}

/// Creates a new secret. The previous one also signs for `keep`.
///
/// # Errors
/// [`Error::NotFound`] for the tenant or the name.
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

/// The deliveries to repeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redelivery {
    /// Every dead letter.
    DeadLetters,
    /// The dead letter of one change.
    DeadLetter { seq: i64 },
    /// Every change after this number, delivered before or not.
    After { seq: i64 },
}

/// Repeats deliveries and resumes a subscription that waits or was stopped. Returns the number of
/// dead letters that will be delivered again.
///
/// # Errors
/// [`Error::NotFound`] for the tenant, the name or the dead letter, [`Error::BadRequest`] for the
/// number.
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

/// Returns the receiver of a subscription and its secrets, for a test.
///
/// # Errors
/// [`Error::NotFound`] for the tenant or the name.
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
