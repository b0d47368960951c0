//! A filter whose paths and operands have been checked against one resource type.
//!
//! [`resolve`] turns the parser's syntax into this form once; [`crate::scim::eval`] and the store's SQL both
//! read it, so that they can only agree.

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
    let options = ast::Options {
        dialect: compatibility.syntax(),
        ..ast::Options::default()
    };
    let filter = ast::parse_filter_with(text, &options)
        .map_err(|error| ScimError::invalid_filter(format!("The filter is malformed: {error}.")))?;
    resolve(rt, &filter)
}

/// Checks a filter against the attributes of a resource type.
///
/// Every fault is `invalidFilter`: an unknown attribute, one that is never returned (its value must not leak
/// through queries), an operator that the attribute's type does not have (RFC 7644 section 3.4.2.2).
pub fn resolve(rt: &ResourceType, filter: &ast::Filter) -> Result<Filter, ScimError> {
    Scope { rt, element: None }.filter(filter)
}

/// Checks the filter in the brackets of `attribute[...]`; its paths are the names of sub-attributes.
///
/// The paths of the result are complete (`emails.type`). Used for the paths of PATCH too.
pub fn resolve_element(
    rt: &ResourceType,
    attribute: &AttrRef,
    filter: &ast::Filter,
) -> Result<Filter, ScimError> {
    if attribute.sub.is_some() || !attribute.attribute.multi_valued {
        return Err(ScimError::invalid_filter(format!(
            "{attribute} does not have several values, so [...] cannot choose among them."
        )));
    }
    let element = Some(attribute);
    Scope { rt, element }.filter(filter)
}

