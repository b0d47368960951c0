//! From stored rows to the text that a client reads: `meta`, `members` and `groups` are spliced in here.

use std::collections::HashMap;

use scim_core::project::Selection;
use scim_core::render::{MemberStream, Meta};
use scim_core::views::{GroupView, MemberView, Related};
use scim_core::{ResourceType, Version, render};
use serde_json::Value;

use crate::service::Error;
use crate::store::query::coalesce::CoalescedReads;
use crate::store::query::lookup;
use crate::store::query::lookup::{LookupKey, LookupResult, LookupShape, ResourceView};
use crate::store::tables::members;
use crate::store::tables::members::{GroupRow, MemberRow};
use crate::store::tables::resources::Stored;
use crate::store::{Conn, ResourceId, StoreError, TenantId};

/// A resource as it is answered.
#[derive(Debug, Clone)]
pub struct Resource {
    pub location: String,
    /// The tag that `meta.version` in the body is.
    pub version: Version,
    pub body: ResourceText,
}

/// The text of an answer. One that may be very long is in pieces, so that it is not copied as it grows.
#[derive(Debug, Clone)]
pub enum ResourceText {
    Whole(String),
    Pieces(Vec<String>),
}

impl ResourceText {
    pub fn into_text(self) -> String {
        match self {
            Self::Whole(text) => text,
            Self::Pieces(pieces) => pieces.concat(),
        }
    }
}

/// What a read finds.
#[derive(Debug, Clone)]
pub enum ReadOutcome {
    Resource(Resource),
    /// The reader has this version already.
    NotModified(Version),
}

/// What a write answers: the resource, or only that it was done.
#[derive(Debug, Clone)]
pub enum Written {
    Whole(Resource),
    Quiet { location: String, version: Version },
}

/// What the writer would like to be answered.
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
    /// The same, for a write with this body: what it sent of what is returned on request is returned to it.
    #[must_use]
    pub fn and_sent(mut self, rt: &ResourceType, body: &Value) -> Self {
        self.selection = self.selection.and_sent(rt, body);
        self
    }

    /// The preference that counts: a selection is a wish for content (RFC 7644 section 3.5.2).
    pub fn preference(&self) -> Option<Return> {
        self.preference.filter(|_| self.selection.is_all())
    }
}

/// `https://scim.example.com/scim/v2/Users/ID`
pub fn location(base_url: &str, rt: &ResourceType, id: &ResourceId) -> String {
    [base_url, &rt.endpoint, "/", id.as_str()].concat()
}

/// Renders one resource.
///
/// # Errors
/// Where the database does not answer.
pub fn one(
    conn: &mut Conn,
    tenant: TenantId,
    base_url: &str,
    rt: &ResourceType,
    row: Stored,
    selection: &Selection,
) -> Result<Resource, Error> {
    if let Some(roll) = MemberStream::begin(rt, &row.doc, selection) {
        return rolled(conn, tenant, base_url, rt, &row, roll);
    }
    let rows = [row];
    let mut relations = Relations::read(conn, tenant, base_url, rt, &rows, selection)?;
    let [row] = &rows;
    Ok(relations.render(base_url, rt, row, selection))
}

/// Renders a group whose members may be very many.
fn rolled(
    conn: &mut Conn,
    tenant: TenantId,
    base_url: &str,
    rt: &ResourceType,
    row: &Stored,
    mut roll: MemberStream,
) -> Result<Resource, Error> {
    members::each(conn, tenant, &row.id, |member| {
        roll.push(&member_view(base_url, member));
    })?;
    let (location, version) = (location(base_url, rt, &row.id), row.version.into());
    let body = ResourceText::Pieces(roll.end(&meta(rt, row, &location, version)));
    Ok(Resource {
        location,
        version,
        body,
    })
}

fn meta<'a>(rt: &'a ResourceType, row: &Stored, location: &'a str, version: Version) -> Meta<'a> {
    Meta {
        resource_type: &rt.name,
        created: crate::service::context::time(row.created),
        modified: crate::service::context::time(row.modified),
        location,
        version,
    }
}

