//! How things were: the changes of one resource, and its state at a moment, told back from what is there now.

use std::collections::BTreeSet;

use jiff::Timestamp;
use scim_core::{ResourceType, diff};
use serde_json::{Map, Value};

use crate::auth::Scope;
use crate::service::error::Gone;
use crate::service::feed::{Change, ChangeKind, View};
use crate::service::query::directory::{Depth, DirectoryCaller, MOST, Person, PersonPage};
use crate::service::{Context, Error, Service};
use crate::store::tables::changes::Recorded;
use crate::store::tables::{changes, members, resources};
use crate::store::{Conn, ResourceId, StoreError, TenantId};

/// How many changes are read at once.
const CHUNK: u32 = 200;

/// Changes of a resource, the latest first.
#[derive(Debug, Clone, serde::Serialize, utoipa::ToSchema)]
#[schema(as = FeedPast)]
pub struct Past {
    pub changes: Vec<Change>,
    /// The `before` of the next page; null if nothing older is kept.
    pub next: Option<i64>,
}

/// What happened to a resource before the change of that number, or at all.
///
/// # Errors
/// [`Error::NotFound`] where nothing is known of it.
pub async fn of_resource(
    service: &Service,
    context: &Context,
    type_name: &'static str,
    id: ResourceId,
    before: Option<i64>,
    limit: u32,
) -> Result<Past, Error> {
    context.require(Scope::Read)?;
    let (tenant, view) = (context.tenant(), View::of(context, &service.registry));
    let limit = limit.clamp(1, MOST);
    service
        .read(context, move |conn| {
            let rows = changes::of_resource(conn, tenant, &id, before, limit)?;
            let is_other = |row: &Recorded| row.change.resource_type != type_name;
            let is_there = !rows.is_empty()
                || before.is_some()
                || resources::get(conn, tenant, type_name, &id)?.is_some();
            if !is_there || rows.first().is_some_and(is_other) {
                return Err(Error::NotFound(format!("{type_name} {id}")));
            }
            let is_full = u32::try_from(rows.len()).unwrap_or(limit) >= limit;
            Ok(Past {
                next: rows.last().filter(|_| is_full).map(|row| row.seq),
                changes: rows
                    .into_iter()
                    .filter_map(|row| view.change(row))
                    .collect(),
            })
        })
        .await
}

/// A user as it was.
///
/// # Errors
/// [`Error::NotFound`] where there was none at that moment, [`Error::Gone`] where the changes do not reach back to it,
/// [`Error::Erased`] where the user was erased since.
pub async fn user_at(
    service: &Service,
    context: &Context,
    id: ResourceId,
    at: Timestamp,
) -> Result<Person, Error> {
    let asker = DirectoryCaller::of(context, &service.registry)?;
    service
        .read(context, move |conn| {
            reaches(conn, asker.tenant, at)?;
            match person_at(conn, &asker, &id, at)? {
                Was::There(person) => Ok(person),
                Was::Nobody => Err(Error::no_resource(&asker.user, &id)),
                Was::Erased => Err(erased(&asker.user, &id)),
            }
        })
        .await
}

fn erased(rt: &ResourceType, id: &ResourceId) -> Error {
    Error::Erased(format!("{} {id}", rt.name))
}

/// How many groups within a group are gone through.
const MOST_GROUPS: usize = 500;