/// Where names are looked up: in the resource type, or in the element of a multi-valued attribute.
#[derive(Clone, Copy)]
struct Scope<'a> {
    rt: &'a ResourceType,
    element: Option<&'a AttrRef>,
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
        let mut inner = resolve_element(self.rt, &path, &element.filter)?;
        // `emails[type eq "work"].value co "x"` is not in RFC 7644, but clients write it.
        if let Some(tail) = &element.tail {
            let scope = Scope {
                rt: self.rt,
                element: Some(&path),
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
            let value = operand(&path, op, value)?;
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
        let value = operand(&path, op, value)?;
        Ok(Filter::Compare { path, op, value })
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
mod tests {
    use super::*;
    use crate::scim::{ErrorKind, Registry};

    /// Prints a resolved filter so that a row of a table can hold it.
    fn print(filter: &Filter) -> String {
        let join = |terms: &[Filter], word: &str| {
            let terms: Vec<_> = terms.iter().map(print).collect();
            format!("({})", terms.join(word))
        };
        match filter {
            Filter::And(terms) => join(terms, " and "),
            Filter::Or(terms) => join(terms, " or "),
            Filter::Not(filter) => format!("not {}", print(filter)),
            Filter::Present(path) => format!("{path} pr"),
            Filter::Compare { path, op, value } => format!("{path} {op} {value:?}"),
            Filter::Element { path, filter } => format!("{path}[{}]", print(filter)),
        }
    }

    fn check(text: &str, expected: &str) {
        let registry = Registry::standard();
        let filter = parse(
            registry.by_name("User").unwrap(),
            text,
            Compatibility::Tolerant,
        );
        let printed = filter.as_ref().map(print);
        assert_eq!(printed.as_deref(), Ok(expected), "{text}");
    }

    fn check_error(text: &str, expected: &str) {
        let registry = Registry::standard();
        let error = parse(
            registry.by_name("User").unwrap(),
            text,
            Compatibility::Tolerant,
        )
        .unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidFilter, "{text}");
        assert!(error.detail.contains(expected), "{text}: {}", error.detail);
    }

    #[test]
    fn resolved() {
        check(r#"USERNAME Eq "BJensen""#, r#"userName eq Text("bjensen")"#);
        check(r#"userName eq "ｂJ""#, r#"userName eq Text("bj")"#);
        check(r#"externalId eq "00uA""#, r#"externalId eq Text("00uA")"#);
        check("active eq true", "active eq Bool(true)");
        check("title pr and not (name pr)", "(title pr and not name pr)");
        check(r#"emails co "X""#, r#"emails.value co Text("x")"#);
        check("emails eq null", "not emails pr");
        check("name ne null", "name pr");
        check("title eq null", "title eq Null");
        check(
            r#"meta.created gt "1970-01-01T00:00:01Z""#,
            "meta.created gt Instant(1000000)",
        );
        check(
            r#"Emails[Type eq "Work" and Value co "@"]"#,
            r#"emails[(emails.type eq Text("work") and emails.value co Text("@"))]"#,
        );
        check(
            r#"emails[type eq "work"].value pr"#,
            r#"emails[(emails.type eq Text("work") and emails.value pr)]"#,
        );
        check(
            r#"emails[type eq "work"].primary eq true"#,
            r#"emails[(emails.type eq Text("work") and emails.primary eq Bool(true))]"#,
        );
        check(
            r#"urn:ietf:params:scim:schemas:core:2.0:User:userName sw "J""#,
            r#"userName sw Text("j")"#,
        );
        check(
            r#"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager eq "u1""#,
            r#"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value eq Text("u1")"#,
        );
        check(r#"groups eq "G1""#, r#"groups.value eq Text("g1")"#);
        check(
            r#"schemas[value eq "urn:x"]"#,
            r#"schemas[schemas eq Text("urn:x")]"#,
        );
        check(
            r#"x509Certificates.value eq "AQ==""#,
            r#"x509Certificates.value eq Text("AQ==")"#,
        );
    }

    #[test]
    fn refused() {
        check_error("", "malformed");
        check_error("userName regex \"a\"", "malformed");
        check_error(r#"nope eq "x""#, "User has no attribute nope");
        check_error(r#"members.value eq "x""#, "no attribute members.value");
        check_error(r#"department eq "x""#, "no attribute");
        check_error(r#"password eq "x""#, "never returned");
        check_error("password pr", "never returned");
        check_error(r#"name eq "x""#, "name.formatted");
        check_error(r#"name[formatted eq "x"]"#, "several values");
        check_error(r#"userName[value eq "x"]"#, "several values");
        check_error(r#"emails[nope eq "x"]"#, "emails has no sub-attribute nope");
        check_error(
            r#"emails[name.formatted eq "x"]"#,
            "only its sub-attributes",
        );
        check_error(r#"emails[type eq "work"].nope eq "x""#, "no sub-attribute");
        check_error("active gt true", "operator gt");
        check_error(r#"active eq "yes""#, "true or false");
        check_error(r#"active co "t""#, "operator co");
        check_error("userName gt null", "operator gt");
        check_error("userName eq 5", "a string");
        check_error("userName eq true", "a string");
        check_error(r#"userName eq "a\u0000""#, "U+0000");
        check_error(r#"meta.created gt "2011-05-13""#, "date and time");
        check_error(r#"meta.created sw "2011""#, "operator sw");
        check_error(r#"x509Certificates.value gt "AQ==""#, "operator gt");
    }

    #[test]
    fn numbers() {
        let text = r#"{"id":"urn:x:A","name":"A","attributes":[{"name":"n","type":"decimal"},{"name":"i","type":"integer"}]}"#;
        let schema = std::sync::Arc::new(crate::scim::schema::Schema::parse(text).unwrap());
        let rt = ResourceType::new("A", "/As", "", schema, vec![]).unwrap();
        let check = |text: &str, expected: f64| {
            let value = Operand::Number(expected);
            assert!(
                matches!(parse(&rt, text, Compatibility::Tolerant), Ok(Filter::Compare { value: found, .. }) if found == value),
                "{text}"
            );
        };
        check("n eq 1", 1.0);
        check("n ge 1.5", 1.5);
        check("i lt -9223372036854775808", -9_223_372_036_854_775_808.0);
        assert!(parse(&rt, "n co 1", Compatibility::Tolerant).is_err());
        assert!(parse(&rt, r#"n eq "1""#, Compatibility::Tolerant).is_err());
    }
}
