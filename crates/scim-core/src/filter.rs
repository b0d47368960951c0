//! A filter whose paths and operands have been checked against one resource type.
//!
//! [`resolve`] turns the parser's syntax into this form once; [`crate::eval`] and a translation to
//! SQL both read it, so they agree on its meaning.
//!
//! ```
//! use scim_core::{Compatibility, Registry, filter};
//!
//! let registry = Registry::standard();
//! let user = registry.by_name("User").expect("every registry has users");
//! let text = r#"emails[type eq "work" and value co "@example.com"] or not (active eq true)"#;
//! assert!(filter::parse(user, text, Compatibility::Strict).is_ok());
//!
//! let error = filter::parse(user, "shoeSize gt 40", Compatibility::Strict).unwrap_err();
//! assert_eq!(error.kind.scim_type(), "invalidFilter");
//! assert_eq!(error.detail, "User has no attribute shoeSize.");
//! ```

use std::borrow::Cow;

use scim_filter_parser as ast;
use serde_json::Value;

use crate::registry::{AttrRef, Referent, Registry, ResourceType};
use crate::schema::{Returned, Type, instant};
use crate::{Compatibility, ScimError, version};

/// A resolved filter. Inside [`Filter::Element`] the paths are those of the element's
/// sub-attributes.
#[derive(Debug, Clone, PartialEq)]
pub enum Filter {
    /// All terms hold; always true without terms.
    And(Vec<Filter>),
    /// At least one term holds; never true without terms.
    Or(Vec<Filter>),
    /// The term does not hold.
    Not(Box<Filter>),
    /// `pr`: the attribute has a value.
    Present(AttrRef),
    /// A comparison with a literal.
    Compare {
        /// The attribute or sub-attribute.
        path: AttrRef,
        /// The operator.
        op: CompareOp,
        /// The literal, in the type of the attribute.
        value: Operand,
    },
    /// `emails[type eq "work"]`: one element satisfies the whole inner filter.
    /// The paths inside are complete (`emails.type`), and are looked up in the one element.
    Element {
        /// The attribute whose elements are tested.
        path: AttrRef,
        /// The condition on one element.
        filter: Box<Filter>,
    },
}

impl Filter {
    /// Returns the number of comparisons, which is at most what one resource costs.
    #[must_use]
    pub fn comparisons(&self) -> usize {
        match self {
            Self::And(inner) | Self::Or(inner) => inner.iter().map(Self::comparisons).sum(),
            Self::Not(inner) | Self::Element { filter: inner, .. } => inner.comparisons(),
            Self::Present(_) | Self::Compare { .. } => 1,
        }
    }
}

pub use scim_filter_parser::CompareOp;

