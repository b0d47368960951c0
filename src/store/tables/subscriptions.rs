//! Webhook subscriptions, their progress, and the dead letters.
//!
//! A node that delivers holds the subscription for some time; every record of progress checks that
//! it still does. This module must not know HTTP, signatures or durations.

use diesel::dsl::exists;
use diesel::{
    BoolExpressionMethods, ExpressionMethods, Insertable, JoinOnDsl, OptionalExtension, QueryDsl,
    Queryable, RunQueryDsl,
};

use crate::store::engine::schema::{dead_letters, subscriptions, tenants};
use crate::store::{Conn, StoreError, TenantId};

/// A subscription. Times are microseconds since the epoch.
#[derive(Clone, PartialEq, Eq, Queryable, Insertable)]
#[diesel(table_name = subscriptions)]
pub struct Subscription {
    #[diesel(column_name = tenant_id, deserialize_as = i64, serialize_as = i64)]
    pub tenant: TenantId,
    pub id: String,
    pub name: String,
    pub url: String,
    /// Words separated by spaces; empty for all.
    pub kinds: String,
    pub resource_types: String,
    pub secret: String,
    pub old_secret: Option<String>,
    pub old_secret_until: Option<i64>,
    pub created: i64,
    /// The reason for which deliveries have stopped.
    pub stopped: Option<String>,
    /// The number of the last change that was delivered or given up.
    pub done_seq: i64,
    /// The number of attempts at the next change.
    pub attempts: i64,
    pub next_at: i64,
    pub failure: Option<String>,
    pub owner: Option<String>,
    pub owner_until: i64,
}

impl Subscription {
    pub fn key(&self) -> SubscriptionKey {
        SubscriptionKey {
            tenant: self.tenant,
            id: self.id.clone(),
        }
    }
}

/// The key of a subscription.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SubscriptionKey {
    pub tenant: TenantId,
    pub id: String,
}

/// A change whose delivery was given up.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Insertable)]
#[diesel(table_name = dead_letters)]
pub struct DeadLetter {
    #[diesel(column_name = tenant_id, deserialize_as = i64, serialize_as = i64)]
    pub tenant: TenantId,
    pub subscription_id: String,
    pub seq: i64,
    /// The time at which it was given up.
    pub at: i64,
    pub attempts: i64,
    pub failure: String,
    /// Whether an administrator asked for another attempt.
    pub wanted: bool,
}

/// Inserts a subscription. Fails with `Duplicate(SubscriptionName)` if the tenant has one of that
/// name.
pub fn insert(conn: &mut Conn, new: &Subscription) -> Result<(), StoreError> {
    diesel::insert_into(subscriptions::table)
        .values(new.clone())
        .execute(conn)?;
    Ok(())
}

/// Returns the subscriptions of a tenant, by name.
pub fn list(conn: &mut Conn, tenant: TenantId) -> Result<Vec<Subscription>, StoreError> {
    Ok(subscriptions::table
        .filter(subscriptions::tenant_id.eq(tenant.0))
        .order(subscriptions::name)
        .select(subscriptions::all_columns)
        .load(conn)?)
}

pub fn by_name(
    conn: &mut Conn,
    tenant: TenantId,
    name: &str,
) -> Result<Option<Subscription>, StoreError> {
    Ok(subscriptions::table
        .filter(subscriptions::tenant_id.eq(tenant.0))
        .filter(subscriptions::name.eq(name))
        .select(subscriptions::all_columns)
        .get_result(conn)
        .optional()?)
}

/// Removes the subscription and its dead letters.
pub fn delete(conn: &mut Conn, key: &SubscriptionKey) -> Result<(), StoreError> {
    diesel::delete(letters_of(key)).execute(conn)?;
    diesel::delete(row_of(key)).execute(conn)?;
    Ok(())
}

/// Sets the secret that signs from now on. The old one also signs until `old_until`.
pub fn rotate(
    conn: &mut Conn,
    key: &SubscriptionKey,
    secret: &str,
    old: &str,
    old_until: i64,
) -> Result<(), StoreError> {
    diesel::update(row_of(key))
        .set((
            subscriptions::secret.eq(secret),
            subscriptions::old_secret.eq(old),
            subscriptions::old_secret_until.eq(old_until),
        ))
        .execute(conn)?;
    Ok(())
}

