//! A snapshot of a tenant's state, from which to follow the feed.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::auth::Scope;
use crate::memory::{MemoryBudget, Reservation, weigh_large};
use crate::service::feed::change::SnapshotItem;
use crate::service::feed::page::{MOST, check_reach};
use crate::service::feed::view::View;
use crate::service::{Context, Error, Service};
use crate::store::engine::budget;
use crate::store::tables::members::MemberPair;
use crate::store::tables::{changes, members, resources};
use crate::store::{Conn, StoreError, TenantId};

/// A page of a snapshot.
#[derive(Debug)]
pub struct Snapshot {
    /// The number of the change from which to follow the feed, the same on every page of one walk.
    /// A client that has read all pages and applies every change after this number has the tenant's
    /// state, though the pages were read at different times.
    pub seq: i64,
    pub resources: Vec<SnapshotItem>,
    pub members: Vec<MemberPair>,
    /// The cursor of the next page; `None` at the end.
    pub next: Option<String>,
    /// The memory of the page.
    pub held: Reservation,
}

/// The memory of a resource of a page, without its text.
const ITEM_BYTES: usize = 256;

/// The position of a walk: all resources by id, then all members.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
enum SnapshotPosition {
    Resource(String),
    Member(String, String),
}

/// Reads one page of a snapshot. The pages need not show the same moment: the feed has every change
/// made during the walk.
///
/// # Errors
/// [`Error::BadRequest`] for an invalid cursor, [`Error::Gone`] where the walk took longer than
/// changes are kept.
pub async fn snapshot(
    service: &Service,
    context: &Context,
    cursor: Option<String>,
    limit: u32,
) -> Result<Snapshot, Error> {
    context.require(Scope::Read)?;
    let walk = SnapshotWalk {
        tenant: context.tenant(),
        view: View::of(context, &service.registry),
        limit: limit.clamp(1, MOST),
        memory: Arc::clone(&service.options.memory),
    };
    let from = cursor.as_deref().map(parse_cursor).transpose()?;
    service
        .store
        .query(context.tenant(), move |conn| match &from {
            None => {
                let reach = changes::reach(conn, walk.tenant)?
                    .ok_or(StoreError::UnknownTenant(walk.tenant))?;
                let start = SnapshotPosition::Resource(String::new());
                walk.page(conn, reach.last, &start)
            }
            Some((seq, position)) => {
                check_reach(conn, walk.tenant, *seq)?;
                walk.page(conn, *seq, position)
            }
        })
        .await
}

#[derive(Clone)]
struct SnapshotWalk {
    tenant: TenantId,
    view: View,
    limit: u32,
    memory: Arc<MemoryBudget>,
}

impl SnapshotWalk {
    fn page(
        &self,
        conn: &mut Conn,
        seq: i64,
        position: &SnapshotPosition,
    ) -> Result<Snapshot, Error> {
        let tenant = self.tenant;
        let mut page = Snapshot {
            seq,
            resources: Vec::new(),
            members: Vec::new(),
            next: None,
            held: self.memory.reservation(tenant),
        };
        let next = match position {
            SnapshotPosition::Resource(after) => {
                match self.add_resources(conn, after, &mut page)? {
                    Some(last) => Some(SnapshotPosition::Resource(last)),
                    None => self
                        .view
                        .sees_members()
                        .then(|| SnapshotPosition::Member(String::new(), String::new())),
                }
            }
            SnapshotPosition::Member(group, member) => {
                if self.view.sees_members() {
                    page.members = members::all_after(conn, tenant, group, member, self.limit)?;
                }
                let last = page
                    .members
                    .last()
                    .filter(|_| self.is_full(page.members.len()));
                last.map(|pair| {
                    SnapshotPosition::Member(pair.group.to_string(), pair.member.to_string())
                })
            }
        };
        page.next = next.map(|position| cursor(seq, &position)).transpose()?;
        Ok(page)
    }

    fn is_full(&self, count: usize) -> bool {
        count >= usize::try_from(self.limit).unwrap_or(usize::MAX)
    }

    /// Adds the resources after an id, as many as there is memory for. Returns the last id if there
    /// may be more.
    fn add_resources(
        &self,
        conn: &mut Conn,
        after: &str,
        page: &mut Snapshot,
    ) -> Result<Option<String>, Error> {
        let found = resources::all_after(conn, self.tenant, after, self.limit)?;
        let is_full = found.is_cut || self.is_full(found.rows.len());
        let mut last = None;
        for row in found.rows {
            budget::check()?;
            // As text, and while it is converted as values.
            let bytes = row.doc.len().saturating_add(ITEM_BYTES);
            match last {
                None => page.held.grow_for_work(bytes)?,
                Some(_) if page.held.grow(bytes).is_ok() => {}
                Some(_) => return Ok(last),
            }
            last = Some(row.id.to_string());
            let work = weigh_large(&row.doc);
            let _work = self.memory.reserve_work(self.tenant, work)?;
            page.resources.extend(self.view.item(row)?);
        }
        Ok(last.filter(|_| is_full))
    }
}

fn cursor(seq: i64, position: &SnapshotPosition) -> Result<String, Error> {
    let text = serde_json::to_string(&(seq, position)).map_err(Error::internal)?;
    Ok(URL_SAFE_NO_PAD.encode(text))
}

fn parse_cursor(text: &str) -> Result<(i64, SnapshotPosition), Error> {
    let bad = || Error::BadRequest("`cursor` is the `next` of a page before.".to_owned());
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| bad())?;
    let (seq, position): (i64, SnapshotPosition) =
        serde_json::from_slice(&bytes).map_err(|_| bad())?;
    // PostgreSQL cannot compare with a U+0000.
    let is_text = |text: &String| !text.contains('\0');
    let fits = match &position {
        SnapshotPosition::Resource(id) => is_text(id),
        SnapshotPosition::Member(group, member) => is_text(group) && is_text(member),
    };
    if fits {
        Ok((seq, position))
    } else {
        Err(bad())
    }
}
