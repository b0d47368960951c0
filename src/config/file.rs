//! `rollcall.toml`.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use toml::{Spanned, Value};

use crate::config::tables::{
    DeclaredTypes, ExtensionSettings, IssuerSettings, Located, Tables, TypeSettings,
};
use crate::settings::{ConfigError, GivenValue};

/// The content of the file: the settings by key, and the tables.
#[derive(Debug, Default)]
pub struct File {
    pub settings: BTreeMap<String, GivenValue>,
    pub tables: Tables,
}

/// The tables whose errors name the line of an entry. The rest was read before.
#[derive(Default, Deserialize)]
struct TypeTables {
    #[serde(default)]
    extensions: Vec<Spanned<ExtensionSettings>>,
    #[serde(default)]
    resource_types: Vec<Spanned<TypeSettings>>,
}

/// The text of the file and its path, for error locations.
#[derive(Clone, Copy)]
struct Source<'t> {
    path: &'t Path,
    text: &'t str,
}

impl Source<'_> {
    fn location(&self, offset: usize) -> String {
        let line = self
            .text
            .bytes()
            .take(offset)
            .filter(|byte| *byte == b'\n')
            .count()
            .saturating_add(1);
        format!("{} line {line}", self.path.display())
    }

    fn error(&self, setting: &str, offset: usize, problem: &str) -> ConfigError {
        ConfigError {
            setting: setting.to_owned(),
            location: self.location(offset),
            problem: problem.to_owned(),
        }
    }

    /// The error at the position that TOML or serde reports.
    fn toml_error(&self, setting: &str, error: &toml::de::Error) -> ConfigError {
        let offset = error.span().map_or(0, |span| span.start);
        self.error(setting, offset, error.message())
    }
}

/// Reads the file and checks its form; `known` are the keys of all settings.
pub fn read(path: &Path, known: &[&str]) -> Result<File, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|error| ConfigError {
        setting: "config".to_owned(),
        location: path.display().to_string(),
        problem: error.to_string(),
    })?;
    parse(path, &text, known)
}

fn parse(path: &Path, text: &str, known: &[&str]) -> Result<File, ConfigError> {
    let source = Source { path, text };
    let content: BTreeMap<Spanned<String>, Value> =
        toml::from_str(text).map_err(|error| source.toml_error("the file", &error))?;
    let mut file = File::default();
    file.tables.types = declared_types(source)?;
    for (key, value) in content {
        let offset = key.span().start;
        let name = key.into_inner();
        match name.as_str() {
            "issuers" => {
                file.tables.issuers =
                    issuers(value).map_err(|problem| source.error(&name, offset, &problem))?;
            }
            "extensions" | "resource_types" => {}
            known_name if known.contains(&known_name) => {
                let text =
                    setting_text(value).map_err(|problem| source.error(&name, offset, &problem))?;
                let location = source.location(offset);
                file.settings.insert(name, GivenValue { text, location });
            }
            _ => return Err(source.error(&name, offset, "there is no such setting")),
        }
    }
    Ok(file)
}

fn setting_text(value: Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text),
        Value::Integer(number) => Ok(number.to_string()),
        Value::Boolean(true) => Ok("on".to_owned()),
        Value::Boolean(false) => Ok("off".to_owned()),
        Value::Array(list) => {
            let texts: Result<Vec<_>, _> = list.into_iter().map(setting_text).collect();
            Ok(texts?.join(","))
        }
        _ => Err("a text, a whole number or a boolean was expected".to_owned()),
    }
}

fn issuers(value: Value) -> Result<Vec<IssuerSettings>, String> {
    let issuers: Vec<IssuerSettings> = value
        .try_into()
        .map_err(|error: toml::de::Error| error.message().to_owned())?;
    issuers.iter().try_for_each(IssuerSettings::check)?;
    Ok(issuers)
}

fn declared_types(source: Source) -> Result<DeclaredTypes, ConfigError> {
    let tables: TypeTables = toml::from_str(source.text)
        .map_err(|error| source.toml_error("extensions or resource_types", &error))?;
    Ok(DeclaredTypes {
        extensions: located(tables.extensions, source),
        types: located(tables.resource_types, source),
        folder: source.path.parent().map(Path::to_owned).unwrap_or_default(),
    })
}

fn located<T>(tables: Vec<Spanned<T>>, source: Source) -> Vec<Located<T>> {
    tables
        .into_iter()
        .map(|table| Located {
            location: source.location(table.span().start),
            settings: table.into_inner(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<&[(&str, &str)], &str>) {
        let found = parse(
            Path::new("rollcall.toml"),
            text,
            &["listen", "workers", "password_sync"],
        );
        match (found, expected) {
            (Ok(file), Ok(pairs)) => {
                let found: Vec<_> = file
                    .settings
                    .iter()
                    .map(|(k, v)| (k.as_str(), v.text.as_str()))
                    .collect();
                assert_eq!(found, pairs);
            }
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
            (found, expected) => panic!("{found:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn files() {
        check("", Ok(&[]));
        check(
            "listen = \"a\"\nworkers = 2\npassword_sync = true",
            Ok(&[("listen", "a"), ("password_sync", "on"), ("workers", "2")]),
        );
        check("listen = [\"a\", \"b\", 3]", Ok(&[("listen", "a,b,3")]));
        check("\n\nlisten = ", Err("rollcall.toml line 3"));
        check(
            "listen = \"a\"\nlistne = \"b\"",
            Err("listne (rollcall.toml line 2): there is no such setting"),
        );
        check("workers = 1.5", Err("workers (rollcall.toml line 1)"));
        check(
            "[[issuers]]\nissuer = \"x\"",
            Err("issuers (rollcall.toml line 1)"),
        );
        let issuer = |rest: &str, expected: Result<&[(&str, &str)], &str>| {
            let text = "[[issuers]]\nissuer = \"https://i\"\naudience = \"a\"\n";
            check(&format!("{text}{rest}"), expected);
        };
        issuer("", Ok(&[]));
        issuer(
            "jwks_file = \"f\"\njwks_uri = \"https://k\"",
            Err("set one"),
        );
        issuer(
            "jwks_uri = \"http://k\"",
            Err("https://i: `jwks_uri` must start"),
        );
        issuer("jwks_uri = \"http://127.0.0.1:1/k\"", Ok(&[]));
        issuer(
            "tenant = \"t\"\ntenant_claim = \"c\"",
            Err("either `tenant`"),
        );
        issuer("tenant_claim = \"c\"", Err("set together"));
        issuer("tenants = { a = \"t\" }", Err("set together"));
        issuer("tenant_claim = \"c\"\ntenants = { a = \"t\" }", Ok(&[]));
        issuer(
            "scopes = { \"people\" = \"read\" }\nfields = [\"name\"]",
            Ok(&[]),
        );
        issuer("scopes = { \"people\" = \"root\" }", Err("root"));
        issuer("fields = []", Err("attribute names"));
        check(
            "[[issuers]]\nissuer = \"http://i\"\naudience = \"a\"",
            Err("discovery"),
        );
    }
}