/// Resumes deliveries at once if they wait or were stopped; after `done_seq`, if one is given.
pub fn resume(
    conn: &mut Conn,
    key: &SubscriptionKey,
    done_seq: Option<i64>,
) -> Result<(), StoreError> {
    diesel::update(row_of(key))
        .set((
            subscriptions::next_at.eq(0),
            subscriptions::attempts.eq(0),
            subscriptions::stopped.eq(None::<String>),
        ))
        .execute(conn)?;
    if let Some(done_seq) = done_seq {
        // The node that currently delivers loses the subscription: its next record of progress
        // fails.
        diesel::update(row_of(key))
            .set((
                subscriptions::done_seq.eq(done_seq),
                subscriptions::owner.eq(None::<String>),
                subscriptions::owner_until.eq(0),
            ))
            .execute(conn)?;
    }
    Ok(())
}

/// Returns the subscriptions that have something to deliver and that no node holds.
pub fn due(conn: &mut Conn, now: i64) -> Result<Vec<SubscriptionKey>, StoreError> {
    let wanted = dead_letters::table
        .filter(dead_letters::tenant_id.eq(subscriptions::tenant_id))
        .filter(dead_letters::subscription_id.eq(subscriptions::id))
        .filter(dead_letters::wanted.eq(true));
    let found: Vec<(i64, String)> = subscriptions::table
        .inner_join(tenants::table.on(tenants::id.eq(subscriptions::tenant_id)))
        .filter(subscriptions::stopped.is_null())
        .filter(subscriptions::next_at.le(now))
        .filter(subscriptions::owner_until.le(now))
        .filter(
            subscriptions::done_seq
                .lt(tenants::change_seq)
                .or(exists(wanted)),
        )
        .order((subscriptions::next_at, subscriptions::id))
        .select((subscriptions::tenant_id, subscriptions::id))
        .load(conn)?;
    Ok(found
        .into_iter()
        .map(|(tenant, id)| SubscriptionKey {
            tenant: TenantId(tenant),
            id,
        })
        .collect())
}

/// Returns the first change of a tenant that some subscription may still have to deliver.
pub fn first_undelivered(conn: &mut Conn, tenant: TenantId) -> Result<Option<i64>, StoreError> {
    let done: Option<i64> = subscriptions::table
        .filter(subscriptions::tenant_id.eq(tenant.0))
        .filter(subscriptions::stopped.is_null())
        .select(diesel::dsl::min(subscriptions::done_seq))
        .get_result(conn)?;
    Ok(done.map(|done| done.saturating_add(1)))
}

/// Takes the subscription for a node until a time. Returns `None` if another node was faster, or if
/// it was deleted or is not due.
pub fn claim(
    conn: &mut Conn,
    key: &SubscriptionKey,
    node: &str,
    now: i64,
    until: i64,
) -> Result<Option<Subscription>, StoreError> {
    let free = row_of(key)
        .filter(subscriptions::stopped.is_null())
        .filter(subscriptions::next_at.le(now))
        .filter(subscriptions::owner_until.le(now));
    Ok(diesel::update(free)
        .set((
            subscriptions::owner.eq(node),
            subscriptions::owner_until.eq(until),
        ))
        .returning(subscriptions::all_columns)
        .get_result(conn)
        .optional()?)
}

/// The progress that a node records for the subscription that it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// All changes up to `seq` are delivered, and the node keeps the subscription.
    Done { seq: i64, until: i64 },
    /// Nothing is left to deliver for now.
    Finished { seq: i64 },
    /// The change after `seq` failed; it is retried at `next_at` or later.
    Failed {
        seq: i64,
        attempts: i64,
        next_at: i64,
        failure: String,
    },
    /// The receiver asked for an end of deliveries.
    Stopped { seq: i64, why: String },
}

