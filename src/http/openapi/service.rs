//! What is no resource type: discovery, administration, and the endpoints for whoever runs the service.

use std::iter;

use scim_core::Registry;
use serde_json::{Value, json};
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::path::{
    HttpMethod, OperationBuilder, ParameterBuilder, ParameterIn, PathItem, PathItemBuilder,
};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::{ArrayBuilder, Ref, Schema};
use utoipa::openapi::{Components, RefOr, Required};

use crate::http::SCIM_ROOT;
use crate::http::admin::tenants_and_tokens;
use crate::http::openapi::answer::{self, BODY, GUARDED, JSON};
use crate::http::openapi::schema::{self, object, string};
use crate::http::openapi::{message, tag};
use crate::http::scim::responses::SCIM_JSON;

const CORE: &str = "urn:ietf:params:scim:schemas:core:2.0";

/// The schemas of what the operations here take and answer.
pub fn register(components: Components, registry: &Registry) -> Components {
    let mut components = ["ServiceProviderConfig", "ResourceType", "Schema"]
        .into_iter()
        .filter_map(|name| Some((name, registry.schema(&format!("{CORE}:{name}"))?)))
        .fold(components, |components, (name, schema)| {
            add(components, name, schema::discovery(schema))
        });
    for name in ["ResourceType", "Schema"] {
        components = add(components, &format!("{name}List"), message::list(name));
    }
    let mut typed: Vec<(String, RefOr<Schema>)> = Vec::new();
    <tenants_and_tokens::NewTenant as utoipa::ToSchema>::schemas(&mut typed);
    <tenants_and_tokens::NewToken as utoipa::ToSchema>::schemas(&mut typed);
    <tenants_and_tokens::TenantSettings as utoipa::ToSchema>::schemas(&mut typed);
    <tenants_and_tokens::ChangedTenant as utoipa::ToSchema>::schemas(&mut typed);
    components.schemas.extend(typed);
    components = of_type::<tenants_and_tokens::NewTenant>(components);
    components = of_type::<tenants_and_tokens::TenantView>(components);
    components = of_type::<tenants_and_tokens::ChangedTenant>(components);
    components = of_type::<tenants_and_tokens::TenantSettings>(components);
    components = of_type::<tenants_and_tokens::NewToken>(components);
    components = of_type::<tenants_and_tokens::TokenView>(components);
    components = of_type::<tenants_and_tokens::NewErasure>(components);
    components = of_type::<tenants_and_tokens::Erasure>(components);
    of_type::<tenants_and_tokens::IssuedToken>(components)
}

/// Every path here with its operations.
pub fn paths(registry: &Registry) -> Vec<(String, PathItem)> {
    let types = registry.types().iter().map(|rt| rt.name.as_str());
    let urns = registry.schemas().map(|schema| schema.id.as_str());
    let scim = |path: &str| format!("{SCIM_ROOT}{path}");
    vec![
        (
            scim("/ServiceProviderConfig"),
            get(discovery(
                "ServiceProviderConfig",
                "What the service supports",
            )),
        ),
        (
            scim("/ResourceTypes"),
            get(discovery("ResourceTypeList", "List the resource types")),
        ),
        (
            scim("/ResourceTypes/{name}"),
            named(
                in_path("name", "The name of the resource type.", types),
                "ResourceType",
                "Read a resource type",
            ),
        ),
        (
            scim("/Schemas"),
            get(discovery("SchemaList", "List the schemas")),
        ),
        (
            scim("/Schemas/{urn}"),
            named(
                in_path(
                    "urn",
                    "The URN of the schema, whatever its letter case.",
                    urns,
                ),
                "Schema",
                "Read a schema",
            ),
        ),
        ("/admin/v1/tenants".to_owned(), tenants()),
        ("/admin/v1/tenants/{name}".to_owned(), tenant()),
        ("/admin/v1/tokens".to_owned(), tokens()),
        ("/admin/v1/tokens/{name}".to_owned(), token()),
        ("/admin/v1/erasures".to_owned(), erasures()),
        ("/healthz".to_owned(), health()),
        ("/readyz".to_owned(), readiness()),
        ("/metrics".to_owned(), get(metrics())),
        ("/openapi.json".to_owned(), get(document())),
    ]
}

fn add(mut components: Components, name: &str, schema: Schema) -> Components {
    components.schemas.insert(name.to_owned(), schema.into());
    components
}

fn of_type<T: utoipa::ToSchema>(mut components: Components) -> Components {
    components
        .schemas
        .insert(T::name().into_owned(), T::schema());
    components
}

fn get(operation: OperationBuilder) -> PathItem {
    PathItem::new(HttpMethod::Get, operation)
}

fn open(tag: &str, id: &str, summary: &str) -> OperationBuilder {
    // An empty list of requirements: no token is needed.
    OperationBuilder::new()
        .tag(tag)
        .operation_id(Some(id))
        .summary(Some(summary))
        .securities(Some([]))
}

