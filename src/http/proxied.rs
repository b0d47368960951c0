//! A server whose connections from trusted proxies begin with a header of the PROXY protocol.
//!
//! actix-web's own server hands a connection to HTTP as soon as it is accepted, so this puts
//! together the same parts with one before them that reads the header.

use std::convert::Infallible;
use std::fmt::Debug;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_http::{HttpService, Protocol, Request, Response};
use actix_service::{
    IntoServiceFactory, Service as _, ServiceFactory, ServiceFactoryExt as _, apply_fn_factory,
    fn_service, map_config,
};
use actix_tls::accept::TlsError;
use actix_tls::accept::rustls_0_23::{Acceptor, AcceptorService, TlsStream};
use actix_web::body::MessageBody;
use actix_web::dev::{AppConfig, Server};
use actix_web::rt::net::TcpStream;

use crate::http::admission::slow_clients::{ConnectionWatches, HEAD_TIME, KEEP_ALIVE};
use crate::http::client_address::TrustedProxies;
use crate::http::proxy_protocol::{self, Told};

/// The time in which a client closes after the server has. It is that of actix-web's server.
const CLOSE_TIME: Duration = Duration::from_secs(1);

/// The listener and its limits.
pub struct Listening {
    pub listener: TcpListener,
    pub tls: Option<Arc<rustls::ServerConfig>>,
    pub trusted_proxies: TrustedProxies,
    pub watches: Arc<ConnectionWatches>,
    pub workers: usize,
    pub max_connections: usize,
    pub shutdown_timeout: Duration,
}

/// The service that reads the header. A macro, because its type cannot be named.
macro_rules! accept {
    ($trusted:ident) => {{
        let trusted = Arc::clone(&$trusted);
        fn_service(move |io| accept(io, Arc::clone(&trusted)))
    }};
}

/// The HTTP service, as actix-web's server makes it, for any type of stream.
macro_rules! http {
    ($app:ident, $signal:ident, $watches:ident, $address:ident) => {{
        let (signal, watches) = ($signal.clone(), Arc::clone(&$watches));
        let app = $app().into_factory();
        let app = app.map_err(|error| error.into().error_response());
        HttpService::build()
            .graceful_shutdown_signal(move || {
                let signal = signal.clone();
                async move { signal.notified().await }
            })
            .keep_alive(KEEP_ALIVE)
            .client_request_timeout(HEAD_TIME)
            .client_disconnect_timeout(CLOSE_TIME)
            .h1_allow_half_closed(false)
            .local_addr($address)
            .on_connect_ext(move |io: &_, data: &mut _| watches.connect(io, data))
            .finish(map_config(app, |()| AppConfig::default()))
            .map_err(|error| tracing::debug!(?error, "a connection failed"))
    }};
}

/// Starts the workers.
///
/// # Errors
/// The listener cannot be used.
pub fn serve<F, I, S, B>(app: F, listening: Listening) -> io::Result<Server>
where
    F: Fn() -> I + Send + Clone + 'static,
    I: IntoServiceFactory<S, Request>,
    S: ServiceFactory<Request, Config = AppConfig> + 'static,
    S::Error: Into<actix_web::Error> + 'static,
    S::InitError: Debug,
    S::Response: Into<Response<B>> + 'static,
    S::Service: 'static,
    <S::Service as actix_service::Service<Request>>::Future: 'static,
    B: MessageBody + 'static,
{
    let address = listening.listener.local_addr()?;
    let builder = Server::build()
        .workers(listening.workers)
        .max_concurrent_connections(listening.max_connections)
        .shutdown_timeout(listening.shutdown_timeout.as_secs());
    let signal = builder.graceful_shutdown_signal();
    let watches = listening.watches;
    let trusted = Arc::new(listening.trusted_proxies);
    let builder = match listening.tls {
        None => builder.listen("proxied", listening.listener, move || {
            accept!(trusted)
                .map(|(io, client)| (io, Protocol::Http1, client))
                .and_then(http!(app, signal, watches, address))
        })?,
        Some(tls) => {
            let acceptor = acceptor(tls);
            builder.listen("proxied", listening.listener, move || {
                let tls = apply_fn_factory::<_, Acceptor, _, _, _, TcpStream, _, _>(
                    acceptor.clone(),
                    secure,
                )
                .map_err(|error| tracing::debug!(?error, "a TLS handshake failed"));
                accept!(trusted)
                    .and_then(tls)
                    .and_then(http!(app, signal, watches, address))
            })?
        }
    };
    Ok(builder.run())
}

/// Reads the header of a connection from a trusted proxy. Returns the address of its client.
async fn accept(mut io: TcpStream, trusted: Arc<TrustedProxies>) -> Result<Accepted, ()> {
    let peer = io.peer_addr().ok();
    let is_trusted = peer.is_some_and(|peer| trusted.contains(peer.ip().to_canonical()));
    if !is_trusted {
        return Ok((io, peer));
    }
    match proxy_protocol::read(&mut io).await {
        Ok(Told::Client(client)) => Ok((io, Some(client))),
        Ok(Told::Nothing) => Ok((io, peer)),
        Err(error) => {
            tracing::debug!(%error, "closed a connection of a trusted proxy");
            Err(())
        }
    }
}

/// The acceptor of TLS connections with HTTP/1.1.
fn acceptor(tls: Arc<rustls::ServerConfig>) -> Acceptor {
    let mut tls = Arc::unwrap_or_clone(tls);
    tls.alpn_protocols.insert(0, b"http/1.1".to_vec());
    Acceptor::new(tls)
}

type Accepted = (TcpStream, Option<SocketAddr>);
type Secured = (TlsStream<TcpStream>, Protocol, Option<SocketAddr>);

/// Performs the TLS handshake, which follows the header.
fn secure(
    (io, client): Accepted,
    acceptor: &AcceptorService,
) -> impl Future<Output = Result<Secured, TlsError<io::Error, Infallible>>> + use<> {
    let handshake = acceptor.call(io);
    async move { Ok((handshake.await?, Protocol::Http1, client)) }
}
