//! Filters and sort keys that need the documents.

use std::collections::HashMap;

use jiff::Timestamp;
use scim_core::eval::{View, matches};
use scim_core::render::Meta;
use scim_core::sort::SortKey;
use scim_core::views::{GroupView, MemberView};
use scim_core::{Document, sort};

use crate::memory::{MemoryError, Reservation, weigh_large};
use crate::store::engine::budget;
use crate::store::query::page::order::{asks_for, mentions};
use crate::store::query::page::request::{PageError, PageKey};
use crate::store::query::page::search::Search;
use crate::store::tables::members;
use crate::store::tables::members::MemberRow;
use crate::store::tables::resources::Stored;
use crate::store::{Conn, ResourceId, StoreError};

impl Search<'_> {
    /// Returns the rows whose documents match the filter.
    pub(super) fn matching(
        &self,
        conn: &mut Conn,
        rows: Vec<Stored>,
    ) -> Result<Vec<Stored>, PageError> {
        let Some(filter) = &self.kind.filter else {
            return Ok(rows);
        };
        let mut is_match = Vec::with_capacity(rows.len());
        self.each(conn, &rows, |row, related| {
            is_match.push(self.view(row, related, |view| matches(filter, view))?);
            Ok(())
        })?;
        let rows = rows.into_iter().zip(is_match);
        Ok(rows
            .filter_map(|(row, is_match)| is_match.then_some(row))
            .collect())
    }

    /// Returns the keys of the rows whose documents match the filter.
    pub(super) fn matching_keys(
        &self,
        conn: &mut Conn,
        rows: &[Stored],
    ) -> Result<Vec<PageKey>, PageError> {
        let mut found = Vec::new();
        self.each(conn, rows, |row, related| {
            let value = self.view(row, related, |view| {
                let is_match = |filter| matches(filter, view);
                let is_match = self.plan.exact || self.kind.filter.as_ref().is_none_or(is_match);
                is_match.then(|| self.value(view))
            })?;
            found.extend(value.map(|value| PageKey {
                value,
                id: row.id.clone(),
            }));
            Ok(())
        })?;
        Ok(found)
    }

    /// Visits the rows with their members and groups, which are read for as many rows at a time as
    /// there is memory for.
    fn each(
        &self,
        conn: &mut Conn,
        rows: &[Stored],
        mut visit: impl FnMut(&Stored, &Related) -> Result<(), PageError>,
    ) -> Result<(), PageError> {
        let mut rest = rows;
        let mut size = rows.len();
        while !rest.is_empty() {
            let (part, others) = rest.split_at(size.min(rest.len()));
            match self.related(conn, part)? {
                Some(related) => {
                    for row in part {
                        budget::check()?;
                        visit(row, &related)?;
                    }
                    rest = others;
                }
                None => size = part.len().div_euclid(4).max(1),
            }
        }
        Ok(())
    }

    /// Returns the sort key of the row.
    pub(super) fn key(&self, conn: &mut Conn, row: &Stored) -> Result<PageKey, PageError> {
        let value = match &self.fixed {
            Some(value) => value.clone(),
            None => {
                let mut value = None;
                self.each(conn, std::slice::from_ref(row), |row, related| {
                    value = Some(self.view(row, related, |view| self.value(view))?);
                    Ok(())
                })?;
                value.unwrap_or(SortKey::Missing)
            }
        };
        Ok(PageKey {
            value,
            id: row.id.clone(),
        })
    }

    fn value(&self, view: &View) -> SortKey {
        match (&self.fixed, &self.kind.sort) {
            (Some(value), _) => value.clone(),
            (None, Some(path)) => sort::key(path, view),
            (None, None) => SortKey::Missing,
        }
    }

    fn view<T>(
        &self,
        row: &Stored,
        related: &Related,
        evaluate: impl FnOnce(&View) -> T,
    ) -> Result<T, PageError> {
        let bytes = weigh_large(&row.doc);
        let _work = self.query.memory.reserve_work(self.tenant, bytes)?;
        let document = Document(serde_json::from_str(&row.doc).map_err(StoreError::from)?);
        let location = self.url(&self.kind.rt.endpoint, row.id.as_str());
        let meta = Meta {
            resource_type: &row.resource_type,
            created: time(row.created)?,
            modified: time(row.modified)?,
            location: &location,
            version: row.version.into(),
        };
        Ok(evaluate(&View {
            document: &document,
            meta: &meta,
            members: related.members.get(&row.id).map_or(&[], Vec::as_slice),
            groups: related.groups.get(&row.id).map_or(&[], Vec::as_slice),
        }))
    }

    /// Returns the members and groups of the rows, if the query needs them, and `None` if they are
    /// too many to be read together.
    fn related(&self, conn: &mut Conn, rows: &[Stored]) -> Result<Option<Related>, PageError> {
        let sort = self.kind.sort.as_ref();
        let filter = self.kind.filter.as_ref();
        let needs = |name| {
            self.kind.rt.is_relational(name) && (asks_for(sort, name) || mentions(filter, name))
        };
        let mut related = Related {
            members: HashMap::new(),
            groups: HashMap::new(),
            held: self.query.memory.reservation(self.tenant),
        };
        if needs("members") && !self.add_members(conn, rows, &mut related)? {
            return Ok(None);
        }
        if needs("groups") && !self.add_groups(conn, rows, &mut related)? {
            return Ok(None);
        }
        Ok(Some(related))
    }

    /// Adds the members of the rows. Returns false if they are too many.
    fn add_members(
        &self,
        conn: &mut Conn,
        rows: &[Stored],
        related: &mut Related,
    ) -> Result<bool, PageError> {
        if let [only] = rows {
            let mut views = Vec::new();
            members::each(conn, self.tenant, &only.id, |member| {
                let view = self.member_view(member);
                related.held.grow(relation_bytes(&view.reference))?;
                views.push(view);
                Ok::<_, PageError>(())
            })?;
            related.members.insert(only.id.clone(), views);
            return Ok(true);
        }
        let ids: Vec<ResourceId> = rows.iter().map(|row| row.id.clone()).collect();
        let found = members::of_groups(conn, self.tenant, &ids)?;
        for (group, member) in found.rows {
            let view = self.member_view(member);
            if related.held.grow(relation_bytes(&view.reference)).is_err() {
                return Ok(false);
            }
            related.members.entry(group).or_default().push(view);
        }
        Ok(!found.is_cut)
    }

    /// Adds the groups of the rows. Returns false if they are too many.
    fn add_groups(
        &self,
        conn: &mut Conn,
        rows: &[Stored],
        related: &mut Related,
    ) -> Result<bool, PageError> {
        let ids: Vec<ResourceId> = rows.iter().map(|row| row.id.clone()).collect();
        let found = members::groups_of(conn, self.tenant, &ids)?;
        for row in found.rows {
            let view = GroupView {
                reference: self.url("/Groups", row.group.as_str()),
                value: row.group.into_string(),
                display: row.display,
                direct: row.direct,
            };
            let granted = related.held.grow(relation_bytes(&view.reference));
            match granted {
                Ok(()) => related.groups.entry(row.member).or_default().push(view),
                Err(_) if rows.len() > 1 => return Ok(false),
                Err(error) => return Err(error.into()),
            }
        }
        match found.is_cut {
            true if rows.len() == 1 => Err(MemoryError::TooLarge.into()),
            is_cut => Ok(!is_cut),
        }
    }

    fn member_view(&self, member: MemberRow) -> MemberView {
        let endpoint = format!("/{}s", member.kind);
        MemberView {
            reference: self.url(&endpoint, member.value.as_str()),
            value: member.value.into_string(),
            display: member.display,
            kind: member.kind,
        }
    }

    fn url(&self, endpoint: &str, id: &str) -> String {
        format!("{}{endpoint}/{id}", self.query.base_url)
    }
}

struct Related {
    members: HashMap<ResourceId, Vec<MemberView>>,
    groups: HashMap<ResourceId, Vec<GroupView>>,
    held: Reservation,
}

/// About the memory of a member or a group, given its address.
fn relation_bytes(reference: &str) -> usize {
    size_of::<MemberView>().saturating_add(reference.len().saturating_mul(2))
}

fn time(micros: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_microsecond(micros).map_err(|error| {
        StoreError::internal(format!("a resource has an impossible time: {error}"))
    })
}
