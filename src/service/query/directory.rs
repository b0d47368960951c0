//! Queries of applications that do not use SCIM: users, groups and memberships.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;
use scim_core::field_mask::FieldMask;
use scim_core::name::ENTERPRISE_USER;
use scim_core::{ErrorKind, ResourceType, ScimError};
use serde_json::{Map, Value};

use crate::auth::Scope;
use crate::memory::{Held, MemoryBudget, Reservation, weigh_large, weigh_text, weigh_value};
use crate::service::{Context, Error, Service};
use crate::store::query::directory;
use crate::store::query::directory::{LookupColumn, Match};
use crate::store::tables::members::GroupRow;
use crate::store::tables::resources::{FirstOf, Stored};
use crate::store::tables::{members, resources};
use crate::store::{Conn, ResourceId, TenantId};

/// The most people that one search or lookup returns, and the most members of one page.
pub const MOST: u32 = 200;
/// The most pairs in one batch of membership checks.
pub const MOST_CHECKS: usize = 200;
/// Longer texts are in no index.
const LONGEST_KEY_BYTES: usize = 2000;

/// A user as an application sees it, without the attributes that the caller may not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    pub id: String,
    pub created: Timestamp,
    /// `None` if the caller may not read it.
    pub modified: Option<Timestamp>,
    is_active: bool,
    /// The attributes that the caller may read.
    document: Map<String, Value>,
}

impl Person {
    /// Returns a text attribute: `userName`.
    pub fn text(&self, name: &str) -> Option<String> {
        Some(self.document.get(name)?.as_str()?.to_owned())
    }

    /// Returns a text inside a complex attribute: `name.givenName`.
    pub fn inner(&self, name: &str, sub: &str) -> Option<String> {
        Some(self.document.get(name)?.get(sub)?.as_str()?.to_owned())
    }

    /// Returns a text of the enterprise extension.
    pub fn work(&self, name: &str) -> Option<String> {
        self.inner(ENTERPRISE_USER, name)
    }

    /// Returns the id of the manager.
    pub fn manager(&self) -> Option<String> {
        let manager = self.document.get(ENTERPRISE_USER)?.get("manager")?;
        Some(manager.get("value")?.as_str()?.to_owned())
    }

    /// Returns about the memory that the user takes.
    pub(in crate::service) fn bytes(&self) -> usize {
        self.document.values().map(weigh_value).sum()
    }

    pub fn active(&self) -> Option<bool> {
        self.document.get("active")?.as_bool()
    }

    /// Returns whether the user was active, even if the caller may not read that.
    pub(in crate::service) fn was_active(&self) -> bool {
        self.is_active
    }

    /// Returns the values of a multi-valued attribute.
    pub fn values(&self, name: &str) -> Vec<Entry> {
        let entry = |value: &Value| {
            let text = |sub: &str| Some(value.get(sub)?.as_str()?.to_owned());
            Some(Entry {
                value: text("value")?,
                kind: text("type"),
                primary: value.get("primary").and_then(Value::as_bool) == Some(true),
            })
        };
        let list = self.document.get(name).and_then(Value::as_array);
        list.into_iter().flatten().filter_map(entry).collect()
    }
}

/// An e-mail address or a phone number.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[schema(as = DirectoryContact)]
pub struct Entry {
    pub value: String,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    pub primary: bool,
}

/// A group.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = DirectoryGroup)]
pub struct GroupSummary {
    pub id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
}

/// A group that a user is in.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = DirectoryUserGroup)]
pub struct GroupMember {
    pub id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// False if the user is in it only through another group.
    pub direct: bool,
}

/// The key of a user lookup. Texts are compared as the attribute is: an e-mail ignoring its case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    UserName(String),
    Email(String),
    ExternalId(String),
    /// The beginning of a user name, display name, given or family name, or e-mail.
    Prefix(String),
}

/// Whether members of nested groups count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    Direct,
    Nested,
}

/// The membership of a user in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Membership {
    pub member: bool,
    pub direct: bool,
}

