//! The change feed: what happened in a tenant, in order and without gaps, and the state from which to follow it.

pub mod history;
mod shared_reads;
mod view;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;

use crate::auth::Scope;
use crate::service::error::Gone;
use crate::service::{Context, Error, Service};
use crate::store::tables::changes::{Reach, Recorded};
use crate::store::tables::{changes, members, resources};
use crate::store::{Conn, Store, StoreError, TenantId};

pub use crate::store::tables::changes::ChangeKind;
pub use crate::store::tables::members::Pair;
pub use shared_reads::{Batch, SharedReads};
pub(crate) use view::View;

/// The most changes of one page, and the most resources or members of one page of a snapshot.
pub const MOST: u32 = 1000;
/// The longest that a page waits for a change.
pub const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// How many changes are read at once, and how many a page may read that its filter leaves out.
const CHUNK: u32 = 200;
const MOST_READ: u32 = 10_000;
/// A page ends when its texts are longer than this.
const FULL_BYTES: usize = 8 << 20;
/// How many requests may wait for changes at a time.
const MOST_LISTENERS: usize = 4096;
/// How often a node asks a database that others write to.
const LOOK_ROUND: Duration = Duration::from_millis(250);
/// How many changes one write removes.
const PRUNED_AT_ONCE: u32 = 1000;

/// The places for those who wait for changes.
#[derive(Debug, Clone)]
pub struct Listeners(Arc<Semaphore>);

impl Default for Listeners {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MOST_LISTENERS)))
    }
}

/// Which changes are wanted; `None`: all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct ChangeFilter {
    pub kinds: Option<BTreeSet<ChangeKind>>,
    /// Names of resource types.
    pub types: Option<BTreeSet<String>>,
}

/// A change of a resource.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
#[schema(as = FeedChange)]
pub struct Change {
    /// One higher than that of the tenant's previous change.
    pub seq: i64,
    #[serde(serialize_with = "word")]
    #[schema(
        value_type = String,
        pattern = "^(created|updated|activated|deactivated|deleted|member_added|member_removed|member_skipped|erased)$"
    )]
    pub kind: ChangeKind,
    /// The resource type: `User`, `Group`.
    #[serde(rename = "type")]
    pub resource_type: String,
    /// The id of the resource. For a change of members, that of the group.
    pub id: String,
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// The name of the token, or the subject of the access token, that made the change.
    pub actor: String,
    /// The attributes that differ: of `updated`, `activated` and `deactivated`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attributes: Vec<Difference>,
    /// The ids of the members that were added or removed: of `member_added` and `member_removed`. For
    /// `member_skipped`, those that are unknown here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<String>,
    /// The whole resource, without its members, groups and `meta`: of `created` and `deleted`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub resource: Option<Map<String, Value>>,
    /// Whether the resource was erased, so that the change has no attributes, members or resource any
    /// more. Left out if it is false.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    pub erased: bool,
}

fn word<S: Serializer>(kind: &ChangeKind, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(kind.as_str())
}

/// An attribute that differs. Null is unassigned; of a secret both values are null.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
#[schema(as = FeedDifference)]
pub struct Difference {
    /// `title`, `name.givenName`, `emails`, or after the URN of an extension and a colon.
    pub path: String,
    #[schema(value_type = Value)]
    pub before: Option<Value>,
    #[schema(value_type = Value)]
    pub after: Option<Value>,
}

/// A part of the feed; its changes may have been brought into another form.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<C = Vec<Change>> {
    pub changes: C,
    /// Up to where it was read, also past what was not wanted: the `after` of the next page.
    pub next: i64,
    /// The number of the tenant's last change.
    pub last: i64,
}

/// The changes behind a number, as far as a replica has them: behind the last that it has, the primary is asked.
///
/// # Errors
/// [`Error::Gone`] where changes behind it are no longer there, or where the tenant has not come that far.
pub async fn page(
    service: &Service,
    context: &Context,
    after: i64,
    wanted: ChangeFilter,
    limit: u32,
) -> Result<Page, Error> {
    page_as(service, context, after, wanted, limit, push).await
}

