//! The sources that hold values, and which of them wins.

use std::collections::BTreeMap;

use crate::settings::kind::Kind;
use crate::settings::setting::{Fallback, Setting};

/// A setting that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{setting} ({location}): {problem}")]
pub struct ConfigError {
    pub setting: String,
    /// `--listen`, `environment ROLLCALL_LISTEN`, `rollcall.toml line 3`.
    pub location: String,
    pub problem: String,
}

/// A value as it was given, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenValue {
    pub text: String,
    pub location: String,
}

/// The values that were given, by key: one map for each source, the strongest first.
#[derive(Default)]
pub struct Sources {
    layers: Vec<BTreeMap<String, GivenValue>>,
}

impl Sources {
    pub fn new(layers: Vec<BTreeMap<String, GivenValue>>) -> Self {
        Self { layers }
    }

    /// The value of a setting, from the strongest source that has one.
    ///
    /// # Errors
    /// The value is not of its kind.
    pub fn load<T: 'static>(
        &self,
        key: &str,
        kind: &Kind<T>,
        fallback: Fallback<T>,
    ) -> Result<T, ConfigError> {
        let parsed = match (self.given(key), fallback) {
            (Some(given), _) => kind.parse(&given.text),
            (None, Fallback::Text(text)) => kind.parse(&text),
            (None, Fallback::Value { value, .. }) => Ok(value),
            (None, Fallback::Required { .. }) => Err("it must be set".to_owned()),
        };
        parsed.map_err(|problem| self.error(key, &problem))
    }

    /// Checks the value of a setting that was given, without using it.
    pub(super) fn check(&self, setting: &Setting) -> Result<(), ConfigError> {
        let checked = self
            .given(setting.key)
            .map_or(Ok(()), |given| setting.check(&given.text));
        checked.map_err(|problem| self.error(setting.key, &problem))
    }

    pub(super) fn given(&self, key: &str) -> Option<&GivenValue> {
        self.layers.iter().find_map(|layer| layer.get(key))
    }

    /// The error for a setting, with the location that set it.
    pub fn error(&self, key: &str, problem: &str) -> ConfigError {
        ConfigError {
            setting: key.to_owned(),
            location: self
                .given(key)
                .map_or_else(|| "default".to_owned(), |given| given.location.clone()),
            problem: problem.to_owned(),
        }
    }
}