/// A page of the active users who were in a group, by id. Those who were erased since are not told.
///
/// # Errors
/// As [`user_at`], [`Error::BadRequest`] where too many groups were in the group, and [`Error::Hidden`] where the caller
/// may not read `members`.
pub async fn members_at(
    service: &Service,
    context: &Context,
    id: ResourceId,
    depth: Depth,
    after: Option<ResourceId>,
    limit: u32,
    at: Timestamp,
) -> Result<PersonPage, Error> {
    let asker = DirectoryCaller::of(context, &service.registry)?;
    asker.must_read(&asker.group, "members")?;
    let size = usize::try_from(limit.clamp(1, MOST)).unwrap_or(usize::MAX);
    service
        .read(context, move |conn| {
            reaches(conn, asker.tenant, at)?;
            let mut ids = ids_at(conn, &asker, &id, at)?;
            if depth == Depth::Nested {
                ids = ids_within(conn, &asker, &id, ids, at)?;
            }
            let rest = ids
                .into_iter()
                .filter(|id| after.as_ref().is_none_or(|after| id > after));
            let (mut people, mut next) = (Vec::new(), None);
            for id in rest {
                // Only users, and only the active.
                let Was::There(person) = person_at(conn, &asker, &id, at)? else {
                    continue;
                };
                if !person.was_active() {
                    continue;
                }
                if people.len() == size {
                    next = people.last().map(|last: &Person| last.id.clone());
                    break;
                }
                people.push(person);
            }
            Ok(PersonPage { people, next })
        })
        .await
}

