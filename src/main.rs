//! The command `rollcall`.

use std::process::ExitCode;

use clap::Parser as _;
use rollcall::{cli, telemetry};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
        Err(asked) => {
            asked.print().ok();
            // clap exits with 2, which `setup` reserves for "manual step pending"; use 1.
            return if asked.use_stderr() {
                ExitCode::FAILURE
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    let done = cli::run(cli);
    telemetry::finish_log();
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("rollcall: {}", telemetry::chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}
