//! Holds SQL to `eval`, to the SQL texts that were agreed on, and to the indexes.

mod agreement;
mod filters;
#[cfg(any())]
mod paging;
mod plans;
mod population;
#[cfg(any())]
mod texts;
