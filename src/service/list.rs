//! Queries: a filter, a page, and `startIndex` walks that lose nobody.

use std::sync::Arc;

use crate::auth::Scope;
use crate::scim::message;
use crate::scim::project::Selection;
use crate::scim::{Filter, ResourceType, filter};
use crate::service::provision::require;
use crate::service::walk::{Note, WalkKey};
use crate::service::{Context, Error, Service, present};
use crate::store::ResourceId;
use crate::store::page::{self, PageQuery, Start};
use crate::store::{counts, walks};

/// A query as a client asks it (RFC 7644 section 3.4.2).
#[derive(Debug, Clone, Default)]
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
    require(context, Scope::Read)?;
    let filter = query
        .filter
        .as_deref()
        .map(|text| filter::parse(rt, text))
        .transpose()?;
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
        selection: query.selection,
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

async fn read_page(service: &Service, context: &Context, asked: Asked) -> Result<String, Error> {
    let (tenant, at_us, options) = (
        context.tenant(),
        context.at_us(),
        Arc::clone(&service.options),
    );
    let notes = service.walks.clone();
    let tenant_text = tenant.0.to_string();
    let caller = context.principal.name.clone();
    service
        .store
        .read(move |conn| {
            let parts =
                [&tenant_text, &caller, &asked.rt.name, &asked.filter_text].map(String::as_str);
            let key = WalkKey::new(&parts, asked.start_index);
            let note = if asked.start_index > 1 {
                match notes.recall(&key) {
                    Some(note) => Some(note),
                    // Another node may have served the page before.
                    None => walks::recall(conn, key.as_str())?.map(|row| {
                        Arc::new(Note {
                            last_id: row.last_id,
                            deleted_at_start: row.deleted_at_start,
                            at_us: row.at,
                            used: false,
                        })
                    }),
                }
            } else {
                None
            };
            let handed_out = asked.start_index.saturating_sub(1);
            let page_query = PageQuery {
                rt: Arc::clone(&asked.rt),
                filter: asked.filter.clone(),
                start: match &note {
                    Some(note) => Start::After(ResourceId(note.last_id.clone())),
                    None => Start::Index(handed_out),
                },
                limit: asked.limit,
                scan_limit: options.scan_limit,
            };
            let page = page::page(conn, tenant, &page_query)?;
            let deleted = counts::of(conn, tenant, &asked.rt.name)?.deleted;
            let returned = u64::try_from(page.rows.len()).unwrap_or(u64::MAX);
            let deleted_at_start = note.as_ref().map_or(deleted, |note| note.deleted_at_start);
            let total = match &note {
                None => page.total,
                // What this walk has handed out already, and what still lies ahead of it.
                Some(_) => handed_out.saturating_add(page.total),
            };
            let next = asked.start_index.saturating_add(returned);
            if let Some(last) = page.rows.last()
                && next <= total
            {
                let note = Note {
                    last_id: last.id.0.clone(),
                    deleted_at_start,
                    at_us,
                    used: false,
                };
                let key = WalkKey::new(&parts, next);
                walks::remember(
                    conn,
                    key.as_str(),
                    &note.last_id,
                    note.deleted_at_start,
                    at_us,
                )?;
                notes.remember(key, note);
            }
            let bodies = present::many(
                conn,
                tenant,
                &options.base_url,
                &asked.rt,
                &page.rows,
                &asked.selection,
            )?;
            Ok(message::list_response(total, asked.start_index, &bodies))
        })
        .await
}
