//! Resource types and their attributes as JSON Schema, generated from the registry, so that an
//! attribute added to a schema file appears in the document.

use std::sync::Arc;

use scim_core::admit::MAX_INDEXED_BYTES;
use scim_core::members::MAX_ID_BYTES;
use scim_core::schema::{Attribute, Mutability, Returned, Schema as ScimSchema, Type};
use scim_core::{ResourceType, registry};
use serde_json::{Value, json};
use utoipa::openapi::RefOr;
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::schema::{
    AdditionalProperties, Array, ArrayBuilder, KnownFormat, Object, ObjectBuilder, Schema,
    SchemaFormat, SchemaType, Type as JsonType,
};

/// The pattern of a user name: not blank, and no control character.
const USER_NAME: &str = r"^[^\u0000-\u001F\u007F-\u009F]*[^\s\u0000-\u001F\u007F-\u009F][^\u0000-\u001F\u007F-\u009F]*$";
/// Not blank, and no U+0000.
const NOT_BLANK: &str = r"^[^\u0000]*[^\s\u0000][^\u0000]*$";
/// No U+0000: `PostgreSQL` cannot hold it.
const TEXT: &str = r"^[^\u0000]*$";
/// A URN that is not the core schema of a resource type of the standard.
const EXTENSION_URN: &str = r"^(?!urn:ietf:params:scim:schemas:core:)[^\u0000]*$";

/// A resource as POST and PUT accept it, without the attributes that only the service sets, which
/// are ignored.
pub fn sent(rt: &ResourceType) -> Schema {
    let description = format!(
        "A {} as a client sends it. The service is lenient: names match in any letter case, null, \"\" and [] \
         leave an attribute unassigned, readOnly and unknown attributes are ignored, and an object under an unknown \
         URN is stored as a custom extension.",
        rt.name.to_lowercase()
    );
    Shape {
        rt: Some(rt),
        view: View::Sent,
    }
    .resource(rt, &description)
}

/// A resource in a response. `attributes` and `excludedAttributes` may leave out all but `schemas`
/// and `id`.
pub fn answered(rt: &ResourceType) -> Schema {
    Shape {
        rt: Some(rt),
        view: View::Answered,
    }
    .resource(rt, &rt.description)
}

/// A resource that describes the service itself.
pub fn discovery(schema: &ScimSchema) -> Schema {
    let shape = Shape {
        rt: None,
        view: View::Discovery,
    };
    let object = object(&schema.description);
    let object = object
        .property("schemas", urns(&schema.id, None))
        .required("schemas");
    let object = object.property(
        "id",
        string().description(Some("The name in the path of this resource.")),
    );
    let meta = registry::common().attribute("meta").into_iter();
    let object = meta
        .chain(&schema.attributes)
        .fold(object, |object, attribute| {
            shape.property(object, attribute, &attribute.name)
        });
    Schema::Object(object.build())
}

/// A JSON Schema keyword that the builders lack. At most one per schema, because they preserve no
/// order among several.
pub fn keyword(name: &str, value: Value) -> Option<Extensions> {
    Some(Extensions::from_iter([(name, value)]))
}

/// An object that may have more members than the document names.
pub fn object(description: &str) -> ObjectBuilder {
    ObjectBuilder::new()
        .description(Some(description))
        .additional_properties(Some(AdditionalProperties::FreeForm(true)))
}

pub fn string() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(JsonType::String)
}

/// A whole number of 64 bits, as far as JSON tools can tell it.
pub fn integer() -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(JsonType::Integer)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
}

/// `schemas`: a list that contains `urn`; `item` describes its other elements.
pub fn urns(urn: &str, item: Option<ObjectBuilder>) -> Array {
    let item = item.unwrap_or_else(string);
    ArrayBuilder::new()
        .description(Some(format!(
            "The URNs of the schemas in use; `{urn}` is among them."
        )))
        .items(item)
        .extensions(keyword("contains", json!({ "const": urn })))
        .build()
}

