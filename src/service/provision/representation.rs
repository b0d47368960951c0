//! Renders stored rows as the text that a client reads. `meta`, `members` and `groups` are inserted
//! here.

use std::collections::HashMap;
use std::sync::Arc;

use scim_core::project::Selection;
use scim_core::render::{MemberStream, Meta};
use scim_core::views::{GroupView, MemberView, Related};
use scim_core::{ResourceType, Version, render};
use serde_json::Value;

use crate::memory::{FREE_BYTES, Held, MemoryBudget, MemoryError, Reservation, weigh_large};
use crate::service::{Error, context};
use crate::store::engine::budget;
use crate::store::query::coalesce::CoalescedReads;
use crate::store::query::lookup;
use crate::store::query::lookup::{LookupKey, LookupResult, LookupShape, ResourceView};
use crate::store::tables::members;
use crate::store::tables::members::{GroupRow, MemberRow};
use crate::store::tables::resources::Stored;
use crate::store::{Conn, ResourceId, StoreError, TenantId};

/// A resource as a response shows it.
#[derive(Debug)]
pub struct Resource {
    pub location: String,
    /// The version that `meta.version` in the body has.
    pub version: Version,
    pub body: ResourceText,
    /// The memory of the body, if it is large.
    pub held: Option<Reservation>,
}

/// The text of a response. A text that may be very long is a list of chunks, so that it is not
/// copied as it grows.
#[derive(Debug)]
pub enum ResourceText {
    Whole(String),
    Chunks(Vec<String>),
}

impl ResourceText {
    pub fn into_text(self) -> String {
        match self {
            Self::Whole(text) => text,
            Self::Chunks(chunks) => chunks.concat(),
        }
    }
}

/// The result of a write: the resource, or only its address and version.
#[derive(Debug)]
pub enum Written {
    Whole(Resource),
    Minimal { location: String, version: Version },
}

/// The form of response that the client asks for with a write.
#[derive(Debug, Clone)]
pub struct ResponseOptions {
    pub selection: Selection,
    /// `Prefer: return=…` (RFC 7240 section 4.2).
    pub preference: Option<Return>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Return {
    Minimal,
    Representation,
}

impl ResponseOptions {
    /// Adds the attributes of the request's body that are returned on request only: a client that
    /// sends them gets them.
    #[must_use]
    pub fn and_sent(mut self, rt: &ResourceType, body: &Value) -> Self {
        self.selection = self.selection.and_sent(rt, body);
        self
    }

    /// Returns the preference that applies: a selection of attributes asks for content (RFC 7644
    /// section 3.5.2).
    pub fn preference(&self) -> Option<Return> {
        self.preference.filter(|_| self.selection.is_all())
    }
}

/// `https://scim.example.com/scim/v2/Users/ID`
pub fn location(base_url: &str, rt: &ResourceType, id: &ResourceId) -> String {
    [base_url, &rt.endpoint, "/", id.as_str()].concat()
}

/// The view of a stored member, the only place that makes one. The core writes it as JSON.
pub fn member_view(base_url: &str, row: MemberRow) -> MemberView {
    MemberView {
        reference: reference(base_url, &row.kind, &row.value),
        value: row.value.into_string(),
        display: row.display,
        kind: row.kind,
    }
}

fn group_view(base_url: &str, row: GroupRow) -> GroupView {
    GroupView {
        reference: reference(base_url, "Group", &row.group),
        value: row.group.into_string(),
        display: row.display,
        direct: row.direct,
    }
}

/// The `$ref` of a member or of a user's group. Only users and groups can be either.
fn reference(base_url: &str, kind: &str, id: &ResourceId) -> String {
    [base_url, "/", kind, "s/", id.as_str()].concat()
}

/// Renders resources of one type with one selection of attributes.
#[derive(Debug, Clone, Copy)]
pub struct Renderer<'a> {
    pub base_url: &'a str,
    pub rt: &'a ResourceType,
    pub selection: &'a Selection,
    /// The memory of responses.
    pub memory: &'a Arc<MemoryBudget>,
}

