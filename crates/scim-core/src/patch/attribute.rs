//! Resolves an operation on one attribute, which may be narrowed to some elements and to a
//! sub-attribute, to an edit.

mod miss;
mod parts;
mod removal;

use std::sync::Arc;

use scim_filter_parser as syntax;
use serde_json::Value;

use self::miss::FilterTarget;
use self::parts::{part, parts};
use self::removal::{listed, listed_parts, names_only_lists, remove, remove_equal};
use super::edit::{Edit, ElementEdit, ElementSelection, OnMiss, PasswordEdit, SubEdit, ValueEdit};
use super::operation::{Action, Op};
use super::reader::Reader;
use super::{member, refuse};
use crate::coerce::{Location, NullMeaning, into_password};
use crate::registry::{AttrRef, ResourceType};
use crate::schema::{Attribute, Mutability};
use crate::strict::ReadOnly;
use crate::{Compatibility, Filter, ScimError, filter, name};
use crate::{coerce, strict};

/// The parts of a path beyond the attribute.
#[derive(Clone, Copy)]
pub(super) struct Selected<'a> {
    pub filter: Option<&'a syntax::Filter>,
    pub sub: Option<&'a Arc<Attribute>>,
    /// The filter chooses among the values of the sub-attribute, not among those of the attribute.
    pub chooses_values: bool,
    /// The attribute is named in the value, not in the path.
    pub is_named_in_value: bool,
}

impl<'a> Selected<'a> {
    /// An attribute that a value names.
    pub fn in_value(path: &'a AttrRef) -> Self {
        Self {
            filter: None,
            sub: path.sub.as_ref(),
            chooses_values: false,
            is_named_in_value: true,
        }
    }
}

/// Reads an operation on one attribute; `selected` names its sub-attribute, where one is meant.
pub(super) fn read(
    rt: &ResourceType,
    path: &AttrRef,
    selected: Selected,
    action: Action,
    reader: &mut Reader,
) -> Result<(), ScimError> {
    let attribute = &path.attribute;
    let target = EditTarget::new(path, selected, reader.compatibility);
    let is_relational = rt.is_relational(&attribute.name) && path.container.is_none();
    let action = match action.value {
        Some(value) if is_relational || action.op == Op::Remove => {
            action.with_value(target.unwrapped(value))
        }
        _ => action,
    };
    target.check(selected, action)?;
    let filter = match selected.filter {
        Some(syntax) => Some(target.choose(rt, target.list(rt, path, selected)?, syntax)?),
        None => None,
    };
    if is_relational {
        return match (filter, selected.sub) {
            (_, Some(_)) => Err(refuse::immutable()),
            (Some(chosen), None) => {
                member::filtered(rt, action, chosen.syntax, chosen.filter, reader)
            }
            (None, None) => member::whole(action, reader),
        };
    }
    if rt.is_password(path.container.as_deref(), attribute) {
        return password(attribute, action, reader);
    }
    if leaves_activity(rt, path, action, reader.compatibility) {
        return Ok(());
    }
    if let (Some(value), None, false) = (action.value, selected.sub, action.op == Op::Remove) {
        for name in coerce::undefined(attribute, value, &target.name) {
            reader.ignore(&name);
        }
    }
    if let Some(change) = target.change(action, selected, filter)? {
        reader.push_edit(Edit::Attribute {
            path: path.clone(),
            change,
        });
    }
    Ok(())
}

fn password(attribute: &Attribute, action: Action, reader: &mut Reader) -> Result<(), ScimError> {
    let password = match (action.op, action.value) {
        (Op::Remove, _) | (_, None) => PasswordEdit::Clear,
        (Op::Add, Some(value)) if coerce::is_nothing(value) => return Ok(()),
        (_, Some(value)) => {
            let at = Location::root(&attribute.name);
            let password = coerce::attribute(attribute, value, &at)?;
            let password = password.and_then(into_password);
            password.map_or(PasswordEdit::Clear, PasswordEdit::Set)
        }
    };
    reader.push_edit(Edit::Password(password));
    Ok(())
}