/// [`page`] in another form, into which `take` brings one change after the other where they are read: a page may be some
/// megabytes, and its changes are several times as large before they are text.
///
/// # Errors
/// As [`page`], and what `take` says.
pub async fn page_as<C: Default + Send + 'static>(
    service: &Service,
    context: &Context,
    after: i64,
    wanted: ChangeFilter,
    limit: u32,
    take: fn(&mut C, Change) -> Result<(), Error>,
) -> Result<Page<C>, Error> {
    let work = reading(service, context, after, wanted, limit, take)?;
    service.read(context, work).await
}

fn push(changes: &mut Vec<Change>, change: Change) -> Result<(), Error> {
    changes.push(change);
    Ok(())
}

/// [`page`] of the primary, for who waits for changes: what a replica lacks does not ring.
///
/// # Errors
/// As [`page`].
async fn current(
    service: &Service,
    context: &Context,
    after: i64,
    wanted: ChangeFilter,
    limit: u32,
) -> Result<Page, Error> {
    let work = reading(service, context, after, wanted, limit, push)?;
    service.store.read(work).await
}

fn reading<C: Default>(
    service: &Service,
    context: &Context,
    after: i64,
    wanted: ChangeFilter,
    limit: u32,
    take: fn(&mut C, Change) -> Result<(), Error>,
) -> Result<impl FnOnce(&mut Conn) -> Result<Page<C>, Error> + Clone + Send + use<C>, Error> {
    context.require(Scope::Read)?;
    let (tenant, view) = (context.tenant(), View::of(context, &service.registry));
    let limit = usize::try_from(limit.clamp(1, MOST)).unwrap_or(usize::MAX);
    let span = Span {
        tenant,
        view,
        after,
        wanted,
        limit,
    };
    Ok(move |conn: &mut Conn| span.read(conn, take))
}

/// What a page is read by.
#[derive(Clone)]
struct Span {
    tenant: TenantId,
    view: View,
    after: i64,
    wanted: ChangeFilter,
    /// Of the changes on the page.
    limit: usize,
}

impl Span {
    fn read<C: Default>(
        &self,
        conn: &mut Conn,
        take: fn(&mut C, Change) -> Result<(), Error>,
    ) -> Result<Page<C>, Error> {
        let reach = reach(conn, self.tenant, self.after)?;
        let mut page = Page {
            changes: C::default(),
            next: self.after,
            last: reach.last,
        };
        let (mut count, mut size) = (0_usize, 0_usize);
        for _ in 0..MOST_READ / CHUNK {
            let rows = changes::after(conn, self.tenant, page.next, CHUNK)?;
            let is_end = u32::try_from(rows.len()).unwrap_or(CHUNK) < CHUNK;
            for row in rows {
                page.next = row.seq;
                let Recorded { change, .. } = &row;
                if !self.wanted.takes(&change.resource_type, change.kind) {
                    continue;
                }
                size += change.payload.len();
                if let Some(change) = self.view.change(row) {
                    take(&mut page.changes, change)?;
                    count += 1;
                }
                if count >= self.limit || size >= FULL_BYTES {
                    return Ok(page);
                }
            }
            if is_end {
                break;
            }
        }
        Ok(page)
    }
}

/// Whether a reader who has come to `after` has missed nothing.
fn reach(conn: &mut Conn, tenant: TenantId, after: i64) -> Result<Reach, Error> {
    let reach = changes::reach(conn, tenant)?.ok_or(StoreError::UnknownTenant(tenant))?;
    if after < reach.gone {
        return Err(Error::Gone(Gone::Removed { upto: reach.gone }));
    }
    if after > reach.last {
        return Err(Error::Gone(Gone::Ahead { last: reach.last }));
    }
    Ok(reach)
}

impl ChangeFilter {
    /// An erasure is told to everybody: whoever asks for some kinds has got values by them.
    fn takes(&self, resource_type: &str, kind: ChangeKind) -> bool {
        let is_kind = self
            .kinds
            .as_ref()
            .is_none_or(|kinds| kind == ChangeKind::Erased || kinds.contains(&kind));
        let types = self.types.as_ref();
        is_kind && types.is_none_or(|types| types.contains(resource_type))
    }
}

