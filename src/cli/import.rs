//! `rollcall import`.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;

use crate::app::registry;
use crate::cli::progress;
use crate::clock::{Clock as _, SystemClock};
use crate::config::{self, DatabaseArgs};
use crate::service::transfer::ImportTarget;
use crate::service::{indexes, transfer};

#[derive(Debug, clap::Args)]
pub struct ImportArgs {
    /// The file that `rollcall export` wrote; `-` is standard input
    #[arg(default_value = "-")]
    path: PathBuf,
    /// Name of the tenant in this database [default: the exported name]
    #[arg(long)]
    tenant: Option<String>,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// Runs `rollcall import`.
pub async fn run(args: ImportArgs) -> anyhow::Result<()> {
    let registry = Arc::new(registry::build(&config::load_types(&args.database)?)?);
    let (input, bar): (Box<dyn BufRead + Send>, _) = if args.path == Path::new("-") {
        let bar = progress::bar("importing", None)?;
        (Box::new(BufReader::new(std::io::stdin())), bar)
    } else {
        let file = File::open(&args.path)
            .with_context(|| format!("cannot open {}", args.path.display()))?;
        let bar = progress::bar("importing", Some(file.metadata()?.len()))?;
        (Box::new(BufReader::new(bar.wrap_read(file))), bar)
    };
    let store = super::store::open(&args.database)?;
    let now_us = SystemClock::default().now().as_microsecond();
    let on_progress = progress::listener(&bar);
    indexes::join(&store, &registry).await?;
    let target = ImportTarget {
        name: args.tenant,
        now_us,
    };
    let imported = transfer::import(&store, registry, target, input, on_progress).await;
    bar.finish_and_clear();
    store.close();
    eprintln!(
        "imported {}; count and SHA-256 agree",
        progress::text(imported?)
    );
    Ok(())
}
