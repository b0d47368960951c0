//! The OpenAPI document and a page to browse it, from the binary itself.

use actix_web::http::header::LOCATION;
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use utoipa_swagger_ui::Config;

use crate::http::error::{ApiError, no_such_path};
use crate::http::state::AppState;

/// `GET /openapi.json`: for anybody.
pub async fn document(shared: Data<AppState>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/json")
        .body(shared.openapi.clone())
}

/// `GET /docs`: for anybody.
pub async fn redirect() -> HttpResponse {
    HttpResponse::PermanentRedirect()
        .insert_header((LOCATION, "/docs/"))
        .finish()
}

/// `GET /docs/{file}`: for anybody.
///
/// # Errors
/// 404 for a file that the page does not have.
pub async fn page(request: HttpRequest, file: Path<String>) -> Result<HttpResponse, ApiError> {
    let config = std::sync::Arc::new(Config::from("/openapi.json"));
    match utoipa_swagger_ui::serve(&file, config) {
        Ok(Some(file)) => Ok(HttpResponse::Ok()
            .content_type(file.content_type)
            .body(file.bytes.to_vec())),
        Ok(None) | Err(_) => no_such_path(request).await,
    }
}
