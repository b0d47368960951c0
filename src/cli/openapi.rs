//! `rollcall openapi`: what `openapi/openapi.json` is made with.

use crate::http::openapi;
use crate::scim::Registry;

pub fn run() -> anyhow::Result<()> {
    println!(
        "{}",
        openapi::document(&Registry::standard()).to_pretty_json()?
    );
    Ok(())
}
