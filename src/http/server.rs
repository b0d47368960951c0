//! What every handler shares, who calls it, and the running of the server.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header::AUTHORIZATION;
use actix_web::middleware::{Compress, from_fn};
use actix_web::web::Data;
use actix_web::{App, FromRequest, HttpRequest, HttpServer};

use crate::auth::Credential;
use crate::http::body::BodyLimits;
use crate::http::error::ApiError;
use crate::http::{observe, routes};
use crate::service::error::Unauthenticated;
use crate::service::{self, Context, Service, tokens};
use crate::telemetry::Metrics;

/// What the handlers need, the same for all workers.
pub struct Shared {
    pub service: Service,
    pub body_limits: BodyLimits,
    pub metrics: Metrics,
    /// The OpenAPI document, made once.
    pub openapi: String,
}

/// The authenticated caller of a request.
pub struct Caller {
    pub context: Context,
}

impl FromRequest for Caller {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>;

    fn from_request(request: &HttpRequest, _payload: &mut Payload) -> Self::Future {
        let header = request
            .headers()
            .get(AUTHORIZATION)
            .map(|value| value.as_bytes().to_vec());
        let shared = request.app_data::<Data<Shared>>().cloned();
        Box::pin(async move {
            let shared =
                shared.ok_or_else(|| service::Error::internal("the handler has no shared data"))?;
            let header = header.ok_or(service::Error::Unauthenticated(Unauthenticated::Missing))?;
            let credential = Credential::parse(&header)
                .map_err(|_| service::Error::Unauthenticated(Unauthenticated::Invalid))?;
            let principal = tokens::authenticate(&shared.service, &credential).await?;
            let at = shared.service.clock.now();
            Ok(Self {
                context: Context { principal, at },
            })
        })
    }
}

/// How the server listens.
#[derive(Debug, Clone)]
pub struct Listen {
    pub workers: usize,
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// How long requests in flight may take after SIGTERM.
    pub shutdown_timeout: Duration,
}

/// A server that is bound and not yet running.
pub struct Bound {
    pub server: actix_web::dev::Server,
    pub address: SocketAddr,
}

/// Starts the workers on a listener that is bound already, so that its address could be told beforehand.
///
/// # Errors
/// Where the listener cannot be used.
pub fn start(
    listener: std::net::TcpListener,
    shared: Data<Shared>,
    listen: &Listen,
) -> io::Result<Bound> {
    let address = listener.local_addr()?;
    let mut server = HttpServer::new(move || {
        let registry = Arc::clone(&shared.service.registry);
        App::new()
            .app_data(shared.clone())
            .wrap(Compress::default())
            .wrap(from_fn(observe::observe))
            .configure(|config| routes(config, &registry))
    })
    .workers(listen.workers)
    .shutdown_timeout(listen.shutdown_timeout.as_secs())
    .client_request_timeout(Duration::from_secs(15))
    .keep_alive(Duration::from_secs(75));
    server = match &listen.tls {
        None => server.listen(listener)?,
        Some(tls) => server.listen_rustls_0_23(listener, rustls::ServerConfig::clone(tls))?,
    };
    Ok(Bound {
        server: server.run(),
        address,
    })
}
