//! `rollcall.toml`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::{Spanned, Value};

use crate::auth::{Fields, Scope};
use crate::config::ConfigError;
use crate::issuers::is_loopback;

/// An issuer whose access tokens are taken (`[[issuers]]`).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuerSettings {
    /// The exact `iss`.
    pub issuer: String,
    /// The `aud` that the tokens must name.
    pub audience: String,
    /// The tenant that they speak for; the default one where neither this nor `tenant_claim` is given.
    pub tenant: Option<String>,
    /// The claim that names the tenant, by the values in `tenants`.
    pub tenant_claim: Option<String>,
    /// The tenant of each value of the claim.
    #[serde(default)]
    pub tenants: BTreeMap<String, String>,
    /// What the issuer's scopes mean here; without it `scim`, `read` and `admin` mean themselves.
    pub scopes: Option<BTreeMap<String, Scope>>,
    /// What the tokens may read; everything where it is left out.
    pub fields: Option<Vec<String>>,
    /// A file with the issuer's JSON Web Key Set (RFC 7517).
    pub jwks_file: Option<PathBuf>,
    /// The address of the key set. Where neither is given it is found by discovery.
    pub jwks_uri: Option<String>,
}

impl IssuerSettings {
    /// What serde does not see.
    fn check(&self) -> Result<(), String> {
        let says = |problem: &str| Err(format!("{}: {problem}", self.issuer));
        if self.jwks_file.is_some() && self.jwks_uri.is_some() {
            return says("`jwks_file` and `jwks_uri` are two places for the same keys; name one");
        }
        let is_safe = |url: &str| url.starts_with("https://") || is_loopback(url);
        if self.jwks_uri.as_deref().is_some_and(|url| !is_safe(url)) {
            return says("`jwks_uri` must start with https://");
        }
        if self.jwks_file.is_none() && self.jwks_uri.is_none() && !is_safe(&self.issuer) {
            return says("keys are found by discovery only where `issuer` starts with https://");
        }
        match (&self.tenant, &self.tenant_claim, self.tenants.is_empty()) {
            (_, None, true) | (None, Some(_), false) => {}
            (Some(_), Some(_), _) => return says("name either `tenant` or `tenant_claim`"),
            _ => return says("`tenant_claim` and `tenants` go together"),
        }
        match self.fields.clone().map(Fields::parse) {
            Some(Err(error)) => says(&error.to_string()),
            _ => Ok(()),
        }
    }
}

/// An extension of a resource type (`[[extensions]]`).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExtensionSettings {
    /// `User`, `Group` or a declared type.
    pub resource_type: String,
    /// A file with a Schema (RFC 7643 section 7), named from where the configuration file is.
    pub schema: PathBuf,
    /// Whether no resource of the type may lack it.
    #[serde(default)]
    pub required: bool,
    /// The attributes that filters find by an index: `badge`, `desk.floor`.
    #[serde(default)]
    pub indexed: Vec<String>,
}

/// A resource type (`[[resource_types]]`).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TypeSettings {
    /// Also `meta.resourceType`.
    pub name: String,
    /// With the slash: `/Devices`.
    pub endpoint: String,
    /// A file, as in [`ExtensionSettings`], or the URN of a schema that Rollcall knows.
    pub schema: String,
    #[serde(default)]
    pub description: String,
    #[serde(default)]
    pub indexed: Vec<String>,
    #[serde(default)]
    pub access: TypeAccess,
}

/// Who fills a resource type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TypeAccess {
    /// SCIM clients.
    #[default]
    Provisioned,
    /// The operator alone, by `rollcall load`.
    ReadOnly,
}

/// A table of the file and where it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed<T> {
    pub settings: T,
    /// `rollcall.toml line 12`
    pub place: String,
}

/// What the file adds to the schemas of the standard.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Declared {
    pub extensions: Vec<Placed<ExtensionSettings>>,
    pub types: Vec<Placed<TypeSettings>>,
    /// Where the configuration file is: the names of files start there.
    pub folder: PathBuf,
}

