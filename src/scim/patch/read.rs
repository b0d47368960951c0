//! One operation -> edits: what it names, and in which of the many forms clients use.

use scim_filter_parser::{self as syntax, PatchPath};
use serde_json::{Map, Value};

use super::unknown::UnknownEdit;
use super::{Edit, Op, Reader, refuse, target};
use crate::scim::admit::coerce::{self, Place};
use crate::scim::admit::strict::{self, ReadOnly};
use crate::scim::registry::{self, Extension, ResourceType};
use crate::scim::schema::{Attribute, Mutability};
use crate::scim::{Compatibility, ScimError, admit};

pub(super) fn operation(
    rt: &ResourceType,
    operation: &Value,
    reader: &mut Reader,
) -> Result<(), ScimError> {
    let Value::Object(operation) = operation else {
        return Err(ScimError::invalid_syntax(format!(
            "an operation must be an object with op, path and value, not {}",
            coerce::kind_of(operation)
        )));
    };
    let [op, path, value] = super::named(operation, ["op", "path", "value"])?;
    let op = read_op(op, reader.compatibility)?;
    match path {
        None | Some(Value::Null) => without_path(rt, op, value, reader),
        Some(Value::String(text)) => with_path(rt, op, text, value, reader),
        Some(other) => Err(ScimError::invalid_path(format!(
            "path must be text, not {}",
            coerce::kind_of(other)
        ))),
    }
}

fn read_op(op: Option<&Value>, compatibility: Compatibility) -> Result<Op, ScimError> {
    let op = op.and_then(Value::as_str).unwrap_or_default();
    // Entra ID writes `Add`, `Replace` and `Remove`.
    let is = |name: &str| match compatibility {
        Compatibility::Tolerant => op.eq_ignore_ascii_case(name),
        Compatibility::Strict => op == name,
    };
    match () {
        () if is("add") => Ok(Op::Add),
        () if is("remove") => Ok(Op::Remove),
        () if is("replace") => Ok(Op::Replace),
        () => Err(ScimError::invalid_syntax(
            "op must be \"add\", \"remove\" or \"replace\"",
        )),
    }
}

fn without_path(
    rt: &ResourceType,
    op: Op,
    value: Option<&Value>,
    reader: &mut Reader,
) -> Result<(), ScimError> {
    match (op, value) {
        (Op::Remove, _) => Err(ScimError::no_target(
            "remove needs a path that says what to remove",
        )),
        (_, Some(Value::Object(attributes))) => core(rt, op, attributes, reader),
        (_, Some(other)) => Err(ScimError::invalid_value(format!(
            "the value of an operation without path must be an object of attributes, not {}",
            coerce::kind_of(other)
        ))),
        (_, None) => Err(ScimError::invalid_value(
            "add and replace without path need a value with the attributes to change",
        )),
    }
}

/// The core attributes in the value of an operation without path, and what clients put beside them.
fn core(
    rt: &ResourceType,
    op: Op,
    attributes: &Map<String, Value>,
    reader: &mut Reader,
) -> Result<(), ScimError> {
    super::distinct(attributes)?;
    for (name, value) in attributes {
        let common = || registry::common().attribute(name);
        match rt.schema.attribute(name).or_else(common) {
            Some(attribute) => known(rt, op, attribute, value, reader)?,
            None => other(rt, op, name, value, reader)?,
        }
    }
    Ok(())
}

fn known(
    rt: &ResourceType,
    op: Op,
    attribute: &Attribute,
    value: &Value,
    reader: &mut Reader,
) -> Result<(), ScimError> {
    match attribute.name.as_str() {
        "schemas" if reader.is_strict() => schemas(rt, op, Some(value), reader),
        // It follows from what the document holds.
        "schemas" => Ok(()),
        // Okta names the group that it renames; servers should take the id from the URL.
        "id" => {
            let id = match value {
                Value::Null => return Ok(()),
                Value::String(id) => id.clone(),
                _ if reader.is_strict() => return Err(refuse::read_only("id")),
                other => other.to_string(),
            };
            reader.edit(Edit::CheckId(id));
            Ok(())
        }
        // RFC 7643 section 3.1: what a client says of `meta` is ignored.
        "meta" => Ok(()),
        name if attribute.mutability == Mutability::ReadOnly && reader.is_strict() => {
            Err(refuse::read_only(name))
        }
        // An echo of what the client has read (`groups`).
        _ if attribute.mutability == Mutability::ReadOnly => Ok(()),
        name => match rt.attr_by_key(name) {
            Some(path) => target::attribute(rt, op, &path, None, Some(value), reader),
            None => Ok(()),
        },
    }
}

