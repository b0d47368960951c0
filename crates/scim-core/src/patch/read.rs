//! Resolves one operation to edits: determines what it names, in any of the forms that clients use.

use scim_filter_parser::{self as syntax, PatchPath};
use serde_json::{Map, Value};

use super::edit::Edit;
use super::operation::{Action, Op, distinct, named};
use super::reader::{Reader, Source};
use super::refuse::shortened;
use super::undeclared::{self, Near, UndeclaredEdit};
use super::{attribute, refuse};
use crate::coerce::Location;
use crate::registry::{AttrRef, Extension, Referent, ResourceType};
use crate::schema::{Attribute, Mutability};
use crate::strict::ReadOnly;
use crate::{Compatibility, ScimError, registry};
use crate::{coerce, strict};

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
    let [op, path, value] = named(operation, ["op", "path", "value"])?;
    let op = read_op(op, reader.compatibility)?;
    match path {
        None | Some(Value::Null) => without_path(rt, op, value, reader),
        Some(Value::String(text)) if text.trim().is_empty() && !reader.is_strict() => {
            without_path(rt, op, value, reader)
        }
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
        // RFC 7644 section 3.5.2.2 demands a path, but a list of values says just as plainly what
        // to remove.
        (Op::Remove, Some(Value::Object(attributes)))
            if !reader.is_strict() && lists_values(rt, attributes) =>
        {
            core(rt, op, attributes, reader)
        }
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

/// Returns whether the object names nothing but values of multi-valued attributes.
fn lists_values(rt: &ResourceType, attributes: &Map<String, Value>) -> bool {
    let lists = |(name, value): (&String, &Value)| match rt.referent(name) {
        Referent::Attribute(path) => path.leaf().multi_valued && !value.is_null(),
        Referent::Undeclared => value.is_array() && is_addressable(name, value),
        _ => false,
    };
    !attributes.is_empty() && attributes.iter().all(lists)
}

/// Reads the core attributes in the value of an operation without path, and what clients put beside
/// them.
fn core(
    rt: &ResourceType,
    op: Op,
    attributes: &Map<String, Value>,
    reader: &mut Reader,
) -> Result<(), ScimError> {
    distinct(attributes.keys().map(String::as_str))?;
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
        // Servers should take the id from the URL; what a strict tenant's client sends must be
        // right.
        "id" if reader.is_strict() => {
            let id = match value {
                Value::Null => return Ok(()),
                Value::String(id) => id.clone(),
                _ => return Err(refuse::read_only("id")),
            };
            reader.push_edit(Edit::CheckId(id));
            Ok(())
        }
        // RFC 7643 section 3.1: what a client says of `meta` is ignored.
        "meta" => Ok(()),
        name if attribute.mutability == Mutability::ReadOnly && reader.is_strict() => {
            Err(refuse::read_only(name))
        }
        // An echo of what the client has read (`groups`, and `id`, by which Okta names the group
        // that it renames).
        _ if attribute.mutability == Mutability::ReadOnly => Ok(()),
        name => match rt.attr_by_key(name) {
            Some(path) => attribute_named(rt, op, &path, value, reader),
            None => Ok(()),
        },
    }
}

/// Reads an attribute that is named in a value.
fn attribute_named(
    rt: &ResourceType,
    op: Op,
    path: &AttrRef,
    value: &Value,
    reader: &mut Reader,
) -> Result<(), ScimError> {
    let action = Action {
        op,
        value: Some(value),
    };
    attribute::read(
        rt,
        path,
        attribute::Selected::in_value(path),
        action,
        reader,
    )
}

fn is_read_only(path: &AttrRef) -> bool {
    [path.attribute.mutability, path.leaf().mutability].contains(&Mutability::ReadOnly)
}

/// Reads a name in a value without path that is no core attribute: an extension, or for a tolerant
/// tenant a path (Entra writes `name.givenName` and `emails[type eq "work"].value`), or a name that
/// no schema defines, which is ignored as in a create.
pub(super) fn other(
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
    if name.contains('[') {
        return bracketed(rt, op, name, value, reader);
    }
    match (rt.referent(name), coerce::only(value)) {
        (Referent::Core, Value::Object(attributes)) => core(rt, op, attributes, reader),
        (Referent::Attribute(path), _) if is_read_only(&path) => Ok(()),
        // A body cannot say which of the elements is meant.
        (Referent::Attribute(path), _)
            if path.sub.is_some()
                && path.attribute.multi_valued
                && reader.source == Source::Body =>
        {
            reader.ignore(name);
            Ok(())
        }
        (Referent::Attribute(path), _) => attribute_named(rt, op, &path, value, reader),
        (Referent::NearMiss(_), _) if value.is_object() => {
            undeclared_name(op, name, value, None, reader)
        }
        (Referent::NearMiss(_), _) => undeclared_name(op, name, value, Some(Near::Ignore), reader),
        (Referent::Undeclared, _) if is_addressable(name, value) => {
            undeclared_name(op, name, value, None, reader)
        }
        (
            Referent::Core | Referent::Extension(_) | Referent::Undefined | Referent::Undeclared,
            _,
        ) => {
            reader.ignore(name);
            Ok(())
        }
    }
}

