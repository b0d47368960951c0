//! The running of the server.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::middleware::{Compress, from_fn};
use actix_web::web::Data;
use actix_web::{App, HttpServer};

use crate::http::admission::{middleware, sockets};
use crate::http::operations::observe;
use crate::http::operations::route_metrics::RouteLabel;
use crate::http::routes::routes;
use crate::http::state::AppState;

/// How long the head of a request may take.
pub const HEAD_TIME: Duration = Duration::from_secs(15);
/// How long a connection may wait for its next request.
pub const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// How the server listens.
#[derive(Debug, Clone)]
pub struct Listen {
    pub workers: usize,
    /// Connections that may be open; more wait in the system's queue.
    pub connections: usize,
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
    shared: AppState,
    listen: &Listen,
) -> io::Result<Bound> {
    let address = listener.local_addr()?;
    sockets::prepare(&listener);
    let connections = sockets::allow(listen.connections);
    let wires = Arc::clone(&shared.wires);
    let mut server = HttpServer::new(move || {
        let registry = Arc::clone(&shared.service.registry);
        App::new()
            // Not one for all: the workers would contend for its count with each request.
            .app_data(Data::new(shared.clone()))
            .app_data(RouteLabel::none())
            .wrap(Compress::default())
            .wrap(from_fn(observe::observe))
            .wrap(from_fn(middleware::pass))
            .configure(|config| routes(config, &registry))
    })
    .workers(listen.workers)
    .shutdown_timeout(listen.shutdown_timeout.as_secs())
    .on_connect(move |io, data| wires.connect(io, data))
    .max_connections(connections.div_ceil(listen.workers).max(1))
    // A client that gives up closes, and what it asked for need not be done any more.
    .h1_allow_half_closed(false)
    .client_request_timeout(HEAD_TIME)
    .keep_alive(KEEP_ALIVE);
    server = match &listen.tls {
        None => server.listen(listener)?,
        Some(tls) => server.listen_rustls_0_23(listener, rustls::ServerConfig::clone(tls))?,
    };
    Ok(Bound {
        server: server.run(),
        address,
    })
}
