//! What setup configures in an Okta org, one file each.

pub mod app;
pub mod app_template;
pub mod assignments;
pub mod connection;
pub mod diff;
pub mod event_hook;
pub mod manual_steps;
pub mod profile;
