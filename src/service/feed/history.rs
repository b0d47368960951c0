//! History: the changes of one resource, and the state at a past moment, computed by undoing
//! changes.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use scim_core::{ResourceType, diff};
use serde_json::{Map, Value};

use crate::auth::Scope;
use crate::memory::{Held, Reservation, weigh_text};
use crate::service::error::Gone;
use crate::service::feed::change::Change;
use crate::service::feed::view::View;
use crate::service::query::directory::{
    Depth, DirectoryCaller, MOST, MembersRequest, Person, PersonPage,
};
use crate::service::{Context, Error, Service};
use crate::store::tables::changes::{ChangeKind, RecordedChange};
use crate::store::tables::first_of::FirstOf;
use crate::store::tables::resources::Stored;
use crate::store::tables::{changes, members, resources};
use crate::store::{Conn, ResourceId, StoreError, TenantId};

/// The number of changes read at a time.
const CHUNK: u32 = 200;
/// The memory of a member's id in a set.
const MEMBER_ID_BYTES: usize = 128;

/// Changes of a resource, the latest first.
#[derive(Debug, Clone, serde::Serialize, utoipa::ToSchema)]
#[schema(as = FeedPast)]
pub struct Past {
    pub changes: Vec<Change>,
    /// The `before` of the next page; null if nothing older is kept.
    pub next: Option<i64>,
}

/// The changes of a resource that a request reads.
#[derive(Debug, Clone)]
pub struct HistoryRequest {
    pub type_name: &'static str,
    pub id: ResourceId,
    /// Only changes with a lower number; `None` begins with the latest.
    pub before: Option<i64>,
    pub limit: u32,
}

/// Reads the changes of a resource.
///
/// # Errors
/// [`Error::NotFound`] where there is no such resource and no change of one.
pub async fn of_resource(
    service: &Service,
    context: &Context,
    request: HistoryRequest,
) -> Result<Held<Past>, Error> {
    let HistoryRequest {
        type_name,
        id,
        before,
        limit,
    } = request;
    context.require(Scope::Read)?;
    let tenant = context.tenant();
    let view = View::of(context, &service.registry);
    let limit = limit.clamp(1, MOST);
    let memory = Arc::clone(&service.options.memory);
    service
        .read(context, move |conn| {
            let FirstOf { rows, is_cut } = changes::of_resource(conn, tenant, &id, before, limit)?;
            let is_other = |row: &RecordedChange| row.change.resource_type != type_name;
            let is_known = !rows.is_empty()
                || before.is_some()
                || resources::get(conn, tenant, type_name, &id)?.is_some();
            if !is_known || rows.first().is_some_and(is_other) {
                return Err(Error::NotFound(format!("{type_name} {id}")));
            }
            let is_full = is_cut || u32::try_from(rows.len()).unwrap_or(limit) >= limit;
            let mut page = Past {
                next: None,
                changes: Vec::new(),
            };
            let mut held = memory.reservation(tenant);
            let mut last = None;
            for row in rows {
                let bytes = weigh_text(&row.change.payload);
                // The first change is read whatever its size.
                match last {
                    None => held.grow_for_work(bytes)?,
                    Some(_) if held.grow(bytes).is_ok() => {}
                    Some(_) => {
                        page.next = last;
                        return Ok(Held::new(page, held));
                    }
                }
                last = Some(row.seq);
                page.changes.extend(view.change(row));
            }
            page.next = last.filter(|_| is_full);
            Ok(Held::new(page, held))
        })
        .await
}

/// Returns a user at a past moment.
///
/// # Errors
/// [`Error::NotFound`] where there was none at that moment, [`Error::Gone`] where the changes do
/// not reach back to it, [`Error::Erased`] where the user has been erased since.
pub async fn user_at(
    service: &Service,
    context: &Context,
    id: ResourceId,
    at: Timestamp,
) -> Result<Held<Person>, Error> {
    let caller = DirectoryCaller::of(context, service)?;
    service
        .read(context, move |conn| {
            check_retention(conn, caller.tenant, at)?;
            match person_at(conn, &caller, &id, at)? {
                PastState::Existing(person) => {
                    let bytes = person.bytes();
                    let held = caller.memory.reserve_work(caller.tenant, bytes)?;
                    Ok(Held::new(person, held))
                }
                PastState::Missing => Err(Error::no_resource(&caller.user, &id)),
                PastState::Erased => Err(erased(&caller.user, &id)),
            }
        })
        .await
}

