//! Liveness, readiness and metrics. They need no token, because they reveal nothing about users.

use actix_web::HttpResponse;
use actix_web::http::Method;
use actix_web::web::{self, Data};
use utoipa::openapi::response::Response;

use crate::http::describe::describer::plain;
use crate::http::describe::tag;
use crate::http::endpoint::{Accepts, Authorization, Endpoint, Operation};
use crate::http::error::HandlerResult;
use crate::http::state::AppState;
use crate::service::access::storage;
use crate::telemetry::append_storage;

/// The endpoints.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint {
        method: Method::GET,
        path: "/healthz",
        handler: || web::to(live),
        authorization: Authorization::Public,
        accepts: Accepts::Any,
        parameters: &[],
        body: None,
        responses: &[(200, |_| plain("The process responds.", "ok\n"))],
        errors: &[],
        operation: Some(Operation {
            tag: tag::OPERATIONS,
            id: "getHealth",
            summary: "Whether the process responds",
            description: LIVE,
        }),
    },
    Endpoint {
        method: Method::HEAD,
        path: "/healthz",
        handler: || web::to(live),
        authorization: Authorization::Public,
        accepts: Accepts::Any,
        parameters: &[],
        body: None,
        responses: &[(200, |_| Response::new("The process responds."))],
        errors: &[],
        operation: Some(Operation {
            tag: tag::OPERATIONS,
            id: "headHealth",
            summary: "Whether the process responds",
            description: LIVE,
        }),
    },
    Endpoint {
        method: Method::GET,
        path: "/readyz",
        handler: || web::to(ready),
        authorization: Authorization::Public,
        accepts: Accepts::Any,
        parameters: &[],
        body: None,
        responses: &[(200, |_| plain("The service is ready.", "ready\n"))],
        errors: &[500, 503],
        operation: Some(Operation {
            tag: tag::OPERATIONS,
            id: "getReadiness",
            summary: "Whether the service can work",
            description: READY,
        }),
    },
    Endpoint {
        method: Method::HEAD,
        path: "/readyz",
        handler: || web::to(ready),
        authorization: Authorization::Public,
        accepts: Accepts::Any,
        parameters: &[],
        body: None,
        responses: &[(200, |_| Response::new("The service is ready."))],
        errors: &[500, 503],
        operation: Some(Operation {
            tag: tag::OPERATIONS,
            id: "headReadiness",
            summary: "Whether the service can work",
            description: READY,
        }),
    },
    Endpoint {
        method: Method::GET,
        path: "/metrics",
        handler: || web::to(metrics),
        authorization: Authorization::Public,
        accepts: Accepts::Any,
        parameters: &[],
        body: None,
        responses: &[(200, |_| {
            plain(
                "The metrics.",
                "# TYPE rollcall_http_requests_total counter\n\
                 rollcall_http_requests_total{method=\"GET\",route=\"/scim/v2/Users\",status=\"200\"} 1\n",
            )
        })],
        errors: &[],
        operation: Some(Operation {
            tag: tag::OPERATIONS,
            id: "getMetrics",
            summary: "Metrics",
            description: "Needs no token: every client that can reach the port can read them. In the text format of Prometheus.",
        }),
    },
];

const LIVE: &str = "Needs no token. Does not use the database.";
const READY: &str = "Needs no token. Queries the database.";

/// `GET /healthz`: the process responds.
async fn live() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/plain; charset=utf-8")
        .body("ok\n")
}

/// `GET /readyz`: the database responds too.
///
/// # Errors
/// 503 if it does not.
async fn ready(shared: Data<AppState>) -> HandlerResult {
    shared.service.ready().await?;
    Ok(HttpResponse::Ok()
        .content_type("text/plain; charset=utf-8")
        .body("ready\n"))
}

/// `GET /metrics`, in Prometheus' text format.
async fn metrics(shared: Data<AppState>) -> HttpResponse {
    let mut text = shared.metrics.render();
    // Without the database the other metrics are all the more of interest.
    if let Ok(rows) = storage::list(&shared.service.store).await {
        let parts = rows.iter().flat_map(|row| {
            let parts = [
                ("documents", row.bytes.documents),
                ("history", row.bytes.history),
            ];
            parts.map(|(part, bytes)| (row.tenant.0, part, bytes))
        });
        append_storage(&mut text, parts);
    }
    HttpResponse::Ok()
        .content_type("text/plain; version=0.0.4; charset=utf-8")
        .body(text)
}
