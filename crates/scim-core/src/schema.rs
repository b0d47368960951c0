//! Schemas and attributes as RFC 7643 section 7 describes them, read from JSON.

use std::collections::HashSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::name::is_attribute_name;

/// A schema: a URN and its attributes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Schema {
    pub id: String,
    /// Optional (RFC 7643 section 7): the end of the URN where the file has none.
    #[serde(default)]
    pub name: String,
    #[serde(default)]
    pub description: String,
    pub attributes: Vec<Arc<Attribute>>,
}

impl Schema {
    /// Reads and checks a schema.
    ///
    /// References and binary values are made case exact, which RFC 7643 sections 2.3.6 and 2.3.7 demand and the
    /// RFC's own figures, copied into many schema files, forget.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut schema: Self =
            serde_json::from_str(text).map_err(|error| format!("not a schema: {error}"))?;
        if schema.name.is_empty() {
            let end = schema.id.rsplit(':').next().unwrap_or_default();
            end.clone_into(&mut schema.name);
        }
        for attribute in &mut schema.attributes {
            let attribute = Arc::make_mut(attribute);
            attribute.mend_case();
            for sub in &mut attribute.sub_attributes {
                Arc::make_mut(sub).mend_case();
            }
        }
        schema.check()?;
        Ok(schema)
    }

    /// Refuses a schema that RFC 7643 does not allow; the message names the attribute.
    pub fn check(&self) -> Result<(), String> {
        let blame = |reason: String| format!("schema {}: {reason}", self.id);
        // The colon tells a container from a plain attribute; a quote or blank could not stand in a path.
        if !self.id.contains(':') || self.id.contains(|c: char| c.is_whitespace() || c == '"') {
            return Err(blame("the id must be a URN".to_owned()));
        }
        check_distinct(&self.attributes).map_err(blame)?;
        for attribute in &self.attributes {
            attribute.check(Nesting::Top).map_err(blame)?;
        }
        Ok(())
    }

    /// The attribute of this name, whatever its letter case.
    pub fn attribute(&self, name: &str) -> Option<&Arc<Attribute>> {
        find(&self.attributes, name)
    }
}

/// One attribute with its characteristics (RFC 7643 section 2.2 has the defaults).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Attribute {
    pub name: String,
    #[serde(rename = "type", default)]
    pub kind: Type,
    #[serde(default)]
    pub multi_valued: bool,
    #[serde(default)]
    pub description: String,
    #[serde(default)]
    pub required: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub canonical_values: Vec<String>,
    #[serde(default)]
    pub case_exact: bool,
    #[serde(default)]
    pub mutability: Mutability,
    #[serde(default)]
    pub returned: Returned,
    #[serde(default)]
    pub uniqueness: Uniqueness,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reference_types: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sub_attributes: Vec<Arc<Attribute>>,
}

impl Attribute {
    /// The sub-attribute of this name, whatever its letter case.
    pub fn sub_attribute(&self, name: &str) -> Option<&Arc<Attribute>> {
        find(&self.sub_attributes, name)
    }

    pub fn is_complex(&self) -> bool {
        self.kind == Type::Complex
    }

    fn can_be_unique(&self) -> bool {
        match self.kind {
            Type::String | Type::Reference | Type::Integer | Type::Decimal | Type::DateTime => true,
            // RFC 7643 section 2.3.6.
            Type::Binary | Type::Boolean | Type::Complex => false,
        }
    }

    fn mend_case(&mut self) {
        if matches!(self.kind, Type::Reference | Type::Binary) {
            self.case_exact = true;
        }
    }

    fn check(&self, nesting: Nesting) -> Result<(), String> {
        let blame = |reason: &str| format!("attribute {:?} {reason}", self.name);
        if !is_attribute_name(&self.name) {
            return Err(blame("has a name that RFC 7643 section 2.1 does not allow"));
        }
        if self.mutability == Mutability::WriteOnly && self.returned != Returned::Never {
            return Err(blame(
                "is writeOnly and so must have \"returned\": \"never\"",
            ));
        }
        if self.uniqueness != Uniqueness::None && !self.can_be_unique() {
            return Err(blame(
                "cannot be unique: only texts, references, numbers and times can",
            ));
        }
        match (self.is_complex(), nesting) {
            (true, Nesting::Sub) => Err(blame(
                "is complex inside a complex attribute, which RFC 7643 section 2.3.8 does not allow",
            )),
            (true, Nesting::Top) if self.sub_attributes.is_empty() => {
                Err(blame("is complex and so needs subAttributes"))
            }
            (true, Nesting::Top) => {
                check_distinct(&self.sub_attributes)?;
                self.sub_attributes
                    .iter()
                    .try_for_each(|sub| sub.check(Nesting::Sub))
            }
            (false, _) if !self.sub_attributes.is_empty() => {
                Err(blame("has subAttributes but is not complex"))
            }
            (false, _) => Ok(()),
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Nesting {
    Top,
    Sub,
}

fn find<'a>(attributes: &'a [Arc<Attribute>], name: &str) -> Option<&'a Arc<Attribute>> {
    attributes
        .iter()
        .find(|attribute| attribute.name.eq_ignore_ascii_case(name))
}

fn check_distinct(attributes: &[Arc<Attribute>]) -> Result<(), String> {
    let mut seen = HashSet::new();
    match attributes
        .iter()
        .find(|attribute| !seen.insert(attribute.name.to_ascii_lowercase()))
    {
        Some(twice) => Err(format!("attribute {:?} is there twice", twice.name)),
        None => Ok(()),
    }
}

/// RFC 7643 section 2.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Type {
    #[default]
    String,
    Boolean,
    Decimal,
    Integer,
    DateTime,
    Binary,
    Reference,
    Complex,
}