/// The members and groups of some resources by the resources' ids; `None` where the response does
/// not show them.
struct Relations {
    members: Option<ById<MemberView>>,
    groups: Option<ById<GroupView>>,
}

impl<'a> Renderer<'a> {
    /// Renders one resource and reads its members and groups.
    pub fn one(self, conn: &mut Conn, tenant: TenantId, row: &Stored) -> Result<Resource, Error> {
        if let Some(stream) = MemberStream::begin(self.rt, &row.doc, self.selection) {
            return self.streamed(conn, tenant, row, stream);
        }
        let rows = std::slice::from_ref(row);
        let mut held = self.memory.reservation(tenant);
        let relations = self.relations(conn, rows, &mut held)?;
        let mut relations = relations.ok_or(MemoryError::TooLarge)?;
        self.resource(row, &mut relations, tenant)
    }

    /// Renders a resource just created in this transaction; only the display names of members are
    /// read.
    pub fn created(
        self,
        conn: &mut Conn,
        tenant: TenantId,
        row: &Stored,
    ) -> Result<Resource, Error> {
        if let Some(stream) = MemberStream::begin(self.rt, &row.doc, self.selection) {
            return self.streamed(conn, tenant, row, stream);
        }
        let mut held = self.memory.reservation(tenant);
        let members = self.members(conn, std::slice::from_ref(row), &mut held)?;
        let mut relations = Relations {
            members: members.ok_or(MemoryError::TooLarge)?,
            groups: self.shows("groups").then(HashMap::new),
        };
        self.resource(row, &mut relations, tenant)
    }

    /// Renders a page, with one query for the members and one for the groups of all resources.
    /// Returns `None` if several resources have more than `most_bytes`.
    pub fn many(
        self,
        conn: &mut Conn,
        tenant: TenantId,
        rows: &[Stored],
        most_bytes: usize,
    ) -> Result<Option<Held<Vec<String>>>, Error> {
        let mut work = self.memory.reservation(tenant);
        let Some(mut relations) = self.relations(conn, rows, &mut work)? else {
            return Ok(None);
        };
        let mut held = self.memory.reservation(tenant);
        let mut bodies = Vec::with_capacity(rows.len());
        let mut bytes = 0_usize;
        for row in rows {
            budget::check()?;
            let resource = self.resource(row, &mut relations, tenant)?;
            let body = resource.body.into_text();
            bytes = bytes.saturating_add(body.len());
            if bytes > most_bytes && rows.len() > 1 {
                return Ok(None);
            }
            drop(resource.held);
            held.grow_for_work(body.len())?;
            bodies.push(body);
        }
        Ok(Some(Held::new(bodies, held)))
    }

    /// Returns the version that [`Renderer::one`] would show.
    pub fn version(
        self,
        conn: &mut Conn,
        tenant: TenantId,
        row: &Stored,
    ) -> Result<Version, Error> {
        let mut held = self.memory.reservation(tenant);
        let groups = self.groups(conn, std::slice::from_ref(row), &mut held)?;
        let groups = groups.ok_or(MemoryError::TooLarge)?;
        let groups = groups.and_then(|mut groups| groups.remove(row.id.as_str()));
        Ok(Version::with_groups(
            row.version,
            &groups.unwrap_or_default(),
        ))
    }