/// A user and a group whose membership is checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    pub user: ResourceId,
    pub group: ResourceId,
}

/// The members that a request reads.
#[derive(Debug, Clone)]
pub struct MembersRequest {
    /// The group.
    pub id: ResourceId,
    pub depth: Depth,
    /// The last id of the page before.
    pub after: Option<ResourceId>,
    pub limit: u32,
}

/// A page of people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonPage {
    pub people: Vec<Person>,
    /// The `after` of the next page; `None` at the end.
    pub next: Option<String>,
}

/// Users that were read, as many as there was memory for.
struct FoundPeople {
    people: Vec<Person>,
    /// The last id that was read.
    last: Option<ResourceId>,
    /// Whether there are more.
    is_cut: bool,
    held: Reservation,
}

/// The caller of a query: its tenant, and the attributes that it may read.
#[derive(Clone)]
pub(in crate::service) struct DirectoryCaller {
    pub tenant: TenantId,
    limit: Option<FieldMask>,
    pub user: Arc<ResourceType>,
    pub group: Arc<ResourceType>,
    /// The memory of responses.
    pub memory: Arc<MemoryBudget>,
}

impl DirectoryCaller {
    pub fn of(context: &Context, service: &Service) -> Result<Self, Error> {
        context.require(Scope::Read)?;
        let rt = |name: &str| {
            let found = service.registry.by_name(name).cloned();
            found.ok_or_else(|| Error::internal(format!("there is no resource type {name}")))
        };
        Ok(Self {
            tenant: context.tenant(),
            limit: context.limit(),
            user: rt("User")?,
            group: rt("Group")?,
            memory: Arc::clone(&service.options.memory),
        })
    }

    fn may_read(&self, rt: &ResourceType, path: &str) -> bool {
        self.limit.as_ref().is_none_or(|limit| {
            rt.attr_by_key(path)
                .is_some_and(|path| limit.allows(rt, &path))
        })
    }

    pub fn must_read(&self, rt: &ResourceType, path: &str) -> Result<(), Error> {
        if self.may_read(rt, path) {
            Ok(())
        } else {
            Err(Error::Hidden(path.to_owned()))
        }
    }

    /// A caller that may read one side of memberships may read them.
    fn must_read_memberships(&self) -> Result<(), Error> {
        if self.may_read(&self.group, "members") {
            return Ok(());
        }
        self.must_read(&self.user, "groups")
    }

    fn document(&self, rt: &ResourceType, row: &Stored) -> Map<String, Value> {
        // This service wrote the document; a damaged one counts as empty.
        let document = serde_json::from_str(&row.doc).unwrap_or_default();
        self.within_limit(rt, document)
    }

    fn within_limit(
        &self,
        rt: &ResourceType,
        mut document: Map<String, Value>,
    ) -> Map<String, Value> {
        if let Some(limit) = &self.limit {
            limit.apply(rt, &mut document);
        }
        document
    }

    fn person(&self, row: Stored) -> Person {
        let document = serde_json::from_str(&row.doc).unwrap_or_default();
        self.person_of(&row.id, document, (row.created, row.modified))
    }

    /// Returns a user with this document, created and modified at these times.
    pub(in crate::service) fn person_of(
        &self,
        id: &ResourceId,
        document: Map<String, Value>,
        (created, modified): (i64, i64),
    ) -> Person {
        Person {
            is_active: document.get("active") == Some(&Value::Bool(true)),
            document: self.within_limit(&self.user, document),
            id: id.to_string(),
            created: crate::service::context::time(created),
            modified: self
                .may_read(&self.user, "meta.lastModified")
                .then(|| crate::service::context::time(modified)),
        }
    }

    fn group_summary(&self, row: Stored) -> Result<GroupSummary, Error> {
        let bytes = weigh_large(&row.doc);
        let _work = self.memory.reserve_work(self.tenant, bytes)?;
        let document = self.document(&self.group, &row);
        let text = |name: &str| Some(document.get(name)?.as_str()?.to_owned());
        Ok(GroupSummary {
            display_name: text("displayName"),
            external_id: text("externalId"),
            id: row.id.into_string(),
        })
    }