/// Returns whether the operation gives a user's `active` no value. A tolerant tenant then leaves
/// the user active or inactive as before, as in a create and a PUT.
fn leaves_activity(
    rt: &ResourceType,
    path: &AttrRef,
    action: Action,
    compatibility: Compatibility,
) -> bool {
    rt.schema.id == name::USER
        && path.key() == "active"
        && action.op != Op::Remove
        && action.value.is_some_and(coerce::is_empty)
        && !compatibility.is_strict()
}

/// The filter in the brackets of a path, checked against the list that it chooses from.
struct ChosenElements<'a> {
    path: AttrRef,
    syntax: &'a syntax::Filter,
    filter: Filter,
}

/// The attribute that an operation is about.
struct EditTarget<'a> {
    attribute: &'a Attribute,
    sub: Option<&'a Arc<Attribute>>,
    /// As errors name it.
    name: String,
    compatibility: Compatibility,
}

impl<'a> EditTarget<'a> {
    fn new(path: &'a AttrRef, selected: Selected<'a>, compatibility: Compatibility) -> Self {
        Self {
            attribute: &path.attribute,
            sub: selected.sub,
            name: match selected.sub {
                Some(sub) if path.sub.is_none() => format!("{}.{}", path.key(), sub.name),
                _ => path.key().to_owned(),
            },
            compatibility,
        }
    }

