//! `rollcall serve`.

use std::io::Write as _;

use tokio::signal::unix::{SignalKind, signal};

use crate::app::App;
use crate::config::{Config, ServeArgs};
use crate::http::SCIM_ROOT;
use crate::telemetry;

/// Runs `rollcall serve`.
pub fn run(args: &ServeArgs) -> anyhow::Result<()> {
    telemetry::start_log()?;
    let config = Config::load(args)?;
    actix_web::rt::System::new().block_on(async {
        // Installed before the address is printed, so that a stop right after that is graceful.
        let terminate = signal(SignalKind::terminate())?;
        let app = App::build(&config).await?;
        announce(&app)?;
        app.run(terminate).await
    })
}

/// Prints the first token and the addresses. Nothing else goes to standard output; the log goes to
/// standard error.
fn announce(app: &App) -> std::io::Result<()> {
    let listeners = &app.listeners;
    let address = listeners.main.address.url();
    let mut out = std::io::stdout().lock();
    if let Some(token) = &app.first_token {
        writeln!(out, "first token (shown once, keep it): {token}")?;
    }
    for other in &listeners.others {
        writeln!(out, "{} on {}", other.purpose, other.address.url())?;
        tracing::info!(
            address = other.address.url(),
            purpose = other.purpose,
            "listening"
        );
    }
    writeln!(out, "listening on {address}")?;
    out.flush()?;
    tracing::info!(address = %listeners.main.address.address, scim = %format!("{address}{SCIM_ROOT}"), base_url = app.base_url(), "listening");
    Ok(())
}
