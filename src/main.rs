//! The command `rollcall`.

use std::process::ExitCode;

use clap::Parser as _;
use rollcall::{cli, telemetry};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match cli::run(cli::Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("rollcall: {}", telemetry::chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}