/// A name in a value without path that is no core attribute: an extension, or for a tolerant tenant a path (Entra writes
/// `name.givenName` and `emails[type eq "work"].value`), or unknown and then ignored as in a create.
fn other(
    rt: &ResourceType,
    op: Op,
    name: &str,
    value: &Value,
    reader: &mut Reader,
) -> Result<(), ScimError> {
    if let Some(extension) = rt.extension(name) {
        return self::extension(rt, op, extension, Some(value), reader);
    }
    if reader.is_strict() {
        return Err(strict::unknown(rt, &shortened(name)));
    }
    if rt.is_core(name) {
        return match value {
            Value::Object(attributes) => core(rt, op, attributes, reader),
            _ => Ok(()),
        };
    }
    if name.contains('[') {
        return with_path(rt, op, name, Some(value), reader);
    }
    if let Some(path) = rt.attr_by_key(name) {
        return target::attribute(rt, op, &path, None, Some(value), reader);
    }
    if !name.contains(':') || owner_is_known(rt, name) {
        return Ok(());
    }
    let at = Place::root(name);
    coerce::no_nul(name, &at)?;
    coerce::storable(value, &at)?;
    reader.edit(Edit::Unknown(UnknownEdit::new(op, name, Some(value))));
    Ok(())
}

/// Whether the part of a full attribute name before the attribute is the URN of a known schema.
fn owner_is_known(rt: &ResourceType, name: &str) -> bool {
    let Some((urn, _)) = name.rsplit_once(':') else {
        return true;
    };
    rt.is_core(urn) || rt.extension(urn).is_some() || admit::is_other_core(name)
}

/// A whole extension: its URN as path, or as name in a value without path.
fn extension(
    rt: &ResourceType,
    op: Op,
    extension: &Extension,
    value: Option<&Value>,
    reader: &mut Reader,
) -> Result<(), ScimError> {
    let urn = extension.schema.id.as_str();
    if reader.is_strict() {
        match (op, value) {
            (Op::Remove, value) => refuse::no_value_to_remove(value, urn)?,
            (_, None) => {}
            (_, Some(value)) => {
                strict::extension(extension, value, ReadOnly::Refuse, &Place::root(urn))?;
            }
        }
    }
    match (op, value) {
        (Op::Remove, _) => {
            let attributes = &extension.schema.attributes;
            if extension.required || attributes.iter().any(|a| a.required) {
                return Err(refuse::required(urn));
            }
            reader.edit(Edit::Clear(urn.to_owned()));
            Ok(())
        }
        (_, None) => Err(refuse::no_value(urn)),
        (_, Some(Value::Object(members))) => {
            super::distinct(members)?;
            for (name, value) in members {
                let found = rt.attr_by_key(&format!("{urn}:{name}"));
                let settable = found.filter(|path| {
                    ![&path.attribute.mutability, &path.leaf().mutability]
                        .contains(&&Mutability::ReadOnly)
                });
                if let Some(path) = settable {
                    target::attribute(rt, op, &path, None, Some(value), reader)?;
                }
            }
            Ok(())
        }
        (Op::Add, Some(value)) if coerce::is_nothing(value) => Ok(()),
        (Op::Replace, Some(value)) if coerce::is_nothing(value) => {
            reader.edit(Edit::Clear(urn.to_owned()));
            Ok(())
        }
        (_, Some(other)) => Err(ScimError::invalid_value(format!(
            "{urn} must be an object with the attributes of the extension, not {}",
            coerce::kind_of(other)
        ))),
    }
}

