//! The directory: users, groups, memberships and the change feed in plain JSON.

mod common;
pub mod feed;
pub mod groups;
pub mod memberships;
pub mod stream;
pub mod users;
