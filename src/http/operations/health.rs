//! Liveness, readiness and metrics. No token is needed: they say nothing about anybody.

use actix_web::HttpResponse;
use actix_web::web::Data;

use crate::http::error::ApiError;
use crate::http::state::AppState;

/// `GET /healthz`: for anybody. The process answers.
pub async fn live() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/plain; charset=utf-8")
        .body("ok\n")
}

/// `GET /readyz`: for anybody. The database answers too.
///
/// # Errors
/// 503 where it does not.
pub async fn ready(shared: Data<AppState>) -> Result<HttpResponse, ApiError> {
    shared.service.ready().await?;
    Ok(HttpResponse::Ok()
        .content_type("text/plain; charset=utf-8")
        .body("ready\n"))
}

/// `GET /metrics`: for anybody who can reach the port, in Prometheus' text format.
pub async fn metrics(shared: Data<AppState>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/plain; version=0.0.4; charset=utf-8")
        .body(shared.metrics.render())
}