/// A place from which changes are waited for.
#[derive(Debug)]
pub struct Listener {
    bell: watch::Receiver<i64>,
    _place: OwnedSemaphorePermit,
}

impl Listener {
    /// Hears of every change that comes after this call.
    ///
    /// # Errors
    /// [`Error::Busy`] where too many listen already.
    pub fn new(service: &Service, context: &Context) -> Result<Self, Error> {
        let places = Arc::clone(&service.listeners.0);
        Ok(Self {
            _place: places.try_acquire_owned().map_err(|_| Error::Busy)?,
            bell: service.store.bell().listen(context.tenant()),
        })
    }

    /// Waits for a change, no longer than until `deadline`.
    pub async fn hear(&mut self, deadline: Instant) -> WaitOutcome {
        match tokio::time::timeout_at(deadline, self.bell.changed()).await {
            Ok(Ok(())) => WaitOutcome::Change,
            Ok(Err(_)) => WaitOutcome::End,
            Err(_) => WaitOutcome::Nothing,
        }
    }
}

/// What a [`Listener`] heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitOutcome {
    Change,
    Nothing,
    /// The service stops.
    End,
}

/// [`page`], which waits for a change that is wanted where there is none yet.
///
/// # Errors
/// As [`page`], and [`Error::Busy`] where too many wait already.
pub async fn wait(
    service: &Service,
    context: &Context,
    after: i64,
    wanted: ChangeFilter,
    limit: u32,
    patience: Duration,
) -> Result<Page, Error> {
    let deadline = Instant::now() + patience.min(LONGEST_WAIT);
    let mut listener = Listener::new(service, context)?;
    let mut from = after;
    loop {
        let page = current(service, context, from, wanted.clone(), limit).await?;
        if !page.changes.is_empty() {
            return Ok(page);
        }
        from = page.next;
        if page.next == page.last && listener.hear(deadline).await != WaitOutcome::Change {
            return Ok(page);
        }
    }
}

/// Where the tenant's feed ends at the moment.
///
/// # Errors
/// Where the database does not answer.
pub async fn last(service: &Service, context: &Context) -> Result<i64, Error> {
    context.require(Scope::Read)?;
    let tenant = context.tenant();
    let found = service.store.read(move |conn| changes::reach(conn, tenant));
    let reach = found.await?.ok_or(StoreError::UnknownTenant(tenant))?;
    Ok(reach.last)
}

/// Asks for the changes that other nodes made, for those who listen here, until the service ends. SQLite has one node.
pub async fn hear_other_nodes(store: Arc<Store>) {
    loop {
        tokio::time::sleep(LOOK_ROUND).await;
        let tenants = store.bell().listened();
        if tenants.is_empty() {
            continue;
        }
        let found = store
            .read(move |conn| {
                let reaches = tenants.into_iter().map(|tenant| {
                    let reach = changes::reach(conn, tenant)?;
                    Ok((tenant, reach.map_or(0, |reach| reach.last)))
                });
                reaches.collect::<Result<Vec<_>, StoreError>>()
            })
            .await;
        match found {
            Ok(found) => {
                for (tenant, last) in found {
                    store.bell().echo(tenant, last);
                }
            }
            Err(error) => tracing::debug!(%error, "other nodes' changes were not asked for"),
        }
    }
}

/// Removes the changes that are older than `keep`.
///
/// # Errors
/// Where the database does not answer.
pub async fn prune(store: &Store, now: Timestamp, keep: SignedDuration) -> Result<(), Error> {
    let before = now
        .as_microsecond()
        .saturating_sub(i64::try_from(keep.as_micros()).unwrap_or(i64::MAX));
    for tenant in crate::service::access::tenants::list(store).await? {
        // In small steps, for every write of the tenant waits meanwhile.
        while store
            .write(tenant.id, move |tx| {
                Ok::<_, Error>(changes::prune(tx, before, PRUNED_AT_ONCE)?)
            })
            .await?
        {}
    }
    Ok(())
}

