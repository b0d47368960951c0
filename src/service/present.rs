//! From stored rows to the text that a client reads: `meta`, `members` and `groups` are spliced in here.

use std::collections::HashMap;

use crate::scim::ResourceType;
use crate::scim::project::Selection;
use crate::scim::render::{self, GroupView, MemberView, Meta};
use crate::service::Error;
use crate::store::resources::Stored;
use crate::store::{Conn, members};
use crate::store::{ResourceId, TenantId};

/// A resource as it is answered.
#[derive(Debug, Clone)]
pub struct Resource {
    pub location: String,
    pub body: String,
}

/// What a PATCH answers: the resource, or nothing where the whole list of a large group would be the answer.
#[derive(Debug, Clone)]
pub enum Patched {
    Whole(Resource),
    Quiet { location: String },
}

/// `https://scim.example.com/scim/v2/Users/ID`
pub fn location(base_url: &str, rt: &ResourceType, id: &ResourceId) -> String {
    format!("{base_url}{}/{}", rt.endpoint, id.as_str())
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
    let location = location(base_url, rt, &row.id);
    let body = many(conn, tenant, base_url, rt, &[row], selection)?
        .pop()
        .unwrap_or_default();
    Ok(Resource { location, body })
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
    let with_members = rt.is_relational("members") && selection.wants(rt, "members");
    let with_groups = rt.is_relational("groups") && selection.wants(rt, "groups");
    let mut groups = if with_groups {
        groups_of(conn, tenant, base_url, rows)?
    } else {
        HashMap::new()
    };
    let mut members = if with_members {
        members_of(conn, tenant, base_url, rows)?
    } else {
        HashMap::new()
    };
    let mut bodies = Vec::with_capacity(rows.len());
    for row in rows {
        let members = with_members.then(|| members.remove(row.id.as_str()).unwrap_or_default());
        let groups = with_groups.then(|| groups.remove(row.id.as_str()).unwrap_or_default());
        let meta = Meta {
            resource_type: &rt.name,
            created: timestamp(row.created),
            modified: timestamp(row.modified),
            location: &location(base_url, rt, &row.id),
            version: row.version,
        };
        bodies.push(render::render(
            rt,
            &row.doc,
            &meta,
            members.as_deref(),
            groups.as_deref(),
            selection,
        ));
    }
    Ok(bodies)
}

fn timestamp(microseconds: i64) -> jiff::Timestamp {
    // Only times that jiff gave are stored.
    jiff::Timestamp::from_microsecond(microseconds).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
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
        members
            .entry(group.into_string())
            .or_default()
            .push(MemberView {
                reference: format!("{base_url}/{}s/{}", row.kind, row.value.as_str()),
                value: row.value.into_string(),
                display: row.display,
                kind: row.kind,
            });
    }
    Ok(members)
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
        groups.entry(row.member.0).or_default().push(GroupView {
            reference: format!("{base_url}/Groups/{}", row.group.as_str()),
            value: row.group.0,
            display: row.display,
            direct: row.direct,
        });
    }
    Ok(groups)
}
