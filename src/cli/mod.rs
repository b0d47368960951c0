//! The command line: one file for each subcommand.

mod backup;
mod command;
mod compact;
mod erase;
mod export;
mod healthcheck;
mod import;
mod load;
mod migrate;
mod openapi;
mod progress;
mod serve;
mod setup;
mod store;
mod tenant;
mod token;
mod webhook;

pub use command::{Cli, run};
