//! Finds the resource to erase, what is known of it, and the records of others that may name it.

use std::sync::Arc;

use scim_core::personal_data::Identifiers;
use scim_core::{Document, Registry, ResourceType, indexing};
use serde_json::{Map, Value, json};

use crate::ids::Actor;
use crate::service::Error;
use crate::store::tables::changes::ChangeKind;
use crate::store::tables::erasure::Marks;
use crate::store::tables::resources::Stored;
use crate::store::tables::{changes, erasure, resources};
use crate::store::{Conn, ResourceId, Store, StoreError, TenantId};

/// The type whose resources can be managers and authors of changes.
pub const PERSON: &str = "User";
/// The number of changes read at a time.
const CHUNK: u32 = 200;
/// The number of changes searched at a time.
const SEARCH_CHUNK: i64 = 20_000;
/// The most names searched for; more can only come from faulty data.
const MOST_NAMES: usize = 1_000;

/// Returns the ids of the users with a user name, and of the deleted ones who had it last.
///
/// # Errors
/// [`Error::BadRequest`] for a type without user names, [`Error::NotFound`] where no user has the
/// name.
pub async fn find(
    store: &Store,
    registry: &Registry,
    tenant: TenantId,
    type_name: &str,
    user_name: &str,
) -> Result<Vec<String>, Error> {
    let rt = type_of(registry, type_name)?;
    let mut wanted = Document::default();
    wanted.0.insert("userName".to_owned(), json!(user_name));
    let hot = indexing::hot_columns(&rt, &wanted).user_name;
    let Some(wanted) = hot else {
        return Err(Error::BadRequest(format!("a {} has no userName", rt.name)));
    };
    let mut ids = Vec::new();
    let mut after = 0;
    loop {
        let rt = Arc::clone(&rt);
        let name = wanted.clone();
        let page = store.read_for(tenant, move |conn| holders(conn, tenant, &rt, &name, after));
        let (found, next) = page.await?;
        ids.extend(found.into_iter().map(ResourceId::into_string));
        match next {
            Some(next) => after = next,
            None => break,
        }
    }
    ids.sort_unstable();
    ids.dedup();
    if ids.is_empty() {
        return Err(Error::NotFound(format!("A {} of this userName", rt.name)));
    }
    Ok(ids)
}

/// Searches the live users, on the first page, and one page of changes. Returns the position of the
/// next page too.
fn holders(
    conn: &mut Conn,
    tenant: TenantId,
    rt: &ResourceType,
    name: &str,
    after: i64,
) -> Result<(Vec<ResourceId>, Option<i64>), Error> {
    let mut found = Vec::new();
    if after == 0 {
        let live = resources::by_user_name(conn, tenant, &rt.name, name)?;
        found.extend(live.map(|holder| holder.id));
    }
    let rows = changes::after(conn, tenant, after, CHUNK)?;
    let next = rows.last().map(|row| row.seq);
    for row in rows {
        let change = row.change;
        if change.kind != ChangeKind::Deleted || change.resource_type != rt.name {
            continue;
        }
        let was = Document::parse(&change.payload).unwrap_or_default();
        if indexing::hot_columns(rt, &was).user_name.as_deref() == Some(name) {
            found.push(change.resource_id);
        }
    }
    Ok((found, next))
}

pub fn type_of(registry: &Registry, name: &str) -> Result<Arc<ResourceType>, Error> {
    let found = registry.by_name(name).cloned();
    found.ok_or_else(|| Error::BadRequest(format!("There is no resource type `{name}`.")))
}

pub fn unknown(rt: &ResourceType, id: &str) -> Error {
    Error::NotFound(format!("{} {id}", rt.name))
}

/// The records of other resources that may name the person.
#[derive(Debug, Default)]
pub struct Mentions {
    pub changes: Vec<i64>,
    pub documents: Vec<ResourceId>,
}

/// Finds mentions. Also returns the number of the last change that it has searched.
pub async fn find_mentions(
    store: &Store,
    tenant: TenantId,
    rt: &Arc<ResourceType>,
    id: &ResourceId,
) -> Result<(i64, Mentions), Error> {
    let mut mentions = Mentions::default();
    let known = Arc::clone(rt);
    let person = id.clone();
    let begun = store.read_for(tenant, move |conn| {
        let known = known_of(conn, tenant, &known, &person)?;
        let reach = changes::reach(conn, tenant)?.ok_or(StoreError::UnknownTenant(tenant))?;
        Ok::<_, Error>((known, reach))
    });
    let (known, reach) = begun.await?;
    if known.erased.is_some() || rt.name != PERSON {
        return Ok((reach.last, mentions));
    }
    let marks = Arc::new(marks_of(&known.names));
    let mut after = reach.gone;
    while after < reach.last {
        let upto = reach.last.min(after.saturating_add(SEARCH_CHUNK));
        let person = id.clone();
        let marks = Arc::clone(&marks);
        let found = store.read_for(tenant, move |conn| {
            Ok::<_, Error>(erasure::changes_with(
                conn,
                tenant,
                &person,
                &marks,
                (after, upto),
            )?)
        });
        mentions.changes.extend(found.await?);
        after = upto;
    }
    let person = id.clone();
    let found = store.read_for(tenant, move |conn| {
        Ok::<_, Error>(erasure::documents_with(
            conn, tenant, PERSON, &person, &marks,
        )?)
    });
    mentions.documents = found.await?;
    Ok((reach.last, mentions))
}

pub fn marks_of(names: &Identifiers) -> Marks {
    let actor = |name: String| Actor::Subject(name.into()).to_string();
    Marks {
        pieces: names.search_terms().into_iter().take(MOST_NAMES).collect(),
        actors: names
            .subjects()
            .into_iter()
            .take(MOST_NAMES)
            .map(actor)
            .collect(),
    }
}

/// What is known of a resource before it is erased.
pub struct KnownSubject {
    pub stored: Option<Stored>,
    pub names: Identifiers,
    /// The number and the time of the change that recorded its erasure.
    pub erased: Option<(i64, i64)>,
}

pub fn known_of(
    conn: &mut Conn,
    tenant: TenantId,
    rt: &ResourceType,
    id: &ResourceId,
) -> Result<KnownSubject, Error> {
    let stored = resources::get(conn, tenant, &rt.name, id)?;
    let mut names = Identifiers::new(id.as_str());
    let learn = |names: &mut Identifiers, text: &str| {
        let payload: Map<String, Value> = serde_json::from_str(text).unwrap_or_default();
        names.learn(&payload);
    };
    if let Some(stored) = &stored {
        learn(&mut names, &stored.doc);
    }
    let mut before = None;
    let mut latest = None;
    loop {
        let rows = changes::of_resource(conn, tenant, id, before, CHUNK)?.rows;
        let Some(last) = rows.last() else { break };
        before = Some(last.seq);
        for row in rows {
            if row.change.resource_type != rt.name {
                continue;
            }
            learn(&mut names, &row.change.payload);
            latest.get_or_insert((row.seq, row.change.kind, row.change.at));
        }
    }
    if stored.is_none() && latest.is_none() {
        return Err(unknown(rt, id.as_str()));
    }
    let erased = latest.filter(|(_, kind, _)| *kind == ChangeKind::Erased);
    Ok(KnownSubject {
        erased: erased
            .filter(|_| stored.is_none())
            .map(|(seq, _, at)| (seq, at)),
        stored,
        names,
    })
}