/// The right side of a comparison, typed as its attribute demands.
#[derive(Debug, Clone, PartialEq)]
pub enum Operand {
    /// Unassigned (RFC 7643 section 2.5: null, missing and `[]` are one state).
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// Integer and decimal attributes.
    Number(f64),
    /// The text to compare with: folded by the attribute's own rule where it is `caseExact: false`,
    /// raw otherwise.
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

/// The same where several types are asked: an attribute that this one does not have has no value
/// (RFC 7644 section 3.4.2.1), so that nothing is true of it but that it is not equal to something.
///
/// An extension that another type of the registry declares counts as one that this type does not
/// have.
pub fn parse_for_any(
    registry: &Registry,
    rt: &ResourceType,
    text: &str,
    compatibility: Compatibility,
) -> Result<Filter, ScimError> {
    resolve_known(registry, rt, &read(text, compatibility)?, compatibility)
}

fn resolve_known(
    registry: &Registry,
    rt: &ResourceType,
    filter: &ast::Filter,
    compatibility: Compatibility,
) -> Result<Filter, ScimError> {
    let all = |terms: &[ast::Filter]| -> Result<Vec<Filter>, ScimError> {
        let terms = terms.iter();
        terms
            .map(|term| resolve_known(registry, rt, term, compatibility))
            .collect()
    };
    let always = Filter::And(Vec::new());
    let never = Filter::Or(Vec::new());
    let (path, of_unknown) = match filter {
        ast::Filter::And(terms) => return all(terms).map(Filter::And),
        ast::Filter::Or(terms) => return all(terms).map(Filter::Or),
        ast::Filter::Not(inner) => {
            let inner = resolve_known(registry, rt, inner, compatibility)?;
            return Ok(Filter::Not(Box::new(inner)));
        }
        ast::Filter::Present(path) => (path, never),
        ast::Filter::Compare(ast::Comparison { path, op, value }) => {
            let is_other = *op == CompareOp::Ne && *value != ast::Value::Null;
            (path, if is_other { always } else { never })
        }
        ast::Filter::Element(element) => (&element.path, never),
    };
    let belongs_elsewhere = || {
        let urn = path.urn.as_deref();
        urn.is_some_and(|urn| registry.schema(urn).is_some())
    };
    if declared(rt, path, compatibility).is_some()
        || is_undeclared(rt, path, compatibility) && !belongs_elsewhere()
    {
        resolve(rt, filter, compatibility)
    } else {
        Ok(of_unknown)
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
/// Every fault is `invalidFilter`: an unknown attribute, one that is never returned (its value must
/// not leak through queries), an operator that the attribute's type does not have (RFC 7644 section
/// 3.4.2.2).
pub fn resolve(
    rt: &ResourceType,
    filter: &ast::Filter,
    compatibility: Compatibility,
) -> Result<Filter, ScimError> {
    let scope = Scope {
        names: Names::Resource(rt),
        compatibility,
    };
    scope.filter(filter)
}

/// Checks the filter in the brackets of `attribute[...]`; its paths are the names of
/// sub-attributes. The paths of PATCH use it too.
///
/// The paths of the result are complete (`emails.type`). In `home.rooms[...]`, where a
/// sub-attribute has several values, `value` is the only name, and it means the value itself.
pub fn resolve_element(
    rt: &ResourceType,
    attribute: &AttrRef,
    filter: &ast::Filter,
    compatibility: Compatibility,
) -> Result<Filter, ScimError> {
    if !attribute.leaf().multi_valued {
        return Err(ScimError::invalid_filter(format!(
            "{attribute} does not have several values, so [...] cannot choose among them."
        )));
    }
    let scope = Scope {
        names: Names::Element(rt, attribute),
        compatibility,
    };
    scope.filter(filter)
}

/// Checks the filter in the brackets of a list in an extension that no schema describes:
/// `urn:acme:x:list[type eq "t"]`, or with `sub` `urn:acme:x:object.list[value eq "b"]`.
///
/// Returns the path of the list and the filter, ready for [`crate::eval::element_matches`] on
/// each element. Inside the brackets any name can stand; `value` means the element itself where
/// that is a simple value.
pub fn resolve_undeclared(
    urn: &str,
    name: &str,
    sub: Option<&str>,
    filter: &ast::Filter,
    compatibility: Compatibility,
) -> Result<(AttrRef, Filter), ScimError> {
    let path = AttrRef::undeclared(urn, name, sub, Type::String);
    let scope = Scope {
        names: Names::Member(&path),
        compatibility,
    };
    let filter = scope.filter(filter)?;
    Ok((path, filter))
}

/// The attribute that the type declares under the path.
///
/// Some clients join the URN and the attribute by a dot (`…:2.0:User.department`). The parser reads
/// the end of the URN as an attribute and the attribute as its sub-attribute.
fn declared(
    rt: &ResourceType,
    path: &ast::AttrPath,
    compatibility: Compatibility,
) -> Option<AttrRef> {
    let corrected = || match compatibility {
        Compatibility::Tolerant => rt.attr_by_key(&rt.with_colon(&path.to_string())?),
        Compatibility::Strict => None,
    };
    rt.attr(path).or_else(corrected)
}

/// Returns whether the path may lead into an extension that no schema describes. Only tolerant
/// tenants keep such extensions.
fn is_undeclared(rt: &ResourceType, path: &ast::AttrPath, compatibility: Compatibility) -> bool {
    let has_urn = path.urn.as_ref().is_some_and(|urn| urn.contains(':'));
    has_urn
        && !compatibility.is_strict()
        && matches!(rt.referent(&path.to_string()), Referent::Undeclared)
}

/// The type of the values that a comparison with an undeclared attribute looks for.
fn kind_of(operand: Option<&ast::Value>) -> Type {
    match operand {
        Some(ast::Value::Bool(_)) => Type::Boolean,
        Some(ast::Value::Integer(_) | ast::Value::Decimal(_)) => Type::Decimal,
        Some(ast::Value::String(_) | ast::Value::Null) | None => Type::String,
    }
}

/// The scope in which names are looked up.
#[derive(Clone, Copy)]
enum Names<'a> {
    /// In the resource type.
    Resource(&'a ResourceType),
    /// In one element of an attribute of the type, or of its sub-attribute.
    Element(&'a ResourceType, &'a AttrRef),
    /// In one element of an undeclared list, which may have any member.
    Member(&'a AttrRef),
}

#[derive(Clone, Copy)]
struct Scope<'a> {
    names: Names<'a>,
    compatibility: Compatibility,
}

impl Scope<'_> {
    fn filter(self, filter: &ast::Filter) -> Result<Filter, ScimError> {
        match filter {
            ast::Filter::And(terms) => self.all(terms).map(Filter::And),
            ast::Filter::Or(terms) => self.all(terms).map(Filter::Or),
            ast::Filter::Not(inner) => Ok(Filter::Not(Box::new(self.filter(inner)?))),
            ast::Filter::Present(path) => self.path(path, None).map(Filter::Present),
            ast::Filter::Compare(ast::Comparison { path, op, value }) => {
                self.compare(self.path(path, Some(value))?, *op, value)
            }
            ast::Filter::Element(element) => self.element(element),
        }
    }

    fn all(self, terms: &[ast::Filter]) -> Result<Vec<Filter>, ScimError> {
        terms.iter().map(|term| self.filter(term)).collect()
    }

    fn element(self, element: &ast::ElementFilter) -> Result<Filter, ScimError> {
        let Names::Resource(rt) = self.names else {
            return Err(ScimError::invalid_filter(format!(
                "{}[...] is inside another [...], which SCIM does not allow.",
                element.path
            )));
        };
        let path = self.path(&element.path, None)?;
        let names = if path.is_undeclared {
            Names::Member(&path)
        } else if path.leaf().multi_valued {
            Names::Element(rt, &path)
        } else {
            return Err(ScimError::invalid_filter(format!(
                "{path} does not have several values, so [...] cannot choose among them."
            )));
        };
        let scope = Scope { names, ..self };
        let mut inner = scope.filter(&element.filter)?;
        // `emails[type eq "work"].value co "x"` is not in RFC 7644, but clients write it.
        if let Some(tail) = &element.tail {
            let operand = tail.test.as_ref().map(|(_, value)| value);
            let sub = visible(scope.name(&tail.sub, operand)?)?;
            let tail = match &tail.test {
                Some((op, value)) => scope.compare(sub, *op, value)?,
                None => Filter::Present(sub),
            };
            inner = Filter::And(vec![inner, tail]);
        }
        let filter = Box::new(inner);
        Ok(Filter::Element { path, filter })
    }

    /// The attribute that a path names; `operand` is what it is compared with.
    fn path(
        self,
        path: &ast::AttrPath,
        operand: Option<&ast::Value>,
    ) -> Result<AttrRef, ScimError> {
        let found = match (self.names, path) {
            (Names::Resource(rt), _) => self.attribute(rt, path, operand)?,
            (
                _,
                ast::AttrPath {
                    urn: None,
                    name,
                    sub: None,
                },
            ) => self.name(name, operand)?,
            (Names::Element(_, attribute) | Names::Member(attribute), _) => {
                return Err(ScimError::invalid_filter(format!(
                    "Inside {attribute}[...] only its sub-attributes can be named, not {path}."
                )));
            }
        };
        visible(found)
    }

    /// An attribute of the resource type, or of an extension that no schema describes.
    fn attribute(
        self,
        rt: &ResourceType,
        path: &ast::AttrPath,
        operand: Option<&ast::Value>,
    ) -> Result<AttrRef, ScimError> {
        if let Some(found) = declared(rt, path, self.compatibility) {
            return Ok(found);
        }
        if let Some(urn) = &path.urn
            && is_undeclared(rt, path, self.compatibility)
        {
            let sub = path.sub.as_deref();
            return Ok(AttrRef::undeclared(urn, &path.name, sub, kind_of(operand)));
        }
        let hint = match rt.referent(&path.to_string()) {
            Referent::NearMiss(known) => format!(" The nearest schema is {known}."),
            _ => String::new(),
        };
        Err(ScimError::invalid_filter(format!(
            "{} has no attribute {path}.{hint}",
            rt.name
        )))
    }

    /// A sub-attribute of the element.
    fn name(self, name: &str, operand: Option<&ast::Value>) -> Result<AttrRef, ScimError> {
        let unknown = |parent: &dyn std::fmt::Display| {
            ScimError::invalid_filter(format!("{parent} has no sub-attribute {name}."))
        };
        match self.names {
            Names::Resource(rt) => Err(unknown(&rt.name)),
            Names::Member(list) => Ok(list.undeclared_member(name, kind_of(operand))),
            // The values of a simple attribute have one name: `schemas[value eq ".."]`.
            Names::Element(_, attribute)
                if !attribute.leaf().is_complex() && name.eq_ignore_ascii_case("value") =>
            {
                Ok(attribute.clone())
            }
            Names::Element(rt, attribute) => rt
                .attr_by_key(&format!("{attribute}.{name}"))
                .ok_or_else(|| unknown(attribute)),
        }
    }

    /// Returns the path that is compared in place of `path`: `emails co "x"` compares the value, as
    /// in the examples of RFC 7644 section 3.4.2.2.
    fn compared(self, path: AttrRef, value: &ast::Value) -> Result<AttrRef, ScimError> {
        if path.is_undeclared && path.sub.is_none() {
            // An undeclared attribute may hold simple values and complex ones.
            return Ok(path.undeclared_member("value", kind_of(Some(value))));
        }
        if !path.leaf().is_complex() {
            return Ok(path);
        }
        let found = match self.names {
            Names::Resource(rt) | Names::Element(rt, _) => rt.attr_by_key(&format!("{path}.value")),
            Names::Member(_) => None,
        };
        found.ok_or_else(|| {
            ScimError::invalid_filter(format!(
                "{path} is complex: name one of its sub-attributes, such as {path}.{}.",
                path.leaf()
                    .sub_attributes
                    .first()
                    .map_or("value", |sub| &sub.name)
            ))
        })
    }

    fn compare(
        self,
        path: AttrRef,
        op: CompareOp,
        value: &ast::Value,
    ) -> Result<Filter, ScimError> {
        // A complex value has no order and no text, but it may be there or not (RFC 7643 section
        // 2.5).
        if path.leaf().is_complex() || path.is_undeclared {
            match (op, value) {
                (CompareOp::Eq, ast::Value::Null) => {
                    return Ok(Filter::Not(Box::new(Filter::Present(path))));
                }
                (CompareOp::Ne, ast::Value::Null) => return Ok(Filter::Present(path)),
                _ => {}
            }
        }
        let path = self.compared(path, value)?;
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

/// Converts a literal to the type that a client means: Entra ID writes `primary eq "True"`, others
/// write `active eq 1` or leave the quotes out of `employeeNumber eq 701984`.
fn meant(kind: Type, value: &ast::Value) -> Cow<'_, ast::Value> {
    match (kind, value) {
        (Type::Boolean, ast::Value::String(text)) => match text.as_str() {
            "1" => Cow::Owned(ast::Value::Bool(true)),
            "0" => Cow::Owned(ast::Value::Bool(false)),
            text if text.eq_ignore_ascii_case("true") => Cow::Owned(ast::Value::Bool(true)),
            text if text.eq_ignore_ascii_case("false") => Cow::Owned(ast::Value::Bool(false)),
            _ => Cow::Borrowed(value),
        },
        (Type::Boolean, ast::Value::Integer(1)) => Cow::Owned(ast::Value::Bool(true)),
        (Type::Boolean, ast::Value::Integer(0)) => Cow::Owned(ast::Value::Bool(false)),
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
            "The operator {op} cannot compare {path} with {value}."
        )));
    }
    let typed = match (kind, value) {
        (_, ast::Value::Null) => Some(Operand::Null),
        (Type::Boolean, ast::Value::Bool(value)) => Some(Operand::Bool(*value)),
        (Type::Integer | Type::Decimal, ast::Value::Integer(value)) => {
            // No lossless conversion exists; a number this large compares as its nearest double.
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
            // A client's tag finds the resource that it names, whatever groups were shown beside
            // it.
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

/// The literal of a filter as JSON.
pub fn literal(value: &ast::Value) -> Value {
    match value {
        ast::Value::Null => Value::Null,
        ast::Value::Bool(value) => Value::from(*value),
        ast::Value::Integer(value) => Value::from(*value),
        ast::Value::Decimal(value) => Value::from(*value),
        ast::Value::String(value) => Value::from(value.as_str()),
    }
}

#[cfg(test)]
mod tests;