fn discovery(schema: &str, summary: &str) -> OperationBuilder {
    let id = match schema.strip_suffix("List") {
        Some(name) => format!("list{name}s"),
        None => format!("get{schema}"),
    };
    let forbidden = answer::error(
        403,
        "`filter` was given (RFC 7644 section 4).",
        "Discovery endpoints cannot be filtered (RFC 7644 section 4).",
    );
    let found = ResponseBuilder::new()
        .description("Here it is.")
        .content(SCIM_JSON, answer::scim(schema, None));
    let operation = open(tag::DISCOVERY, &id, summary)
        .description(Some(
            "For anybody; no token is needed. It cannot be filtered.",
        ))
        .response("200", found)
        .response("403", forbidden);
    answer::errors(operation, &[500])
}

fn named(parameter: ParameterBuilder, schema: &str, summary: &str) -> PathItem {
    let missing = answer::error(
        404,
        "The service has none of this name.",
        &format!(
            "The {schema} was not found. It may have been deleted, or it belongs to another tenant."
        ),
    );
    get(discovery(schema, summary)
        .parameter(parameter)
        .response("404", missing))
}

pub fn in_path<'a>(
    name: &str,
    meaning: &str,
    examples: impl Iterator<Item = &'a str>,
) -> ParameterBuilder {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .description(Some(meaning))
        .schema(Some(string().min_length(Some(1)).examples(examples)))
}

pub fn tenant_parameter() -> ParameterBuilder {
    ParameterBuilder::new()
        .name("tenant")
        .parameter_in(ParameterIn::Query)
        .required(Required::False)
        .description(Some(
            "The tenant's name; the tenant of the caller where it is left out.",
        ))
        .schema(Some(string()))
}

pub fn admin(id: &str, summary: &str, description: &str) -> OperationBuilder {
    OperationBuilder::new()
        .tag(tag::ADMINISTRATION)
        .operation_id(Some(id))
        .summary(Some(summary))
        .description(Some(description))
}

fn tenants() -> PathItem {
    let list = admin(
        "listTenants",
        "List tenants",
        "Admins of the tenant `default` see every tenant, others their own. Needs the scope `admin`.",
    )
    .response("200", many("Tenant", "The tenants by name.", json!([acme()])));
    let create = admin(
        "createTenant",
        "Create a tenant",
        "Needs the scope `admin` in the tenant `default`.",
    )
    .request_body(Some(body("NewTenant", json!({ "name": "acme" }))))
    .response("201", one("Tenant", "It was created.", acme()));
    PathItemBuilder::new()
        .operation(HttpMethod::Get, answer::errors(list, &GUARDED))
        .operation(
            HttpMethod::Post,
            answer::errors(create, &[&[409], &GUARDED[..], &BODY].concat()),
        )
        .build()
}

fn tenant() -> PathItem {
    let set = admin(
        "setTenant",
        "Change settings of a tenant",
        "They hold from the next request on. Needs the scope `admin`, in that tenant or in `default`.",
    )
    .parameter(in_path(
        "name",
        "The name of the tenant.",
        iter::once("acme"),
    ))
    .request_body(Some(body(
        "TenantSettings",
        json!({ "compatibility": "strict", "group_names": "unique" }),
    )))
    .response("200", one("ChangedTenant", "It was changed.", changed_acme()));
    PathItem::new(
        HttpMethod::Patch,
        answer::errors(set, &[&[404], &GUARDED[..], &BODY].concat()),
    )
}

fn tokens() -> PathItem {
    let list = admin(
        "listTokens",
        "List tokens",
        "Without their secrets, newest first. Needs the scope `admin`.",
    )
    .parameter(tenant_parameter())
    .response(
        "200",
        many(
            "Token",
            "The tokens, revoked ones too.",
            json!([okta_token()]),
        ),
    );
    let wish = json!({ "name": "okta", "scopes": ["scim"], "expires": "2046-03-01T00:00:00Z" });
    let secret = json!({ "token": "rct_EXAMPLE-shown-only-once" });
    let create = admin(
        "createToken",
        "Create a token",
        "The answer is the only place where the secret is ever shown. Needs the scope `admin`.",
    )
    .request_body(Some(body("NewToken", wish)))
    .response("201", one("Secret", "It was created.", secret));
    PathItemBuilder::new()
        .operation(
            HttpMethod::Get,
            answer::errors(list, &[&[404], &GUARDED[..]].concat()),
        )
        .operation(
            HttpMethod::Post,
            answer::errors(create, &[&[404, 409], &GUARDED[..], &BODY].concat()),
        )
        .build()
}

fn token() -> PathItem {
    let revoke = admin(
        "revokeToken",
        "Revoke a token",
        "It stops working with the next request. Needs the scope `admin`.",
    )
    .parameter(in_path(
        "name",
        "The name of the token.",
        iter::once("okta"),
    ))
    .parameter(tenant_parameter())
    .response("204", Response::new("It is revoked."));
    PathItem::new(
        HttpMethod::Delete,
        answer::errors(revoke, &[&[404], &GUARDED[..]].concat()),
    )
}

