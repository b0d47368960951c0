//! Writes of resources, a file for each operation in the order in which it runs.

pub(super) mod body_copies;
pub mod create;
pub mod delete;
mod document_limits;
pub(super) mod group_names;
pub mod membership;
pub mod passwords;
pub mod patch;
pub mod replace;
pub mod representation;
mod response;
pub(super) mod roles;
pub(super) mod update;
pub(super) mod user_names;
pub(super) mod writer;

pub use create::create;
pub use delete::delete;
pub use patch::patch;
pub use replace::replace;
pub use writer::WriteTarget;