/// Renders a resource that was created just now, of which all is known but what its members are called.
///
/// # Errors
/// Where the database does not answer.
pub fn newborn(
    conn: &mut Conn,
    tenant: TenantId,
    base_url: &str,
    rt: &ResourceType,
    row: Stored,
    selection: &Selection,
) -> Result<Resource, Error> {
    let rows = [row];
    let mut relations = Relations {
        members: members_shown(conn, tenant, base_url, rt, &rows, selection)?,
        groups: shows(rt, selection, "groups").then(HashMap::new),
    };
    let [row] = &rows;
    Ok(relations.render(base_url, rt, row, selection))
}

/// Renders a page, with one query for all its memberships.
///
/// # Errors
/// Where the database does not answer.
pub fn many(
    conn: &mut Conn,
    tenant: TenantId,
    base_url: &str,
    rt: &ResourceType,
    rows: &[Stored],
    selection: &Selection,
) -> Result<Vec<String>, Error> {
    let mut relations = Relations::read(conn, tenant, base_url, rt, rows, selection)?;
    let render = |row| {
        let resource = relations.render(base_url, rt, row, selection);
        resource.body.into_text()
    };
    Ok(rows.iter().map(render).collect())
}

/// The version of the answer that [`one`] would give.
///
/// # Errors
/// Where the database does not answer.
pub fn version(
    conn: &mut Conn,
    tenant: TenantId,
    rt: &ResourceType,
    row: &Stored,
    selection: &Selection,
) -> Result<Version, Error> {
    // Addresses are no part of a version.
    let groups = groups_shown(conn, tenant, "", rt, std::slice::from_ref(row), selection)?;
    let groups = groups.and_then(|mut groups| groups.remove(row.id.as_str()));
    Ok(Version::with_groups(
        row.version,
        &groups.unwrap_or_default(),
    ))
}

/// What is shown of the resources of a page and is in no document; `None` where it is not shown.
struct Relations {
    members: Option<HashMap<String, Vec<MemberView>>>,
    groups: Option<HashMap<String, Vec<GroupView>>>,
}

impl Relations {
    fn read(
        conn: &mut Conn,
        tenant: TenantId,
        base_url: &str,
        rt: &ResourceType,
        rows: &[Stored],
        selection: &Selection,
    ) -> Result<Self, Error> {
        Ok(Self {
            members: members_shown(conn, tenant, base_url, rt, rows, selection)?,
            groups: groups_shown(conn, tenant, base_url, rt, rows, selection)?,
        })
    }

    /// Takes the resource's relations out.
    fn render(
        &mut self,
        base_url: &str,
        rt: &ResourceType,
        row: &Stored,
        selection: &Selection,
    ) -> Resource {
        let id = row.id.as_str();
        let members = self.members.as_mut();
        let members = members.map(|all| all.remove(id).unwrap_or_default());
        let groups = self.groups.as_mut();
        let groups = groups.map(|all| all.remove(id).unwrap_or_default());
        resource(base_url, rt, row, (members, groups), selection)
    }
}

fn resource(
    base_url: &str,
    rt: &ResourceType,
    row: &Stored,
    (members, groups): (Option<Vec<MemberView>>, Option<Vec<GroupView>>),
    selection: &Selection,
) -> Resource {
    let location = location(base_url, rt, &row.id);
    let version = Version::with_groups(row.version, groups.as_deref().unwrap_or_default());
    let meta = meta(rt, row, &location, version);
    let related = Related {
        members: members.as_deref(),
        groups: groups.as_deref(),
    };
    let body = render::render(rt, &row.doc, &meta, related, selection);
    let body = ResourceText::Whole(body);
    Resource {
        location,
        version,
        body,
    }
}

/// How a resource is found and shown where that takes one statement: all but those whose members are shown.
#[derive(Debug, Clone)]
pub struct Lookup<'a> {
    rt: &'a ResourceType,
    selection: &'a Selection,
    has_groups: bool,
}

impl<'a> Lookup<'a> {
    /// `None` where the answer shows members, which may be very many.
    pub fn of(rt: &'a ResourceType, selection: &'a Selection) -> Option<Self> {
        if shows(rt, selection, "members") {
            return None;
        }
        Some(Self {
            rt,
            selection,
            has_groups: shows(rt, selection, "groups"),
        })
    }