fn erased(rt: &ResourceType, id: &ResourceId) -> Error {
    Error::Erased(format!("{} {id}", rt.name))
}

/// The most nested groups that one request searches.
const MOST_GROUPS: usize = 500;

/// Returns a page of the active users who were in a group at a past moment, by id, without those
/// erased since.
///
/// # Errors
/// As [`user_at`], [`Error::BadRequest`] where too many groups were in the group, and
/// [`Error::Hidden`] where the caller may not read `members`.
pub async fn members_at(
    service: &Service,
    context: &Context,
    request: MembersRequest,
    at: Timestamp,
) -> Result<Held<PersonPage>, Error> {
    let MembersRequest {
        id,
        depth,
        after,
        limit,
    } = request;
    let caller = DirectoryCaller::of(context, service)?;
    caller.must_read(&caller.group, "members")?;
    caller.must_read(&caller.user, "active")?;
    let size = usize::try_from(limit.clamp(1, MOST)).unwrap_or(usize::MAX);
    service
        .read(context, move |conn| {
            check_retention(conn, caller.tenant, at)?;
            let mut ids = ids_at(conn, &caller, &id, at)?;
            if depth == Depth::Nested {
                ids = ids_within(conn, &caller, &id, ids, at)?;
            }
            let rest = ids
                .into_iter()
                .filter(|id| after.as_ref().is_none_or(|after| id > after));
            let mut people: Vec<Person> = Vec::new();
            let mut next = None;
            let mut held = caller.memory.reservation(caller.tenant);
            for id in rest {
                // Only users, and only the active.
                let PastState::Existing(person) = person_at(conn, &caller, &id, at)? else {
                    continue;
                };
                if !person.was_active() {
                    continue;
                }
                let bytes = person.bytes();
                let is_full = match people.last() {
                    None => held.grow_for_work(bytes).map(|()| false)?,
                    Some(_) => people.len() == size || held.grow(bytes).is_err(),
                };
                if is_full {
                    next = people.last().map(|last| last.id.clone());
                    break;
                }
                people.push(person);
            }
            Ok(Held::new(PersonPage { people, next }, held))
        })
        .await
}

/// Checks that no change after the moment was removed.
fn check_retention(conn: &mut Conn, tenant: TenantId, at: Timestamp) -> Result<(), Error> {
    let reach = changes::reach(conn, tenant)?.ok_or(StoreError::UnknownTenant(tenant))?;
    if reach.gone == 0 {
        return Ok(());
    }
    let oldest = changes::after(conn, tenant, reach.gone, 1)?;
    let is_kept = oldest
        .first()
        .is_some_and(|row| row.change.at <= at.as_microsecond());
    if is_kept {
        Ok(())
    } else {
        Err(Error::Gone(Gone::Removed { upto: reach.gone }))
    }
}

/// The state of a user at a moment.
enum PastState {
    Existing(Person),
    Missing,
    Erased,
}

/// The state of a resource while its changes are undone, the latest first.
struct Rewind {
    document: Option<Map<String, Value>>,
    created: i64,
    modified: i64,
    is_erased: bool,
}

impl Rewind {
    fn from_now(row: Option<&Stored>) -> Self {
        Self {
            created: row.map_or(0, |row| row.created),
            modified: row.map_or(0, |row| row.modified),
            document: row.and_then(|row| serde_json::from_str(&row.doc).ok()),
            is_erased: false,
        }
    }

    /// Undoes a change if it was made after `at_us`.
    fn undo(&mut self, rt: &ResourceType, change: &changes::Change, at_us: i64) -> Walk {
        if change.resource_type != rt.name {
            return Walk::Stop;
        }
        if change.kind == ChangeKind::Erased && self.document.is_none() {
            self.is_erased = true;
            return Walk::Stop;
        }
        if change.at <= at_us {
            self.modified = change.at;
            return Walk::Stop;
        }
        match change.kind {
            ChangeKind::Created => self.document = None,
            ChangeKind::Deleted => {
                self.document = serde_json::from_str(&change.payload).ok();
            }
            _ => {
                if let Some(document) = &mut self.document {
                    diff::undo(rt, document, &change.payload);
                }
            }
        }
        Walk::On
    }
}

