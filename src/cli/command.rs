//! The subcommands, and how each is run.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::cli::{
    backup, compact, erase, export, healthcheck, import, load, migrate, openapi, serve, setup,
    tenant, token, webhook,
};
use crate::config::ServeArgs;

/// A SCIM 2.0 provisioning service: Okta pushes people and groups in, internal apps read who is there.
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
    /// Bring the database's tables up to date and stop
    Migrate(migrate::MigrateArgs),
    /// Copy an SQLite database to a file while it is in use
    Backup(backup::BackupArgs),
    /// Write a tenant as lines of JSON, for another database
    Export(export::ExportArgs),
    /// Read a tenant that `export` wrote
    Import(import::ImportArgs),
    /// Fill a read-only resource type from a file
    Load(load::LoadArgs),
    /// Erase a person for good, with all that was recorded
    Erase(erase::EraseArgs),
    /// Write the database anew, so that nothing of what was deleted or erased remains in its files
    Compact(compact::CompactArgs),
    /// Make, list and revoke tokens
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Make and list tenants
    #[command(subcommand)]
    Tenant(tenant::TenantCommand),
    /// Register Rollcall in an Okta org, and look after it there
    #[command(subcommand)]
    Setup(setup::SetupCommand),
    /// Tell applications of changes by webhook
    #[command(subcommand)]
    Webhook(webhook::WebhookCommand),
    /// Print the OpenAPI document
    Openapi,
    /// Ask a running service whether it is well; exits with 0 when it is
    Healthcheck(healthcheck::HealthcheckArgs),
}

/// Runs the command.
///
/// # Errors
/// Whatever stopped it, told for the operator.
pub fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let done = match cli.command {
        // It alone has more to say than success or failure.
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