    fn what(&self) -> LookupShape {
        LookupShape {
            resource_type: self.rt.name.clone(),
            groups: self.has_groups,
        }
    }

    /// Finds it in a statement of its own, or one that others share.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub async fn find(
        &self,
        reads: &CoalescedReads,
        tenant: TenantId,
        by: LookupKey,
    ) -> Result<LookupResult, StoreError> {
        reads.resource(tenant, self.what(), by).await
    }

    /// The same, within a unit of work.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub fn find_in(
        &self,
        conn: &mut Conn,
        tenant: TenantId,
        by: &LookupKey,
    ) -> Result<LookupResult, StoreError> {
        lookup::find(conn, tenant, &self.what(), by)
    }

    /// The version that [`Lookup::render`] tells.
    pub fn version(&self, found: &ResourceView) -> Version {
        // Addresses are no part of a version.
        let view = |row: &GroupRow| group_view("", row.clone());
        let groups: Vec<_> = found.groups.iter().map(view).collect();
        Version::with_groups(found.row.version, &groups)
    }

    pub fn render(&self, base_url: &str, found: ResourceView) -> Resource {
        let view = |row: GroupRow| group_view(base_url, row);
        let groups: Vec<_> = found.groups.into_iter().map(view).collect();
        let groups = self.has_groups.then_some(groups);
        let relations = (None, groups);
        resource(base_url, self.rt, &found.row, relations, self.selection)
    }
}

fn shows(rt: &ResourceType, selection: &Selection, name: &str) -> bool {
    rt.is_relational(name) && selection.wants(rt, name)
}

fn members_shown(
    conn: &mut Conn,
    tenant: TenantId,
    base_url: &str,
    rt: &ResourceType,
    rows: &[Stored],
    selection: &Selection,
) -> Result<Option<HashMap<String, Vec<MemberView>>>, Error> {
    shows(rt, selection, "members")
        .then(|| members_of(conn, tenant, base_url, rows))
        .transpose()
}

fn groups_shown(
    conn: &mut Conn,
    tenant: TenantId,
    base_url: &str,
    rt: &ResourceType,
    rows: &[Stored],
    selection: &Selection,
) -> Result<Option<HashMap<String, Vec<GroupView>>>, Error> {
    shows(rt, selection, "groups")
        .then(|| groups_of(conn, tenant, base_url, rows))
        .transpose()
}

/// The `$ref` of a member, or of the group that a user is in; users and groups are all that can be either.
pub fn reference(base_url: &str, kind: &str, id: &ResourceId) -> String {
    [base_url, "/", kind, "s/", id.as_str()].concat()
}

fn members_of(
    conn: &mut Conn,
    tenant: TenantId,
    base_url: &str,
    rows: &[Stored],
) -> Result<HashMap<String, Vec<MemberView>>, Error> {
    let ids: Vec<ResourceId> = rows.iter().map(|row| row.id.clone()).collect();
    let mut members: HashMap<String, Vec<MemberView>> = HashMap::new();
    for (group, row) in members::of_groups(conn, tenant, &ids)? {
        let of = members.entry(group.into_string()).or_default();
        of.push(member_view(base_url, row));
    }
    Ok(members)
}

fn member_view(base_url: &str, row: MemberRow) -> MemberView {
    MemberView {
        reference: reference(base_url, &row.kind, &row.value),
        value: row.value.into_string(),
        display: row.display,
        kind: row.kind,
    }
}

fn groups_of(
    conn: &mut Conn,
    tenant: TenantId,
    base_url: &str,
    rows: &[Stored],
) -> Result<HashMap<String, Vec<GroupView>>, Error> {
    let ids: Vec<ResourceId> = rows.iter().map(|row| row.id.clone()).collect();
    let mut groups: HashMap<String, Vec<GroupView>> = HashMap::new();
    for row in members::groups_of(conn, tenant, &ids)? {
        let of = groups.entry(row.member.as_str().to_owned()).or_default();
        of.push(group_view(base_url, row));
    }
    Ok(groups)
}

fn group_view(base_url: &str, row: GroupRow) -> GroupView {
    GroupView {
        reference: reference(base_url, "Group", &row.group),
        value: row.group.0,
        display: row.display,
        direct: row.direct,
    }
}
