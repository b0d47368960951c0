//! `/Bulk`.

use scim_core::message::{BULK_REQUEST, BULK_RESPONSE, ERROR, PATCH_OP};
use scim_core::name::{GROUP, USER};
use serde_json::{Value, json};
use utoipa::openapi::path::{HttpMethod, OperationBuilder, PathItem};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::schema::{
    ArrayBuilder, ObjectBuilder, Ref, Schema, SchemaType, Type as JsonType,
};
use utoipa::openapi::{Components, Required};

use crate::http::openapi::answer::{self, BODY, GUARDED, JSON};
use crate::http::openapi::schema::{object, string, urns};
use crate::http::openapi::tag;
use crate::http::scim::responses::SCIM_JSON;

/// The schemas of request and answer.
pub fn register(mut components: Components) -> Components {
    for (name, schema) in [
        ("BulkRequest", request()),
        ("BulkResponse", response()),
        ("BulkResult", result()),
    ] {
        components.schemas.insert(name.to_owned(), schema.into());
    }
    components
}

/// `POST /Bulk`.
pub fn path() -> PathItem {
    let content = answer::scim("BulkRequest", Some(request_example()));
    let body = RequestBodyBuilder::new()
        .description(Some("The operations."))
        .required(Some(Required::True))
        .content(SCIM_JSON, content.clone())
        .content(JSON, content);
    let done = ResponseBuilder::new()
        .description(
            "The request was worked through; each result says what became of its operation.",
        )
        .content(
            SCIM_JSON,
            answer::scim("BulkResponse", Some(response_example())),
        );
    let operation = OperationBuilder::new()
        .tag(tag::BULK)
        .operation_id(Some("bulk"))
        .summary(Some("Run many operations"))
        .description(Some(
            "Runs POST, PUT, PATCH and DELETE on resources in one request (RFC 7644 section 3.7). `bulkId:x` stands for \
             the id of what the POST of that `bulkId` creates: in paths, and in data where an id is expected, also ahead \
             of the POST and in a circle. An operation that fails harms no other; `failOnErrors` stops after so many. \
             Needs the scope `scim` for each operation. `/ServiceProviderConfig` has the limits.",
        ))
        .request_body(Some(body.build()))
        .response("200", done)
        .response(
            "413",
            answer::error(
                413,
                "There are more operations, or bytes, than the service takes. Nothing was done.",
                "The number of operations exceeds maxOperations (1000). Send them in several requests.",
            ),
        )
        .response(
            "501",
            answer::error(
                501,
                "The operator has switched bulk requests off.",
                "The operator of this service has switched this off, by the setting `bulk`.",
            ),
        );
    let statuses: Vec<u16> = [&BODY[..], &GUARDED]
        .concat()
        .into_iter()
        .filter(|status| *status != 413)
        .collect();
    PathItem::new(HttpMethod::Post, answer::errors(operation, &statuses))
}

fn request() -> Schema {
    // What is wrong within an operation fails that operation and not the request, so any value is taken.
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
            "After how many failures to stop; never where it is left out.",
        ));
    let request = object("Operations to run.")
        .property("schemas", urns(BULK_REQUEST, None))
        .property("failOnErrors", fail_on_errors)
        .property("Operations", ArrayBuilder::new().items(operation))
        .required("schemas")
        .required("Operations");
    Schema::Object(request.build())
}

fn response() -> Schema {
    let results = ArrayBuilder::new()
        .items(Ref::from_schema_name("BulkResult"))
        .description(Some(
            "In the order of the operations; those that were not run are left out.",
        ));
    let response = object("What became of the operations.")
        .property("schemas", urns(BULK_RESPONSE, None))
        .property("Operations", results)
        .required("schemas")
        .required("Operations");
    Schema::Object(response.build())
}

fn result() -> Schema {
    let text = |description: &str| string().description(Some(description));
    let result = object("What became of one operation.")
        .property("method", text("As it was sent."))
        .property("bulkId", text("As it was sent."))
        .property(
            "location",
            text("The address of the resource; none where a POST failed."),
        )
        .property(
            "version",
            text("The version of the resource, where it has one now."),
        )
        .property(
            "status",
            string().pattern(Some("^[1-5][0-9]{2}$")).description(Some(
                "The status that the operation would have by itself, as text.",
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
