//! `rollcall openapi`: what `openapi/openapi.json` is made with.

use scim_core::Registry;

use crate::http::openapi;

pub fn run() -> anyhow::Result<()> {
    println!(
        "{}",
        openapi::document(&Registry::standard()).to_pretty_json()?
    );
    Ok(())
}
