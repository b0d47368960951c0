//! The settings of `rollcall`: flags over environment over file over defaults, checked once.
//!
//! Only this module reads the environment. An error names the setting and the location that set it.
//! Each part declares its own settings; [`Config`] puts them together.

mod args;
mod environment;
mod file;
mod load;
#[cfg(test)]
mod reference;
mod serve;
mod setup;
mod tables;

pub use args::{DatabaseArgs, ServeArgs};
pub use load::{load, load_types};
pub use serve::{Config, LimitSettings, TokenSettings};
pub use setup::{OktaArgs, OktaSettings};
pub use tables::{
    DeclaredTypes, ExtensionSettings, IssuerSettings, Located, TypeAccess, TypeSettings,
};
