//! Who is told of changes, how far each has been told, and what was given up.
//!
//! A node that delivers holds the subscription for a while; every note of progress checks that it still does. It must
//! not know HTTP, signatures or how long anything takes.

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
    pub tenant_id: i64,
    pub id: String,
    pub name: String,
    pub url: String,
    /// Words with blanks between them; empty: all.
    pub kinds: String,
    pub resource_types: String,
    pub secret: String,
    pub old_secret: Option<String>,
    pub old_secret_until: Option<i64>,
    pub created: i64,
    /// Why nothing is sent any more.
    pub stopped: Option<String>,
    /// The number of the last change that is done with.
    pub done_seq: i64,
    /// How often the change that comes next was tried.
    pub attempts: i64,
    pub next_at: i64,
    pub failure: Option<String>,
    pub owner: Option<String>,
    pub owner_until: i64,
}

impl Subscription {
    pub fn key(&self) -> Key {
        Key {
            tenant: TenantId(self.tenant_id),
            id: self.id.clone(),
        }
    }
}

/// Which subscription.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    pub tenant: TenantId,
    pub id: String,
}

/// A change that was given up.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Insertable)]
#[diesel(table_name = dead_letters)]
pub struct DeadLetter {
    pub tenant_id: i64,
    pub subscription_id: String,
    pub seq: i64,
    /// When it was given up.
    pub at: i64,
    pub attempts: i64,
    pub failure: String,
    /// Whether somebody asked to try once more.
    pub wanted: bool,
}

/// `Duplicate(SubscriptionName)` where the tenant has one of that name.
pub fn insert(conn: &mut Conn, new: &Subscription) -> Result<(), StoreError> {
    diesel::insert_into(subscriptions::table)
        .values(new.clone())
        .execute(conn)?;
    Ok(())
}

/// Those of a tenant, by name.
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
pub fn delete(conn: &mut Conn, key: &Key) -> Result<(), StoreError> {
    diesel::delete(letters_of(key)).execute(conn)?;
    diesel::delete(row_of(key)).execute(conn)?;
    Ok(())
}

