//! The limits of a search, and the errors that tell a client how to stay within them.

use scim_core::registry::AttrRef;
use scim_core::{ErrorKind, ScimError};

use crate::store::Conn;
use crate::store::query::page::order::SortSource;
use crate::store::query::page::request::PageError;
use crate::store::query::page::search::Search;
use crate::store::tables::counts;

impl Search<'_> {
    /// How many comparisons the filter may cost, with the resources that there are.
    pub(super) fn cost(&self, conn: &mut Conn) -> Result<u64, PageError> {
        if self.plan.tests == 0 {
            return Ok(0);
        }
        let live = counts::of(conn, self.tenant, &self.kind.rt.name)?.live;
        let live = u64::try_from(live).unwrap_or_default();
        Ok(self.plan.tests.saturating_mul(live))
    }

    /// The error for a filter that would cost this many comparisons.
    pub(super) fn too_costly(&self, cost: u64) -> ScimError {
        let limit = self.query.cost_limit;
        let usable = self.usable();
        too_many(format!(
            "The filter would make up to {cost} comparisons, and {limit} are allowed. Use fewer alternatives, filter by an \
             indexed attribute with \"eq\", or join one with \"and\": {usable}."
        ))
    }

    /// The error for a search that used its time up.
    pub(super) fn too_slow(&self) -> ScimError {
        let usable = self.usable();
        too_many(format!(
            "The query was stopped because it took too long. Filter by an indexed attribute with \"eq\", or join one with \
             \"and\": {usable}. Otherwise use fewer alternatives, no sortBy, fewer attributes, or a smaller page by cursor."
        ))
    }

    /// The error for a search that would read too many documents.
    pub(super) fn too_many_documents(&self) -> ScimError {
        let usable = self.usable();
        let limit = self.query.scan_limit;
        too_many(match &self.kind.sort {
            Some(path) if self.source == SortSource::Documents && self.plan.exact => format!(
                "Sorting by {path} would have to read more than {limit} resources one by one. Sort by another \
                 attribute, or filter by an indexed one as well: {usable}."
            ),
            _ => format!(
                "The filter would have to read more than {limit} resources one by one. Filter by an indexed attribute \
                 instead, or join one with \"and\": {usable}."
            ),
        })
    }

    /// The attributes of the type by which an index finds resources.
    fn usable(&self) -> String {
        let rt = &self.kind.rt;
        let always = ["userName", "displayName", "externalId", "id"];
        let always = always.iter().filter(|key| rt.attr_by_key(key).is_some());
        let indexed = rt.indexed.iter().map(AttrRef::key);
        let usable: Vec<&str> = always.copied().chain(indexed).collect();
        usable.join(", ")
    }
}

/// The error for a page of several types that starts too far from the first resource.
pub(super) fn too_deep(limit: u64) -> ScimError {
    too_many(format!(
        "A list of several resource types cannot begin behind {limit} resources. Read it by cursor, or one type \
         at a time."
    ))
}

pub(super) fn too_many(detail: String) -> ScimError {
    ScimError::new(ErrorKind::TooMany, detail)
}
