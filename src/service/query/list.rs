//! Lists: filters, sorting and paging by `startIndex` or by cursor.

use std::collections::HashMap;
use std::sync::Arc;

use scim_core::filter::{CompareOp, Operand};
use scim_core::message::Cursored;
use scim_core::project::Selection;
use scim_core::sort::Order;
use scim_core::{ErrorKind, Filter, ResourceType, ScimError, filter, message, sort};

use crate::auth::Scope;
use crate::memory::{Held, MemoryError};
use crate::service::access::caller_cache::CachedCaller;
use crate::service::provision::representation::{Lookup, Renderer};
use crate::service::query::cursor::{Binding, Opened};
use crate::service::query::index_walk;
use crate::service::query::index_walk::{WalkCounts, WalkKey, WalkNote, Walks};
use crate::service::{Context, Error, Options, Service};
use crate::store::query::lookup::{LookupKey, LookupResult};
use crate::store::query::page;
use crate::store::query::page::{Page, PageError, PagePosition, PageQuery, Start, TypeQuery};
use crate::store::tables::counts::Count;
use crate::store::tables::resources::Stored;
use crate::store::tables::{counts, walks};
use crate::store::{Backend, Conn, ResourceId, TenantId};

/// A query of a client (RFC 7644 section 3.4.2).
#[derive(Debug, Clone)]
pub struct ListQuery {
    pub filter: Option<String>,
    pub sort: Option<Sort>,
    pub paging: Paging,
    /// Negative values count as 0; more than the page limit gives the page limit.
    pub count: Option<i64>,
    pub selection: Selection,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sort {
    pub by: String,
    pub order: Order,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Paging {
    /// 1 is the first; lower values count as 1.
    Index(Option<i64>),
    /// An empty cursor requests the first page.
    Cursor(String),
}

/// The resource types that are searched.
#[derive(Debug, Clone)]
pub enum TypeFilter {
    One(Arc<ResourceType>),
    /// Every resource type. An attribute that a type does not have has no value there.
    All,
}

/// Returns the text of a `ListResponse`.
///
/// # Errors
/// `invalidFilter`; `invalidValue` for a `sortBy` that no attribute has; the errors of cursors (RFC
/// 9865 section 2.1); `tooMany` where a filter or an order without an index would read more than
/// the limit.
pub async fn list(
    service: &Service,
    context: &Context,
    among: TypeFilter,
    query: ListQuery,
) -> Result<Held<String>, Error> {
    context.require(Scope::Read)?;
    let max = service.options.scim.max_page_size;
    let count = query
        .count
        .map(|count| u32::try_from(count.max(0)).unwrap_or(u32::MAX).min(max));
    let binding = binding(context, &among, &query);
    let (start, limit) = match &query.paging {
        Paging::Index(start) => {
            let start = u64::try_from(start.unwrap_or(1)).unwrap_or(1).max(1);
            (Begin::Index(start), count)
        }
        Paging::Cursor(text) if text.is_empty() => (Begin::PagePosition(None), count),
        Paging::Cursor(text) => {
            let opened = service.cursors.open(text, &binding, context.at_us())?;
            let sealed = opened.count.min(max);
            if count.is_some_and(|count| count != sealed) {
                return Err(other_count(sealed).into());
            }
            (Begin::PagePosition(Some(opened.place)), Some(sealed))
        }
    };
    let asked = ResolvedQuery {
        kinds: kinds(service, context, &among, &query)?,
        order: query.sort.as_ref().map(|sort| sort.order),
        filter_text: query.filter.unwrap_or_default(),
        start,
        limit: limit.unwrap_or(service.options.scim.default_page_size),
        selection: query.selection.within(context.limit()),
    };
    match &asked.start {
        Begin::Index(_) => by_index(service, context, asked).await,
        Begin::PagePosition(_) => by_cursor(service, context, asked, &binding).await,
    }
}

/// Returns the list for a cached caller, with one statement for both. Returns `None` where that is
/// not possible or the cached caller is out of date; then the credential must be checked and
/// [`list`] called.
///
/// # Errors
/// As [`list`].
pub async fn list_cached(
    service: &Service,
    caller: &CachedCaller,
    rt: &Arc<ResourceType>,
    query: &ListQuery,
) -> Result<Option<Held<String>>, Error> {
    let context = caller.context();
    let (Paging::Index(None | Some(1)), Some(text), None) =
        (&query.paging, &query.filter, &query.sort)
    else {
        return Ok(None);
    };
    // `list` reports what is wrong with it.
    let filter = filter::parse(rt, text, context.policy.compatibility);
    let Ok(filter) = filter else {
        return Ok(None);
    };
    if context.require(Scope::Read).is_err() || context.may_ask(rt, &filter).is_err() {
        return Ok(None);
    }
    let selection = query.selection.clone().within(context.limit());
    let by = user_name_key(&filter).filter(|_| query.count.is_none_or(|count| count > 0));
    let renderer = Renderer {
        base_url: &service.options.base_url,
        rt,
        selection: &selection,
        memory: &service.options.memory,
    };
    let lookup = renderer.lookup();
    let (Some(lookup), Some(by)) = (lookup, by) else {
        return Ok(None);
    };
    let seen = lookup.find(&service.reads, context.tenant(), by).await?;
    if !service.authenticator.confirm(caller, seen.epoch) {
        return Ok(None);
    }
    list_of_one(context.tenant(), lookup, seen).map(Some)
}

fn list_of_one(
    tenant: TenantId,
    lookup: Lookup<'_>,
    seen: LookupResult,
) -> Result<Held<String>, Error> {
    let found = seen.resource.map(|found| lookup.render(found, tenant));
    let Some(resource) = found.transpose()? else {
        return Ok(Held::small(message::list_response(0, 1, &[])));
    };
    let body = message::list_response(1, 1, &[resource.body.into_text()]);
    Ok(match resource.held {
        None => Held::small(body),
        Some(held) => Held::new(body, held),
    })
}

#[derive(Clone)]
struct ResolvedQuery {
    kinds: Vec<TypeQuery>,
    order: Option<Order>,
    filter_text: String,
    start: Begin,
    limit: u32,
    selection: Selection,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Begin {
    /// From 1.
    Index(u64),
    PagePosition(Option<PagePosition>),
}

/// Resolves the query for each type that it searches.
fn kinds(
    service: &Service,
    context: &Context,
    among: &TypeFilter,
    query: &ListQuery,
) -> Result<Vec<TypeQuery>, Error> {
    let types = match among {
        TypeFilter::One(rt) => std::slice::from_ref(rt),
        TypeFilter::All => service.registry.types(),
    };
    let compatibility = context.policy.compatibility;
    let mut kinds = Vec::with_capacity(types.len());
    for rt in types {
        let filter = match (&query.filter, among) {
            (None, _) => None,
            (Some(text), TypeFilter::One(_)) => Some(filter::parse(rt, text, compatibility)?),
            (Some(text), TypeFilter::All) => {
                let registry = &service.registry;
                Some(filter::parse_for_any(registry, rt, text, compatibility)?)
            }
        };
        if let Some(filter) = &filter {
            context.may_ask(rt, filter)?;
        }
        let sort = match &query.sort {
            None => None,
            Some(sort) => sort::resolve(rt, &sort.by, compatibility)?,
        };
        match (&sort, &query.sort, among) {
            (Some(path), ..) => context.may_sort(rt, path)?,
            (None, Some(sort), TypeFilter::One(_)) => {
                return Err(ScimError::invalid_value(format!(
                    "sortBy: {} has no attribute {}.",
                    rt.name, sort.by
                ))
                .into());
            }
            _ => {}
        }
        kinds.push(TypeQuery {
            rt: Arc::clone(rt),
            filter,
            sort,
        });
    }
    Ok(kinds)
}

/// Combines all that the pages of a walk have in common, and the attributes that the caller may
/// read.
fn binding(context: &Context, among: &TypeFilter, query: &ListQuery) -> Binding {
    let tenant = context.tenant().to_string();
    let actor = context.principal.actor.to_string();
    let fields = context.principal.fields.as_ref();
    let fields = fields.map(ToString::to_string).unwrap_or_default();
    let among = match among {
        TypeFilter::One(rt) => rt.name.as_str(),
        TypeFilter::All => "",
    };
    let (by, order) = match &query.sort {
        None => ("", ""),
        Some(sort) => match sort.order {
            Order::Ascending => (sort.by.as_str(), "ascending"),
            Order::Descending => (sort.by.as_str(), "descending"),
        },
    };
    let (choice, names) = query.selection.named();
    let filter = query.filter.as_deref().unwrap_or_default();
    let parts = [&tenant, &actor, &fields, among, filter, by, order, choice];
    Binding::new(parts.into_iter().chain(names.iter().map(String::as_str)))
}

fn other_count(sealed: u32) -> ScimError {
    ScimError::new(
        ErrorKind::InvalidCount,
        format!("The cursor is for pages of {sealed}. Send the same count with it, or none."),
    )
}

impl ResolvedQuery {
    fn query(self, start: Start, options: &Options) -> (PageQuery, Selection) {
        let query = PageQuery {
            kinds: self.kinds,
            order: self.order.unwrap_or_default(),
            start,
            ahead: None,
            limit: self.limit,
            scan_limit: options.scim.scan_limit,
            cost_limit: options.scim.query_cost_limit,
            page_bytes: options.scim.page_limit_bytes,
            memory: Arc::clone(&options.memory),
            base_url: options.base_url.clone(),
        };
        (query, self.selection)
    }
}

impl ResolvedQuery {
    /// Returns the lookup for a filter on a user name. At most one user has it, so nothing need be
    /// counted and there is no second page.
    fn only_one<'a>(&'a self, options: &'a Options) -> Option<(Lookup<'a>, LookupKey)> {
        let Begin::Index(1) = self.start else {
            return None;
        };
        let (rt, filter) = self.unsorted()?;
        let by = user_name_key(filter).filter(|_| self.limit > 0)?;
        let renderer = Renderer {
            base_url: &options.base_url,
            rt,
            selection: &self.selection,
            memory: &options.memory,
        };
        Some((renderer.lookup()?, by))
    }

    /// Returns whether the filter asks for an indexed value that few resources have.
    fn is_short(&self) -> bool {
        let asked = self.unsorted().and_then(|(_, filter)| equality(filter));
        matches!(asked, Some(("id" | "externalId" | "emails.value", _)))
    }

    /// Returns the type and the filter of a query of one type without an order.
    fn unsorted(&self) -> Option<(&ResourceType, &Filter)> {
        match self.kinds.as_slice() {
            [
                TypeQuery {
                    rt,
                    filter: Some(filter),
                    sort: None,
                },
            ] => Some((rt, filter)),
            _ => None,
        }
    }
}

/// Returns the lookup key for a filter on a user name.
fn user_name_key(filter: &Filter) -> Option<LookupKey> {
    match equality(filter)? {
        ("userName", name) => Some(LookupKey::UserName(name.to_owned())),
        _ => None,
    }
}

/// Returns the attribute and the folded text of a filter `attribute eq "text"`.
fn equality(filter: &Filter) -> Option<(&str, &str)> {
    match filter {
        Filter::Compare {
            path,
            op: CompareOp::Eq,
            value: Operand::Text(text),
        } => Some((path.key(), text)),
        _ => None,
    }
}

async fn by_cursor(
    service: &Service,
    context: &Context,
    asked: ResolvedQuery,
    binding: &Binding,
) -> Result<Held<String>, Error> {
    let tenant = context.tenant();
    let at_us = context.at_us();
    let count = asked.limit;
    let place = match &asked.start {
        Begin::PagePosition(place) => place.clone(),
        Begin::Index(_) => None,
    };
    let (query, selection) = asked.query(Start::Position(place), &service.options);
    let (page, bodies) = service
        .store
        .query(tenant, move |conn| {
            read_page(conn, tenant, query, &selection)
        })
        .await?;
    let seal = |place: Option<PagePosition>| {
        place
            .map(|place| {
                service
                    .cursors
                    .seal(&Opened { place, count }, binding, at_us)
            })
            .transpose()
    };
    let cursored = Cursored {
        total: page.total,
        previous: seal(page.previous)?,
        next: seal(page.next)?,
    };
    Ok(bodies.map(|bodies| message::cursor_response(&cursored, &bodies)))
}

/// Reads a page and renders it. If it would have more bytes than a page may have, it has fewer
/// resources (RFC 7644 section 3.4.2.4), and at least one.
fn read_page(
    conn: &mut Conn,
    tenant: TenantId,
    mut query: PageQuery,
    selection: &Selection,
) -> Result<(Page, Held<Vec<String>>), Error> {
    let most_bytes = query.page_bytes;
    loop {
        if query.limit <= 1 {
            query.page_bytes = usize::MAX;
        }
        let page = match page::page(conn, tenant, &query) {
            // One row more than the page is read, and the first rows need not be those that fit.
            Err(PageError::TooLong { fitting }) if query.limit > 1 => {
                let fitting = u32::try_from(fitting.saturating_sub(1)).unwrap_or(u32::MAX);
                query.limit = fitting.min(query.limit / 2).max(1);
                continue;
            }
            page => page?,
        };
        match render(conn, (tenant, &query, most_bytes), &page.rows, selection)? {
            Some(bodies) => return Ok((page, bodies)),
            None if query.limit <= 1 => return Err(MemoryError::TooLarge.into()),
            None => query.limit = (count_of(&page.rows) / 2).max(1),
        }
    }
}

fn count_of(rows: &[Stored]) -> u32 {
    u32::try_from(rows.len()).unwrap_or(u32::MAX)
}

/// Renders the rows, in their order. Returns `None` if they have more than `most_bytes`.
fn render(
    conn: &mut Conn,
    (tenant, query, most_bytes): (TenantId, &PageQuery, usize),
    rows: &[Stored],
    selection: &Selection,
) -> Result<Option<Held<Vec<String>>>, Error> {
    let render = |conn: &mut Conn, kind: &TypeQuery, rows: &[Stored]| {
        let renderer = Renderer {
            base_url: &query.base_url,
            rt: &kind.rt,
            selection,
            memory: &query.memory,
        };
        renderer.many(conn, tenant, rows, most_bytes)
    };
    if let [only] = query.kinds.as_slice() {
        return render(conn, only, rows);
    }
    let mut bodies = HashMap::with_capacity(rows.len());
    let mut held = query.memory.reservation(tenant);
    for kind in &query.kinds {
        let own = rows.iter().filter(|row| row.resource_type == kind.rt.name);
        let own: Vec<Stored> = own.cloned().collect();
        let Some(texts) = render(conn, kind, &own)? else {
            return Ok(None);
        };
        let (texts, texts_held) = texts.into_parts();
        if let Some(texts_held) = texts_held {
            held.absorb(texts_held);
        }
        bodies.extend(own.into_iter().map(|row| row.id).zip(texts));
    }
    let bodies = rows.iter().filter_map(|row| bodies.remove(&row.id));
    Ok(Some(Held::new(bodies.collect(), held)))
}

/// A page and the note that the walk leaves for the next one.
struct WalkPage {
    body: Held<String>,
    /// Where the next page is asked for, and one whose client skips what this page left out.
    next: Vec<(WalkKey, WalkNote)>,
}

async fn by_index(
    service: &Service,
    context: &Context,
    asked: ResolvedQuery,
) -> Result<Held<String>, Error> {
    let tenant = context.tenant();
    let at_us = context.at_us();
    if let Some((lookup, by)) = asked.only_one(&service.options) {
        let seen = lookup.find(&service.reads, tenant, by).await?;
        return list_of_one(tenant, lookup, seen);
    }
    let is_short = asked.is_short();
    let options = Arc::clone(&service.options);
    let notes = service.walks.clone();
    let caller = context.principal.actor.to_string();
    let work = move |conn: &mut Conn| {
        let start_index = match asked.start {
            Begin::Index(index) => index,
            Begin::PagePosition(_) => 1,
        };
        // In the order of ids a walk continues by key. In any other order a position could move.
        let noted = match (asked.order, asked.kinds.as_slice()) {
            (None, [only]) => Some(only.rt.name.clone()),
            _ => None,
        };
        let walk = Walk {
            tenant,
            caller,
            at_us,
            noted,
            filter_text: asked.filter_text.clone(),
            start_index,
        };
        walk.read(conn, asked, &notes, &options)
    };
    let page = if is_short {
        service.store.query_short(tenant, work).await?
    } else {
        service.store.query(tenant, work).await?
    };
    for (key, note) in page.next {
        if service.store.backend() == Backend::Postgres {
            match store_position(service, tenant, &key, &note).await {
                // While the database takes no writes, nothing is deleted, so the position is as
                // good as a note.
                Ok(()) | Err(Error::Full(_) | Error::DiskFails(_) | Error::WritesRefused(_)) => {}
                Err(error) => return Err(error),
            }
        }
        service.walks.remember(key, note);
    }
    Ok(page.body)
}

/// Stores the position of the walk for the other nodes, which may get the request for the next
/// page.
async fn store_position(
    service: &Service,
    tenant: TenantId,
    key: &WalkKey,
    note: &WalkNote,
) -> Result<(), Error> {
    let key = key.as_str().to_owned();
    let row = walks::Walk {
        last_id: ResourceId(note.last_id.clone()),
        at: note.at_us,
    };
    service
        .store
        .admin(move |conn| {
            walks::forget_before(conn, index_walk::stale_before(row.at))?;
            let fresh_since = index_walk::fresh_since(row.at);
            Ok(walks::remember(conn, tenant, &key, &row, fresh_since)?)
        })
        .await
}

struct Walk {
    tenant: TenantId,
    caller: String,
    at_us: i64,
    /// The resource type, for walks that leave notes.
    noted: Option<String>,
    filter_text: String,
    start_index: u64,
}

impl Walk {
    fn read(
        &self,
        conn: &mut Conn,
        asked: ResolvedQuery,
        notes: &Walks,
        options: &Options,
    ) -> Result<WalkPage, Error> {
        let note = self.recall(conn, notes)?;
        let returned = self.start_index.saturating_sub(1);
        let start = match &note {
            Some(note) => Start::After(ResourceId(note.last_id.clone())),
            None => Start::Index(returned),
        };
        let count = asked.limit;
        let (mut query, selection) = asked.query(start, options);
        let counted = self.type_counts(conn, &query)?;
        let tally = note.as_ref().and_then(|note| note.tally);
        if let (Some(tally), Some(count)) = (tally, &counted) {
            query.ahead = tally.now(count.live, count.deleted);
        }
        let (page, bodies) = read_page(conn, self.tenant, query, &selection)?;
        let found = page.total.unwrap_or_default();
        let total = match &note {
            None => found,
            // The resources that this walk has returned already, and those ahead of it.
            Some(_) => returned.saturating_add(found),
        };
        let body = bodies.map(|bodies| message::list_response(total, self.start_index, &bodies));
        let ahead = total.saturating_sub(returned);
        let tally = counted.map(|counted| WalkCounts {
            ahead: ahead.saturating_sub(count_of(&page.rows).into()),
            live: counted.live,
            deleted: counted.deleted,
        });
        let next = self.notes(&page, total, count, tally);
        Ok(WalkPage { body, next })
    }

    /// Returns the counts of the type, for a walk without a filter.
    fn type_counts(&self, conn: &mut Conn, query: &PageQuery) -> Result<Option<Count>, Error> {
        match (&self.noted, query.kinds.as_slice()) {
            (Some(name), [only]) if only.filter.is_none() => {
                Ok(Some(counts::of(conn, self.tenant, name)?))
            }
            _ => Ok(None),
        }
    }

    /// Returns the notes of the position after the page, if anything is ahead: where a client asks
    /// that counts what it got, and, if the page has fewer resources than asked for because of their
    /// size, where one asks that counts what it asked for, as Okta does.
    fn notes(
        &self,
        page: &Page,
        total: u64,
        count: u32,
        tally: Option<WalkCounts>,
    ) -> Vec<(WalkKey, WalkNote)> {
        let returned = count_of(&page.rows);
        let next_index = self.start_index.saturating_add(returned.into());
        let Some(last) = page.rows.last().filter(|_| next_index <= total) else {
            return Vec::new();
        };
        let note = |advance: u32| {
            let key = self.key(self.start_index.saturating_add(advance.into()))?;
            let note = WalkNote::of(last.id.0.clone(), self.at_us);
            Some((key, WalkNote { tally, ..note }))
        };
        let beyond = (count > returned).then_some(count);
        let advances = [Some(returned), beyond].into_iter().flatten();
        advances.filter_map(note).collect()
    }

    fn recall(&self, conn: &mut Conn, notes: &Walks) -> Result<Option<Arc<WalkNote>>, Error> {
        let key = self.key(self.start_index).filter(|_| self.start_index > 1);
        let Some(key) = key else {
            return Ok(None);
        };
        if let Some(note) = notes.recall(&key, self.at_us) {
            return Ok(Some(note));
        }
        if conn.backend() == Backend::Sqlite {
            return Ok(None);
        }
        let row = walks::recall(conn, self.tenant, key.as_str())?;
        Ok(row
            .filter(|row| row.at >= index_walk::stale_before(self.at_us))
            .map(|row| Arc::new(WalkNote::of(row.last_id.0, row.at))))
    }

    fn key(&self, start_index: u64) -> Option<WalkKey> {
        let tenant = self.tenant.to_string();
        let kind = self.noted.as_ref()?;
        let parts = [&tenant, &self.caller, kind, &self.filter_text];
        Some(WalkKey::new(&parts.map(String::as_str), start_index))
    }
}