/// The part of the file that is [`Declared`]. The rest was read before.
#[derive(Default, Deserialize)]
struct Tables {
    #[serde(default)]
    extensions: Vec<Spanned<ExtensionSettings>>,
    #[serde(default)]
    resource_types: Vec<Spanned<TypeSettings>>,
}

/// One value of the file and its line.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    pub text: String,
    pub number: usize,
}

/// The file's content: plain settings by name, and the issuers.
#[derive(Debug, Clone, Default)]
pub struct File {
    pub path: PathBuf,
    pub settings: BTreeMap<String, Line>,
    pub issuers: Vec<IssuerSettings>,
    pub declared: Declared,
}

/// Reads and checks the file's form; `known` are the settings that there are.
pub fn read(path: &Path, known: &[&str]) -> Result<File, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|error| ConfigError {
        setting: "config".to_owned(),
        place: path.display().to_string(),
        problem: error.to_string(),
    })?;
    parse(path, &text, known)
}

fn parse(path: &Path, text: &str, known: &[&str]) -> Result<File, ConfigError> {
    let fault = |setting: &str, offset: usize, problem: String| ConfigError {
        setting: setting.to_owned(),
        place: format!("{} line {}", path.display(), line_of(text, offset)),
        problem,
    };
    let table: BTreeMap<Spanned<String>, Value> = toml::from_str(text).map_err(|error| {
        let offset = error.span().map_or(0, |span| span.start);
        fault("the file", offset, error.message().to_owned())
    })?;
    let mut file = File {
        path: path.to_owned(),
        declared: declared(path, text, fault)?,
        ..File::default()
    };
    for (key, value) in table {
        let offset = key.span().start;
        let name = key.into_inner();
        if name == "issuers" {
            file.issuers = value.try_into().map_err(|error: toml::de::Error| {
                fault(&name, offset, error.message().to_owned())
            })?;
            for issuer in &file.issuers {
                issuer
                    .check()
                    .map_err(|problem| fault(&name, offset, problem))?;
            }
            continue;
        }
        if ["extensions", "resource_types"].contains(&name.as_str()) {
            continue;
        }
        if !known.contains(&name.as_str()) {
            return Err(fault(&name, offset, "there is no such setting".to_owned()));
        }
        let text_value = match value {
            Value::String(text) => text,
            Value::Integer(number) => number.to_string(),
            Value::Boolean(true) => "on".to_owned(),
            Value::Boolean(false) => "off".to_owned(),
            _ => {
                return Err(fault(
                    &name,
                    offset,
                    "a text, a whole number or a boolean was expected".to_owned(),
                ));
            }
        };
        file.settings.insert(
            name,
            Line {
                text: text_value,
                number: line_of(text, offset),
            },
        );
    }
    Ok(file)
}

fn declared(
    path: &Path,
    text: &str,
    fault: impl Fn(&str, usize, String) -> ConfigError,
) -> Result<Declared, ConfigError> {
    fn placed<T>(tables: Vec<Spanned<T>>, place: impl Fn(usize) -> String) -> Vec<Placed<T>> {
        tables
            .into_iter()
            .map(|table| Placed {
                place: place(table.span().start),
                settings: table.into_inner(),
            })
            .collect()
    }
    let tables: Tables = toml::from_str(text).map_err(|error| {
        let offset = error.span().map_or(0, |span| span.start);
        fault(
            "extensions or resource_types",
            offset,
            error.message().to_owned(),
        )
    })?;
    let place = |offset| format!("{} line {}", path.display(), line_of(text, offset));
    Ok(Declared {
        extensions: placed(tables.extensions, place),
        types: placed(tables.resource_types, place),
        folder: path.parent().map(Path::to_owned).unwrap_or_default(),
    })
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes()
        .take(offset)
        .filter(|byte| *byte == b'\n')
        .count()
        .saturating_add(1)
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
            Err("name one"),
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
        issuer("tenant_claim = \"c\"", Err("go together"));
        issuer("tenants = { a = \"t\" }", Err("go together"));
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
