//! The bodies of bulk requests and responses.

use scim_core::message::{BULK_REQUEST, BULK_RESPONSE, ERROR, PATCH_OP};
use scim_core::name::{GROUP, USER};
use serde_json::{Value, json};
use utoipa::openapi::request_body::RequestBody;
use utoipa::openapi::response::Response;
use utoipa::openapi::schema::{
    ArrayBuilder, ObjectBuilder, Ref, Schema, SchemaType, Type as JsonType,
};

use crate::http::describe::describer::{Describer, scim, scim_body};
use crate::http::describe::response;
use crate::http::describe::schema::{object, string, urns};

/// The body of a bulk request.
pub fn request_body(describer: &mut Describer<'_>) -> RequestBody {
    describer
        .components
        .schemas
        .insert("BulkRequest".to_owned(), request().into());
    let content = response::content("BulkRequest", Some(request_example()));
    scim_body("The operations.", content)
}

/// The response with the result of each operation.
pub fn results(describer: &mut Describer<'_>) -> Response {
    for (name, schema) in [("BulkResponse", bulk_response()), ("BulkResult", result())] {
        let schemas = &mut describer.components.schemas;
        schemas.insert(name.to_owned(), schema.into());
    }
    scim(
        "BulkResponse",
        "The request was processed. Each result tells how its operation ended.",
        Some(response_example()),
    )
}

fn request() -> Schema {
    // An error within an operation fails only that operation and not the request, so any value is
    // accepted.
    let operation = ObjectBuilder::new()
        .schema_type(SchemaType::AnyValue)
        .description(Some(
            "`method` (POST, PUT, PATCH or DELETE), `path` (`/Users`, `/Users/<id>` or `/Users/bulkId:<bulkId>`), \
             `bulkId` (for a POST), `data` (the body), `version` (as in `If-Match`).",
        ));
    let fail_on_errors = ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([JsonType::Integer, JsonType::Null]))
        .minimum(Some(0_usize))
        .description(Some(
            "The number of failures after which to stop; never if it is left out.",
        ));
    let request = object("Operations to run.")
        .property("schemas", urns(BULK_REQUEST, None))
        .property("failOnErrors", fail_on_errors)
        .property("Operations", ArrayBuilder::new().items(operation))
        .required("schemas")
        .required("Operations");
    Schema::Object(request.build())
}

fn bulk_response() -> Schema {
    let results = ArrayBuilder::new()
        .items(Ref::from_schema_name("BulkResult"))
        .description(Some(
            "In the order of the operations, without those that were not run.",
        ));
    let response = object("The results of the operations.")
        .property("schemas", urns(BULK_RESPONSE, None))
        .property("Operations", results)
        .required("schemas")
        .required("Operations");
    Schema::Object(response.build())
}

fn result() -> Schema {
    let text = |description: &str| string().description(Some(description));
    let result = object("The result of one operation.")
        .property("method", text("As it was sent."))
        .property("bulkId", text("As it was sent."))
        .property(
            "location",
            text("The address of the resource; none if a POST failed."),
        )
        .property(
            "version",
            text("The current version of the resource, if it has one."),
        )
        .property(
            "status",
            string().pattern(Some("^[1-5][0-9]{2}$")).description(Some(
                "The status that the operation would have alone, as text.",
            )),
        )
        .property("response", Ref::from_schema_name("Error"))
        .required("method")
        .required("status");
    Schema::Object(result.build())
}

fn request_example() -> Value {
    json!({
        "schemas": [BULK_REQUEST],
        "failOnErrors": 10,
        "Operations": [
            {
                "method": "POST",
                "path": "/Groups",
                "bulkId": "crew",
                "data": {
                    "schemas": [GROUP],
                    "displayName": "Night Crew",
                    "members": [{ "value": "bulkId:noor" }],
                },
            },
            {
                "method": "POST",
                "path": "/Users",
                "bulkId": "noor",
                "data": { "schemas": [USER], "userName": "noor.haddad@example.com" },
            },
            {
                "method": "PATCH",
                "path": "/Users/bulkId:noor",
                "data": {
                    "schemas": [PATCH_OP],
                    "Operations": [{ "op": "add", "path": "title", "value": "Night manager" }],
                },
            },
            {
                "method": "DELETE",
                "path": "/Users/0199f3a2-6b44-7d0f-9c02-5be1f7a3d864",
                "version": "W/\"3\"",
            },
        ],
    })
}

fn response_example() -> Value {
    let user = "https://scim.example.com/scim/v2/Users/0199f3a2-9d31-7b5e-8f02-c41d5a7e6b90";
    json!({
        "schemas": [BULK_RESPONSE],
        "Operations": [
            {
                "location": "https://scim.example.com/scim/v2/Groups/0199f3a2-9d31-7b5e-8f02-c41d5a7e6b8f",
                "method": "POST",
                "bulkId": "crew",
                "version": "W/\"1\"",
                "status": "201",
            },
            { "location": user, "method": "POST", "bulkId": "noor", "version": "W/\"1\"", "status": "201" },
            { "location": user, "method": "PATCH", "version": "W/\"2\"", "status": "200" },
            {
                "location": "https://scim.example.com/scim/v2/Users/0199f3a2-6b44-7d0f-9c02-5be1f7a3d864",
                "method": "DELETE",
                "status": "404",
                "response": {
                    "schemas": [ERROR],
                    "status": "404",
                    "detail": "User 0199f3a2-6b44-7d0f-9c02-5be1f7a3d864 was not found. It may have been deleted, or \
                               it belongs to another tenant.",
                },
            },
        ],
    })
}
