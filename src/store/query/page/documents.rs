//! Filters and sort keys that need the documents.

use std::collections::HashMap;

use jiff::Timestamp;
use scim_core::eval::{View, matches};
use scim_core::render::Meta;
use scim_core::sort::SortKey;
use scim_core::views::{GroupView, MemberView};
use scim_core::{Document, sort};

use crate::store::engine::budget;
use crate::store::query::page::order::{asks_for, mentions};
use crate::store::query::page::request::{PageError, PageKey};
use crate::store::query::page::search::Search;
use crate::store::tables::members;
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
        let related = self.related(conn, &rows)?;
        let mut found = Vec::new();
        for row in rows {
            budget::check()?;
            if self.view(&row, &related, |view| matches(filter, view))? {
                found.push(row);
            }
        }
        Ok(found)
    }

    /// Returns the keys of the rows whose documents match the filter.
    pub(super) fn matching_keys(
        &self,
        conn: &mut Conn,
        rows: &[Stored],
    ) -> Result<Vec<PageKey>, PageError> {
        let related = self.related(conn, rows)?;
        let mut found = Vec::new();
        for row in rows {
            budget::check()?;
            let value = self.view(row, &related, |view| {
                let is_match = |filter| matches(filter, view);
                let is_match = self.plan.exact || self.kind.filter.as_ref().is_none_or(is_match);
                is_match.then(|| self.value(view))
            })?;
            found.extend(value.map(|value| PageKey {
                value,
                id: row.id.clone(),
            }));
        }
        Ok(found)
    }

    /// Returns the sort key of the row.
    pub(super) fn key(&self, conn: &mut Conn, row: &Stored) -> Result<PageKey, PageError> {
        let value = match &self.fixed {
            Some(value) => value.clone(),
            None => {
                let related = self.related(conn, std::slice::from_ref(row))?;
                self.view(row, &related, |view| self.value(view))?
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

    /// Returns the members and groups of the rows, if the query needs them.
    fn related(&self, conn: &mut Conn, rows: &[Stored]) -> Result<Related, PageError> {
        let sort = self.kind.sort.as_ref();
        let filter = self.kind.filter.as_ref();
        let needs = |name| {
            self.kind.rt.is_relational(name) && (asks_for(sort, name) || mentions(filter, name))
        };
        let mut related = Related::default();
        let ids: Vec<ResourceId> = rows.iter().map(|row| row.id.clone()).collect();
        if needs("members") {
            for (group, member) in members::of_groups(conn, self.tenant, &ids)? {
                let endpoint = format!("/{}s", member.kind);
                related.members.entry(group).or_default().push(MemberView {
                    reference: self.url(&endpoint, member.value.as_str()),
                    value: member.value.into_string(),
                    display: member.display,
                    kind: member.kind,
                });
            }
        }
        if needs("groups") {
            for row in members::groups_of(conn, self.tenant, &ids)? {
                related
                    .groups
                    .entry(row.member)
                    .or_default()
                    .push(GroupView {
                        reference: self.url("/Groups", row.group.as_str()),
                        value: row.group.into_string(),
                        display: row.display,
                        direct: row.direct,
                    });
            }
        }
        Ok(related)
    }

    fn url(&self, endpoint: &str, id: &str) -> String {
        format!("{}{endpoint}/{id}", self.query.base_url)
    }
}

#[derive(Default)]
struct Related {
    members: HashMap<ResourceId, Vec<MemberView>>,
    groups: HashMap<ResourceId, Vec<GroupView>>,
}

fn time(micros: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_microsecond(micros).map_err(|error| {
        StoreError::internal(format!("a resource has an impossible time: {error}"))
    })
}