fn person_at(
    conn: &mut Conn,
    caller: &DirectoryCaller,
    id: &ResourceId,
    at: Timestamp,
) -> Result<PastState, Error> {
    let rt = &caller.user;
    let row = resources::get(conn, caller.tenant, &rt.name, id)?;
    let mut state = Rewind::from_now(row.as_ref());
    let at_us = at.as_microsecond();
    each_back(conn, caller.tenant, id, |recorded| {
        state.undo(rt, &recorded.change, at_us)
    })?;
    if state.is_erased {
        return Ok(PastState::Erased);
    }
    let Some(document) = state.document else {
        return Ok(PastState::Missing);
    };
    let created = match row {
        Some(_) => state.created,
        None => created(conn, caller.tenant, id)?.unwrap_or(state.modified),
    };
    let times = (created, state.modified);
    Ok(PastState::Existing(caller.person_of(id, document, times)))
}

/// Returns when a deleted resource was created, if that change is still stored.
fn created(conn: &mut Conn, tenant: TenantId, id: &ResourceId) -> Result<Option<i64>, Error> {
    let mut found = None;
    each_back(conn, tenant, id, |recorded| {
        if recorded.change.kind == ChangeKind::Created {
            found = Some(recorded.change.at);
        }
        Walk::On
    })?;
    Ok(found)
}

