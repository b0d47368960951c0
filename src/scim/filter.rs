//! A filter whose paths and operands have been checked against one resource type.
//!
//! [`resolve`] turns the parser's syntax into this form once; [`crate::scim::eval`] and the store's SQL both
//! read it, so that they can only agree.

use std::borrow::Cow;

use scim_filter_parser as ast;

use crate::scim::registry::{AttrRef, ResourceType};
use crate::scim::schema::{Returned, Type, instant};
use crate::scim::{Compatibility, ScimError, version};

/// A resolved filter. Inside [`Filter::Element`] the paths are those of the element's sub-attributes.
#[derive(Debug, Clone, PartialEq)]
pub enum Filter {
    And(Vec<Filter>),
    Or(Vec<Filter>),
    Not(Box<Filter>),
    Present(AttrRef),
    Compare {
        path: AttrRef,
        op: CompareOp,
        value: Operand,
    },
    /// `emails[type eq "work"]`: one element satisfies the whole inner filter.
    /// The paths inside are complete (`emails.type`), and are looked up in the one element.
    Element {
        path: AttrRef,
        filter: Box<Filter>,
    },
}

pub use scim_filter_parser::CompareOp;

/// The right side of a comparison, typed as its attribute demands.
#[derive(Debug, Clone, PartialEq)]
pub enum Operand {
    /// Unassigned (RFC 7643 section 2.5: null, missing and `[]` are one state).
    Null,
    Bool(bool),
    /// Integer and decimal attributes.
    Number(f64),
    /// The text to compare with: folded by the attribute's own rule where it is `caseExact: false`, raw otherwise.
    Text(String),
    /// `dateTime` attributes: microseconds since the epoch.
    Instant(i64),
}

/// Reads and resolves the `filter` parameter of a query.
pub fn parse(
    rt: &ResourceType,
    text: &str,
    compatibility: Compatibility,
) -> Result<Filter, ScimError> {
    resolve(rt, &read(text, compatibility)?, compatibility)
}

/// The same where several types are asked: an attribute that this one does not have has no value (RFC 7644 section
/// 3.4.2.1), so that nothing is true of it but that it is not equal to something.
pub fn parse_for_any(
    rt: &ResourceType,
    text: &str,
    compatibility: Compatibility,
) -> Result<Filter, ScimError> {
    resolve_known(rt, &read(text, compatibility)?, compatibility)
}

fn resolve_known(
    rt: &ResourceType,
    filter: &ast::Filter,
    compatibility: Compatibility,
) -> Result<Filter, ScimError> {
    let all = |terms: &[ast::Filter]| -> Result<Vec<Filter>, ScimError> {
        let terms = terms.iter();
        terms
            .map(|term| resolve_known(rt, term, compatibility))
            .collect()
    };
    let (always, never) = (Filter::And(Vec::new()), Filter::Or(Vec::new()));
    let (path, of_unknown) = match filter {
        ast::Filter::And(terms) => return all(terms).map(Filter::And),
        ast::Filter::Or(terms) => return all(terms).map(Filter::Or),
        ast::Filter::Not(inner) => {
            return Ok(Filter::Not(Box::new(resolve_known(
                rt,
                inner,
                compatibility,
            )?)));
        }
        ast::Filter::Present(path) => (path, never),
        ast::Filter::Compare(ast::Comparison { path, op, value }) => {
            let is_other = *op == CompareOp::Ne && *value != ast::Value::Null;
            (path, if is_other { always } else { never })
        }
        ast::Filter::Element(element) => (&element.path, never),
    };
    match rt.attr(path) {
        Some(_) => resolve(rt, filter, compatibility),
        None => Ok(of_unknown),
    }
}

fn read(text: &str, compatibility: Compatibility) -> Result<ast::Filter, ScimError> {
    let options = ast::Options {
        dialect: compatibility.syntax(),
        ..ast::Options::default()
    };
    ast::parse_filter_with(text, &options)
        .map_err(|error| ScimError::invalid_filter(format!("The filter is malformed: {error}.")))
}

/// Checks a filter against the attributes of a resource type.
///
/// Every fault is `invalidFilter`: an unknown attribute, one that is never returned (its value must not leak
/// through queries), an operator that the attribute's type does not have (RFC 7644 section 3.4.2.2).
pub fn resolve(
    rt: &ResourceType,
    filter: &ast::Filter,
    compatibility: Compatibility,
) -> Result<Filter, ScimError> {
    let scope = Scope {
        rt,
        element: None,
        compatibility,
    };
    scope.filter(filter)
}

