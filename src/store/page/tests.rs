//! Holds SQL to `eval`, to the SQL texts that were agreed on, and to the indexes.

mod agreement;
mod filters;
mod paging;
mod plans;
mod population;
mod texts;
