//! Progress of an export or import, for a terminal.

use indicatif::{ProgressBar, ProgressStyle};

use crate::service::transfer::{LineCounts, Progress};

/// Creates a bar on standard error, which stays invisible unless that is a terminal.
pub fn bar(what: &str, total: Option<u64>) -> anyhow::Result<ProgressBar> {
    let bar = match total {
        Some(total) => ProgressBar::new(total).with_style(ProgressStyle::with_template(
            "{prefix} {wide_bar} {bytes}/{total_bytes} {eta} {msg}",
        )?),
        None => ProgressBar::new_spinner().with_style(ProgressStyle::with_template(
            "{prefix} {spinner} {elapsed} {msg}",
        )?),
    };
    Ok(bar.with_prefix(what.to_owned()))
}

/// Returns a listener that shows the counts on the bar.
pub fn listener(bar: &ProgressBar) -> Progress {
    let bar = bar.clone();
    Box::new(move |tally| {
        bar.set_message(text(tally));
        bar.tick();
    })
}

/// Formats counts: `1200 resources, 4000 members, 5200 changes, 2 tokens`
pub fn text(tally: LineCounts) -> String {
    format!(
        "{} resources, {} members, {} changes, {} tokens",
        tally.resources, tally.members, tally.changes, tally.tokens
    )
}
