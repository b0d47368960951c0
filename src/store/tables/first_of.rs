//! The beginning of a result, as much as there is memory for.

use crate::store::engine::statement::FirstRows;

/// The most bytes that one statement reads for a response. A single row may have more.
pub const READ_BYTES: usize = 4 << 20;

/// The first rows that a statement found, as many as the memory for them allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstOf<T> {
    pub rows: Vec<T>,
    /// Whether there are more.
    pub is_cut: bool,
}

impl<T> FirstOf<T> {
    pub fn nothing() -> Self {
        Self {
            rows: Vec::new(),
            is_cut: false,
        }
    }
}

impl<R, T: From<R>> From<FirstRows<R>> for FirstOf<T> {
    fn from(found: FirstRows<R>) -> Self {
        Self {
            rows: found.rows.into_iter().map(T::from).collect(),
            is_cut: found.is_cut,
        }
    }
}
