//! Reads operations on `Group.members`, which become edits of rows.
//!
//! Nothing here reads the list, computes and writes it all: other requests change the same group at
//! the same time.

use scim_filter_parser as syntax;
use serde_json::{Map, Value};

use super::operation::{Action, Op, named};
use super::reader::Reader;
use super::refuse;
use crate::coerce;
use crate::coerce::Location;
use crate::filter::Operand;
use crate::members::Member;
use crate::{Filter, MemberEdit, ResourceType, ScimError, members};

/// Reads an operation on the whole list: `path: "members"`, or `members` in the value of an
/// operation without path.
pub(super) fn whole(action: Action, reader: &mut Reader) -> Result<(), ScimError> {
    let at = Location::root("members");
    let edit = match (action.op, action.value) {
        (Op::Add, Some(value)) => MemberEdit::Add(members::parse(value, &at)?),
        (Op::Replace, Some(value)) => MemberEdit::Replace(members::parse(value, &at)?),
        (Op::Remove, None | Some(Value::Null)) => MemberEdit::RemoveAll,
        // Entra lists the members to remove; to read that as "remove all" would empty the group.
        (Op::Remove, Some(value)) => MemberEdit::Remove(listed(value, &at)?),
        (Op::Add | Op::Replace, None) => return Err(refuse::no_value("members")),
    };
    reader.push_member_edit(edit);
    Ok(())
}

/// Reads an operation on `members[filter]`. `filter` is the resolved form of `syntax`.
pub(super) fn filtered(
    rt: &ResourceType,
    action: Action,
    syntax: &syntax::Filter,
    filter: Filter,
    reader: &mut Reader,
) -> Result<(), ScimError> {
    let Action { op, value } = action;
    if reader.is_strict() && op != Op::Remove {
        return filtered_strict(action, syntax, filter, reader);
    }
    let ids = ids(syntax);
    let edit = match (op, value, ids) {
        (Op::Remove, Some(value), ids) if !is_blank(value) => {
            let listed = listed(value, &Location::root("members"))?;
            match ids {
                Some(ids) => {
                    MemberEdit::Remove(ids.into_iter().filter(|id| listed.contains(id)).collect())
                }
                None => MemberEdit::RemoveWhere(narrowed(rt, filter, listed)),
            }
        }
        (Op::Remove, _, Some(ids)) | (Op::Replace, Some(Value::Null), Some(ids)) => {
            MemberEdit::Remove(ids)
        }
        (Op::Remove, _, None) | (Op::Replace, Some(Value::Null), None) => {
            MemberEdit::RemoveWhere(filter)
        }
        (Op::Add, Some(Value::Null), _) => return Ok(()),
        (Op::Add | Op::Replace, Some(value), Some(ids)) => {
            MemberEdit::Add(filtered_by_id(value, &ids)?)
        }
        (Op::Add | Op::Replace, Some(_), None) => return Err(refuse::immutable()),
        (Op::Add | Op::Replace, None, _) => return Err(refuse::no_value("members")),
    };
    reader.push_member_edit(edit);
    Ok(())
}

/// Null and `""`: the filter alone selects the members to remove.
fn is_blank(value: &Value) -> bool {
    value.is_null() || value.as_str() == Some("")
}

/// Narrows the filter to the members that are listed.
fn narrowed(rt: &ResourceType, filter: Filter, listed: Vec<String>) -> Filter {
    let Some(value) = rt.attr_by_key("members.value") else {
        return filter;
    };
    let is_listed = listed.into_iter().map(|id| Filter::Compare {
        path: value.clone(),
        op: syntax::CompareOp::Eq,
        value: Operand::Text(id),
    });
    Filter::And(vec![filter, Filter::Or(is_listed.collect())])
}