    /// Reads users, in the order of `ids`: those with the lowest ids, as many as there is memory
    /// for.
    fn people(&self, conn: &mut Conn, ids: &[ResourceId]) -> Result<FoundPeople, Error> {
        let FirstOf { rows, is_cut } = resources::get_first(conn, self.tenant, ids)?;
        let mut found = FoundPeople {
            people: Vec::new(),
            last: None,
            is_cut,
            held: self.memory.reservation(self.tenant),
        };
        let mut people: HashMap<ResourceId, Person> = HashMap::new();
        for row in rows {
            let bytes = weigh_text(&row.doc);
            match found.last {
                None => found.held.grow_for_work(bytes)?,
                Some(_) if found.held.grow(bytes).is_ok() => {}
                Some(_) => {
                    found.is_cut = true;
                    break;
                }
            }
            found.last = Some(row.id.clone());
            if row.resource_type == self.user.name {
                people.insert(row.id.clone(), self.person(row));
            }
        }
        found.people = ids.iter().filter_map(|id| people.remove(id)).collect();
        Ok(found)
    }

    fn find_group(&self, conn: &mut Conn, id: &ResourceId) -> Result<Stored, Error> {
        resources::get(conn, self.tenant, &self.group.name, id)?
            .ok_or_else(|| Error::no_resource(&self.group, id))
    }

    fn find_user(&self, conn: &mut Conn, id: &ResourceId) -> Result<Stored, Error> {
        resources::get(conn, self.tenant, &self.user.name, id)?
            .ok_or_else(|| Error::no_resource(&self.user, id))
    }

    /// Returns the text as the index has it, or `None` if nothing can match.
    fn folded(&self, path: &str, text: &str) -> Option<String> {
        let fits = !text.is_empty() && text.len() <= LONGEST_KEY_BYTES && !text.contains('\0');
        let path = self.user.attr_by_key(path).filter(|_| fits)?;
        Some(path.comparable(text).into_owned())
    }

    fn look_up(&self, conn: &mut Conn, key: &Key, limit: u32) -> Result<Vec<ResourceId>, Error> {
        let (path, text) = match key {
            Key::UserName(text) => ("userName", text),
            Key::ExternalId(text) => ("externalId", text),
            Key::Email(text) => ("emails.value", text),
            Key::Prefix(text) => return self.search(conn, text, limit),
        };
        self.must_read(&self.user, path)?;
        let Some(value) = self.folded(path, text) else {
            return Ok(Vec::new());
        };
        let rt = self.user.name.as_str();
        let found = match key {
            Key::UserName(_) => {
                let value = LookupColumn::UserName.with(&value);
                directory::by_column(conn, self.tenant, rt, value, limit)
            }
            Key::ExternalId(_) => {
                let value = LookupColumn::ExternalId.with(&value);
                directory::by_column(conn, self.tenant, rt, value, limit)
            }
            Key::Email(_) | Key::Prefix(_) => {
                directory::users_by_attribute(conn, self.tenant, path, &value, limit)
            }
        };
        Ok(found?)
    }

    /// Finds users by a prefix of a name or e-mail that the caller may read, in the order of the
    /// matching texts.
    fn search(&self, conn: &mut Conn, text: &str, limit: u32) -> Result<Vec<ResourceId>, Error> {
        let paths = [
            ("userName", Some(LookupColumn::UserName)),
            ("displayName", Some(LookupColumn::DisplayName)),
            ("name.givenName", None),
            ("name.familyName", None),
            ("emails.value", None),
        ];
        let mut found: Vec<Match> = Vec::new();
        for (path, column) in paths {
            let Some(prefix) = self
                .folded(path, text)
                .filter(|_| self.may_read(&self.user, path))
            else {
                continue;
            };
            found.extend(match column {
                Some(column) => {
                    directory::users_by_column_prefix(conn, self.tenant, column, &prefix, limit)?
                }
                None => {
                    directory::users_by_attribute_prefix(conn, self.tenant, path, &prefix, limit)?
                }
            });
        }
        found.sort();
        let mut seen = HashSet::new();
        found.retain(|row| seen.insert(row.id.clone()));
        found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(found.into_iter().map(|row| row.id).collect())
    }
}

