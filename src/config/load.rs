//! Reads the sources.

use std::path::{Path, PathBuf};

use crate::config::args::{DatabaseArgs, ServeArgs};
use crate::config::environment;
use crate::config::file::{self, File};
use crate::config::serve::Config;
use crate::config::tables::{DeclaredTypes, Tables};
use crate::settings::{ConfigError, Origin, Settings, Sources};

impl Config {
    /// Puts the sources together and checks every value.
    ///
    /// # Errors
    /// The first value that cannot be used.
    pub fn load(args: &ServeArgs) -> Result<Self, ConfigError> {
        let (sources, tables) = read_sources(args)?;
        Ok(Self {
            tables,
            ..Settings::load(&sources)?
        })
    }
}

/// A part of the settings, for commands that need no server.
///
/// # Errors
/// The first value that cannot be used.
pub fn load<S: Settings>(args: &DatabaseArgs) -> Result<S, ConfigError> {
    let (sources, _) = read_sources(&args.clone().into())?;
    S::load(&sources)
}

/// The declared resource types and extensions, for commands that need no server.
///
/// # Errors
/// The file cannot be read.
pub fn load_types(args: &DatabaseArgs) -> Result<DeclaredTypes, ConfigError> {
    let (_, tables) = read_sources(&args.clone().into())?;
    Ok(tables.types)
}

const DEFAULT_FILE: &str = "rollcall.toml";

fn read_sources(args: &ServeArgs) -> Result<(Sources, Tables), ConfigError> {
    let named = args.database.config.clone();
    let named = named.or_else(|| environment::read("ROLLCALL_CONFIG").map(PathBuf::from));
    let file = match named {
        Some(path) => read_file(&path)?,
        None if Path::new(DEFAULT_FILE).exists() => read_file(Path::new(DEFAULT_FILE))?,
        None => File::default(),
    };
    let from_environment = environment::values(&Config::declared());
    let layers = vec![args.given(), from_environment, file.settings];
    Ok((Sources::new(layers), file.tables))
}

/// Reads the file, which may have every setting that is no secret.
pub(super) fn read_file(path: &Path) -> Result<File, ConfigError> {
    let known: Vec<&str> = Config::declared()
        .iter()
        .filter(|setting| setting.origin == Origin::Anywhere)
        .map(|setting| setting.key)
        .collect();
    file::read(path, &known)
}

#[cfg(test)]
mod tests {
    use clap::{Args as _, Command, FromArgMatches as _};

    use super::*;
    use crate::service::UnknownMembers;

    fn load(flags: &[&str]) -> Result<Config, ConfigError> {
        let command = ServeArgs::augment_args(Command::new("serve").no_binary_name(true));
        let matches = command.try_get_matches_from(flags).unwrap();
        Config::load(&ServeArgs::from_arg_matches(&matches).unwrap())
    }

    fn check(flags: &[&str], expected: &str) {
        assert_eq!(load(flags).unwrap_err().to_string(), expected);
    }

    #[test]
    fn a_wrong_flag_is_named() {
        check(
            &["--workers", "many"],
            "workers (--workers): a whole number from 1 to 1024 was expected, and not `many`",
        );
        check(
            &["--max-page-size", "50"],
            "max_page_size (--max-page-size): a whole number from 100 to 10000 was expected, and not `50`",
        );
        check(
            &["--trusted-proxies", "10.0.0.0/8, proxy"],
            "trusted_proxies (--trusted-proxies): addresses or networks separated by commas were expected, such as 10.0.0.0/8, and `proxy` is neither",
        );
        check(
            &["--proxy-protocol", "v2"],
            "proxy_protocol (--proxy-protocol): `trusted_proxies` must name the proxies that send the header",
        );
        check(
            &["--tls-key", "k.pem"],
            "tls_key (--tls-key): `tls_certificate` must be set too",
        );
        check(
            &["--default-page-size", "1001"],
            "default_page_size (--default-page-size): a whole number from 1 to 1000 was expected, and not `1001`",
        );
        check(
            &["--me", "mail"],
            "me (--me): `userName`, `externalId`, `id` or `off` was expected",
        );
        check(
            &["--body-limit-bytes", "200000000"],
            "body_memory_bytes (default): it must hold the largest body that is allowed, and that has 200000000 bytes",
        );
        check(
            &["--database-replica", "postgres://h/n"],
            "database_replica (--database-replica): a replica is a PostgreSQL that follows the one in `database`; SQLite has none",
        );
        check(
            &["--database-replica-lag-ms", "1"],
            "database_replica_lag_ms (--database-replica-lag-ms): a whole number from 100 to 600000 was expected, and not `1`",
        );
    }

    #[test]
    fn a_flag_wins_over_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("settings.toml");
        std::fs::write(&path, "workers = 3\nunknown_members = \"refuse\"\n").unwrap();
        let path = path.to_str().unwrap();
        let config = load(&["--config", path, "--workers", "7"]).unwrap();
        assert_eq!(config.server.workers, 7);
        assert_eq!(config.scim.unknown_members, UnknownMembers::Refuse);
    }

    #[test]
    fn a_wrong_line_of_the_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("settings.toml");
        std::fs::write(&path, "workers = 3\n\nscan_limit = 0\n").unwrap();
        let path = path.to_str().unwrap();
        let expected = format!(
            "scan_limit ({path} line 3): a whole number from 1 to 100000000 was expected, and not `0`"
        );
        check(&["--config", path], &expected);
    }

    #[test]
    fn each_setting_has_a_flag_with_its_description_and_default() {
        let mut command = ServeArgs::augment_args(Command::new("serve")).term_width(0);
        let help = command.render_long_help().to_string();
        for setting in Config::declared() {
            let flag = format!("--{} <{}>", setting.flag(), setting.placeholder);
            let is_there = help.contains(&flag) && help.contains(&setting.help());
            assert_eq!(
                is_there,
                setting.origin == Origin::Anywhere,
                "{}",
                setting.key
            );
        }
    }
}