    /// Returns the lookup that finds a resource and its groups with one statement. `None` where the
    /// response shows members, which may be very many.
    pub fn lookup(self) -> Option<Lookup<'a>> {
        if self.shows("members") {
            return None;
        }
        Some(Lookup {
            renderer: self,
            has_groups: self.shows("groups"),
        })
    }

    /// Renders a group that may have very many members, one by one.
    fn streamed(
        self,
        conn: &mut Conn,
        tenant: TenantId,
        row: &Stored,
        mut stream: MemberStream,
    ) -> Result<Resource, Error> {
        let mut held = self.memory.reservation(tenant);
        held.grow_for_work(row.doc.len())?;
        members::each(conn, tenant, &row.id, |member| {
            let member = member_view(self.base_url, member);
            held.grow(member_text_bytes(&member))?;
            stream.push(&member);
            Ok::<_, Error>(())
        })?;
        let location = location(self.base_url, self.rt, &row.id);
        let version = row.version.into();
        let body = ResourceText::Chunks(stream.end(&self.meta(row, &location, version)));
        Ok(Resource {
            location,
            version,
            body,
            held: Some(held),
        })
    }

    /// Takes the resource's relations out.
    fn resource(
        self,
        row: &Stored,
        relations: &mut Relations,
        tenant: TenantId,
    ) -> Result<Resource, Error> {
        let id = row.id.as_str();
        let members = relations.members.as_mut();
        let members = members.map(|all| all.remove(id).unwrap_or_default());
        let groups = relations.groups.as_mut();
        let groups = groups.map(|all| all.remove(id).unwrap_or_default());
        self.with_relations(row, members.as_deref(), groups.as_deref(), tenant)
    }

    fn with_relations(
        self,
        row: &Stored,
        members: Option<&[MemberView]>,
        groups: Option<&[GroupView]>,
        tenant: TenantId,
    ) -> Result<Resource, Error> {
        let location = location(self.base_url, self.rt, &row.id);
        let version = Version::with_groups(row.version, groups.unwrap_or_default());
        let meta = self.meta(row, &location, version);
        // Most selections need the document parsed.
        let expected = match self.selection.is_all() {
            true => row.doc.len(),
            false => row.doc.len().max(weigh_large(&row.doc)),
        };
        let work = self.hold(tenant, expected)?;
        let body = render::render(
            self.rt,
            &row.doc,
            &meta,
            Related { members, groups },
            self.selection,
        );
        let held = match work {
            None => self.hold(tenant, body.len())?,
            Some(mut held) => {
                held.grow_for_work(body.len().saturating_sub(held.used_bytes()))?;
                held.shrink_to(body.len());
                Some(held)
            }
        };
        Ok(Resource {
            location,
            version,
            body: ResourceText::Whole(body),
            held,
        })
    }

    /// Reserves memory for a response, if it is not so small that it needs none.
    fn hold(self, tenant: TenantId, bytes: usize) -> Result<Option<Reservation>, Error> {
        if bytes <= FREE_BYTES {
            return Ok(None);
        }
        Ok(Some(self.memory.reserve_work(tenant, bytes)?))
    }

    fn meta<'m>(self, row: &Stored, location: &'m str, version: Version) -> Meta<'m>
    where
        'a: 'm,
    {
        Meta {
            resource_type: &self.rt.name,
            created: context::time(row.created),
            modified: context::time(row.modified),
            location,
            version,
        }
    }

    fn shows(self, attribute: &str) -> bool {
        self.rt.is_relational(attribute) && self.selection.wants(self.rt, attribute)
    }

    /// Reads the members and groups of the resources. Returns `None` if they are too many.
    fn relations(
        self,
        conn: &mut Conn,
        rows: &[Stored],
        held: &mut Reservation,
    ) -> Result<Option<Relations>, Error> {
        let Some(members) = self.members(conn, rows, held)? else {
            return Ok(None);
        };
        let groups = self.groups(conn, rows, held)?;
        Ok(groups.map(|groups| Relations { members, groups }))
    }

    /// Reads the members of the resources, where the response shows them. Returns `None` if they
    /// are too many.
    fn members(
        self,
        conn: &mut Conn,
        rows: &[Stored],
        held: &mut Reservation,
    ) -> Result<Option<Option<ById<MemberView>>>, Error> {
        if !self.shows("members") {
            return Ok(Some(None));
        }
        let mut members: ById<MemberView> = HashMap::new();
        if let [only] = rows {
            let mut list = Vec::new();
            members::each(conn, held.tenant(), &only.id, |row| {
                let member = member_view(self.base_url, row);
                held.grow(size_of::<MemberView>() + member_text_bytes(&member))?;
                list.push(member);
                Ok::<_, Error>(())
            })?;
            members.insert(only.id.as_str().to_owned(), list);
            return Ok(Some(Some(members)));
        }
        let ids: Vec<ResourceId> = rows.iter().map(|row| row.id.clone()).collect();
        let found = members::of_groups(conn, held.tenant(), &ids)?;
        if found.is_cut {
            return Ok(None);
        }
        for (group, row) in found.rows {
            let member = member_view(self.base_url, row);
            held.grow(size_of::<MemberView>() + member_text_bytes(&member))?;
            members.entry(group.into_string()).or_default().push(member);
        }
        Ok(Some(Some(members)))
    }

    /// Reads the groups that the resources are in, where the response shows them. Returns `None` if
    /// they are too many.
    fn groups(
        self,
        conn: &mut Conn,
        rows: &[Stored],
        held: &mut Reservation,
    ) -> Result<Option<Option<ById<GroupView>>>, Error> {
        if !self.shows("groups") {
            return Ok(Some(None));
        }
        let ids: Vec<ResourceId> = rows.iter().map(|row| row.id.clone()).collect();
        let found = members::groups_of(conn, held.tenant(), &ids)?;
        if found.is_cut {
            return Ok(None);
        }
        let mut groups: ById<GroupView> = HashMap::new();
        for row in found.rows {
            let member = row.member.as_str().to_owned();
            let group = group_view(self.base_url, row);
            held.grow(size_of::<GroupView>() + group.reference.len().saturating_mul(2))?;
            groups.entry(member).or_default().push(group);
        }
        Ok(Some(Some(groups)))
    }
}

