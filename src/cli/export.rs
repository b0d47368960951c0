//! `rollcall export`.

use std::io::BufWriter;
use std::path::{Path, PathBuf};

use crate::cli::progress;
use crate::config::DatabaseArgs;
use crate::service::access::tokens::DEFAULT_TENANT;
use crate::service::transfer::{self, Tokens};
use crate::store::NewFile;

#[derive(Debug, clap::Args)]
pub struct ExportArgs {
    /// The file to write, which must not exist yet; `-` is standard output
    #[arg(default_value = "-")]
    path: PathBuf,
    #[arg(long, default_value = DEFAULT_TENANT)]
    tenant: String,
    /// Leave out the tokens
    #[arg(long)]
    without_tokens: bool,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// Runs `rollcall export`.
pub async fn run(args: ExportArgs) -> anyhow::Result<()> {
    let store = super::store::open(&args.database)?;
    let tokens = if args.without_tokens {
        Tokens::None
    } else {
        Tokens::All
    };
    let bar = progress::bar("exporting", None)?;
    let on_progress = progress::listener(&bar);
    let tally = if args.path == Path::new("-") {
        let output = BufWriter::new(std::io::stdout());
        let exported = transfer::export(&store, args.tenant, tokens, output, on_progress).await;
        exported?.0
    } else {
        let output = BufWriter::new(NewFile::begin(&args.path)?);
        let exported = transfer::export(&store, args.tenant, tokens, output, on_progress).await;
        let (tally, output) = exported?;
        // The export has flushed it.
        let file = output
            .into_inner()
            .map_err(std::io::IntoInnerError::into_error)?;
        file.finish()?;
        tally
    };
    bar.finish_and_clear();
    store.close();
    eprintln!("exported {}", progress::text(tally));
    Ok(())
}