/// Records progress. Returns false if the node no longer holds the subscription: then nothing was
/// recorded, and it must stop delivering.
pub fn note(
    conn: &mut Conn,
    key: &SubscriptionKey,
    node: &str,
    note: &Progress,
) -> Result<bool, StoreError> {
    use subscriptions::{done_seq, stopped};
    let held = row_of(key).filter(subscriptions::owner.eq(node));
    let released = (
        subscriptions::owner.eq(None::<String>),
        subscriptions::owner_until.eq(0),
    );
    let healthy = (
        subscriptions::attempts.eq(0),
        subscriptions::failure.eq(None::<String>),
        subscriptions::next_at.eq(0),
    );
    let noted = match note {
        Progress::Done { seq, until } => diesel::update(held)
            .set((
                subscriptions::done_seq.eq(seq),
                subscriptions::owner_until.eq(until),
                healthy,
            ))
            .execute(conn)?,
        Progress::Finished { seq } => diesel::update(held)
            .set((done_seq.eq(seq), released, healthy))
            .execute(conn)?,
        Progress::Failed {
            seq,
            attempts,
            next_at,
            failure,
        } => diesel::update(held)
            .set((
                subscriptions::done_seq.eq(seq),
                subscriptions::attempts.eq(attempts),
                subscriptions::failure.eq(failure),
                subscriptions::next_at.eq(next_at),
                released,
            ))
            .execute(conn)?,
        Progress::Stopped { seq, why } => diesel::update(held)
            .set((done_seq.eq(seq), stopped.eq(why), released))
            .execute(conn)?,
    };
    Ok(noted == 1)
}

/// Records a dead letter for a change.
pub fn record_dead_letter(conn: &mut Conn, letter: &DeadLetter) -> Result<(), StoreError> {
    // It may have been given up before, if an administrator went back to an earlier change.
    forget(conn, letter)?;
    diesel::insert_into(dead_letters::table)
        .values(letter.clone())
        .execute(conn)?;
    Ok(())
}

/// Removes a dead letter that was delivered or has nothing left to deliver.
pub fn forget(conn: &mut Conn, letter: &DeadLetter) -> Result<(), StoreError> {
    diesel::delete(
        dead_letters::table
            .filter(dead_letters::tenant_id.eq(letter.tenant.0))
            .filter(dead_letters::subscription_id.eq(&letter.subscription_id))
            .filter(dead_letters::seq.eq(letter.seq)),
    )
    .execute(conn)?;
    Ok(())
}

/// Returns the dead letters of a subscription, in the order of their changes.
pub fn dead_letters(
    conn: &mut Conn,
    key: &SubscriptionKey,
    limit: i64,
) -> Result<Vec<DeadLetter>, StoreError> {
    Ok(letters_of(key)
        .order(dead_letters::seq)
        .limit(limit)
        .select(dead_letters::all_columns)
        .load(conn)?)
}

/// Returns the dead letters for which another attempt was asked.
pub fn wanted(
    conn: &mut Conn,
    key: &SubscriptionKey,
    limit: i64,
) -> Result<Vec<DeadLetter>, StoreError> {
    Ok(letters_of(key)
        .filter(dead_letters::wanted.eq(true))
        .order(dead_letters::seq)
        .limit(limit)
        .select(dead_letters::all_columns)
        .load(conn)?)
}

pub fn count_dead_letters(conn: &mut Conn, key: &SubscriptionKey) -> Result<i64, StoreError> {
    Ok(letters_of(key).count().get_result(conn)?)
}

/// Asks for another attempt at all dead letters of a subscription, or at that of one change.
/// Returns how many there are.
pub fn want(conn: &mut Conn, key: &SubscriptionKey, seq: Option<i64>) -> Result<usize, StoreError> {
    let (from, to) = seq.map_or((0, i64::MAX), |seq| (seq, seq));
    Ok(
        diesel::update(letters_of(key).filter(dead_letters::seq.between(from, to)))
            .set(dead_letters::wanted.eq(true))
            .execute(conn)?,
    )
}

#[diesel::dsl::auto_type(no_type_alias)]
fn row_of<'k>(key: &'k SubscriptionKey) -> _ {
    let tenant: i64 = key.tenant.0;
    let id: &'k str = key.id.as_str();
    subscriptions::table
        .filter(subscriptions::tenant_id.eq(tenant))
        .filter(subscriptions::id.eq(id))
}

#[diesel::dsl::auto_type(no_type_alias)]
fn letters_of<'k>(key: &'k SubscriptionKey) -> _ {
    let tenant: i64 = key.tenant.0;
    let id: &'k str = key.id.as_str();
    dead_letters::table
        .filter(dead_letters::tenant_id.eq(tenant))
        .filter(dead_letters::subscription_id.eq(id))
}
