//! Holds SQL to `eval`, to the SQL texts that were agreed on, and to the indexes.

mod agreement;
mod filters;
mod order;
mod paging;
mod plans;
mod population;
mod texts;
