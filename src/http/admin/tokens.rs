//! Tokens over HTTP. Operators manage those of every tenant, admins those of their own.

use actix_web::http::{Method, StatusCode};
use actix_web::web::{self, Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::openapi::response::Response;

use crate::auth::{Fields, Scope};
use crate::http::admin::common::{TENANT, name_in_path, named_tenant, timestamp};
use crate::http::describe::tag;
use crate::http::endpoint::{Accepts, Authorization, Body, Endpoint, Operation, Parameter};
use crate::http::error::HandlerResult;
use crate::http::json_body;
use crate::http::state::{AppState, Caller};
use crate::service;
use crate::service::access::admin;
use crate::service::access::admin::TokenRequest;
use crate::service::access::tokens::TokenRef;

/// The endpoints.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint {
        method: Method::GET,
        path: "/admin/v1/tokens",
        handler: || web::to(list_tokens),
        authorization: Authorization::Scope(Scope::Admin),
        accepts: Accepts::Declared,
        parameters: &[TENANT],
        body: None,
        responses: &[(200, |describer| {
            let tokens = json!([okta_token()]);
            describer.json_list::<TokenView>("The tokens, including revoked ones.", tokens)
        })],
        errors: &[404],
        operation: Some(Operation {
            tag: tag::ADMINISTRATION,
            id: "listTokens",
            summary: "List tokens",
            description: "Without their secrets, newest first.",
        }),
    },
    Endpoint {
        method: Method::POST,
        path: "/admin/v1/tokens",
        handler: || web::to(create_token),
        authorization: Authorization::Scope(Scope::Admin),
        accepts: Accepts::Any,
        parameters: &[],
        body: Some(Body::message(|describer| {
            describer.json_body::<NewToken>(json!({
                "name": "okta",
                "scopes": ["scim"],
                "expires": "2046-03-01T00:00:00Z",
            }))
        })),
        responses: &[(201, |describer| {
            let secret = json!({ "token": "rct_EXAMPLE-shown-only-once" });
            describer.json::<IssuedToken>("The token was created.", secret)
        })],
        errors: &[404, 409],
        operation: Some(Operation {
            tag: tag::ADMINISTRATION,
            id: "createToken",
            summary: "Create a token",
            description: "Only this response ever shows the secret.",
        }),
    },
    Endpoint {
        method: Method::DELETE,
        path: "/admin/v1/tokens/{name}",
        handler: || web::to(revoke_token),
        authorization: Authorization::Scope(Scope::Admin),
        accepts: Accepts::Declared,
        parameters: &[NAME, TENANT],
        body: None,
        responses: &[(204, |_| Response::new("The token was revoked."))],
        errors: &[404],
        operation: Some(Operation {
            tag: tag::ADMINISTRATION,
            id: "revokeToken",
            summary: "Revoke a token",
            description: "It stops working with the next request.",
        }),
    },
];

const NAME: Parameter = Parameter::path("name", "The name of the token, or its id.", |_| {
    name_in_path("okta")
});

fn okta_token() -> Value {
    json!({
        "id": "0195f3a2-5b7c-7d10-8a43-9c1e2f405a6b",
        "name": "okta",
        "scopes": "scim",
        "fields": null,
        "created": "2026-03-01T08:05:00Z",
        "expires": null,
        "last_used": "2026-03-02T09:15:00Z",
        "revoked": null,
    })
}

/// A token to create.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// The caller's own tenant if it is left out.
    pub tenant: Option<String>,
    /// Unique among the live tokens of the tenant; it is the actor in every change. At most 200
    /// bytes; neither a UUID nor `bootstrap`.
    #[schema(
        min_length = 1,
        max_length = 200,
        pattern = r"^[^\u0000-\u001F\u007F-\u009F\u00AD\u061C\u180E\u200B-\u200F\u2028-\u202E\u2060-\u206F\uFEFF\uFFF9-\uFFFB]*[^\s\u0000-\u001F\u007F-\u009F\u00AD\u061C\u180E\u200B-\u200F\u2028-\u202E\u2060-\u206F\uFEFF\uFFF9-\uFFFB][^\u0000-\u001F\u007F-\u009F\u00AD\u061C\u180E\u200B-\u200F\u2028-\u202E\u2060-\u206F\uFEFF\uFFF9-\uFFFB]*$"
    )]
    pub name: String,
    #[schema(min_items = 1)]
    pub scopes: Vec<Scope>,
    /// What the token may read, as attribute names or paths such as `emails.value`; everything if
    /// it is left out. Only for the scope `read`.
    #[schema(min_items = 1, max_items = 100)]
    pub fields: Option<Vec<String>>,
    /// A future time; never if it is left out, unless `token_max_days` is set or the caller's own
    /// token expires: then it is required, and at most that.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires: Option<Timestamp>,
}

/// A token without its secret.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Token)]
pub struct TokenView {
    pub id: String,
    pub name: String,
    /// Separated by spaces.
    pub scopes: String,
    /// What it may read, separated by spaces; everything if it is null.
    pub fields: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    pub created: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires: Option<Timestamp>,
    /// Exact to a minute.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_used: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub revoked: Option<Timestamp>,
}

/// The secret of a new token, shown only once.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Secret)]
pub struct IssuedToken {
    pub token: String,
}

/// `GET /admin/v1/tokens?tenant=`.
async fn list_tokens(
    request: HttpRequest,
    caller: Caller,
    shared: Data<AppState>,
) -> HandlerResult {
    let tenant = named_tenant(&request);
    let rows = admin::list_tokens(&shared.service, &caller.context, tenant).await?;
    let tokens: Vec<TokenView> = rows
        .into_iter()
        .map(|row| TokenView {
            id: row.id,
            name: row.name,
            scopes: row.scopes,
            fields: row.fields,
            created: timestamp(row.created),
            expires: row.expires.map(timestamp),
            last_used: row.last_used.map(timestamp),
            revoked: row.revoked.map(timestamp),
        })
        .collect();
    Ok(HttpResponse::Ok().json(tokens))
}

/// `POST /admin/v1/tokens`.
async fn create_token(
    request: HttpRequest,
    caller: Caller,
    shared: Data<AppState>,
    payload: Payload,
) -> HandlerResult {
    let new: NewToken = json_body::typed(&request, &caller, &shared, payload).await?;
    let fields = new.fields.map(Fields::parse).transpose();
    let token = TokenRequest {
        tenant: new.tenant,
        name: new.name,
        scopes: new.scopes.into_iter().collect(),
        fields: fields.map_err(|error| service::Error::BadRequest(format!("{error}.")))?,
        expires: new.expires,
    };
    let token = admin::create_token(&shared.service, &caller.context, token).await?;
    Ok(HttpResponse::build(StatusCode::CREATED).json(IssuedToken { token }))
}

/// `DELETE /admin/v1/tokens/{name}?tenant=`. The token stops working with the next request.
async fn revoke_token(
    request: HttpRequest,
    caller: Caller,
    shared: Data<AppState>,
    name: Path<String>,
) -> HandlerResult {
    let tenant = named_tenant(&request);
    let token = TokenRef::parse(&name);
    admin::revoke_token(&shared.service, &caller.context, tenant, token).await?;
    Ok(HttpResponse::NoContent().finish())
}
