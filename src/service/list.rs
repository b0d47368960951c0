//! Queries: a filter, a page, and `startIndex` walks that lose nobody.

use std::sync::Arc;

use crate::auth::Scope;
use crate::scim::message;
use crate::scim::project::Selection;
use crate::scim::{Filter, ResourceType, filter};
use crate::service::walk::{self, Note, WalkKey, Walks};
use crate::service::{Context, Error, Options, Service, present};
use crate::store::page::{self, PageQuery, Start};
use crate::store::{Backend, Conn, ResourceId, TenantId, walks};

/// A query as a client asks it (RFC 7644 section 3.4.2).
#[derive(Debug, Clone)]
pub struct ListQuery {
    pub filter: Option<String>,
    /// 1 is the first; lower values count as 1.
    pub start_index: Option<i64>,
    /// Negative values count as 0; more than the page limit gives the page limit.
    pub count: Option<i64>,
    pub selection: Selection,
}

/// Answers a query with the text of a `ListResponse`.
///
/// # Errors
/// `invalidFilter`, and `tooMany` where a filter that no index serves would read more than the limit.
pub async fn list(
    service: &Service,
    context: &Context,
    rt: &Arc<ResourceType>,
    query: ListQuery,
) -> Result<String, Error> {
    context.require(Scope::Read)?;
    let filter = query
        .filter
        .as_deref()
        .map(|text| filter::parse(rt, text, context.policy.compatibility))
        .transpose()?;
    if let Some(filter) = &filter {
        context.may_ask(rt, filter)?;
    }
    let start_index = u64::try_from(query.start_index.unwrap_or(1))
        .unwrap_or(1)
        .max(1);
    let count = match query.count {
        None => service.options.default_page_size,
        Some(count) => u32::try_from(count.max(0)).unwrap_or(u32::MAX),
    };
    let asked = Asked {
        rt: Arc::clone(rt),
        filter,
        filter_text: query.filter.unwrap_or_default(),
        start_index,
        limit: count.min(service.options.max_page_size),
        selection: query.selection.within(context.limit()),
    };
    read_page(service, context, asked).await
}

struct Asked {
    rt: Arc<ResourceType>,
    filter: Option<Filter>,
    filter_text: String,
    start_index: u64,
    limit: u32,
    selection: Selection,
}

/// A page and the note that the walk leaves for the next one.
struct Read {
    body: String,
    next: Option<(WalkKey, Note)>,
}

async fn read_page(service: &Service, context: &Context, asked: Asked) -> Result<String, Error> {
    let (tenant, at_us) = (context.tenant(), context.at_us());
    let (options, notes) = (Arc::clone(&service.options), service.walks.clone());
    let caller = context.principal.name.clone();
    let read = service
        .store
        .read(move |conn| {
            let walk = Walk {
                tenant,
                caller,
                at_us,
                asked,
            };
            walk.read(conn, &notes, &options)
        })
        .await?;
    if let Some((key, note)) = read.next {
        if service.store.backend() == Backend::Postgres {
            share(service, tenant, &key, &note).await?;
        }
        service.walks.remember(key, note);
    }
    Ok(read.body)
}

/// Tells the other nodes where the walk stands: the next page may be asked of one of them.
async fn share(
    service: &Service,
    tenant: TenantId,
    key: &WalkKey,
    note: &Note,
) -> Result<(), Error> {
    let key = key.as_str().to_owned();
    let row = walks::Walk {
        last_id: ResourceId(note.last_id.clone()),
        at: note.at_us,
    };
    service
        .store
        .admin(move |conn| {
            walks::forget_before(conn, walk::stale_before(row.at))?;
            let fresh_since = walk::fresh_since(row.at);
            Ok(walks::remember(conn, tenant, &key, &row, fresh_since)?)
        })
        .await
}

struct Walk {
    tenant: TenantId,
    caller: String,
    at_us: i64,
    asked: Asked,
}

impl Walk {
    fn read(&self, conn: &mut Conn, notes: &Walks, options: &Options) -> Result<Read, Error> {
        let asked = &self.asked;
        let note = self.recall(conn, notes)?;
        let handed_out = asked.start_index.saturating_sub(1);
        let query = PageQuery {
            rt: Arc::clone(&asked.rt),
            filter: asked.filter.clone(),
            start: match &note {
                Some(note) => Start::After(ResourceId(note.last_id.clone())),
                None => Start::Index(handed_out),
            },
            limit: asked.limit,
            scan_limit: options.scan_limit,
            base_url: options.base_url.clone(),
        };
        let page = page::page(conn, self.tenant, &query)?;
        let total = match &note {
            None => page.total,
            // What this walk has handed out already, and what still lies ahead of it.
            Some(_) => handed_out.saturating_add(page.total),
        };
        let returned = u64::try_from(page.rows.len()).unwrap_or(u64::MAX);
        let next_index = asked.start_index.saturating_add(returned);
        let next = page
            .rows
            .last()
            .filter(|_| next_index <= total)
            .map(|last| {
                (
                    self.key(next_index),
                    Note::of(last.id.0.clone(), self.at_us),
                )
            });
        let bodies = present::many(
            conn,
            self.tenant,
            &options.base_url,
            &asked.rt,
            &page.rows,
            &asked.selection,
        )?;
        let body = message::list_response(total, asked.start_index, &bodies);
        Ok(Read { body, next })
    }

    fn recall(&self, conn: &mut Conn, notes: &Walks) -> Result<Option<Arc<Note>>, Error> {
        if self.asked.start_index <= 1 {
            return Ok(None);
        }
        let key = self.key(self.asked.start_index);
        if let Some(note) = notes.recall(&key) {
            return Ok(Some(note));
        }
        if conn.backend() == Backend::Sqlite {
            return Ok(None);
        }
        let row = walks::recall(conn, self.tenant, key.as_str())?;
        Ok(row
            .filter(|row| row.at >= walk::stale_before(self.at_us))
            .map(|row| Arc::new(Note::of(row.last_id.0, row.at))))
    }

    fn key(&self, start_index: u64) -> WalkKey {
        let tenant = self.tenant.0.to_string();
        let parts = [
            &tenant,
            &self.caller,
            &self.asked.rt.name,
            &self.asked.filter_text,
        ];
        WalkKey::new(&parts.map(String::as_str), start_index)
    }
}