/// Checks the filter in the brackets of `attribute[...]`; its paths are the names of sub-attributes.
///
/// The paths of the result are complete (`emails.type`). Used for the paths of PATCH too.
pub fn resolve_element(
    rt: &ResourceType,
    attribute: &AttrRef,
    filter: &ast::Filter,
    compatibility: Compatibility,
) -> Result<Filter, ScimError> {
    if attribute.sub.is_some() || !attribute.attribute.multi_valued {
        return Err(ScimError::invalid_filter(format!(
            "{attribute} does not have several values, so [...] cannot choose among them."
        )));
    }
    let scope = Scope {
        rt,
        element: Some(attribute),
        compatibility,
    };
    scope.filter(filter)
}

/// Where names are looked up: in the resource type, or in the element of a multi-valued attribute.
#[derive(Clone, Copy)]
struct Scope<'a> {
    rt: &'a ResourceType,
    element: Option<&'a AttrRef>,
    compatibility: Compatibility,
}

impl Scope<'_> {
    fn filter(self, filter: &ast::Filter) -> Result<Filter, ScimError> {
        match filter {
            ast::Filter::And(terms) => self.all(terms).map(Filter::And),
            ast::Filter::Or(terms) => self.all(terms).map(Filter::Or),
            ast::Filter::Not(inner) => Ok(Filter::Not(Box::new(self.filter(inner)?))),
            ast::Filter::Present(path) => self.path(path).map(Filter::Present),
            ast::Filter::Compare(ast::Comparison { path, op, value }) => {
                self.compare(self.path(path)?, *op, value)
            }
            ast::Filter::Element(element) => self.element(element),
        }
    }

    fn all(self, terms: &[ast::Filter]) -> Result<Vec<Filter>, ScimError> {
        terms.iter().map(|term| self.filter(term)).collect()
    }

    fn element(self, element: &ast::ElementFilter) -> Result<Filter, ScimError> {
        if self.element.is_some() {
            return Err(ScimError::invalid_filter(format!(
                "{}[...] stands inside another [...], which SCIM does not allow.",
                element.path
            )));
        }
        let path = self.path(&element.path)?;
        let mut inner = resolve_element(self.rt, &path, &element.filter, self.compatibility)?;
        // `emails[type eq "work"].value co "x"` is not in RFC 7644, but clients write it.
        if let Some(tail) = &element.tail {
            let scope = Scope {
                element: Some(&path),
                ..self
            };
            let sub = visible(scope.name(&tail.sub)?)?;
            let tail = match &tail.test {
                Some((op, value)) => scope.compare(sub, *op, value)?,
                None => Filter::Present(sub),
            };
            inner = Filter::And(vec![inner, tail]);
        }
        let filter = Box::new(inner);
        Ok(Filter::Element { path, filter })
    }

    fn path(self, path: &ast::AttrPath) -> Result<AttrRef, ScimError> {
        let found = match (self.element, path) {
            (None, _) => self.rt.attr(path).ok_or_else(|| {
                ScimError::invalid_filter(format!("{} has no attribute {path}.", self.rt.name))
            })?,
            (
                Some(_),
                ast::AttrPath {
                    urn: None,
                    name,
                    sub: None,
                },
            ) => self.name(name)?,
            (Some(attribute), _) => {
                return Err(ScimError::invalid_filter(format!(
                    "Inside {attribute}[...] only its sub-attributes can be named, not {path}."
                )));
            }
        };
        visible(found)
    }

    /// A sub-attribute of the element.
    fn name(self, name: &str) -> Result<AttrRef, ScimError> {
        let unknown = |parent: &dyn std::fmt::Display| {
            ScimError::invalid_filter(format!("{parent} has no sub-attribute {name}."))
        };
        let Some(attribute) = self.element else {
            return Err(unknown(&self.rt.name));
        };
        // The values of a simple attribute have one name: `schemas[value eq ".."]`.
        if !attribute.leaf().is_complex() && name.eq_ignore_ascii_case("value") {
            return Ok(attribute.clone());
        }
        self.rt
            .attr_by_key(&format!("{attribute}.{name}"))
            .ok_or_else(|| unknown(attribute))
    }

    fn compare(
        self,
        path: AttrRef,
        op: CompareOp,
        value: &ast::Value,
    ) -> Result<Filter, ScimError> {
        if !path.leaf().is_complex() {
            let value = self.operand(&path, op, value)?;
            return Ok(Filter::Compare { path, op, value });
        }
        // A complex value has no order and no text, but it may be there or not (RFC 7643 section 2.5).
        match (op, value) {
            (CompareOp::Eq, ast::Value::Null) => {
                return Ok(Filter::Not(Box::new(Filter::Present(path))));
            }
            (CompareOp::Ne, ast::Value::Null) => return Ok(Filter::Present(path)),
            _ => {}
        }
        // `emails co "x"` means the value, as in the examples of RFC 7644 section 3.4.2.2.
        let Some(path) = self.rt.attr_by_key(&format!("{path}.value")) else {
            return Err(ScimError::invalid_filter(format!(
                "{path} is complex: name one of its sub-attributes, such as {path}.{}.",
                path.leaf()
                    .sub_attributes
                    .first()
                    .map_or("value", |sub| &sub.name)
            )));
        };
        let value = self.operand(&path, op, value)?;
        Ok(Filter::Compare { path, op, value })
    }

    fn operand(
        self,
        path: &AttrRef,
        op: CompareOp,
        value: &ast::Value,
    ) -> Result<Operand, ScimError> {
        match self.compatibility {
            Compatibility::Tolerant => operand(path, op, &meant(path.leaf().kind, value)),
            Compatibility::Strict => operand(path, op, value),
        }
    }
}

