//! Tests SQL against `eval`, against the reviewed SQL texts, and for the use of indexes.

mod agreement;
mod costs;
mod filters;
mod order;
mod paging;
mod plans;
mod population;
mod texts;
