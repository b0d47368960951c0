//! Reads over several tables: lookups, pages, and filters as SQL.

pub mod coalesce;
pub mod directory;
pub mod lookup;
pub mod page;
#[cfg(test)]
mod plans;
pub mod predicate;