    /// Resolves the filter that chooses elements of the list.
    fn choose<'s>(
        &self,
        rt: &ResourceType,
        list: AttrRef,
        syntax: &'s syntax::Filter,
    ) -> Result<ChosenElements<'s>, ScimError> {
        let filter = filter::resolve_element(rt, &list, syntax, self.compatibility)?;
        Ok(ChosenElements {
            path: list,
            syntax,
            filter,
        })
    }

    fn leaf(&self) -> &Attribute {
        self.sub.map_or(self.attribute, |sub| sub)
    }

    fn at(&self) -> Location<'_> {
        Location::root(&self.name)
    }

    /// Unwraps a value in which the client repeats the attribute of the path: `"value": {"members":
    /// [..]}`.
    fn unwrapped<'v>(&self, value: &'v Value) -> &'v Value {
        let Value::Object(members) = value else {
            return value;
        };
        let mut members = members.iter();
        match (members.next(), members.next()) {
            // Null within the value does not ask to remove everything.
            (Some((name, inner)), None)
                if !self.compatibility.is_strict()
                    && !inner.is_null()
                    && name.eq_ignore_ascii_case(&self.leaf().name)
                    && self.leaf().sub_attribute(name).is_none() =>
            {
                inner
            }
            _ => value,
        }
    }

    /// Refuses what the characteristics of the attribute do not allow.
    fn check(&self, selected: Selected, action: Action) -> Result<(), ScimError> {
        let Action { op, value } = action;
        if self.attribute.mutability == Mutability::ReadOnly {
            return Err(refuse::read_only(&self.name));
        }
        let leaf = self.leaf();
        if leaf.mutability == Mutability::ReadOnly {
            return Err(refuse::read_only(&self.name));
        }
        let lists_some = leaf.multi_valued && value.is_some_and(|value| !value.is_null());
        if op == Op::Remove && leaf.required && selected.filter.is_none() && !lists_some {
            return Err(refuse::required(&self.name));
        }
        if op != Op::Remove && value.is_none() {
            return Err(refuse::no_value(&self.name));
        }
        if self.compatibility.is_strict() {
            self.check_strict(selected, action)?;
        }
        Ok(())
    }

    /// Checks what a strict tenant demands of the value, before it is coerced.
    fn check_strict(&self, selected: Selected, action: Action) -> Result<(), ScimError> {
        let at = self.at();
        let attribute = self.attribute;
        let read_only = ReadOnly::Refuse;
        match (action.op, self.sub, action.value) {
            (Op::Remove, _, value) => refuse::no_value_to_remove(value, &self.name),
            (_, _, None | Some(Value::Null)) => Ok(()),
            (_, Some(sub), Some(value)) if selected.chooses_values => {
                strict::element(sub, value, read_only, &at)
            }
            (_, Some(sub), Some(value)) => strict::sub_attribute(attribute, sub, value, &at),
            (_, None, Some(value @ Value::Array(_))) if selected.filter.is_none() => {
                strict::attribute(attribute, value, read_only, &at)
            }
            // RFC 7644 section 3.5.2.1 accepts one value in place of a list of one.
            (_, None, Some(value)) => strict::element(attribute, value, read_only, &at),
        }
    }

    /// The list that a filter chooses from.
    fn list(
        &self,
        rt: &ResourceType,
        path: &AttrRef,
        selected: Selected,
    ) -> Result<AttrRef, ScimError> {
        let (list, is_list) = match self.sub.filter(|_| selected.chooses_values) {
            Some(sub) => (rt.attr_by_key(&self.name), sub.multi_valued),
            None => (Some(path.clone()), self.attribute.multi_valued),
        };
        list.filter(|_| is_list).ok_or_else(|| {
            ScimError::invalid_path(format!(
                "{} has one value at most, so a filter cannot choose among its values",
                path.key()
            ))
        })
    }

    fn change(
        &self,
        action: Action,
        selected: Selected,
        chosen: Option<ChosenElements>,
    ) -> Result<Option<ValueEdit>, ScimError> {
        let Action { op, value } = action;
        match (chosen, self.sub) {
            (Some(chosen), Some(sub)) if selected.chooses_values => {
                let change = self.filtered(action, sub, None, chosen)?;
                Ok(change.map(|change| self.edit_sub(sub, change)))
            }
            (Some(chosen), sub) => self.filtered(action, self.attribute, sub, chosen),
            (None, sub) if op == Op::Remove => {
                let change = match value {
                    // `emails.type` names a value of each element: those that are listed go.
                    Some(value)
                        if selected.is_named_in_value
                            || (sub.is_some()
                                && self.attribute.multi_valued
                                && !value.is_null()) =>
                    {
                        remove_equal(self.leaf(), value, &self.at())?
                    }
                    value => remove(self.leaf(), value, &self.at())?,
                };
                Ok(match sub {
                    Some(sub) => change.map(|change| self.edit_sub(sub, change)),
                    None => change,
                })
            }
            (None, Some(sub)) => {
                if self.attribute.multi_valued && op == Op::Add {
                    return Err(ScimError::invalid_path(format!(
                        "{} has many values: say which one, as in {0}[type eq \"work\"].{}",
                        self.attribute.name, sub.name
                    )));
                }
                let part = self.part(op, sub, value)?;
                Ok(part.map(|(sub, change)| self.edit_sub(&sub, change)))
            }
            (None, None) => whole(op, self.attribute, value, &self.at()),
        }
    }

    /// A change of the sub-attribute, of the one value or of all elements.
    fn edit_sub(&self, sub: &Arc<Attribute>, change: ValueEdit) -> ValueEdit {
        let part = (Arc::clone(sub), change);
        if self.attribute.multi_valued {
            ValueEdit::Each(Box::new(part))
        } else {
            ValueEdit::Merge(vec![part])
        }
    }

    /// `add` or `replace` of one sub-attribute; nothing where there is nothing to add.
    fn part(
        &self,
        op: Op,
        sub: &Arc<Attribute>,
        value: Option<&Value>,
    ) -> Result<Option<SubEdit>, ScimError> {
        match value {
            None => Ok(None),
            Some(value) if op == Op::Add && coerce::is_nothing(value) => Ok(None),
            Some(value) => {
                let mut value = coerce::attribute(sub, value, &self.at())?;
                if let Some(value) = &mut value {
                    coerce::canonicalise(self.attribute, sub, value);
                }
                Ok(part(op, (Arc::clone(sub), value)))
            }
        }
    }

    /// A change of the elements of `list` that a filter finds, or of one sub-attribute of each.
    fn filtered(
        &self,
        action: Action,
        list: &Attribute,
        sub: Option<&Arc<Attribute>>,
        chosen: ChosenElements,
    ) -> Result<Option<ValueEdit>, ScimError> {
        let Some(step) = self.step(action, list, sub)? else {
            return Ok(None);
        };
        let found = FilterTarget {
            list,
            syntax: chosen.syntax,
            at: self.at(),
        };
        let on_miss = match &step {
            // RFC 7644 section 3.5.2.2: to remove what is not there succeeds.
            _ if action.op == Op::Remove => OnMiss::Ignore,
            // Table 9: the filter of the path yielded nothing that could be changed.
            _ if self.compatibility.is_strict() => OnMiss::Refuse,
            ElementEdit::Remove | ElementEdit::RemoveListed(_) => OnMiss::Ignore,
            ElementEdit::Merge(parts)
                if parts.iter().all(|(_, change)| change.value().is_none()) =>
            {
                OnMiss::Ignore
            }
            ElementEdit::Merge(parts) => found.on_miss(parts),
            ElementEdit::Replace(value) | ElementEdit::Append(value) => {
                found.on_missing_value(value)
            }
        };
        Ok(Some(ValueEdit::Where(Box::new(ElementSelection {
            path: chosen.path,
            filter: chosen.filter,
            step,
            on_miss,
        }))))
    }

    /// The step for the elements that are found.
    fn step(
        &self,
        action: Action,
        list: &Attribute,
        sub: Option<&Arc<Attribute>>,
    ) -> Result<Option<ElementEdit>, ScimError> {
        let at = &self.at();
        Ok(Some(match (action.op, sub, action.value) {
            (Op::Remove, None, None | Some(Value::Null)) => ElementEdit::Remove,
            (Op::Remove, None, Some(Value::String(text))) if text.is_empty() => ElementEdit::Remove,
            // `{"tags": ["x"]}` lists values of the lists in the element, not the element.
            (Op::Remove, None, Some(Value::Object(members))) if names_only_lists(list, members) => {
                let value = action.value.unwrap_or(&Value::Null);
                ElementEdit::Merge(listed_parts(list, value, at)?)
            }
            (Op::Remove, None, Some(value)) => ElementEdit::RemoveListed(listed(list, value, at)?),
            (Op::Remove, Some(sub), value) => {
                let Some(change) = remove(sub, value, at)? else {
                    return Ok(None);
                };
                if sub.required && matches!(change, ValueEdit::Unassign) {
                    return Err(refuse::required(&self.name));
                }
                ElementEdit::Merge(vec![(Arc::clone(sub), change)])
            }
            (op, Some(sub), value) => match self.part(op, sub, value)? {
                Some(part) => ElementEdit::Merge(vec![part]),
                None => return Ok(None),
            },
            (Op::Add, None, Some(value)) if coerce::is_nothing(value) => return Ok(None),
            (Op::Add, None, Some(value)) if list.is_complex() => {
                match coerce::complex(list, value, NullMeaning::Skip, at)? {
                    Some(named) => ElementEdit::Merge(parts(Op::Add, named)),
                    None => return Ok(None),
                }
            }
            (Op::Add, None, Some(value)) => match coerce::element(list, coerce::only(value), at)? {
                Some(element) => ElementEdit::Append(element),
                None => return Ok(None),
            },
            (Op::Replace, None, Some(value)) => {
                match coerce::element(list, coerce::only(value), at)? {
                    Some(element) => ElementEdit::Replace(element),
                    None => ElementEdit::Remove,
                }
            }
            (_, None, None) => return Ok(None),
        }))
    }
}

