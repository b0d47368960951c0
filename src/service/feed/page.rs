//! Pages of the change feed, and long polling.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use crate::auth::Scope;
use crate::memory::{MemoryBudget, Reservation, weigh_text};
use crate::service::access::listening_caller::{Access, ListeningCaller};
use crate::service::error::Gone;
use crate::service::feed::change::Change;
use crate::service::feed::listeners::{Listener, WaitOutcome};
use crate::service::feed::view::View;
use crate::service::{Context, Error, Service};
use crate::store::engine::budget;
use crate::store::tables::changes::{ChangeKind, Reach, RecordedChange};
use crate::store::tables::{changes, history};
use crate::store::{Conn, Store, StoreError, TenantId};

/// The most changes of one page.
pub const MOST: u32 = 1000;
/// The longest that a page waits for a change.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// The number of changes read at a time.
const CHUNK: u32 = 200;
/// The most changes that one page reads, those that its filter excludes included.
const MOST_READ: u32 = 10_000;
/// A page ends when its texts are longer than this.
const FULL_BYTES: usize = 4 << 20;
/// The memory of a change, without its texts.
const CHANGE_BYTES: usize = 512;
/// The most changes that one write removes.
const PRUNE_CHUNK: u32 = 1000;

/// Selects changes. `None` selects all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct ChangeFilter {
    pub kinds: Option<BTreeSet<ChangeKind>>,
    /// Names of resource types.
    pub types: Option<BTreeSet<String>>,
}

impl ChangeFilter {
    /// An erasure passes every filter of kinds: readers of other kinds have received the erased
    /// values by them.
    fn takes(&self, resource_type: &str, kind: ChangeKind) -> bool {
        let is_kind = self
            .kinds
            .as_ref()
            .is_none_or(|kinds| kind == ChangeKind::Erased || kinds.contains(&kind));
        let types = self.types.as_ref();
        is_kind && types.is_none_or(|types| types.contains(resource_type))
    }
}

/// The part of the feed that a request reads.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PageRequest {
    /// The number of the last change that the reader has.
    pub after: i64,
    pub wanted: ChangeFilter,
    pub limit: u32,
}

/// A page of the feed. `C` is the form of its changes.
#[derive(Debug)]
pub struct Page<C = Vec<Change>> {
    pub changes: C,
    /// The number of the last change that was read, whether the filter selects it or not: the
    /// `after` of the next page.
    pub next: i64,
    /// The number of the tenant's last change.
    pub last: i64,
    /// The tenant's access epoch when the page was read.
    pub epoch: i64,
    /// The memory of the changes.
    pub held: Reservation,
}

/// Reads a page. A replica may answer; the primary is asked where the replica has no more changes.
///
/// # Errors
/// [`Error::Gone`] where changes after `after` were removed, or where the tenant has fewer changes
/// than that, and [`Error::Unauthenticated`] where the credential is no longer valid.
pub async fn page(
    service: &Service,
    caller: &mut ListeningCaller,
    request: PageRequest,
) -> Result<Page, Error> {
    page_in(service, caller, request, ChangeForm::Values, push).await
}

/// Reads a page in another form: `take` converts each change as it is read. A page may have several
/// megabytes of text, and its changes take several times as much memory.
///
/// # Errors
/// As [`page`], and errors of `take`.
pub async fn page_as<C: Default + Send + 'static>(
    service: &Service,
    caller: &mut ListeningCaller,
    request: PageRequest,
    take: fn(&mut C, Change) -> Result<(), Error>,
) -> Result<Page<C>, Error> {
    page_in(service, caller, request, ChangeForm::Text, take).await
}

async fn page_in<C: Default + Send + 'static>(
    service: &Service,
    caller: &mut ListeningCaller,
    request: PageRequest,
    form: ChangeForm,
    take: fn(&mut C, Change) -> Result<(), Error>,
) -> Result<Page<C>, Error> {
    loop {
        let context = caller.context();
        let reader = PageReader {
            form,
            ..PageReader::new(service, context, request.clone())?
        };
        let read = service.read(context, move |conn| reader.read(conn, take));
        let page = read.await?;
        if caller.confirm(service, page.epoch).await? == Access::Unchanged {
            return Ok(page);
        }
    }
}

/// Reads a page, and waits up to `timeout` for a change if it has none. The wait also ends when the
/// credential does.
///
/// # Errors
/// As [`page`] and [`listen`].
pub async fn wait(
    service: &Service,
    caller: &mut ListeningCaller,
    mut request: PageRequest,
    timeout: Duration,
) -> Result<Page, Error> {
    let deadline = Instant::now() + timeout.min(LONGEST_WAIT);
    let mut listener = listen(service, caller.context())?;
    let mut is_last = false;
    loop {
        // The primary is read: a replica that has fallen behind sends no notification.
        let reader = PageReader::new(service, caller.context(), request.clone())?;
        let tenant = caller.context().tenant();
        let read = move |conn: &mut Conn| reader.read(conn, push);
        let page = service.store.query(tenant, read).await?;
        if caller.confirm(service, page.epoch).await? == Access::Changed {
            continue;
        }
        if !page.changes.is_empty() || is_last {
            return Ok(page);
        }
        request.after = page.next;
        if page.next == page.last {
            let outcome = listener.wait_until(caller.recheck_at(service, deadline));
            match outcome.await {
                WaitOutcome::End => return Ok(page),
                WaitOutcome::Change | WaitOutcome::Nothing => {}
            }
            // The page is read again, so that no caller is answered whose access has ended.
            is_last = Instant::now() >= deadline;
        }
    }
}