/// Reads `add` and `replace` on `members[filter]` as the RFC defines them. A member's
/// sub-attributes are immutable, so a value cannot change those that the filter finds; null
/// unassigns them.
fn filtered_strict(
    action: Action,
    syntax: &syntax::Filter,
    filter: Filter,
    reader: &mut Reader,
) -> Result<(), ScimError> {
    match (action.op, action.value) {
        (Op::Replace, Some(Value::Null)) => {
            reader.push_member_edit(MemberEdit::Demand(filter.clone()));
            reader.push_member_edit(MemberEdit::RemoveWhere(filter));
            Ok(())
        }
        (Op::Add, Some(Value::Null)) => Ok(()),
        (_, None) => Err(refuse::no_value("members")),
        (_, Some(Value::Object(members))) if says_nothing_new(members, syntax) => {
            reader.push_member_edit(MemberEdit::Demand(filter));
            Ok(())
        }
        (_, Some(_)) => Err(refuse::immutable()),
    }
}

/// Returns whether an object only repeats the id of the member that the filter selects.
fn says_nothing_new(members: &Map<String, Value>, syntax: &syntax::Filter) -> bool {
    let ids = ids(syntax).unwrap_or_default();
    members.iter().all(|(name, value)| match value {
        Value::Null => true,
        Value::String(id) => name.eq_ignore_ascii_case("value") && ids == [id.as_str()],
        _ => false,
    })
}

/// Returns the ids that a `remove` lists: member objects, or the ids alone.
fn listed(value: &Value, at: &Location) -> Result<Vec<String>, ScimError> {
    let elements = match value {
        Value::Array(elements) => elements.as_slice(),
        other => std::slice::from_ref(other),
    };
    let mut ids = Vec::with_capacity(elements.len());
    for (index, element) in elements.iter().enumerate() {
        if element.is_string() || element.is_number() {
            ids.extend(coerce::text(element, &at.index(index))?);
        } else {
            let members = members::parse(element, &at.index(index))?;
            ids.extend(members.into_iter().map(|member| member.value));
        }
    }
    Ok(ids)
}

/// Returns the ids of a filter that is `value eq "x"`, or several of these joined by `or`.
fn ids(filter: &syntax::Filter) -> Option<Vec<String>> {
    match filter {
        syntax::Filter::Compare(comparison) => compared_id(comparison).map(|id| vec![id]),
        syntax::Filter::Or(terms) => {
            let id = |term: &syntax::Filter| match term {
                syntax::Filter::Compare(comparison) => compared_id(comparison),
                _ => None,
            };
            terms.iter().map(id).collect()
        }
        _ => None,
    }
}

fn compared_id(comparison: &syntax::Comparison) -> Option<String> {
    // The filter has been resolved: inside the brackets are names of sub-attributes only.
    let is_id = comparison.path.name.eq_ignore_ascii_case("value");
    match &comparison.value {
        syntax::Value::String(id) if is_id && comparison.op == syntax::CompareOp::Eq => {
            Some(id.clone())
        }
        _ => None,
    }
}

/// Reads `add` or `replace` on `members[value eq "x"]`: the value may only repeat the id of the
/// member.
fn filtered_by_id(value: &Value, ids: &[String]) -> Result<Vec<Member>, ScimError> {
    let object = match value {
        Value::Array(elements) => match elements.as_slice() {
            [Value::Object(object)] => object,
            _ => return Err(refuse::immutable()),
        },
        Value::Object(object) => object,
        _ => return Err(refuse::immutable()),
    };
    let [given, display] = named(object, ["value", "display"])?;
    let at = Location::root("members");
    let given = match given {
        Some(given) => coerce::text(given, &at)?,
        None => None,
    };
    let display = match display {
        Some(display) => coerce::text(display, &at)?,
        None => None,
    };
    match (ids, given) {
        ([id], None) => Ok(vec![Member {
            value: id.clone(),
            display,
        }]),
        ([id], Some(given)) if given == *id => Ok(vec![Member {
            value: given,
            display,
        }]),
        _ => Err(refuse::immutable()),
    }
}
