//! The memory that requests share: budgets in bytes, what a request has reserved of one, and what a
//! JSON text takes when it is parsed.
//!
//! It must not know what the memory is for: bodies and responses have a budget each.

mod budget;
mod held;
mod weight;

pub use budget::{FREE_BYTES, MemoryBudget, MemoryError, Reservation};
pub use held::Held;
pub use weight::{element_bytes, member_bytes, text_bytes, weigh_large, weigh_text, weigh_value};
