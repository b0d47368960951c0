//! The subcommands and their dispatch.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::cli::{
    backup, compact, erase, export, healthcheck, import, load, migrate, openapi, serve, setup,
    tenant, token, webhook,
};
use crate::config::ServeArgs;

/// A SCIM 2.0 provisioning service: Okta pushes users and groups, internal applications read them.
#[derive(Debug, Parser)]
#[command(name = "rollcall", version, propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the service
    Serve(Box<ServeArgs>),
    /// Migrate the database and exit
    Migrate(migrate::MigrateArgs),
    /// Copy an SQLite database to a new file while it is in use
    Backup(backup::BackupArgs),
    /// Write a tenant as lines of JSON, to move it to another database
    Export(export::ExportArgs),
    /// Read a tenant that `export` wrote
    Import(import::ImportArgs),
    /// Replace the content of a read-only resource type with a file
    Load(load::LoadArgs),
    /// Erase a person permanently, with everything recorded about them
    Erase(erase::EraseArgs),
    /// Rewrite the database, so that its files hold nothing that was deleted or erased
    Compact(compact::CompactArgs),
    /// Create, list and revoke tokens
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Create, list and configure tenants
    #[command(subcommand)]
    Tenant(tenant::TenantCommand),
    /// Register Rollcall in an Okta org and manage it there
    #[command(subcommand)]
    Setup(setup::SetupCommand),
    /// Manage webhooks, which notify applications of changes
    #[command(subcommand)]
    Webhook(webhook::WebhookCommand),
    /// Print the OpenAPI document
    Openapi,
    /// Exit with 0 if a running service is healthy
    Healthcheck(healthcheck::HealthcheckArgs),
}

/// Runs the command and returns the exit code.
///
/// # Errors
/// Returns the error that stopped the command, worded for the operator.
pub fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let done = match cli.command {
        // The only command with exit codes beyond success and failure.
        Command::Setup(command) => return wait(setup::run(command)),
        Command::Serve(args) => serve::run(&args),
        Command::Migrate(args) => migrate::run(&args),
        Command::Backup(args) => backup::run(&args),
        Command::Export(args) => wait(export::run(args)),
        Command::Import(args) => wait(import::run(args)),
        Command::Load(args) => wait(load::run(args)),
        Command::Erase(args) => wait(erase::run(args)),
        Command::Compact(args) => compact::run(&args),
        Command::Token(command) => wait(token::run(command)),
        Command::Tenant(command) => wait(tenant::run(command)),
        Command::Webhook(command) => wait(webhook::run(command)),
        Command::Openapi => openapi::run(),
        Command::Healthcheck(args) => healthcheck::run(&args),
    };
    done.map(|()| ExitCode::SUCCESS)
}

/// Runs a future to its end on the current thread.
pub(super) fn wait<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(work)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