/// What a client means by a literal of another type: Entra ID writes `primary eq "True"`, others leave the quotes out of
/// `employeeNumber eq 701984`.
fn meant(kind: Type, value: &ast::Value) -> Cow<'_, ast::Value> {
    match (kind, value) {
        (Type::Boolean, ast::Value::String(text)) if text.eq_ignore_ascii_case("true") => {
            Cow::Owned(ast::Value::Bool(true))
        }
        (Type::Boolean, ast::Value::String(text)) if text.eq_ignore_ascii_case("false") => {
            Cow::Owned(ast::Value::Bool(false))
        }
        (Type::String, ast::Value::Integer(number)) => {
            Cow::Owned(ast::Value::String(number.to_string()))
        }
        _ => Cow::Borrowed(value),
    }
}

/// Lets no value leak through the results of queries.
fn visible(path: AttrRef) -> Result<AttrRef, ScimError> {
    let is_never_returned = |returned| returned == Returned::Never;
    if is_never_returned(path.leaf().returned) || is_never_returned(path.attribute.returned) {
        return Err(ScimError::invalid_filter(format!(
            "{path} cannot be used in a filter, because it is never returned."
        )));
    }
    Ok(path)
}

/// Types the literal as the attribute demands, and checks that the type has the operator.
fn operand(path: &AttrRef, op: CompareOp, value: &ast::Value) -> Result<Operand, ScimError> {
    let kind = path.leaf().kind;
    let is_equality = matches!(op, CompareOp::Eq | CompareOp::Ne);
    let is_order = matches!(
        op,
        CompareOp::Gt | CompareOp::Ge | CompareOp::Lt | CompareOp::Le
    );
    let has_operator = match (kind, value) {
        (_, ast::Value::Null) | (Type::Boolean | Type::Complex, _) => is_equality,
        (Type::Integer | Type::Decimal | Type::DateTime, _) => is_equality || is_order,
        (Type::Binary, _) => !is_order,
        (Type::String | Type::Reference, _) => true,
    };
    if !has_operator {
        return Err(ScimError::invalid_filter(format!(
            "The operator {op} does not go with {path} and {value}."
        )));
    }
    let typed = match (kind, value) {
        (_, ast::Value::Null) => Some(Operand::Null),
        (Type::Boolean, ast::Value::Bool(value)) => Some(Operand::Bool(*value)),
        (Type::Integer | Type::Decimal, ast::Value::Integer(value)) => {
            // There is no lossless conversion; a number this large compares as its nearest double.
            value.to_string().parse().ok().map(Operand::Number)
        }
        (Type::Integer | Type::Decimal, ast::Value::Decimal(value)) => {
            Some(Operand::Number(*value))
        }
        (Type::DateTime, ast::Value::String(text)) => instant(text).map(Operand::Instant),
        (Type::String | Type::Reference | Type::Binary, ast::Value::String(text))
            // PostgreSQL cannot hold U+0000, so no stored text has it and none may be asked for.
            if !text.contains('\0') =>
        {
            // A tag as it is shown finds what it names, whatever groups were shown beside it.
            Some(Operand::Text(if path.key() == "meta.version" {
                version::without_mark(text)
            } else {
                path.comparable(text).into_owned()
            }))
        }
        _ => None,
    };
    typed.ok_or_else(|| {
        ScimError::invalid_filter(format!(
            "{path} must be compared with {}, not with {value}.",
            wanted(kind)
        ))
    })
}

fn wanted(kind: Type) -> &'static str {
    match kind {
        Type::Boolean => "true or false",
        Type::Integer | Type::Decimal => "a number",
        Type::DateTime => "a date and time such as \"2011-05-13T04:42:34Z\"",
        Type::String | Type::Reference | Type::Binary | Type::Complex => {
            "a string in double quotes (without U+0000)"
        }
    }
}

#[cfg(test)]
mod tests;