/// The same schema or null, which counts as unassigned (RFC 7643 section 2.5).
fn or_null(mut schema: RefOr<Schema>) -> RefOr<Schema> {
    let kind = match &mut schema {
        RefOr::T(Schema::Object(object)) => &mut object.schema_type,
        RefOr::T(Schema::Array(array)) => &mut array.schema_type,
        _ => return schema,
    };
    if let SchemaType::Type(only) = kind {
        *kind = SchemaType::Array(vec![only.clone(), JsonType::Null]);
    }
    schema
}

/// Who sees the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum View {
    Sent,
    Answered,
    /// Answered, always whole.
    Discovery,
}

struct Shape<'a> {
    /// `None` for the resources of discovery.
    rt: Option<&'a ResourceType>,
    view: View,
}

impl Shape<'_> {
    fn resource(&self, rt: &ResourceType, description: &str) -> Schema {
        let mut object = object(description);
        object = match self.view {
            View::Sent => object.property(
                "schemas",
                urns(
                    &rt.schema.id,
                    Some(string().pattern(Some(schemas_item(&rt.schema.id)))),
                ),
            ),
            View::Answered | View::Discovery => object
                .property("schemas", urns(&rt.schema.id, None))
                .required("schemas"),
        };
        let common = registry::common()
            .attributes
            .iter()
            .filter(|a| a.name != "schemas");
        for attribute in common.chain(&rt.schema.attributes) {
            object = self.property(object, attribute, &attribute.name);
        }
        for extension in &rt.extensions {
            let schema = &extension.schema;
            object = object.property(schema.id.as_str(), self.container(schema));
            if extension.required && self.view == View::Sent {
                object = object.required(schema.id.as_str());
            }
        }
        Schema::Object(object.build())
    }

    /// What an extension adds, as one object.
    fn container(&self, schema: &ScimSchema) -> Object {
        let object = ObjectBuilder::new().description(Some(&schema.description));
        self.properties(object, &schema.attributes, |name| {
            format!("{}:{name}", schema.id)
        })
        .build()
    }

    fn properties(
        &self,
        object: ObjectBuilder,
        attributes: &[Arc<Attribute>],
        key: impl Fn(&str) -> String,
    ) -> ObjectBuilder {
        attributes.iter().fold(object, |object, attribute| {
            self.property(object, attribute, &key(&attribute.name))
        })
    }

    fn property(&self, object: ObjectBuilder, attribute: &Attribute, key: &str) -> ObjectBuilder {
        if !self.shows(attribute) {
            return object;
        }
        let schema = self.attribute(attribute, key);
        let name = attribute.name.as_str();
        if self.requires(attribute, key) {
            object.property(name, schema).required(name)
        } else if self.view == View::Sent {
            object.property(name, or_null(schema))
        } else {
            object.property(name, schema)
        }
    }

    fn shows(&self, attribute: &Attribute) -> bool {
        match self.view {
            View::Sent => attribute.mutability != Mutability::ReadOnly,
            View::Answered | View::Discovery => attribute.returned != Returned::Never,
        }
    }

    fn requires(&self, attribute: &Attribute, key: &str) -> bool {
        match self.view {
            View::Sent => attribute.required || self.is_member_id(key),
            View::Answered => attribute.returned == Returned::Always,
            View::Discovery => attribute.required,
        }
    }

    /// Whether this names the member: the schema of the standard forgets to require it.
    fn is_member_id(&self, key: &str) -> bool {
        key == "members.value" && self.rt.is_some_and(|rt| rt.is_relational("members"))
    }

    fn attribute(&self, attribute: &Attribute, key: &str) -> RefOr<Schema> {
        let description = describe(attribute);
        let item = if attribute.sub_attributes.is_empty() {
            self.scalar(attribute, key)
        } else {
            let sub_key = |name: &str| format!("{key}.{name}");
            self.properties(ObjectBuilder::new(), &attribute.sub_attributes, sub_key)
        };
        let is_read_only =
            attribute.mutability == Mutability::ReadOnly && self.view == View::Answered;
        if !attribute.multi_valued {
            let item = item.description(Some(description));
            return match (is_read_only, attribute.mutability) {
                (true, _) => item.read_only(true).into(),
                (false, Mutability::WriteOnly) => item.write_only(true).into(),
                (false, _) => item.into(),
            };
        }
        let array = ArrayBuilder::new()
            .items(item)
            .description(Some(description));
        // The builder of arrays has no readOnly of its own.
        if is_read_only {
            array.extensions(keyword("readOnly", json!(true))).into()
        } else if self.view == View::Sent && attribute.sub_attribute("primary").is_some() {
            array.extensions(keyword("allOf", one_primary())).into()
        } else {
            array.into()
        }
    }

    fn scalar(&self, attribute: &Attribute, key: &str) -> ObjectBuilder {
        let scalar = match attribute.kind {
            Type::String => self.limits(attribute, key, string()),
            Type::Boolean => ObjectBuilder::new().schema_type(JsonType::Boolean),
            Type::Decimal => ObjectBuilder::new()
                .schema_type(JsonType::Number)
                .format(Some(SchemaFormat::KnownFormat(KnownFormat::Double))),
            Type::Integer => integer(),
            Type::DateTime => {
                string().format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            }
            Type::Binary => string().format(Some(SchemaFormat::KnownFormat(KnownFormat::Byte))),
            Type::Reference => {
                let format = SchemaFormat::Custom("uri-reference".to_owned());
                self.limits(attribute, key, string().format(Some(format)))
            }
            Type::Complex => ObjectBuilder::new().schema_type(SchemaType::new(JsonType::Object)),
        };
        match attribute.canonical_values.as_slice() {
            [] => scalar,
            values => scalar.examples(values.iter().map(String::as_str)),
        }
    }

    /// What the service refuses in a text.
    fn limits(&self, attribute: &Attribute, key: &str, text: ObjectBuilder) -> ObjectBuilder {
        if self.view != View::Sent {
            return text;
        }
        let is_member_id = self.is_member_id(key);
        let text = match key {
            "userName" => text.min_length(Some(1)).pattern(Some(USER_NAME)),
            _ if is_member_id => text.min_length(Some(1)).pattern(Some(TEXT)),
            _ if attribute.required => text.min_length(Some(1)).pattern(Some(NOT_BLANK)),
            _ => text.pattern(Some(TEXT)),
        };
        let is_indexed = matches!(key, "userName" | "externalId" | "displayName")
            || self
                .rt
                .is_some_and(|rt| rt.indexed.iter().any(|path| path.key() == key));
        if is_indexed {
            text.max_length(Some(MAX_INDEXED_BYTES))
        } else if is_member_id {
            text.max_length(Some(MAX_ID_BYTES))
        } else {
            text
        }
    }
}

fn schemas_item(core: &str) -> String {
    // A core URN has nothing that a pattern would read as more than itself but the dot of its
    // version.
    format!("^{}$|{EXTENSION_URN}", core.replace('.', r"\."))
}

/// At most one element is the primary one (RFC 7643 section 2.4).
fn one_primary() -> Value {
    json!([{
        "contains": {
            "type": "object",
            "properties": { "primary": { "const": true } },
            "required": ["primary"],
        },
        "minContains": 0,
        "maxContains": 1,
    }])
}

fn describe(attribute: &Attribute) -> String {
    let mut text = attribute.description.clone();
    if attribute.mutability == Mutability::Immutable {
        text.push_str(" Once set it does not change.");
    }
    if !attribute.canonical_values.is_empty() {
        text.push_str(" Usual values: ");
        text.push_str(&attribute.canonical_values.join(", "));
        text.push('.');
    }
    text
}