fn with_path(
    rt: &ResourceType,
    op: Op,
    text: &str,
    value: Option<&Value>,
    reader: &mut Reader,
) -> Result<(), ScimError> {
    if let Some(extension) = rt.extension(text) {
        return self::extension(rt, op, extension, value, reader);
    }
    if rt.is_core(text) && !reader.is_strict() {
        return without_path(rt, op, value, reader);
    }
    let path = syntax::parse_path_with(text, &options(reader.compatibility))
        .map_err(|error| path_fault(text, &error))?;
    let attr = syntax::AttrPath {
        sub: None,
        ..path.attr.clone()
    };
    let Some(attribute) = rt.attr(&attr) else {
        return unknown_path(rt, op, text, &path, value, reader);
    };
    if attribute.attribute.name == "schemas" {
        return schemas(rt, op, value, reader);
    }
    let sub = match (&path.attr.sub, &path.sub) {
        (Some(name), _) | (None, Some(name)) => {
            let found = attribute.attribute.sub_attribute(name);
            Some(found.ok_or_else(|| no_such(rt, text))?)
        }
        (None, None) => None,
    };
    let selected = target::Selected {
        filter: path.filter.as_ref(),
        sub,
    };
    target::attribute(rt, op, &attribute, Some(selected), value, reader)
}

/// A push may list many members in one filter, so a path may be longer than a filter in a query.
fn options(compatibility: Compatibility) -> syntax::Options {
    syntax::Options {
        dialect: compatibility.syntax(),
        max_depth: 30,
        max_length: 65_536,
    }
}

fn path_fault(text: &str, error: &syntax::ParseError) -> ScimError {
    let detail = format!("the path {:?} is not valid: {error}", shortened(text));
    match error.kind {
        // The path is well formed but for what its filter asks.
        syntax::ErrorKind::UnknownOperator => ScimError::invalid_filter(detail),
        _ => ScimError::invalid_path(detail),
    }
}

fn unknown_path(
    rt: &ResourceType,
    op: Op,
    text: &str,
    path: &PatchPath,
    value: Option<&Value>,
    reader: &mut Reader,
) -> Result<(), ScimError> {
    if reader.is_strict()
        || !text.contains(':')
        || path.filter.is_some()
        || owner_is_known(rt, text)
    {
        return Err(no_such(rt, text));
    }
    let at = Place::root(text);
    match value {
        Some(value) => coerce::storable(value, &at)?,
        None if op == Op::Remove => {}
        None => return Err(refuse::no_value(text)),
    }
    reader.edit(Edit::Unknown(UnknownEdit::new(op, text.trim(), value)));
    Ok(())
}

fn no_such(rt: &ResourceType, text: &str) -> ScimError {
    ScimError::invalid_path(format!(
        "a {} has no attribute {:?}; correct the attribute mapping",
        rt.name,
        shortened(text)
    ))
}

/// `schemas` follows from what the document holds, so there is nothing to do but to refuse what cannot be.
fn schemas(
    rt: &ResourceType,
    op: Op,
    value: Option<&Value>,
    reader: &Reader,
) -> Result<(), ScimError> {
    if let (true, Op::Add | Op::Replace, Some(value)) = (reader.is_strict(), op, value) {
        let urns = match value {
            Value::Array(urns) => urns.as_slice(),
            other => std::slice::from_ref(other),
        };
        let is_known = |urn: &Value| {
            let urn = urn.as_str();
            urn.is_some_and(|urn| rt.is_core(urn) || rt.extension(urn).is_some())
        };
        if !urns.iter().all(is_known) {
            return Err(ScimError::invalid_value(format!(
                "schemas of a {} can only hold its own schema and those of its extensions",
                rt.name
            )));
        }
    }
    let is_core = |urn: &Value| urn.as_str().is_some_and(|urn| rt.is_core(urn));
    match (op, value) {
        (Op::Add, Some(_)) => Ok(()),
        (Op::Replace, Some(Value::Array(urns))) if urns.iter().any(is_core) => Ok(()),
        (Op::Replace, Some(urn)) if is_core(urn) => Ok(()),
        (Op::Add | Op::Replace, None) => Err(refuse::no_value("schemas")),
        (Op::Remove | Op::Replace, _) => Err(ScimError::mutability(
            "schemas follows from the attributes of the resource; change those instead",
        )),
    }
}

/// The start of a text, so that a detail stays readable.
fn shortened(text: &str) -> String {
    const LETTERS: usize = 120;
    let mut start: String = text.chars().take(LETTERS).collect();
    if start.len() < text.len() {
        start.push('…');
    }
    start
}