/// The error for a response that cannot be split into pages.
fn too_large(advice: &str) -> Error {
    let text = format!("The response would be larger than the service sends at once. {advice}");
    ScimError::new(ErrorKind::TooMany, text).into()
}

/// Returns the memory that groups take in a response, beside that of their rows.
fn weigh_groups(rows: &[GroupRow]) -> usize {
    rows.iter().fold(0, |bytes: usize, row| {
        let texts = row.group.as_str().len() + row.display.as_ref().map_or(0, String::len);
        bytes.saturating_add(size_of::<GroupRow>() + texts)
    })
}

/// Returns a user by id.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn user(
    service: &Service,
    context: &Context,
    id: ResourceId,
) -> Result<Held<Person>, Error> {
    let caller = DirectoryCaller::of(context, service)?;
    service
        .read(context, move |conn| {
            let row = caller.find_user(conn, &id)?;
            let bytes = weigh_text(&row.doc);
            let held = caller.memory.reserve_work(caller.tenant, bytes)?;
            Ok(Held::new(caller.person(row), held))
        })
        .await
}

/// Finds users by user name, e-mail, external id or prefix.
///
/// # Errors
/// [`Error::Hidden`] where the caller may not read the attribute of the key, `tooMany` where the
/// users are too large for one response.
pub async fn users(
    service: &Service,
    context: &Context,
    key: Key,
    limit: u32,
) -> Result<Held<Vec<Person>>, Error> {
    let caller = DirectoryCaller::of(context, service)?;
    let limit = limit.clamp(1, MOST);
    service
        .read(context, move |conn| {
            let ids = caller.look_up(conn, &key, limit)?;
            let found = caller.people(conn, &ids)?;
            if found.is_cut {
                return Err(too_large(
                    "Ask with a lower `limit`, or for one user by id.",
                ));
            }
            Ok(Held::new(found.people, found.held))
        })
        .await
}

/// Returns the groups of a user.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Hidden`] where the caller may not read `groups`, and `tooMany`
/// where there are too many for one response.
pub async fn groups_of(
    service: &Service,
    context: &Context,
    id: ResourceId,
    depth: Depth,
) -> Result<Held<Vec<GroupMember>>, Error> {
    let caller = DirectoryCaller::of(context, service)?;
    caller.must_read(&caller.user, "groups")?;
    service
        .read(context, move |conn| {
            caller.find_user(conn, &id)?;
            let FirstOf { rows, is_cut } = members::groups_of(conn, caller.tenant, &[id])?;
            if is_cut {
                return Err(too_large(
                    "Ask whether the user is in the groups that matter.",
                ));
            }
            let held = caller.memory.reserve(caller.tenant, weigh_groups(&rows))?;
            let rows = rows
                .into_iter()
                .filter(|row| row.direct || depth == Depth::Nested);
            let groups = rows.map(|row| GroupMember {
                id: row.group.into_string(),
                display_name: row.display,
                direct: row.direct,
            });
            Ok(Held::new(groups.collect(), held))
        })
        .await
}

/// Returns a group by id.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn group(
    service: &Service,
    context: &Context,
    id: ResourceId,
) -> Result<GroupSummary, Error> {
    let caller = DirectoryCaller::of(context, service)?;
    service
        .read(context, move |conn| {
            let row = caller.find_group(conn, &id)?;
            caller.group_summary(row)
        })
        .await
}