/// Stops where changes behind the moment are gone.
fn reaches(conn: &mut Conn, tenant: TenantId, at: Timestamp) -> Result<(), Error> {
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

/// What of a resource is known of a moment, on the way back to it.
struct Then {
    document: Option<Map<String, Value>>,
    created: i64,
    modified: i64,
}

/// What is known of somebody at a moment.
enum Was {
    There(Person),
    Nobody,
    Erased,
}

fn person_at(
    conn: &mut Conn,
    asker: &DirectoryCaller,
    id: &ResourceId,
    at: Timestamp,
) -> Result<Was, Error> {
    let rt = &asker.user;
    let row = resources::get(conn, asker.tenant, &rt.name, id)?;
    let mut then = Then {
        created: row.as_ref().map_or(0, |row| row.created),
        modified: row.as_ref().map_or(0, |row| row.modified),
        document: row.and_then(|row| serde_json::from_str(&row.doc).ok()),
    };
    let at_us = at.as_microsecond();
    let mut is_erased = false;
    each_back(conn, asker.tenant, id, |recorded| {
        let change = &recorded.change;
        if change.resource_type != rt.name {
            return Walk::Stop;
        }
        if change.kind == ChangeKind::Erased && then.document.is_none() {
            is_erased = true;
            return Walk::Stop;
        }
        if change.at <= at_us {
            then.modified = change.at;
            return Walk::Stop;
        }
        match change.kind {
            ChangeKind::Created => then.document = None,
            ChangeKind::Deleted => {
                then.document = serde_json::from_str(&change.payload).ok();
            }
            _ => {
                if let Some(document) = &mut then.document {
                    diff::undo(rt, document, &change.payload);
                }
            }
        }
        Walk::On
    })?;
    if is_erased {
        return Ok(Was::Erased);
    }
    let Some(document) = then.document else {
        return Ok(Was::Nobody);
    };
    if then.created == 0 {
        then.created = created(conn, asker.tenant, id)?.unwrap_or(then.modified);
    }
    let times = (then.created, then.modified);
    Ok(Was::There(asker.person_of(id, document, times)))
}

/// When a resource that is deleted was made, as far as that is kept.
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

/// The ids of all in a group at a moment, also through groups that were in it. `direct` are the group's own.
fn ids_within(
    conn: &mut Conn,
    asker: &DirectoryCaller,
    group: &ResourceId,
    direct: BTreeSet<ResourceId>,
    at: Timestamp,
) -> Result<BTreeSet<ResourceId>, Error> {
    let mut gone_through = BTreeSet::from([group.clone()]);
    let (mut all, mut fresh) = (BTreeSet::new(), direct);
    // What was met before is not followed again, which ends cycles.
    while !fresh.is_empty() {
        let groups = groups_among(conn, asker, &fresh)?;
        all.append(&mut fresh);
        for group in groups {
            if !gone_through.insert(group.clone()) {
                continue;
            }
            if gone_through.len() > MOST_GROUPS {
                return Err(Error::BadRequest(format!(
                    "More than {MOST_GROUPS} groups were in this group. Ask for its direct members, with `nested=false`, and for \
                     those of the groups in it."
                )));
            }
            match ids_at(conn, asker, &group, at) {
                Ok(ids) => fresh.extend(ids.into_iter().filter(|id| !all.contains(id))),
                Err(Error::NotFound(_) | Error::Erased(_)) => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(all)
}

/// Those that are groups, or were when they were deleted.
fn groups_among(
    conn: &mut Conn,
    asker: &DirectoryCaller,
    ids: &BTreeSet<ResourceId>,
) -> Result<Vec<ResourceId>, Error> {
    let wanted: Vec<ResourceId> = ids.iter().cloned().collect();
    let mut groups = Vec::new();
    let mut there = BTreeSet::new();
    for row in resources::get_many(conn, asker.tenant, &wanted)? {
        if row.resource_type == asker.group.name {
            groups.push(row.id.clone());
        }
        there.insert(row.id);
    }
    for id in ids.difference(&there) {
        let last = changes::of_resource(conn, asker.tenant, id, None, 1)?;
        if last
            .iter()
            .any(|row| row.change.resource_type == asker.group.name)
        {
            groups.push(id.clone());
        }
    }
    Ok(groups)
}

/// The ids of a group's direct members at a moment.
fn ids_at(
    conn: &mut Conn,
    asker: &DirectoryCaller,
    group: &ResourceId,
    at: Timestamp,
) -> Result<BTreeSet<ResourceId>, Error> {
    let at_us = at.as_microsecond();
    let is_there = resources::get(conn, asker.tenant, &asker.group.name, group)?.is_some();
    let mut was_there = is_there;
    // Of a group that was deleted the members are told from its beginning, of another from its end.
    let mut past: Vec<Recorded> = Vec::new();
    let mut is_erased = false;
    each_back(conn, asker.tenant, group, |recorded| {
        if recorded.change.resource_type != asker.group.name {
            return Walk::Stop;
        }
        if recorded.change.kind == ChangeKind::Erased && !was_there {
            is_erased = true;
            return Walk::Stop;
        }
        if recorded.change.at > at_us {
            match recorded.change.kind {
                ChangeKind::Created => was_there = false,
                ChangeKind::Deleted => was_there = true,
                _ => {}
            }
        } else if is_there {
            return Walk::Stop;
        }
        past.push(recorded);
        Walk::On
    })?;
    if is_erased {
        return Err(erased(&asker.group, group));
    }
    if !was_there {
        return Err(Error::no_resource(&asker.group, group));
    }
    if is_there {
        let rows = members::of_group(conn, asker.tenant, group)?;
        let mut ids: BTreeSet<ResourceId> = rows.into_iter().map(|row| row.value).collect();
        for recorded in &past {
            step(&mut ids, recorded, ChangeKind::MemberRemoved);
        }
        return Ok(ids);
    }
    if past.last().map(|first| first.change.kind) != Some(ChangeKind::Created) {
        let upto = past.last().map_or(0, |first| first.seq - 1);
        return Err(Error::Gone(Gone::Removed { upto }));
    }
    let mut ids = BTreeSet::new();
    for recorded in past.iter().rev().filter(|one| one.change.at <= at_us) {
        step(&mut ids, recorded, ChangeKind::MemberAdded);
    }
    Ok(ids)
}

/// Adds the members of a change of the kind `adds`, and takes out those of its opposite.
fn step(ids: &mut BTreeSet<ResourceId>, recorded: &Recorded, adds: ChangeKind) {
    let is_about_members = matches!(
        recorded.change.kind,
        ChangeKind::MemberAdded | ChangeKind::MemberRemoved
    );
    if !is_about_members {
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

/// Whether to go further back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Walk {
    On,
    Stop,
}

/// Goes through the changes of a resource from the latest back.
fn each_back(
    conn: &mut Conn,
    tenant: TenantId,
    id: &ResourceId,
    mut visit: impl FnMut(Recorded) -> Walk,
) -> Result<(), Error> {
    let mut before = None;
    loop {
        let rows = changes::of_resource(conn, tenant, id, before, CHUNK)?;
        let is_end = u32::try_from(rows.len()).unwrap_or(CHUNK) < CHUNK;
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