/// Returns whether the name can be that of an extension, or of an attribute of one: `acme:badge`
/// alone has no URN for the attribute to be under.
fn is_addressable(name: &str, value: &Value) -> bool {
    let owner = name.rsplit_once(':').map_or("", |(owner, _)| owner);
    value.is_object() || value.is_null() || owner.contains(':')
}

/// Reads the URN of an undeclared extension, or an attribute under it, as a name in a value.
fn undeclared_name(
    op: Op,
    name: &str,
    value: &Value,
    near: Option<Near>,
    reader: &mut Reader,
) -> Result<(), ScimError> {
    if !undeclared::is_name(name, Some(value)) {
        return Err(undeclared::not_addressable(name));
    }
    let mut edit = UndeclaredEdit::new(op, name, Some(value), near)?;
    if reader.source == Source::Body && value.is_object() {
        edit = edit.of_container();
    }
    reader.push_edit(Edit::Undeclared(edit));
    Ok(())
}

/// Reads a name with a filter, as in `emails[type eq "work"].value`.
fn bracketed(
    rt: &ResourceType,
    op: Op,
    name: &str,
    value: &Value,
    reader: &mut Reader,
) -> Result<(), ScimError> {
    let start = name.split('[').next().unwrap_or_default();
    match rt.referent(start) {
        Referent::Attribute(path) if is_read_only(&path) => Ok(()),
        Referent::Attribute(_) | Referent::Undeclared => {
            with_path(rt, op, name, Some(value), reader)
        }
        _ if reader.source == Source::Operation => {
            // Text that is no path at all is a mistake of the client's.
            parse_path(name, reader.compatibility)?;
            reader.ignore(name);
            Ok(())
        }
        _ => {
            reader.ignore(name);
            Ok(())
        }
    }
}

/// Reads an operation on a whole extension: its URN as path, or as name in a value without path.
fn extension(
    rt: &ResourceType,
    op: Op,
    extension: &Extension,
    value: Option<&Value>,
    reader: &mut Reader,
) -> Result<(), ScimError> {
    let urn = extension.schema.id.as_str();
    if reader.is_strict() {
        check_extension_strict(op, extension, value)?;
    }
    let value = match value {
        // A list of one is read as its element; a strict tenant has rejected it above.
        Some(Value::Array(elements)) => match elements.as_slice() {
            [one @ Value::Object(_)] => Some(one),
            _ => value,
        },
        _ => value,
    };
    match (op, value) {
        (Op::Remove, None | Some(Value::Null)) => clear(extension, reader),
        (_, None) => Err(refuse::no_value(urn)),
        (_, Some(Value::Object(members))) => {
            distinct(members.keys().map(String::as_str))?;
            for (name, value) in members {
                let full_name = format!("{urn}:{name}");
                match rt.attr_by_key(&full_name) {
                    Some(path) if is_read_only(&path) => {}
                    Some(path) => attribute_named(rt, op, &path, value, reader)?,
                    None if name.contains('[') => {
                        bracketed(rt, op, &full_name, value, reader)?;
                    }
                    None => reader.ignore(&full_name),
                }
            }
            Ok(())
        }
        (Op::Add | Op::Remove, Some(value)) if coerce::is_empty(value) => Ok(()),
        (Op::Replace, Some(value)) if coerce::is_empty(value) => clear(extension, reader),
        (_, Some(other)) => Err(ScimError::invalid_value(format!(
            "{urn} must be an object with the attributes of the extension, not {}",
            coerce::kind_of(other)
        ))),
    }
}

fn check_extension_strict(
    op: Op,
    extension: &Extension,
    value: Option<&Value>,
) -> Result<(), ScimError> {
    let urn = extension.schema.id.as_str();
    match (op, value) {
        (Op::Remove, value) => refuse::no_value_to_remove(value, urn),
        (_, None) => Ok(()),
        (_, Some(value)) => {
            strict::extension(extension, value, ReadOnly::Refuse, &Location::root(urn))
        }
    }
}