/// A part of the state from which the feed is followed.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The number of the change from which on to follow, the same on every page of one walk: whoever has read all pages
    /// and applies every change behind this number has the tenant's state, though the pages were read at different times.
    pub seq: i64,
    pub resources: Vec<SnapshotItem>,
    pub members: Vec<Pair>,
    /// Where the next page starts; `None` at the end.
    pub next: Option<String>,
}

/// A resource, without its members, groups and `meta`.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[schema(as = FeedResource)]
pub struct SnapshotItem {
    pub id: String,
    #[serde(rename = "type")]
    pub resource_type: String,
    #[schema(value_type = Object)]
    pub resource: Map<String, Value>,
}

/// Where a walk stands: all resources by id, then all members.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
enum SnapshotPosition {
    Resource(String),
    Member(String, String),
}

/// One page of a snapshot. The walk is not one moment, and need not be: what changed during it comes by the feed again.
///
/// # Errors
/// [`Error::BadRequest`] for a cursor that is none, [`Error::Gone`] where the walk took longer than changes are kept.
pub async fn snapshot(
    service: &Service,
    context: &Context,
    cursor: Option<String>,
    limit: u32,
) -> Result<Snapshot, Error> {
    context.require(Scope::Read)?;
    let (tenant, view) = (context.tenant(), View::of(context, &service.registry));
    let from = cursor.as_deref().map(parse_cursor).transpose()?;
    let limit = limit.clamp(1, MOST);
    service
        .store
        .read(move |conn| match from {
            None => {
                let reach =
                    changes::reach(conn, tenant)?.ok_or(StoreError::UnknownTenant(tenant))?;
                walk(
                    conn,
                    tenant,
                    &view,
                    reach.last,
                    SnapshotPosition::Resource(String::new()),
                    limit,
                )
            }
            Some((seq, place)) => {
                reach(conn, tenant, seq)?;
                walk(conn, tenant, &view, seq, place, limit)
            }
        })
        .await
}

fn walk(
    conn: &mut Conn,
    tenant: TenantId,
    view: &View,
    seq: i64,
    place: SnapshotPosition,
    limit: u32,
) -> Result<Snapshot, Error> {
    let is_full = |count: usize| count >= usize::try_from(limit).unwrap_or(usize::MAX);
    let mut page = Snapshot {
        seq,
        resources: Vec::new(),
        members: Vec::new(),
        next: None,
    };
    let next = match place {
        SnapshotPosition::Resource(after) => {
            let rows = resources::all_after(conn, tenant, &after, limit)?;
            let last = rows.last().map(|row| row.id.to_string());
            let is_full = is_full(rows.len());
            page.resources = rows.into_iter().filter_map(|row| view.item(row)).collect();
            match last.filter(|_| is_full) {
                Some(last) => Some(SnapshotPosition::Resource(last)),
                None => view
                    .sees_members()
                    .then(|| SnapshotPosition::Member(String::new(), String::new())),
            }
        }
        SnapshotPosition::Member(group, member) => {
            if view.sees_members() {
                page.members = members::all_after(conn, tenant, &group, &member, limit)?;
            }
            let last = page.members.last().filter(|_| is_full(page.members.len()));
            last.map(|pair| {
                SnapshotPosition::Member(pair.group.to_string(), pair.member.to_string())
            })
        }
    };
    page.next = next.map(|place| cursor(seq, &place)).transpose()?;
    Ok(page)
}

fn cursor(seq: i64, place: &SnapshotPosition) -> Result<String, Error> {
    let text = serde_json::to_string(&(seq, place)).map_err(Error::internal)?;
    Ok(URL_SAFE_NO_PAD.encode(text))
}

fn parse_cursor(text: &str) -> Result<(i64, SnapshotPosition), Error> {
    let bad = || Error::BadRequest("`cursor` is the `next` of a page before.".to_owned());
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| bad())?;
    let (seq, place): (i64, SnapshotPosition) =
        serde_json::from_slice(&bytes).map_err(|_| bad())?;
    let is_text = |text: &String| !text.contains('\0');
    let fits = match &place {
        SnapshotPosition::Resource(id) => is_text(id),
        SnapshotPosition::Member(group, member) => is_text(group) && is_text(member),
    };
    if fits { Ok((seq, place)) } else { Err(bad()) }
}
