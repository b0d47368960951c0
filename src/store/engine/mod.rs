//! Connections, threads, the writer with group commit, migrations, and how SQL is written.

pub(super) mod analyze;
pub mod backup;
pub mod budget;
pub mod compact;
pub mod conn;
pub mod error;
pub mod fragment;
pub(super) mod index_epoch;
pub(super) mod inline_reads;
pub(super) mod job;
pub mod migrate;
pub(super) mod new_file;
pub mod notify;
pub(super) mod read_job;
pub(super) mod read_queue;
pub(super) mod readers;
pub mod replica;
mod rerun;
pub mod schema;
pub(super) mod session;
pub(super) mod statement;
pub mod store;
mod write_queue;
pub(super) mod writer;
