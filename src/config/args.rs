//! The flags, made from the declared settings.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::path::PathBuf;

use clap::{Arg, ArgMatches, Command};

use crate::config::serve::Config;
use crate::settings::{GivenValue, Origin, Setting, Settings as _};

/// The flags of every command that uses the database.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct DatabaseArgs {
    /// The configuration file (environment `ROLLCALL_CONFIG`) [default: rollcall.toml, if it
    /// exists]
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    #[command(flatten)]
    flags: Flags<EveryCommand>,
}

/// The flags of `rollcall serve`. Each has an environment variable: `--body-limit-bytes` is
/// `ROLLCALL_BODY_LIMIT_BYTES`.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ServeArgs {
    #[command(flatten)]
    pub database: DatabaseArgs,
    #[command(flatten)]
    flags: Flags<ServeOnly>,
}

impl From<DatabaseArgs> for ServeArgs {
    fn from(database: DatabaseArgs) -> Self {
        Self {
            database,
            ..Self::default()
        }
    }
}

impl ServeArgs {
    /// The values that flags gave, by key.
    pub fn given(&self) -> BTreeMap<String, GivenValue> {
        let mut given = self.flags.given.clone();
        given.extend(self.database.flags.given.clone());
        given
    }
}

/// The flags of some settings.
#[derive(Debug, Clone, Default)]
struct Flags<C> {
    given: BTreeMap<String, GivenValue>,
    commands: PhantomData<C>,
}

/// The commands that take a flag.
trait Commands: Clone {
    /// Whether the flag may also stand before a subcommand.
    const IS_GLOBAL: bool;

    fn take(key: &str) -> bool;
}

/// Takes `--database`.
#[derive(Debug, Clone, Default)]
struct EveryCommand;

/// Takes every other flag.
#[derive(Debug, Clone, Default)]
struct ServeOnly;

impl Commands for EveryCommand {
    const IS_GLOBAL: bool = true;

    fn take(key: &str) -> bool {
        key == "database"
    }
}

impl Commands for ServeOnly {
    const IS_GLOBAL: bool = false;

    fn take(key: &str) -> bool {
        !EveryCommand::take(key)
    }
}

impl<C: Commands> Flags<C> {
    fn settings() -> impl Iterator<Item = Setting> {
        Config::declared()
            .into_iter()
            .filter(|setting| setting.origin == Origin::Anywhere && C::take(setting.key))
    }
}

impl<C: Commands> clap::Args for Flags<C> {
    fn augment_args(command: Command) -> Command {
        command.args(Self::settings().map(|setting| flag(&setting).global(C::IS_GLOBAL)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<C: Commands> clap::FromArgMatches for Flags<C> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut flags = Self {
            given: BTreeMap::new(),
            commands: PhantomData,
        };
        flags.update_from_arg_matches(matches)?;
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        for setting in Self::settings() {
            if let Some(text) = matches.get_one::<String>(setting.key) {
                let value = GivenValue {
                    text: text.clone(),
                    location: format!("--{}", setting.flag()),
                };
                self.given.insert(setting.key.to_owned(), value);
            }
        }
        Ok(())
    }
}

fn flag(setting: &Setting) -> Arg {
    Arg::new(setting.key)
        .long(setting.flag())
        .value_name(setting.placeholder.clone())
        .help(setting.help())
}
