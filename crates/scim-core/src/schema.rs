//! Schemas and attributes as RFC 7643 section 7 describes them, read from JSON.
//!
//! ```
//! use scim_core::schema::{Mutability, Schema, Type};
//!
//! let text = r#"{ "id": "urn:example:Badge", "attributes": [
//!     { "name": "number", "type": "integer", "mutability": "immutable" }
//! ] }"#;
//! let schema = Schema::parse(text)?;
//! let number = schema.attribute("NUMBER").expect("it is declared");
//! assert_eq!((number.kind, number.mutability), (Type::Integer, Mutability::Immutable));
//!
//! let error = Schema::parse(&text.replace("number", "1st")).unwrap_err();
//! assert!(error.contains("RFC 7643 section 2.1"));
//! # Ok::<(), String>(())
//! ```

use std::collections::HashSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::name::is_attribute_name;

/// A schema: a URN and its attributes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Schema {
    /// The URN.
    pub id: String,
    /// Optional (RFC 7643 section 7): the end of the URN where the file has none.
    #[serde(default)]
    pub name: String,
    /// A description for people.
    #[serde(default)]
    pub description: String,
    /// The attributes, in the order in which documents hold them.
    pub attributes: Vec<Arc<Attribute>>,
}

impl Schema {
    /// Parses and checks a schema.
    ///
    /// References and binary values are made case exact, which RFC 7643 sections 2.3.6 and 2.3.7
    /// demand and the RFC's own figures, copied into many schema files, forget.
    ///
    /// # Errors
    /// Returns a message that names the attribute if the text is no schema or breaks RFC 7643.
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

    /// Checks the schema against RFC 7643.
    ///
    /// # Errors
    /// Returns a message that names the attribute.
    pub fn check(&self) -> Result<(), String> {
        let blame = |reason: String| format!("schema {}: {reason}", self.id);
        // The colon distinguishes a container from a plain attribute; a path could not contain a
        // quote or a space.
        if !self.id.contains(':') || self.id.contains(|c: char| c.is_whitespace() || c == '"') {
            return Err(blame("the id must be a URN".to_owned()));
        }
        check_distinct(&self.attributes).map_err(blame)?;
        for attribute in &self.attributes {
            attribute.check(Nesting::Top).map_err(blame)?;
        }
        Ok(())
    }

    /// Returns the attribute of this name, ignoring letter case.
    pub fn attribute(&self, name: &str) -> Option<&Arc<Attribute>> {
        find(&self.attributes, name)
    }
}

/// One attribute with its characteristics (RFC 7643 section 2.2 has the defaults).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Attribute {
    /// The name, as documents spell it.
    pub name: String,
    /// The data type: `type` in JSON.
    #[serde(rename = "type", default)]
    pub kind: Type,
    /// The value is a list.
    #[serde(default)]
    pub multi_valued: bool,
    /// A description for people.
    #[serde(default)]
    pub description: String,
    /// A resource must have a value.
    #[serde(default)]
    pub required: bool,
    /// Suggested values. Others are accepted too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub canonical_values: Vec<String>,
    /// Letter case distinguishes two texts.
    #[serde(default)]
    pub case_exact: bool,
    /// The access of clients to the value.
    #[serde(default)]
    pub mutability: Mutability,
    /// The responses that hold the value.
    #[serde(default)]
    pub returned: Returned,
    /// The scope in which no two resources share a value.
    #[serde(default)]
    pub uniqueness: Uniqueness,
    /// The resource types that a reference may name, or `external` or `uri`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reference_types: Vec<String>,
    /// The sub-attributes of a complex attribute.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sub_attributes: Vec<Arc<Attribute>>,
}

impl Attribute {
    /// Returns the sub-attribute of this name, ignoring letter case.
    pub fn sub_attribute(&self, name: &str) -> Option<&Arc<Attribute>> {
        find(&self.sub_attributes, name)
    }

    /// Returns whether the attribute has sub-attributes.
    pub fn is_complex(&self) -> bool {
        self.kind == Type::Complex
    }

    fn can_be_unique(&self) -> bool {
        match self.kind {
            Type::String | Type::Reference | Type::Integer | Type::Decimal | Type::DateTime => true,
            // The data types of RFC 7643 section 2.3.
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
    /// Text (section 2.3.1).
    #[default]
    String,
    /// `true` or `false` (section 2.3.2).
    Boolean,
    /// A number (section 2.3.3).
    Decimal,
    /// A whole number (section 2.3.4).
    Integer,
    /// A date and time (section 2.3.5).
    DateTime,
    /// Base64 text (section 2.3.6).
    Binary,
    /// A URI (section 2.3.7).
    Reference,
    /// An object of sub-attributes (section 2.3.8).
    Complex,
}

/// Parses the text of a `dateTime` value (RFC 7643 section 2.3.5: date and time of xsd:dateTime) to
/// microseconds since the Unix epoch; a text without a time zone is read as UTC.
pub fn instant(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let has = |index: usize, wanted: u8| bytes.get(index) == Some(&wanted);
    // The parser below also reads other forms of ISO 8601, which xsd:dateTime does not have: dates
    // without hyphens, which are shorter, times without colons, and a space between the two.
    if !(has(10, b'T') && has(13, b':') && has(16, b':')) {
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

/// The `mutability` of RFC 7643 section 7.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Mutability {
    /// The server sets the value.
    ReadOnly,
    /// Clients can read and change the value.
    #[default]
    ReadWrite,
    /// Clients can set the value once.
    Immutable,
    /// Clients can write the value and never read it.
    WriteOnly,
}

/// The `returned` of RFC 7643 section 7.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Returned {
    /// In every response.
    Always,
    /// In no response.
    Never,
    /// In responses unless the request selects other attributes.
    #[default]
    Default,
    /// Only if the request names it.
    Request,
}

/// The `uniqueness` of RFC 7643 section 7.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Uniqueness {
    /// Two resources may share a value.
    #[default]
    None,
    /// No two resources of a type share a value.
    Server,
    /// No two resources share a value.
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
        for kind in ["boolean", "binary"] {
            let attribute = format!(r#"[{{"name":"a","type":"{kind}","uniqueness":"server"}}]"#);
            check_error(&attribute, "cannot be unique");
        }
        check_error(
            r#"[{"name":"a","type":"complex","uniqueness":"global","subAttributes":[{"name":"b"}]}]"#,
            "cannot be unique",
        );
        for id in ["Y", "urn:x y", "urn:x\\\"y"] {
            let text = format!(r#"{{"id":"{id}","name":"Y","attributes":[]}}"#);
            let error = Schema::parse(&text).unwrap_err();
            assert!(error.contains("must be a URN"), "{error}");
        }
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
        check("20110513T04:42:34Z", None);
        check("2011-05-13T044234Z", None);
        check("2011-05-13 04:42:34Z", None);
        check("2011-05-13t04:42:34Z", None);
        check("2011-W19-5T04:42:34Z", None);
        check("2011-133T04:42:34Z", None);
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
