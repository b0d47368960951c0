//! The resource types of this installation: those of the standard and those that the settings
//! declare.

use std::path::Path;
use std::sync::Arc;

use scim_core::registry::{Blueprint, Extension};
use scim_core::schema::Schema;
use scim_core::{Registry, registry};

use crate::config::{DeclaredTypes, ExtensionSettings, Located, TypeAccess, TypeSettings};
use crate::http::openapi;
use crate::settings::ConfigError;

/// Reads the schema files and builds the registry.
///
/// # Errors
/// The first fault, with its table and file.
pub fn build(declared: &DeclaredTypes) -> Result<Registry, ConfigError> {
    let mut blueprints = Blueprint::standard().map_err(|problem| fault("schemas", "", &problem))?;
    for table in &declared.types {
        let whole = with_type(&blueprints, table, &declared.folder)
            .map_err(|problem| fault("resource_types", &table.location, &problem))?;
        blueprints = whole;
    }
    for table in &declared.extensions {
        let whole = with_extension(&blueprints, table, &declared.folder)
            .map_err(|problem| fault("extensions", &table.location, &problem))?;
        blueprints = whole;
    }
    Registry::of(&blueprints).map_err(|problem| fault("schemas", "", &problem))
}

fn fault(setting: &str, location: &str, problem: &str) -> ConfigError {
    ConfigError {
        setting: setting.to_owned(),
        location: location.to_owned(),
        problem: problem.to_owned(),
    }
}

fn with_type(
    blueprints: &[Blueprint],
    table: &Located<TypeSettings>,
    folder: &Path,
) -> Result<Vec<Blueprint>, String> {
    let settings = &table.settings;
    let (schema, source) = match registry::known_schema(&settings.schema) {
        Some(known) => (known, settings.schema.clone()),
        None if settings.schema.starts_with("urn:") => {
            return Err(format!(
                "Rollcall knows no schema {:?}; name a file that holds it",
                settings.schema
            ));
        }
        None => read(&folder.join(&settings.schema))?,
    };
    let mut all = blueprints.to_vec();
    all.push(Blueprint {
        name: settings.name.clone(),
        endpoint: settings.endpoint.clone(),
        description: settings
            .description
            .clone()
            .filter(|text| !text.is_empty())
            .unwrap_or_else(|| schema.description.clone()),
        schema,
        extensions: Vec::new(),
        indexed: settings.indexed.clone(),
        access: match settings.access {
            TypeAccess::Provisioned => registry::ClientAccess::ReadWrite,
            TypeAccess::ReadOnly => registry::ClientAccess::ReadOnly,
        },
    });
    let all = checked(all, &source)?;
    openapi::check_name(blueprints, &settings.name)?;
    Ok(all)
}

fn with_extension(
    blueprints: &[Blueprint],
    table: &Located<ExtensionSettings>,
    folder: &Path,
) -> Result<Vec<Blueprint>, String> {
    let settings = &table.settings;
    let mut all = blueprints.to_vec();
    let Some(blueprint) = all
        .iter_mut()
        .find(|blueprint| blueprint.name == settings.resource_type)
    else {
        let names: Vec<&str> = blueprints.iter().map(|known| known.name.as_str()).collect();
        return Err(format!(
            "there is no resource type {:?}; there are {}",
            settings.resource_type,
            names.join(", ")
        ));
    };
    let (schema, source) = read(&folder.join(&settings.schema))?;
    for key in &settings.indexed {
        // A path may be written with the schema's URN or without.
        let is_whole = key.contains(':');
        let key = if is_whole {
            key.clone()
        } else {
            format!("{}:{key}", schema.id)
        };
        blueprint.indexed.push(key);
    }
    blueprint.extensions.push(Extension {
        schema,
        required: settings.required,
    });
    checked(all, &source)
}

/// Checks the types so far, so that a fault is reported for the table that made it.
fn checked(all: Vec<Blueprint>, source: &str) -> Result<Vec<Blueprint>, String> {
    match Registry::of(&all) {
        Ok(_) => Ok(all),
        Err(problem) => Err(format!("{source}: {problem}")),
    }
}

/// The schema in a file, and the file's name for messages.
fn read(file: &Path) -> Result<(Arc<Schema>, String), String> {
    let source = file.display().to_string();
    let text =
        std::fs::read_to_string(file).map_err(|error| format!("cannot read {source}: {error}"))?;
    let schema = Schema::parse(&text).map_err(|problem| format!("{source}: {problem}"))?;
    Ok((Arc::new(schema), source))
}