/// Subscribes to the changes that come after this call.
///
/// # Errors
/// [`Error::TooManyListeners`] or [`Error::Busy`] where too many requests wait already.
pub fn listen(service: &Service, context: &Context) -> Result<Listener, Error> {
    service
        .listeners
        .subscribe(&service.store, &context.principal)
}

/// Returns the number of the tenant's last change.
///
/// # Errors
/// [`Error::Forbidden`] without the scope `read`.
pub async fn last(service: &Service, context: &Context) -> Result<i64, Error> {
    context.require(Scope::Read)?;
    let tenant = context.tenant();
    let find = move |conn: &mut Conn| changes::reach(conn, tenant);
    let found = service.store.query(tenant, find);
    let reach = found.await?.ok_or(StoreError::UnknownTenant(tenant))?;
    Ok(reach.last)
}

/// Removes the changes that are older than `keep`.
pub async fn prune(store: &Store, now: Timestamp, keep: SignedDuration) -> Result<(), Error> {
    let before = now
        .as_microsecond()
        .saturating_sub(i64::try_from(keep.as_micros()).unwrap_or(i64::MAX));
    for tenant in crate::service::access::tenants::list(store).await? {
        // In small steps, because every other write of the tenant waits meanwhile.
        while store
            .write(tenant.id, move |tx| {
                Ok::<_, Error>(history::prune(tx, before, PRUNE_CHUNK)?)
            })
            .await?
        {}
    }
    Ok(())
}

/// Collects changes as they are, for [`PageReader::read`].
pub(super) fn push(changes: &mut Vec<Change>, change: Change) -> Result<(), Error> {
    changes.push(change);
    Ok(())
}

/// Reads one page within a transaction.
#[derive(Clone)]
pub(super) struct PageReader {
    tenant: TenantId,
    view: View,
    request: PageRequest,
    form: ChangeForm,
    memory: Arc<MemoryBudget>,
}

/// The form in which the changes of a page are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ChangeForm {
    /// As values, which take several times the memory of their text.
    Values,
    Text,
}

impl PageReader {
    pub fn new(service: &Service, context: &Context, request: PageRequest) -> Result<Self, Error> {
        context.require(Scope::Read)?;
        Ok(Self {
            tenant: context.tenant(),
            view: View::of(context, &service.registry),
            request,
            form: ChangeForm::Values,
            memory: Arc::clone(&service.options.memory),
        })
    }

    pub fn read<C: Default>(
        &self,
        conn: &mut Conn,
        take: fn(&mut C, Change) -> Result<(), Error>,
    ) -> Result<Page<C>, Error> {
        let PageRequest {
            after,
            wanted,
            limit,
        } = &self.request;
        let limit = usize::try_from((*limit).clamp(1, MOST)).unwrap_or(usize::MAX);
        let reach = check_reach(conn, self.tenant, *after)?;
        let mut page = Page {
            changes: C::default(),
            next: *after,
            last: reach.last,
            epoch: reach.epoch,
            held: self.memory.reservation(self.tenant),
        };
        let mut count = 0_usize;
        let mut size = 0_usize;
        for _ in 0..MOST_READ / CHUNK {
            let rows = changes::after(conn, self.tenant, page.next, CHUNK)?;
            let is_empty = rows.is_empty();
            for row in rows {
                budget::check()?;
                let RecordedChange { seq, change } = &row;
                if !wanted.takes(&change.resource_type, change.kind) {
                    page.next = *seq;
                    continue;
                }
                if !self.reserve(&mut page.held, &change.payload, count)? {
                    return Ok(page);
                }
                page.next = *seq;
                size += change.payload.len();
                if let Some(change) = self.view.change(row) {
                    take(&mut page.changes, change)?;
                    count += 1;
                }
                if count >= limit || size >= FULL_BYTES {
                    return Ok(page);
                }
            }
            if is_empty || page.next >= page.last {
                break;
            }
        }
        Ok(page)
    }
}

impl PageReader {
    /// Reserves the memory of a change. Returns false if the page, which has changes already, must
    /// end before it.
    fn reserve(&self, held: &mut Reservation, payload: &str, count: usize) -> Result<bool, Error> {
        let bytes = match self.form {
            ChangeForm::Values => weigh_text(payload),
            ChangeForm::Text => payload.len(),
        };
        let bytes = bytes.saturating_add(CHANGE_BYTES);
        if count > 0 {
            return Ok(held.grow(bytes).is_ok());
        }
        // The first change is read whatever its size, or its reader would never get beyond it.
        held.grow_for_work(bytes)?;
        Ok(true)
    }
}

/// Returns the range of the tenant's changes.
///
/// # Errors
/// [`Error::Gone`] where a reader at `after` would miss changes.
pub(super) fn check_reach(conn: &mut Conn, tenant: TenantId, after: i64) -> Result<Reach, Error> {
    let reach = changes::reach(conn, tenant)?.ok_or(StoreError::UnknownTenant(tenant))?;
    if after < reach.gone {
        return Err(Error::Gone(Gone::Removed { upto: reach.gone }));
    }
    if after > reach.last {
        return Err(Error::Gone(Gone::Ahead { last: reach.last }));
    }
    Ok(reach)
}
