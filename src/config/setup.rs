//! The settings of `rollcall setup`: the file with the desired state, and the credential for Okta,
//! which no flag holds.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::SecretString;

use crate::config::args::DatabaseArgs;
use crate::config::environment;
use crate::settings::ConfigError;

/// The flags of every subcommand of `rollcall setup`.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct OktaArgs {
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// The desired state (environment `ROLLCALL_SETUP_FILE`) [default: setup.toml]
    #[arg(long, value_name = "FILE", global = true)]
    pub file: Option<PathBuf>,
    /// A file with Okta's API token, `-` for standard input (environment
    /// `ROLLCALL_OKTA_TOKEN_FILE`; the token itself may be in `ROLLCALL_OKTA_TOKEN`)
    #[arg(long, value_name = "FILE", global = true)]
    pub okta_token_file: Option<PathBuf>,
    /// The private key of an Okta service app, PEM or JWK, instead of a token (environment
    /// `ROLLCALL_OKTA_KEY_FILE`)
    #[arg(long, value_name = "FILE", global = true)]
    pub okta_key_file: Option<PathBuf>,
    /// Longest single wait for one of Okta's rate limits [default: 300]
    #[arg(long, value_name = "SECONDS", global = true)]
    pub max_wait: Option<u64>,
    /// Print one JSON object instead of text
    #[arg(long, global = true)]
    pub json: bool,
    /// Speak plain HTTP to a fake Okta on this machine, and wait milliseconds instead of seconds
    #[arg(long, global = true, hide = true)]
    pub rehearse: bool,
}

/// The settings of `rollcall setup`, read and checked.
#[derive(Debug)]
pub struct OktaSettings {
    pub file: PathBuf,
    pub token: Option<SecretString>,
    pub key: Option<SecretString>,
    pub event_hook_secret: Option<SecretString>,
    pub max_wait: Duration,
    pub rehearse: bool,
}

/// Tokens and keys are smaller.
const MAX_SECRET_BYTES: u64 = 64 * 1024;

impl OktaSettings {
    /// Reads the environment and the secret files.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn load(args: &OktaArgs) -> Result<Self, ConfigError> {
        let path = |flag: &Option<PathBuf>, variable| {
            flag.clone()
                .or_else(|| environment::read(variable).map(PathBuf::from))
        };
        let token = match (
            &args.okta_token_file,
            environment::read("ROLLCALL_OKTA_TOKEN"),
        ) {
            (None, Some(token)) => Some(SecretString::from(token)),
            _ => path(&args.okta_token_file, "ROLLCALL_OKTA_TOKEN_FILE")
                .map(|path| secret(&path, "okta_token_file"))
                .transpose()?,
        };
        Ok(Self {
            file: path(&args.file, "ROLLCALL_SETUP_FILE")
                .unwrap_or_else(|| PathBuf::from("setup.toml")),
            token,
            key: path(&args.okta_key_file, "ROLLCALL_OKTA_KEY_FILE")
                .map(|path| secret(&path, "okta_key_file"))
                .transpose()?,
            event_hook_secret: environment::read("ROLLCALL_EVENT_HOOK_SECRET")
                .map(SecretString::from),
            max_wait: Duration::from_secs(args.max_wait.unwrap_or(300)),
            rehearse: args.rehearse || environment::read("ROLLCALL_SETUP_REHEARSE").is_some(),
        })
    }
}

fn secret(path: &Path, setting: &str) -> Result<SecretString, ConfigError> {
    let mut text = String::new();
    let read = if path == Path::new("-") {
        std::io::stdin()
            .take(MAX_SECRET_BYTES)
            .read_to_string(&mut text)
    } else {
        std::fs::File::open(path)
            .and_then(|file| file.take(MAX_SECRET_BYTES).read_to_string(&mut text))
    };
    read.map_err(|error| ConfigError {
        setting: setting.to_owned(),
        location: path.display().to_string(),
        problem: error.to_string(),
    })?;
    Ok(SecretString::from(text.trim()))
}
