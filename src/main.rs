//! The `rollcall` command.

use std::process::ExitCode;

use clap::Parser as _;
use rollcall::{cli, telemetry};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            error.print().ok();
            // clap exits with 2, which `setup` reserves for "manual step pending"; use 1.
            return if error.use_stderr() {
                ExitCode::FAILURE
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    let result = cli::run(cli);
    telemetry::flush_log();
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("rollcall: {}", telemetry::chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}
