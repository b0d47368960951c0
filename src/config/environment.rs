//! The environment.

use std::collections::BTreeMap;

use crate::settings::{GivenValue, Setting};

/// The values of settings in the environment.
pub fn values(declared: &[Setting]) -> BTreeMap<String, GivenValue> {
    declared
        .iter()
        .filter_map(|setting| {
            let variable = setting.variable();
            let value = GivenValue {
                text: read(&variable)?,
                location: format!("environment {variable}"),
            };
            Some((setting.key.to_owned(), value))
        })
        .collect()
}

/// The value of a variable. An empty variable counts as unset, so that a container can clear one.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one reader of the environment"
)]
pub fn read(variable: &str) -> Option<String> {
    std::env::var(variable).ok().filter(|text| !text.is_empty())
}