/// Adds the members of nested groups at a moment to `direct`, the group's own members.
fn ids_within(
    conn: &mut Conn,
    caller: &DirectoryCaller,
    group: &ResourceId,
    direct: BTreeSet<ResourceId>,
    at: Timestamp,
) -> Result<BTreeSet<ResourceId>, Error> {
    let mut visited = BTreeSet::from([group.clone()]);
    let mut all = BTreeSet::new();
    let mut fresh = direct;
    // A group is visited once, so cycles end.
    while !fresh.is_empty() {
        let groups = groups_among(conn, caller, &fresh)?;
        all.append(&mut fresh);
        for group in groups {
            if !visited.insert(group.clone()) {
                continue;
            }
            if visited.len() > MOST_GROUPS {
                return Err(Error::BadRequest(format!(
                    "More than {MOST_GROUPS} groups were in this group. Ask for its direct members, with `nested=false`, and for \
                     those of the groups in it."
                )));
            }
            match ids_at(conn, caller, &group, at) {
                Ok(ids) => fresh.extend(ids.into_iter().filter(|id| !all.contains(id))),
                Err(Error::NotFound(_) | Error::Erased(_)) => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(all)
}

/// Returns the ids of groups, the deleted ones included.
fn groups_among(
    conn: &mut Conn,
    caller: &DirectoryCaller,
    ids: &BTreeSet<ResourceId>,
) -> Result<Vec<ResourceId>, Error> {
    let wanted: Vec<ResourceId> = ids.iter().cloned().collect();
    let mut groups = Vec::new();
    let mut existing = BTreeSet::new();
    resources::each_of(conn, caller.tenant, &wanted, |row| {
        if row.resource_type == caller.group.name {
            groups.push(row.id.clone());
        }
        existing.insert(row.id);
        Ok::<_, Error>(())
    })?;
    for id in ids.difference(&existing) {
        let last = changes::of_resource(conn, caller.tenant, id, None, 1)?;
        if last
            .rows
            .iter()
            .any(|row| row.change.resource_type == caller.group.name)
        {
            groups.push(id.clone());
        }
    }
    Ok(groups)
}

/// Returns the ids of a group's direct members at a moment.
fn ids_at(
    conn: &mut Conn,
    caller: &DirectoryCaller,
    group: &ResourceId,
    at: Timestamp,
) -> Result<BTreeSet<ResourceId>, Error> {
    let at_us = at.as_microsecond();
    let exists = resources::get(conn, caller.tenant, &caller.group.name, group)?.is_some();
    // What this moment's members are computed from; they themselves take less.
    let mut held = caller.memory.reservation(caller.tenant);
    let past = group_past(conn, (caller, &mut held), group, exists, at_us)?;
    if exists {
        // The present members, with the later changes undone.
        let mut ids = BTreeSet::new();
        members::each(conn, caller.tenant, group, |row| {
            held.grow(MEMBER_ID_BYTES)?;
            ids.insert(row.value);
            Ok::<_, Error>(())
        })?;
        for recorded in &past {
            step(&mut ids, recorded, ChangeKind::MemberRemoved);
        }
        return Ok(ids);
    }
    // The present members of a deleted group are unknown, so the changes since its creation are
    // applied.
    if past.last().map(|first| first.change.kind) != Some(ChangeKind::Created) {
        let upto = past.last().map_or(0, |first| first.seq - 1);
        return Err(Error::Gone(Gone::Removed { upto }));
    }
    let mut ids = BTreeSet::new();
    let earlier = past
        .iter()
        .rev()
        .filter(|recorded| recorded.change.at <= at_us);
    for recorded in earlier {
        step(&mut ids, recorded, ChangeKind::MemberAdded);
    }
    Ok(ids)
}

/// Returns the changes of a group, the latest first: those after `at_us` if it exists, otherwise
/// all.
///
/// # Errors
/// [`Error::NotFound`] and [`Error::Erased`] where there was no such group at that moment.
fn group_past(
    conn: &mut Conn,
    (caller, held): (&DirectoryCaller, &mut Reservation),
    group: &ResourceId,
    exists: bool,
    at_us: i64,
) -> Result<Vec<RecordedChange>, Error> {
    let mut granted = Ok(());
    let mut existed = exists;
    let mut past: Vec<RecordedChange> = Vec::new();
    let mut is_erased = false;
    each_back(conn, caller.tenant, group, |mut recorded| {
        if recorded.change.resource_type != caller.group.name {
            return Walk::Stop;
        }
        if recorded.change.kind == ChangeKind::Erased && !existed {
            is_erased = true;
            return Walk::Stop;
        }
        if recorded.change.at > at_us {
            match recorded.change.kind {
                ChangeKind::Created => existed = false,
                ChangeKind::Deleted => existed = true,
                _ => {}
            }
        } else if exists {
            return Walk::Stop;
        }
        if !is_about_members(recorded.change.kind) {
            recorded.change.payload = "".into();
        }
        granted = held.grow(
            recorded
                .change
                .payload
                .len()
                .saturating_add(MEMBER_ID_BYTES),
        );
        if granted.is_err() {
            return Walk::Stop;
        }
        past.push(recorded);
        Walk::On
    })?;
    granted?;
    if is_erased {
        return Err(erased(&caller.group, group));
    }
    if !existed {
        return Err(Error::no_resource(&caller.group, group));
    }
    Ok(past)
}

/// Adds the members of a change of the kind `adds`, and removes those of the opposite kind.
fn step(ids: &mut BTreeSet<ResourceId>, recorded: &RecordedChange, adds: ChangeKind) {
    if !is_about_members(recorded.change.kind) {
        return;
    }
    let payload: Value = serde_json::from_str(&recorded.change.payload).unwrap_or_default();
    let list = payload.get("members").and_then(Value::as_array);
    let named = list
        .into_iter()
        .flatten()
        .filter_map(|member| ResourceId::parse(member.get("value")?.as_str()?));
    for id in named {
        if recorded.change.kind == adds {
            ids.insert(id);
        } else {
            ids.remove(&id);
        }
    }
}

fn is_about_members(kind: ChangeKind) -> bool {
    matches!(kind, ChangeKind::MemberAdded | ChangeKind::MemberRemoved)
}

/// Whether to continue with the next older change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Walk {
    On,
    Stop,
}

/// Visits the changes of a resource, the latest first.
fn each_back(
    conn: &mut Conn,
    tenant: TenantId,
    id: &ResourceId,
    mut visit: impl FnMut(RecordedChange) -> Walk,
) -> Result<(), Error> {
    let mut before = None;
    loop {
        let FirstOf { rows, is_cut } = changes::of_resource(conn, tenant, id, before, CHUNK)?;
        let is_end = !is_cut && u32::try_from(rows.len()).unwrap_or(CHUNK) < CHUNK;
        before = rows.last().map(|row| row.seq);
        for row in rows {
            if visit(row) == Walk::Stop {
                return Ok(());
            }
        }
        if is_end {
            return Ok(());
        }
    }
}