fn erasures() -> PathItem {
    let id = "0199f3a2-6b1e-7c40-8a51-2f6d0c9e7b13";
    let done = json!({
        "type": "User", "id": id, "seq": 4712, "at": "2026-03-01T08:00:00Z", "already": false,
        "resources": 1, "memberships": 3, "changes": 14, "mentions": 2
    });
    let erase = admin(
        "erase",
        "Erase a person for good",
        "The resource, its memberships, and every value of it in the changes; also of one that was deleted. The changes \
         keep their numbers, and a change of the kind `erased` tells everybody who follows them. What was erased before \
         is told with `already`. `rollcall compact` then removes what the database's files still hold. Needs the scope \
         `admin`.",
    )
    .request_body(Some(body("NewErasure", json!({ "type": "User", "id": id }))))
    .response("200", one("Erasure", "It is erased.", done));
    PathItem::new(
        HttpMethod::Post,
        answer::errors(erase, &[&[404], &GUARDED[..], &BODY].concat()),
    )
}

pub fn body(schema: &str, example: Value) -> RequestBody {
    let content = answer::scim(schema, Some(example));
    RequestBodyBuilder::new()
        .required(Some(Required::True))
        .content(JSON, content.clone())
        .content(SCIM_JSON, content)
        .build()
}

pub fn one(schema: &str, description: &str, example: Value) -> Response {
    ResponseBuilder::new()
        .description(description)
        .content(JSON, answer::scim(schema, Some(example)))
        .build()
}

pub fn many(schema: &str, description: &str, example: Value) -> Response {
    let list = ArrayBuilder::new().items(Ref::from_schema_name(schema));
    let content = ContentBuilder::new()
        .schema(Some(list))
        .example(Some(example));
    ResponseBuilder::new()
        .description(description)
        .content(JSON, content.build())
        .build()
}

fn acme() -> Value {
    json!({
        "name": "acme",
        "created": "2026-03-01T08:00:00Z",
        "compatibility": "tolerant",
        "patch_answer": "resource",
        "group_names": "any",
    })
}

fn changed_acme() -> Value {
    json!({
        "name": "acme",
        "created": "2026-03-01T08:00:00Z",
        "compatibility": "strict",
        "patch_answer": "resource",
        "group_names": "unique",
        "shared_group_names": 0,
    })
}

fn okta_token() -> Value {
    json!({
        "name": "okta",
        "scopes": "scim",
        "fields": null,
        "created": "2026-03-01T08:05:00Z",
        "expires": null,
        "last_used": "2026-03-02T09:15:00Z",
        "revoked": null,
    })
}

fn health() -> PathItem {
    let operation = |id: &str| {
        open(tag::OPERATIONS, id, "Whether the process answers")
            .description(Some("For anybody. It does not ask the database."))
    };
    PathItemBuilder::new()
        .operation(
            HttpMethod::Get,
            operation("getHealth").response("200", plain("It does.", "ok\n")),
        )
        .operation(
            HttpMethod::Head,
            operation("headHealth").response("200", Response::new("It does.")),
        )
        .build()
}

fn readiness() -> PathItem {
    let operation = |id: &str| {
        open(tag::OPERATIONS, id, "Whether the service can do its work")
            .description(Some("For anybody. The database is asked too."))
    };
    let get = operation("getReadiness").response("200", plain("It can.", "ready\n"));
    let head = operation("headReadiness").response("200", Response::new("It can."));
    PathItemBuilder::new()
        .operation(HttpMethod::Get, answer::errors(get, &[500, 503]))
        .operation(HttpMethod::Head, answer::errors(head, &[500, 503]))
        .build()
}

fn metrics() -> OperationBuilder {
    open(tag::OPERATIONS, "getMetrics", "Metrics")
        .description(Some("For anybody who can reach the port, in the text format of Prometheus."))
        .response(
            "200",
            plain(
                "The metrics.",
                "# TYPE rollcall_http_requests_total counter\n\
                 rollcall_http_requests_total{method=\"GET\",route=\"/scim/v2/Users\",status=\"200\"} 1\n",
            ),
        )
}

fn document() -> OperationBuilder {
    let content = ContentBuilder::new()
        .schema(Some(object("An OpenAPI 3.1 document.")))
        .build();
    let found = ResponseBuilder::new()
        .description("This document.")
        .content(JSON, content);
    open(tag::OPERATIONS, "getOpenApi", "This document")
        .description(Some("For anybody. `/docs/` shows it in a browser."))
        .response("200", found)
}

fn plain(description: &str, example: &str) -> Response {
    let content = ContentBuilder::new()
        .schema(Some(string()))
        .example(Some(json!(example)));
    ResponseBuilder::new()
        .description(description)
        .content("text/plain", content.build())
        .build()
}
