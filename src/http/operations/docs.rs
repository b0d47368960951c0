//! The OpenAPI document and a page to browse it, from the binary itself.

use std::borrow::Cow;

use actix_web::http::Method;
use actix_web::http::header::{CACHE_CONTROL, LOCATION};
use actix_web::web::{self, Bytes, Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use utoipa::openapi::ContentBuilder;
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa_swagger_ui::Config;

use crate::http::describe::response::JSON;
use crate::http::describe::schema::object;
use crate::http::describe::tag;
use crate::http::endpoint::{Accepts, Authorization, Endpoint, Operation};
use crate::http::error::{HandlerResult, no_such_path};
use crate::http::security_headers::page_policy;
use crate::http::state::AppState;

/// The document and the page are public, and change with the version only.
const REVALIDATED: &str = "no-cache";

/// The endpoints.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint {
        method: Method::GET,
        path: "/openapi.json",
        handler: || web::to(document),
        authorization: Authorization::Public,
        accepts: Accepts::Any,
        parameters: &[],
        body: None,
        responses: &[(200, |_| openapi_document())],
        errors: &[],
        operation: Some(Operation {
            tag: tag::OPERATIONS,
            id: "getOpenApi",
            summary: "This document",
            description: "Needs no token. `/docs/` shows it in a browser.",
        }),
    },
    Endpoint {
        method: Method::GET,
        path: "/docs",
        handler: || web::to(redirect),
        authorization: Authorization::Public,
        accepts: Accepts::Any,
        parameters: &[],
        body: None,
        responses: &[],
        errors: &[],
        operation: None,
    },
    Endpoint {
        method: Method::GET,
        path: "/docs/{file:.*}",
        handler: || web::to(page),
        authorization: Authorization::Public,
        accepts: Accepts::Any,
        parameters: &[],
        body: None,
        responses: &[],
        errors: &[],
        operation: None,
    },
];

fn openapi_document() -> Response {
    let content = ContentBuilder::new()
        .schema(Some(object("An OpenAPI 3.1 document.")))
        .build();
    ResponseBuilder::new()
        .description("This document.")
        .content(JSON, content)
        .build()
}

/// `GET /openapi.json`.
async fn document(shared: Data<AppState>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/json")
        .insert_header((CACHE_CONTROL, REVALIDATED))
        .body(shared.openapi.clone())
}

/// A file of the page. Most are in the binary and are not copied for each request: anyone may ask
/// for them.
fn bytes_of(file: Cow<'static, [u8]>) -> Bytes {
    match file {
        Cow::Borrowed(bytes) => Bytes::from_static(bytes),
        Cow::Owned(bytes) => bytes.into(),
    }
}

/// `GET /docs`.
async fn redirect() -> HttpResponse {
    HttpResponse::PermanentRedirect()
        .insert_header((LOCATION, "/docs/"))
        .insert_header(page_policy())
        .finish()
}

/// `GET /docs/{file}`.
///
/// # Errors
/// 404 for a file that the page does not have.
async fn page(request: HttpRequest, file: Path<String>) -> HandlerResult {
    // The default sends the address of the document to a validator on the internet.
    let config = Config::from("/openapi.json").validator_url("none");
    let config = std::sync::Arc::new(config);
    match utoipa_swagger_ui::serve(&file, config) {
        Ok(Some(file)) => Ok(HttpResponse::Ok()
            .content_type(file.content_type)
            .insert_header((CACHE_CONTROL, REVALIDATED))
            .insert_header(page_policy())
            .body(bytes_of(file.bytes))),
        Ok(None) | Err(_) => no_such_path(request).await,
    }
}
