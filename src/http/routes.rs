//! Every route of the service.

use std::sync::Arc;

use actix_web::web::{self, ServiceConfig};
use scim_core::registry::ClientAccess;
use scim_core::{Registry, ResourceType};

use crate::http::admin::{tenants_and_tokens, webhooks};
use crate::http::directory::{feed, queries};
use crate::http::error::{method_not_allowed, no_such_path};
use crate::http::operations::route_metrics::RouteLabel;
use crate::http::operations::{docs, health};
use crate::http::scim::resources::Endpoint;
use crate::http::scim::{bulk, discovery, me, resources, search};

/// Where SCIM lives.
pub const SCIM_ROOT: &str = "/scim/v2";

/// Every route of the service. A wrong method answers 405 with `Allow`, an unknown path 404, both as SCIM errors.
pub fn routes(config: &mut ServiceConfig, registry: &Arc<Registry>) {
    config
        // First: the router looks at one after the other.
        .service(scim(registry))
        .service(
            resource("/healthz")
                .route(web::get().to(health::live))
                .route(web::head().to(health::live))
                .default_service(method_not_allowed("GET, HEAD")),
        )
        .service(
            resource("/readyz")
                .route(web::get().to(health::ready))
                .route(web::head().to(health::ready))
                .default_service(method_not_allowed("GET, HEAD")),
        )
        .service(
            resource("/metrics")
                .route(web::get().to(health::metrics))
                .default_service(method_not_allowed("GET")),
        )
        .service(
            resource("/openapi.json")
                .route(web::get().to(docs::document))
                .default_service(method_not_allowed("GET")),
        )
        .service(resource("/docs").route(web::get().to(docs::redirect)))
        .service(resource("/docs/{file:.*}").route(web::get().to(docs::page)))
        .service(
            resource("/admin/v1/tenants")
                .route(web::get().to(tenants_and_tokens::list_tenants))
                .route(web::post().to(tenants_and_tokens::create_tenant))
                .default_service(method_not_allowed("GET, POST")),
        )
        .service(
            resource("/admin/v1/tenants/{name}")
                .route(web::patch().to(tenants_and_tokens::set_tenant))
                .default_service(method_not_allowed("PATCH")),
        )
        .service(
            resource("/admin/v1/tokens")
                .route(web::get().to(tenants_and_tokens::list_tokens))
                .route(web::post().to(tenants_and_tokens::create_token))
                .default_service(method_not_allowed("GET, POST")),
        )
        .service(
            resource("/admin/v1/tokens/{name}")
                .route(web::delete().to(tenants_and_tokens::revoke_token))
                .default_service(method_not_allowed("DELETE")),
        )
        .service(
            resource("/admin/v1/erasures")
                .route(web::post().to(tenants_and_tokens::erase))
                .default_service(method_not_allowed("POST")),
        )
        .configure(webhook_routes)
        .configure(directory_routes)
        .default_service(web::to(no_such_path));
}

fn webhook_routes(config: &mut ServiceConfig) {
    config
        .service(
            resource("/admin/v1/webhooks")
                .route(web::get().to(webhooks::list))
                .route(web::post().to(webhooks::create))
                .default_service(method_not_allowed("GET, POST")),
        )
        .service(
            resource("/admin/v1/webhooks/{name}")
                .route(web::delete().to(webhooks::delete))
                .default_service(method_not_allowed("DELETE")),
        )
        .service(
            resource("/admin/v1/webhooks/{name}/dead-letters")
                .route(web::get().to(webhooks::dead_letters))
                .default_service(method_not_allowed("GET")),
        )
        .service(
            resource("/admin/v1/webhooks/{name}/redeliver")
                .route(web::post().to(webhooks::redeliver))
                .default_service(method_not_allowed("POST")),
        )
        .service(
            resource("/admin/v1/webhooks/{name}/rotate")
                .route(web::post().to(webhooks::rotate))
                .default_service(method_not_allowed("POST")),
        )
        .service(
            resource("/admin/v1/webhooks/{name}/test")
                .route(web::post().to(webhooks::test))
                .default_service(method_not_allowed("POST")),
        );
}

fn directory_routes(config: &mut ServiceConfig) {
    config
        .service(
            resource("/directory/v1/users")
                .route(web::get().to(queries::users))
                .default_service(method_not_allowed("GET")),
        )
        .service(
            resource("/directory/v1/users/{id}")
                .route(web::get().to(queries::user))
                .default_service(method_not_allowed("GET")),
        )
        .service(
            resource("/directory/v1/users/{id}/groups")
                .route(web::get().to(queries::groups_of))
                .default_service(method_not_allowed("GET")),
        )
        .service(
            resource("/directory/v1/groups")
                .route(web::get().to(queries::groups))
                .default_service(method_not_allowed("GET")),
        )
        .service(
            resource("/directory/v1/groups/{id}")
                .route(web::get().to(queries::group))
                .default_service(method_not_allowed("GET")),
        )
        .service(
            resource("/directory/v1/groups/{id}/members")
                .route(web::get().to(queries::members))
                .default_service(method_not_allowed("GET")),
        )
        .service(
            resource("/directory/v1/groups/{id}/members/{user}")
                .route(web::get().to(queries::membership))
                .default_service(method_not_allowed("GET")),
        )
        .service(
            resource("/directory/v1/users/{id}/history")
                .route(web::get().to(feed::history_of_user))
                .default_service(method_not_allowed("GET")),
        )
        .service(
            resource("/directory/v1/groups/{id}/history")
                .route(web::get().to(feed::history_of_group))
                .default_service(method_not_allowed("GET")),
        )
        .service(
            resource("/directory/v1/changes")
                .route(web::get().to(feed::changes))
                .default_service(method_not_allowed("GET")),
        )
        .service(
            resource("/directory/v1/changes/stream")
                .route(web::get().to(feed::stream))
                .default_service(method_not_allowed("GET")),
        )
        .service(
            resource("/directory/v1/snapshot")
                .route(web::get().to(feed::snapshot))
                .default_service(method_not_allowed("GET")),
        )
        .service(
            resource("/directory/v1/memberships")
                .route(web::post().to(queries::memberships))
                .default_service(method_not_allowed("POST")),
        );
}

