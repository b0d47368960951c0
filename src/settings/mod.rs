//! Declarations of settings: `settings!` makes a struct whose fields are settings. The
//! flag, the environment variable, the key in the file, the default, the example file, the
//! reference and the location in an error message derive from the declaration.
//!
//! It must not know which settings exist: each part declares its own, and `config` puts them
//! together.

mod declare;
mod kind;
mod setting;
mod sources;
mod table;
#[cfg(test)]
mod tests;

pub use declare::Settings;
pub(crate) use declare::{declare_field, load_field, settings};
pub use kind::{Kind, Origin, bytes, choice, days, milliseconds, number, parsed, seconds, secret};
pub use setting::{Fallback, Setting, ShownDefault, absent, computed, plain_text, required};
pub use sources::{ConfigError, GivenValue, Sources};
pub(crate) use table::file_table;
pub use table::{Column, FileTable};
