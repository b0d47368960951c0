//! `rollcall openapi`, which generates `openapi/openapi.json`.

use scim_core::Registry;

use crate::http::openapi;

/// Runs `rollcall openapi`.
pub fn run() -> anyhow::Result<()> {
    println!(
        "{}",
        openapi::document(&Registry::standard()).to_pretty_json()?
    );
    Ok(())
}