fn scim(registry: &Arc<Registry>) -> actix_web::Scope {
    let mut scope = web::scope(SCIM_ROOT);
    // The types come first: the router looks at one after the other, and these are asked for.
    for rt in registry.types() {
        scope = of_type(scope, rt);
    }
    scope
        .service(
            web::resource("")
                .app_data(RouteLabel::new(SCIM_ROOT))
                .route(web::get().to(search::list_all))
                .route(web::head().to(search::list_all))
                .default_service(method_not_allowed("GET, HEAD")),
        )
        .service(
            under_scim("/.search")
                .route(web::post().to(search::all))
                .default_service(method_not_allowed("POST")),
        )
        .service(
            under_scim("/ServiceProviderConfig")
                .route(web::get().to(discovery::service_provider_config))
                .route(web::head().to(discovery::service_provider_config))
                .default_service(method_not_allowed("GET, HEAD")),
        )
        .service(
            under_scim("/ResourceTypes")
                .route(web::get().to(discovery::resource_types))
                .route(web::head().to(discovery::resource_types))
                .default_service(method_not_allowed("GET, HEAD")),
        )
        .service(
            under_scim("/ResourceTypes/{name}")
                .route(web::get().to(discovery::resource_type))
                .route(web::head().to(discovery::resource_type))
                .default_service(method_not_allowed("GET, HEAD")),
        )
        .service(
            under_scim("/Schemas")
                .route(web::get().to(discovery::schemas))
                .route(web::head().to(discovery::schemas))
                .default_service(method_not_allowed("GET, HEAD")),
        )
        .service(
            under_scim("/Schemas/{urn}")
                .route(web::get().to(discovery::schema))
                .route(web::head().to(discovery::schema))
                .default_service(method_not_allowed("GET, HEAD")),
        )
        .service(
            under_scim("/Me")
                .route(web::get().to(me::get))
                .route(web::head().to(me::get))
                .route(web::put().to(me::replace))
                .route(web::patch().to(me::patch))
                .route(web::delete().to(me::delete))
                .default_service(method_not_allowed("GET, HEAD, PUT, PATCH, DELETE")),
        )
        .service(
            under_scim("/Bulk")
                .route(web::post().to(bulk::run))
                .default_service(method_not_allowed("POST")),
        )
        .default_service(web::to(no_such_path))
}

fn resource(pattern: &str) -> actix_web::Resource {
    web::resource(pattern).app_data(RouteLabel::new(pattern))
}

fn under_scim(pattern: &str) -> actix_web::Resource {
    web::resource(pattern).app_data(RouteLabel::new(format!("{SCIM_ROOT}{pattern}")))
}

/// The endpoints of a resource type. Where only the operator writes, no client can.
fn of_type(scope: actix_web::Scope, rt: &Arc<ResourceType>) -> actix_web::Scope {
    let data = web::Data::new(Endpoint(Arc::clone(rt)));
    let all = under_scim(&rt.endpoint)
        .app_data(data.clone())
        .route(web::get().to(resources::list))
        .route(web::head().to(resources::list));
    let one = under_scim(&format!("{}/{{id}}", rt.endpoint))
        .app_data(data.clone())
        .route(web::get().to(resources::get))
        .route(web::head().to(resources::get));
    let search = under_scim(&format!("{}/.search", rt.endpoint))
        .app_data(data)
        .route(web::post().to(search::one))
        .default_service(method_not_allowed("POST"));
    // Before the resources: it is no id.
    let scope = scope.service(search);
    match rt.access {
        ClientAccess::ReadOnly => scope
            .service(all.default_service(method_not_allowed("GET, HEAD")))
            .service(one.default_service(method_not_allowed("GET, HEAD"))),
        ClientAccess::ReadWrite => scope
            .service(
                all.route(web::post().to(resources::create))
                    .default_service(method_not_allowed("GET, HEAD, POST")),
            )
            .service(
                one.route(web::put().to(resources::replace))
                    .route(web::patch().to(resources::patch))
                    .route(web::delete().to(resources::delete))
                    .default_service(method_not_allowed("GET, HEAD, PUT, PATCH, DELETE")),
            ),
    }
}