/// Reads the text of a `dateTime` value (RFC 7643 section 2.3.5: date and time of xsd:dateTime) as microseconds since
/// the epoch; a text without a time zone is read as UTC.
pub fn instant(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let has = |index: usize, wanted: u8| bytes.get(index) == Some(&wanted);
    // The parser below also reads other forms of ISO 8601, which xsd:dateTime does not have.
    if !(has(4, b'-') && has(7, b'-') && has(10, b'T') && has(13, b':') && has(16, b':')) {
        return None;
    }
    let rest = text.get(19..)?;
    let timestamp: jiff::Timestamp = if rest.contains('[') {
        return None;
    } else if rest.contains(['Z', '+', '-']) {
        text.parse().ok()?
    } else {
        format!("{text}Z").parse().ok()?
    };
    Some(timestamp.as_microsecond())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Mutability {
    ReadOnly,
    #[default]
    ReadWrite,
    Immutable,
    WriteOnly,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Returned {
    Always,
    Never,
    #[default]
    Default,
    Request,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Uniqueness {
    #[default]
    None,
    Server,
    Global,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_error(attributes: &str, expected: &str) {
        let text = format!(r#"{{"id":"urn:x:Y","name":"Y","attributes":{attributes}}}"#);
        let error = Schema::parse(&text).unwrap_err();
        assert!(error.contains(expected), "{attributes}: {error}");
    }

    #[test]
    fn refused() {
        check_error(r#"[{"name":"1x"}]"#, "2.1");
        check_error(r#"[{"name":"a b"}]"#, "2.1");
        check_error(r#"[{"name":"a"},{"name":"A"}]"#, "twice");
        check_error(r#"[{"name":"a","type":"complex"}]"#, "needs subAttributes");
        check_error(
            r#"[{"name":"a","subAttributes":[{"name":"b"}]}]"#,
            "not complex",
        );
        check_error(
            r#"[{"name":"a","type":"complex","subAttributes":[{"name":"b","type":"complex","subAttributes":[{"name":"c"}]}]}]"#,
            "2.3.8",
        );
        check_error(
            r#"[{"name":"a","type":"complex","subAttributes":[{"name":"b"},{"name":"B"}]}]"#,
            "twice",
        );
        check_error(r#"[{"name":"a","mutability":"writeOnly"}]"#, "never");
        check_error(r#"[{"name":"a","type":"text"}]"#, "unknown variant");
        check_error("{}", "not a schema");
        let error = Schema::parse(r#"{"id":"Y","name":"Y","attributes":[]}"#).unwrap_err();
        assert!(error.contains("must be a URN"), "{error}");
    }

    // R7643-2.3.5-01
    #[test]
    fn instants() {
        let check =
            |text: &str, expected: Option<i64>| assert_eq!(instant(text), expected, "{text}");
        check("1970-01-01T00:00:00Z", Some(0));
        check("1970-01-01T00:00:00", Some(0));
        check("1970-01-01T00:00:01.5Z", Some(1_500_000));
        check("1970-01-01T02:00:00+02:00", Some(0));
        check("1969-12-31T23:59:59.0000001-00:00", Some(-999_999));
        check("2011-05-13", None);
        check("2011-05-13T04:42Z", None);
        check("20110513T044234Z", None);
        check("2011-13-13T04:42:34Z", None);
        check("2011-05-13T04:42:34+01:00[Europe/Paris]", None);
        check("2011-05-13T04:42:34é", None);
        check("", None);
    }

    // R7643-2.2-01
    #[test]
    fn defaults_of_rfc_7643_section_2_2() {
        let schema = Schema::parse(
            r#"{"id":"urn:x:Y","attributes":[{"name":"a"},{"name":"r","type":"reference"}]}"#,
        )
        .unwrap();
        assert_eq!(schema.name, "Y");
        let a = schema.attribute("A").unwrap();
        assert_eq!(a.kind, Type::String);
        assert!(!a.required && !a.case_exact && !a.multi_valued);
        assert_eq!(a.mutability, Mutability::ReadWrite);
        assert_eq!(a.returned, Returned::Default);
        assert_eq!(a.uniqueness, Uniqueness::None);
        assert!(schema.attribute("r").unwrap().case_exact);
    }
}