/// `add` or `replace` of a whole attribute.
fn whole(
    op: Op,
    attribute: &Attribute,
    value: Option<&Value>,
    at: &Location,
) -> Result<Option<ValueEdit>, ScimError> {
    let Some(value) = value else {
        return Ok(None);
    };
    // An add of nothing; an empty text asks to clear the attribute, as Entra writes it.
    if op == Op::Add && coerce::is_nothing(value) {
        return Ok(None);
    }
    if attribute.multi_valued {
        let elements = coerce::elements(attribute, value, at)?;
        return Ok(match op {
            Op::Add if elements.is_empty() => None,
            Op::Add => Some(ValueEdit::Append(elements)),
            _ if elements.is_empty() => Some(ValueEdit::Unassign),
            _ => Some(ValueEdit::Elements(elements)),
        });
    }
    if attribute.is_complex() {
        let nulls = match op {
            Op::Add => NullMeaning::Skip,
            Op::Remove | Op::Replace => NullMeaning::Unassign,
        };
        return Ok(Some(match coerce::complex(attribute, value, nulls, at)? {
            Some(named) => ValueEdit::Merge(parts(op, named)),
            None => ValueEdit::Unassign,
        }));
    }
    Ok(Some(match coerce::single(attribute, value, at)? {
        Some(value) => ValueEdit::Set(value),
        None => ValueEdit::Unassign,
    }))
}
