//! The subcommands of `rollcall setup`, one file each.

pub mod apply;
pub mod check;
pub mod instructions;
pub mod plan;
pub mod reconcile;
pub mod remove;
pub mod status;
pub mod verify;
