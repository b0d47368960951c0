//! The routes of the service, derived from the declared endpoints.

use std::sync::Arc;

use actix_web::http::Method;
use actix_web::web::{self, Data, ServiceConfig};
use scim_core::{Registry, ResourceType};

use crate::http::endpoint::{Endpoint, PathEndpoints, SCIM_ROOT};
use crate::http::endpoints::{self, Served};
use crate::http::error::{method_not_allowed, no_such_path};
use crate::http::listener::Groups;
use crate::http::operations::route_metrics::RouteLabel;
use crate::http::scim::resources::ServedType;

/// Adds the routes of a listener. A wrong method is answered with 405 and `Allow`, an unknown path
/// with 404, both as SCIM errors.
pub fn routes(config: &mut ServiceConfig, registry: &Registry, groups: Groups) {
    add(config, endpoints::served_by(registry, groups));
}

fn add(config: &mut ServiceConfig, served: Vec<Served>) {
    let (in_scim, others): (Vec<_>, Vec<_>) = by_path(served)
        .into_iter()
        .partition(|served| served.path.starts_with(SCIM_ROOT));
    // The router tries one service after the other, and most requests are for SCIM.
    let scope = web::scope(SCIM_ROOT).default_service(web::to(no_such_path));
    let scope = in_scim.into_iter().fold(scope, |scope, served| {
        let pattern = served.path.strip_prefix(SCIM_ROOT).unwrap_or_default();
        let resource = web::resource(pattern);
        scope.service(served.complete(resource))
    });
    config.service(scope);
    for served in others {
        let resource = web::resource(served.path.as_str());
        config.service(served.complete(resource));
    }
    config.default_service(web::to(no_such_path));
}

/// A path and its endpoints.
struct ServedPath {
    path: String,
    resource_type: Option<Arc<ResourceType>>,
    endpoints: Vec<&'static Endpoint>,
}

/// The endpoints by path, each path where its first endpoint is declared.
fn by_path(served: Vec<Served>) -> Vec<ServedPath> {
    let mut paths: Vec<ServedPath> = Vec::new();
    for served in served {
        match paths.iter_mut().find(|path| path.path == served.path) {
            Some(path) => path.endpoints.push(served.endpoint),
            None => paths.push(ServedPath {
                path: served.path,
                resource_type: served.resource_type,
                endpoints: vec![served.endpoint],
            }),
        }
    }
    paths
}

impl ServedPath {
    /// Adds a route for each method, and 405 for the others.
    fn complete(self, resource: actix_web::Resource) -> actix_web::Resource {
        let mut resource = resource.app_data(RouteLabel::new(self.path));
        if let Some(rt) = self.resource_type {
            resource = resource.app_data(Data::new(ServedType(rt)));
        }
        for endpoint in &self.endpoints {
            resource = resource.route((endpoint.handler)().method(endpoint.method.clone()));
            if endpoint.answers_head() {
                resource = resource.route((endpoint.handler)().method(Method::HEAD));
            }
        }
        let endpoints = PathEndpoints(self.endpoints);
        resource
            .default_service(method_not_allowed(endpoints.allow()))
            .app_data(endpoints)
    }
}

#[cfg(test)]
mod tests {
    use actix_web::App;
    use actix_web::http::StatusCode;
    use actix_web::http::header::ALLOW;
    use actix_web::test::{TestRequest, call_service, init_service};
    use serde_json::Value;

    use super::*;
    use crate::http::openapi;

    /// The response of these endpoints to a request, and whether the document has its operation.
    async fn outcome(
        served: fn() -> Vec<Served>,
        left_out: bool,
        at: (&Method, &str),
    ) -> (StatusCode, String, bool) {
        let (method, path) = at;
        let endpoints = || {
            let mut served = served();
            served.retain(|one| !(left_out && one.path == path && one.endpoint.method == *method));
            served
        };
        let app = App::new().configure(|config| add(config, endpoints()));
        let app = init_service(app).await;
        let uri = path.replace(['{', '}'], "");
        let request = TestRequest::default().method(method.clone()).uri(&uri);
        let response = call_service(&app, request.to_request()).await;
        let allow = response.headers().get(ALLOW);
        let allow = allow.map(|value| value.to_str().unwrap().to_owned());
        let document = openapi::describe(&Registry::standard(), &endpoints());
        let document: Value = serde_json::to_value(document).unwrap();
        let operation = &document["paths"][path][method.as_str().to_lowercase()];
        (
            response.status(),
            allow.unwrap_or_default(),
            operation.is_object(),
        )
    }

    #[actix_web::test]
    async fn a_deleted_declaration_leaves_no_route_and_no_operation() {
        let served = || endpoints::served(&Registry::standard());
        for (method, path, status, allow) in [
            (Method::POST, "/admin/v1/tenants", 405, "GET"),
            (Method::DELETE, "/admin/v1/tokens/{name}", 404, ""),
            (Method::GET, "/directory/v1/changes", 404, ""),
            (
                Method::PATCH,
                "/scim/v2/Users/{id}",
                405,
                "GET, HEAD, PUT, DELETE",
            ),
            (Method::GET, "/scim/v2/Me", 405, "PUT, PATCH, DELETE"),
        ] {
            // Without state, the handler's extractors fail: the request has reached the handler.
            let declared = outcome(served, false, (&method, path)).await;
            let reached = (StatusCode::INTERNAL_SERVER_ERROR, String::new(), true);
            assert_eq!(declared, reached, "{method} {path}");
            let deleted = outcome(served, true, (&method, path)).await;
            let expected = (
                StatusCode::from_u16(status).unwrap(),
                allow.to_owned(),
                false,
            );
            assert_eq!(deleted, expected, "{method} {path}");
        }
    }
}