/// Relations by the ids of the resources that have them.
type ById<T> = HashMap<String, Vec<T>>;

/// The length of a member's text in a response, about.
fn member_text_bytes(member: &MemberView) -> usize {
    const PUNCTUATION_BYTES: usize = 64;
    let display = member.display.as_ref().map_or(0, String::len);
    [member.value.len(), member.reference.len(), display]
        .into_iter()
        .fold(PUNCTUATION_BYTES, usize::saturating_add)
}

/// Finds and renders a resource with one statement.
#[derive(Debug, Clone, Copy)]
pub struct Lookup<'a> {
    renderer: Renderer<'a>,
    has_groups: bool,
}

impl Lookup<'_> {
    fn shape(self) -> LookupShape {
        LookupShape {
            resource_type: self.renderer.rt.name.clone(),
            groups: self.has_groups,
        }
    }

    /// Finds the resource with a statement of its own, or one that concurrent requests share.
    pub async fn find(
        self,
        reads: &CoalescedReads,
        tenant: TenantId,
        key: LookupKey,
    ) -> Result<LookupResult, StoreError> {
        reads.resource(tenant, self.shape(), key).await
    }

    /// Finds the resource within a unit of work.
    pub fn find_in(
        self,
        conn: &mut Conn,
        tenant: TenantId,
        key: &LookupKey,
    ) -> Result<LookupResult, StoreError> {
        lookup::find(conn, tenant, &self.shape(), key)
    }

    /// Returns the version that [`Lookup::render`] shows. Addresses do not affect it.
    pub fn version(self, found: &ResourceView) -> Version {
        let view = |row: &GroupRow| group_view("", row.clone());
        let groups: Vec<_> = found.groups.iter().map(view).collect();
        Version::with_groups(found.row.version, &groups)
    }

    /// Renders what was found.
    ///
    /// # Errors
    /// There is no memory for the response.
    pub fn render(self, found: ResourceView, tenant: TenantId) -> Result<Resource, Error> {
        let view = |row: GroupRow| group_view(self.renderer.base_url, row);
        let groups: Vec<_> = found.groups.into_iter().map(view).collect();
        let groups = self.has_groups.then_some(groups);
        self.renderer
            .with_relations(&found.row, None, groups.as_deref(), tenant)
    }
}
