//! Describes the bodies and responses of one operation, and collects the schemas that they refer
//! to.

use scim_core::{Registry, ResourceType};
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::{ArrayBuilder, Ref};
use utoipa::openapi::{Components, Content, ContentBuilder, Required};

use crate::http::describe::response::JSON;
use crate::http::describe::schema::string;
use crate::http::describe::{names, response};
use crate::http::scim::responses::SCIM_JSON;

/// The part of the document that a declaration can refer to while an operation is described.
pub struct Describer<'r> {
    pub registry: &'r Registry,
    /// The type that the operation is about.
    pub resource_type: Option<&'r ResourceType>,
    pub components: Components,
}

impl Describer<'_> {
    /// A JSON body of this type.
    pub fn json<T: ToSchema>(&mut self, description: &str, example: Value) -> Response {
        let content = response::content(&self.register::<T>(), Some(example));
        ResponseBuilder::new()
            .description(description)
            .content(JSON, content)
            .build()
    }

    /// A JSON array of this type.
    pub fn json_list<T: ToSchema>(&mut self, description: &str, example: Value) -> Response {
        let list = ArrayBuilder::new().items(Ref::from_schema_name(self.register::<T>()));
        let content = ContentBuilder::new()
            .schema(Some(list))
            .example(Some(example));
        ResponseBuilder::new()
            .description(description)
            .content(JSON, content.build())
            .build()
    }

    /// A request body of this type, which may also be sent as SCIM's JSON.
    pub fn json_body<T: ToSchema>(&mut self, example: Value) -> RequestBody {
        let content = response::content(&self.register::<T>(), Some(example));
        RequestBodyBuilder::new()
            .required(Some(Required::True))
            .content(JSON, content.clone())
            .content(SCIM_JSON, content)
            .build()
    }

    /// Puts the names of the resource type into a text; see
    /// [`Operation`](crate::http::endpoint::Operation).
    pub fn named(&self, text: &str) -> String {
        match self.resource_type {
            Some(rt) if text.contains('{') => text
                .replace("{types}", names::plural(rt))
                .replace("{type}", &rt.name)
                .replace("{noun}", &names::noun(rt)),
            _ => text.to_owned(),
        }
    }

    /// Adds the schema of a type and of the types within it, and returns its name.
    pub fn register<T: ToSchema>(&mut self) -> String {
        let name = T::name().into_owned();
        let mut schemas = vec![(name.clone(), T::schema())];
        T::schemas(&mut schemas);
        self.components.schemas.extend(schemas);
        name
    }
}

/// A SCIM body of a schema that the document has in any case.
pub fn scim(schema: &str, description: &str, example: Option<Value>) -> Response {
    ResponseBuilder::new()
        .description(description)
        .content(SCIM_JSON, response::content(schema, example))
        .build()
}

/// A request body in SCIM's JSON.
pub fn scim_body(description: &str, content: Content) -> RequestBody {
    RequestBodyBuilder::new()
        .description(Some(description))
        .required(Some(Required::True))
        .content(SCIM_JSON, content.clone())
        .content(JSON, content)
        .build()
}

/// A body of plain text.
pub fn plain(description: &str, example: &str) -> Response {
    let content = ContentBuilder::new()
        .schema(Some(string()))
        .example(Some(json!(example)));
    ResponseBuilder::new()
        .description(description)
        .content("text/plain", content.build())
        .build()
}