/// Finds groups by name.
///
/// # Errors
/// [`Error::Hidden`] where the caller may not read `displayName`.
pub async fn groups(
    service: &Service,
    context: &Context,
    display_name: String,
    limit: u32,
) -> Result<Vec<GroupSummary>, Error> {
    let caller = DirectoryCaller::of(context, service)?;
    caller.must_read(&caller.group, "displayName")?;
    let limit = limit.clamp(1, MOST);
    service
        .read(context, move |conn| {
            let path = caller.group.attr_by_key("displayName");
            let fits = display_name.len() <= LONGEST_KEY_BYTES && !display_name.contains('\0');
            let Some(path) = path.filter(|_| fits) else {
                return Ok(Vec::new());
            };
            let value = path.comparable(&display_name);
            let rt = caller.group.name.as_str();
            let column = LookupColumn::DisplayName;
            let ids = directory::by_column(conn, caller.tenant, rt, column.with(&value), limit)?;
            let mut groups = Vec::new();
            resources::each_of(conn, caller.tenant, &ids, |row| {
                groups.push(caller.group_summary(row)?);
                Ok::<_, Error>(())
            })?;
            Ok(groups)
        })
        .await
}

/// Returns a page of a group's active users, by id. A user without `active` is inactive.
///
/// # Errors
/// [`Error::NotFound`], and [`Error::Hidden`] where the caller may not read `members`, or `active` of
/// users, which the list tells.
pub async fn members_of(
    service: &Service,
    context: &Context,
    request: MembersRequest,
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
    let limit = limit.clamp(1, MOST);
    service
        .read(context, move |conn| {
            caller.find_group(conn, &id)?;
            let groups = match depth {
                Depth::Direct => vec![id],
                Depth::Nested => directory::groups_within(conn, caller.tenant, &id)?,
            };
            let mut ids = BTreeSet::new();
            for group in &groups {
                let after = after.as_ref();
                // One more, to know whether there is a next page.
                let page =
                    directory::active_users_in(conn, caller.tenant, group, after, limit + 1)?;
                ids.extend(page);
            }
            let size = usize::try_from(limit).unwrap_or(usize::MAX);
            let more = ids.len() > size;
            let ids: Vec<ResourceId> = ids.into_iter().take(size).collect();
            let found = caller.people(conn, &ids)?;
            let next = match found.is_cut {
                true => found.last,
                false => ids.into_iter().next_back().filter(|_| more),
            };
            let page = PersonPage {
                people: found.people,
                next: next.map(ResourceId::into_string),
            };
            Ok(Held::new(page, found.held))
        })
        .await
}

/// Checks whether users are in groups, directly or through other groups. Returns a result for each
/// pair, in order. An unknown user or group has no memberships.
///
/// # Errors
/// [`Error::BadRequest`] for too many pairs, [`Error::Hidden`] where the caller may read neither
/// `groups` nor `members`.
pub async fn check(
    service: &Service,
    context: &Context,
    pairs: Vec<Pair>,
) -> Result<Vec<Membership>, Error> {
    let caller = DirectoryCaller::of(context, service)?;
    caller.must_read_memberships()?;
    if pairs.len() > MOST_CHECKS {
        return Err(Error::BadRequest(format!(
            "A batch has at most {MOST_CHECKS} checks."
        )));
    }
    service
        .read(context, move |conn| {
            let users: HashSet<&ResourceId> = pairs.iter().map(|pair| &pair.user).collect();
            let users: Vec<ResourceId> = users.into_iter().cloned().collect();
            let FirstOf { rows, is_cut } = members::groups_of(conn, caller.tenant, &users)?;
            if is_cut {
                return Err(too_large("Ask about fewer users at once."));
            }
            let _work = caller.memory.reserve(caller.tenant, weigh_groups(&rows))?;
            let found: HashMap<(&str, &str), bool> = rows
                .iter()
                .map(|row| ((row.member.as_str(), row.group.as_str()), row.direct))
                .collect();
            Ok(pairs
                .iter()
                .map(|pair| {
                    let direct = found.get(&(pair.user.as_str(), pair.group.as_str()));
                    Membership {
                        member: direct.is_some(),
                        direct: direct == Some(&true),
                    }
                })
                .collect())
        })
        .await
}