/// The new secret signs from now on, the one before beside it until `old_until`.
pub fn rotate(
    conn: &mut Conn,
    key: &Key,
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

/// Goes on at once, where it waits or was stopped; from behind `done_seq` where one is given.
pub fn resume(conn: &mut Conn, key: &Key, done_seq: Option<i64>) -> Result<(), StoreError> {
    diesel::update(row_of(key))
        .set((
            subscriptions::next_at.eq(0),
            subscriptions::attempts.eq(0),
            subscriptions::stopped.eq(None::<String>),
        ))
        .execute(conn)?;
    if let Some(done_seq) = done_seq {
        // Whoever delivers at the moment is behind: its next note of progress finds nothing to note.
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

/// The subscriptions that have something to deliver and that nobody holds.
pub fn due(conn: &mut Conn, now: i64) -> Result<Vec<Key>, StoreError> {
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
        .map(|(tenant, id)| Key {
            tenant: TenantId(tenant),
            id,
        })
        .collect())
}

/// The first change of a tenant that some subscription may still have to tell.
pub fn first_untold(conn: &mut Conn, tenant: TenantId) -> Result<Option<i64>, StoreError> {
    let done: Option<i64> = subscriptions::table
        .filter(subscriptions::tenant_id.eq(tenant.0))
        .filter(subscriptions::stopped.is_null())
        .select(diesel::dsl::min(subscriptions::done_seq))
        .get_result(conn)?;
    Ok(done.map(|done| done.saturating_add(1)))
}

/// Takes the subscription until a time. `None` where another node was faster, or it is gone or not due.
pub fn claim(
    conn: &mut Conn,
    key: &Key,
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

/// What a node notes about the subscription that it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// All up to here is delivered, and it goes on holding it.
    Done { seq: i64, until: i64 },
    /// There is nothing more for now.
    Finished { seq: i64 },
    /// The change behind `seq` failed; not again before `next_at`.
    Failed {
        seq: i64,
        attempts: i64,
        next_at: i64,
        failure: String,
    },
    /// The receiver wants no more.
    Stopped { seq: i64, why: String },
}

/// False where the node holds it no longer: nothing was noted, and it must deliver no more.
pub fn note(conn: &mut Conn, key: &Key, node: &str, note: &Note) -> Result<bool, StoreError> {
    let held = row_of(key).filter(subscriptions::owner.eq(node));
    let nobody = (
        subscriptions::owner.eq(None::<String>),
        subscriptions::owner_until.eq(0),
    );
    let well = (
        subscriptions::attempts.eq(0),
        subscriptions::failure.eq(None::<String>),
        subscriptions::next_at.eq(0),
    );
    let noted = match note {
        Note::Done { seq, until } => diesel::update(held)
            .set((
                subscriptions::done_seq.eq(seq),
                subscriptions::owner_until.eq(until),
                well,
            ))
            .execute(conn)?,
        Note::Finished { seq } => diesel::update(held)
            .set((subscriptions::done_seq.eq(seq), nobody, well))
            .execute(conn)?,
        Note::Failed {
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
                nobody,
            ))
            .execute(conn)?,
        Note::Stopped { seq, why } => diesel::update(held)
            .set((
                subscriptions::done_seq.eq(seq),
                subscriptions::stopped.eq(why),
                nobody,
            ))
            .execute(conn)?,
    };
    Ok(noted == 1)
}

/// Gives a change up.
pub fn bury(conn: &mut Conn, letter: &DeadLetter) -> Result<(), StoreError> {
    // It may have been given up before, where somebody went back.
    forget(conn, letter)?;
    diesel::insert_into(dead_letters::table)
        .values(letter.clone())
        .execute(conn)?;
    Ok(())
}

/// Takes a dead letter away: it was delivered, or there is nothing left to deliver.
pub fn forget(conn: &mut Conn, letter: &DeadLetter) -> Result<(), StoreError> {
    diesel::delete(
        dead_letters::table
            .filter(dead_letters::tenant_id.eq(letter.tenant_id))
            .filter(dead_letters::subscription_id.eq(&letter.subscription_id))
            .filter(dead_letters::seq.eq(letter.seq)),
    )
    .execute(conn)?;
    Ok(())
}

/// The dead letters of a subscription, in the order of their changes.
pub fn dead_letters(conn: &mut Conn, key: &Key, limit: i64) -> Result<Vec<DeadLetter>, StoreError> {
    Ok(letters_of(key)
        .order(dead_letters::seq)
        .limit(limit)
        .select(dead_letters::all_columns)
        .load(conn)?)
}

/// The dead letters that shall be tried once more.
pub fn wanted(conn: &mut Conn, key: &Key, limit: i64) -> Result<Vec<DeadLetter>, StoreError> {
    Ok(letters_of(key)
        .filter(dead_letters::wanted.eq(true))
        .order(dead_letters::seq)
        .limit(limit)
        .select(dead_letters::all_columns)
        .load(conn)?)
}

pub fn count_dead_letters(conn: &mut Conn, key: &Key) -> Result<i64, StoreError> {
    Ok(letters_of(key).count().get_result(conn)?)
}

/// Asks for all dead letters of a subscription, or for that of one change; returns how many.
pub fn want(conn: &mut Conn, key: &Key, seq: Option<i64>) -> Result<usize, StoreError> {
    let (from, to) = seq.map_or((0, i64::MAX), |seq| (seq, seq));
    Ok(
        diesel::update(letters_of(key).filter(dead_letters::seq.between(from, to)))
            .set(dead_letters::wanted.eq(true))
            .execute(conn)?,
    )
}

#[diesel::dsl::auto_type(no_type_alias)]
fn row_of<'k>(key: &'k Key) -> _ {
    let tenant: i64 = key.tenant.0;
    let id: &'k str = key.id.as_str();
    subscriptions::table
        .filter(subscriptions::tenant_id.eq(tenant))
        .filter(subscriptions::id.eq(id))
}

#[diesel::dsl::auto_type(no_type_alias)]
fn letters_of<'k>(key: &'k Key) -> _ {
    let tenant: i64 = key.tenant.0;
    let id: &'k str = key.id.as_str();
    dead_letters::table
        .filter(dead_letters::tenant_id.eq(tenant))
        .filter(dead_letters::subscription_id.eq(id))
}