fn clear(extension: &Extension, reader: &mut Reader) -> Result<(), ScimError> {
    let urn = extension.schema.id.as_str();
    let attributes = &extension.schema.attributes;
    if extension.required || attributes.iter().any(|a| a.required) {
        return Err(refuse::required(urn));
    }
    reader.push_edit(Edit::Clear(urn.to_owned()));
    Ok(())
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
    let given = text;
    let path = parse_corrected(rt, text, reader.compatibility)?;
    let attr = syntax::AttrPath {
        sub: None,
        ..path.attr.clone()
    };
    let action = Action { op, value };
    let Some(attribute) = rt.attr(&attr) else {
        return unknown_path(rt, given, path, action, reader);
    };
    if attribute.attribute.name == "schemas" {
        return schemas(rt, op, value, reader);
    }
    let sub = match path.attr.sub.as_ref().or(path.sub.as_ref()) {
        Some(name) => match attribute.attribute.sub_attribute(name) {
            Some(sub) => Some(sub),
            None if attribute.attribute.mutability == Mutability::ReadOnly => {
                return Err(refuse::read_only(attribute.key()));
            }
            None => return undefined(rt, given, reader),
        },
        None => None,
    };
    // The filter of `home.rooms[value eq "r0"]` chooses among the values of the sub-attribute.
    let chooses_values = path.attr.sub.is_some() && path.filter.is_some();
    if chooses_values && path.sub.is_some() {
        return undefined(rt, given, reader);
    }
    let selected = attribute::Selected {
        filter: path.filter.as_ref(),
        sub,
        chooses_values,
        is_named_in_value: false,
    };
    attribute::read(rt, &attribute, selected, action, reader)
}

/// Parses a path. A tolerant tenant's may have a dot in place of the colon after a known URN.
fn parse_corrected(
    rt: &ResourceType,
    text: &str,
    compatibility: Compatibility,
) -> Result<PatchPath, ScimError> {
    let corrected = match compatibility {
        Compatibility::Tolerant => rt.with_colon(text.trim_start()),
        Compatibility::Strict => None,
    };
    parse_path(corrected.as_deref().unwrap_or(text), compatibility)
}

/// Parses a path. A push may list many members in one filter, so a path may be longer than a filter
/// in a query.
fn parse_path(text: &str, compatibility: Compatibility) -> Result<PatchPath, ScimError> {
    let options = syntax::Options {
        dialect: compatibility.syntax(),
        max_depth: 30,
        max_length: 65_536,
    };
    syntax::parse_path_with(text, &options).map_err(|error| path_fault(text, &error))
}

fn path_fault(text: &str, error: &syntax::ParseError) -> ScimError {
    let detail = format!("the path {:?} is not valid: {error}", shortened(text));
    match error.kind {
        // The path is well formed but for what its filter asks.
        syntax::ErrorKind::UnknownOperator => ScimError::invalid_filter(detail),
        _ => ScimError::invalid_path(detail),
    }
}

/// Reads an operation with a path whose attribute the type does not have.
fn unknown_path(
    rt: &ResourceType,
    text: &str,
    path: PatchPath,
    action: Action,
    reader: &mut Reader,
) -> Result<(), ScimError> {
    let name = path.attr.to_string();
    let near = match rt.referent(&name) {
        Referent::Undefined => return undefined(rt, text, reader),
        Referent::NearMiss(urn) => Some(Near::Refuse(urn.to_owned())),
        Referent::Undeclared => None,
        Referent::Attribute(_) | Referent::Core | Referent::Extension(_) => {
            return Err(no_such(rt, text));
        }
    };
    if reader.is_strict() {
        return Err(match near {
            Some(Near::Refuse(urn)) => refuse::near_miss(&shortened(text), &urn),
            _ => no_such(rt, text),
        });
    }
    if near.is_none() && !undeclared::is_name(&name, action.value) {
        return Err(no_such(rt, text));
    }
    if action.op != Op::Remove && action.value.is_none() {
        return Err(refuse::no_value(&shortened(text)));
    }
    let mut edit = UndeclaredEdit::new(action.op, &name, action.value, near)?;
    if let Some(filter) = path.filter {
        edit = edit.select(&path.attr, &filter, path.sub, reader.compatibility)?;
    }
    reader.push_edit(Edit::Undeclared(edit));
    Ok(())
}

/// Reads an operation on an attribute that no schema defines. One that is left out does not stop
/// the others.
fn undefined(rt: &ResourceType, text: &str, reader: &mut Reader) -> Result<(), ScimError> {
    if reader.is_strict() {
        return Err(no_such(rt, text));
    }
    reader.ignore(text);
    Ok(())
}

fn no_such(rt: &ResourceType, text: &str) -> ScimError {
    ScimError::invalid_path(format!(
        "a {} has no attribute {:?}; correct the attribute mapping",
        rt.name,
        shortened(text)
    ))
}

/// Reads an operation on `schemas`, which follows from what the document holds: there is nothing to
/// do but to reject what cannot be.
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
