//! The running of the server.

use std::io;
use std::net::SocketAddr;
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::middleware::{Compress, from_fn};
use actix_web::web::Data;
use actix_web::{App, HttpServer};

use crate::http::admission::public_paths::PublicPaths;
use crate::http::admission::slow_clients::{HEAD_TIME, KEEP_ALIVE};
use crate::http::admission::{middleware, sockets};
use crate::http::client_address::TrustedProxies;
use crate::http::endpoints;
use crate::http::operations::observe;
use crate::http::operations::route_metrics::RouteLabel;
use crate::http::proxied;
use crate::http::proxied::Listening;
use crate::http::routes::routes;
use crate::http::state::AppState;
use crate::settings::{
    ConfigError, Sources, absent, choice, computed, number, parsed, required, seconds, settings,
};

settings! {
    /// Where and how the server listens.
    #[derive(Debug, Clone)]
    pub struct ServerSettings {
        /// Address and port to listen on. Port 0 takes a free port, which the start prints.
        pub listen: SocketAddr =
            setting("listen", parsed("ADDRESS", "address and port", address), "127.0.0.1:8080"),
        /// The URL by which clients reach the service, such as `https://scim.example.com/scim/v2`.
        /// `meta.location` and `$ref` begin with it.
        pub base_url: Option<String> = setting(
            "base_url",
            parsed("URL", "http(s) URL", base_url).optional(),
            absent("the address listened on", "https://scim.example.com/scim/v2")
        ),
        /// Addresses and networks of the proxies whose `X-Forwarded-For` and `Forwarded` name the
        /// client, such as `10.0.0.0/8, 192.0.2.7`. Others may send any address in these headers, so
        /// they are ignored.
        pub trusted_proxies: TrustedProxies = setting(
            "trusted_proxies",
            parsed("NETWORKS", "networks separated by commas", TrustedProxies::parse),
            computed("none", "10.0.0.0/8", TrustedProxies::default())
        ),
        /// `v2` reads the client's address from a header of the PROXY protocol, version 2. Each
        /// connection from `trusted_proxies` must begin with one, and no other connection may.
        pub proxy_protocol: ProxyProtocol = setting(
            "proxy_protocol",
            choice(&[("off", ProxyProtocol::Off), ("v2", ProxyProtocol::V2)]),
            "off"
        ),
        pub tls: Option<TlsFiles> = section,
        /// Threads that serve HTTP.
        pub workers: usize =
            setting("workers", number(1..=1024), computed("one per core", "2", cores())),
        /// Open connections. More wait in the operating system's queue.
        pub max_connections: usize = setting("max_connections", number(1..=1_000_000), 8192),
        /// Longest time for requests in flight after SIGTERM.
        pub shutdown_timeout: Duration = setting("shutdown_timeout_s", seconds(1..=3600), 30),
    }
    validate = check_proxy_protocol;
}

/// Whether connections of proxies begin with a header of the PROXY protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyProtocol {
    Off,
    V2,
}

settings! {
    /// Certificate chain and key in PEM.
    #[derive(Debug, Clone)]
    pub struct TlsFiles {
        /// Certificate chain in PEM, to serve HTTPS without a proxy. Set it together with
        /// `tls_key`.
        pub certificate: PathBuf = setting(
            "tls_certificate",
            parsed("FILE", "file", |path| Ok(path.into())),
            required("/etc/rollcall/chain.pem")
        ),
        /// Private key in PEM.
        pub key: PathBuf = setting(
            "tls_key",
            parsed("FILE", "file", |path| Ok(path.into())),
            required("/etc/rollcall/key.pem")
        ),
    }
}

/// A server that is bound and not yet running.
pub struct Bound {
    pub server: actix_web::dev::Server,
    pub address: SocketAddr,
}

/// Starts the workers on a listener that is bound already, so that its address could be told
/// beforehand.
///
/// # Errors
/// Where the listener cannot be used.
pub fn start(
    listener: std::net::TcpListener,
    shared: AppState,
    tls: Option<Arc<rustls::ServerConfig>>,
    settings: &ServerSettings,
) -> io::Result<Bound> {
    let address = listener.local_addr()?;
    sockets::prepare(&listener);
    let connections = sockets::allow(settings.max_connections);
    let max_connections = connections.div_ceil(settings.workers).max(1);
    let watches = Arc::clone(&shared.connections);
    let parts = Parts::new(shared, settings);
    let app = move || parts.app();
    if settings.proxy_protocol == ProxyProtocol::V2 {
        let listening = Listening {
            listener,
            tls,
            trusted_proxies: settings.trusted_proxies.clone(),
            watches,
            workers: settings.workers,
            max_connections,
            shutdown_timeout: settings.shutdown_timeout,
        };
        let server = proxied::serve(app, listening)?;
        return Ok(Bound { server, address });
    }
    let mut server = HttpServer::new(app)
        .workers(settings.workers)
        .shutdown_timeout(settings.shutdown_timeout.as_secs())
        .on_connect(move |io, data| watches.connect(io, data))
        .max_connections(max_connections)
        // A client that gives up closes, and what it asked for need not be done any more.
        .h1_allow_half_closed(false)
        .client_request_timeout(HEAD_TIME)
        .keep_alive(KEEP_ALIVE);
    server = match tls {
        None => server.listen(listener)?,
        Some(tls) => server.listen_rustls_0_23(listener, Arc::unwrap_or_clone(tls))?,
    };
    Ok(Bound {
        server: server.run(),
        address,
    })
}

/// What each worker's application is made of.
#[derive(Clone)]
struct Parts {
    shared: AppState,
    trusted_proxies: Data<TrustedProxies>,
    public_paths: Data<PublicPaths>,
}

impl Parts {
    fn new(shared: AppState, settings: &ServerSettings) -> Self {
        let served = endpoints::served(&shared.service.registry);
        Self {
            shared,
            trusted_proxies: Data::new(settings.trusted_proxies.clone()),
            public_paths: Data::new(PublicPaths::of(&served)),
        }
    }

    fn app(
        &self,
    ) -> App<
        impl ServiceFactory<
            ServiceRequest,
            Config = (),
            Response = ServiceResponse<impl MessageBody + use<>>,
            Error = actix_web::Error,
            InitError = (),
        > + use<>,
    > {
        let registry = Arc::clone(&self.shared.service.registry);
        App::new()
            // Not one for all: the workers would contend for its count with each request.
            .app_data(Data::new(self.shared.clone()))
            .app_data(self.trusted_proxies.clone())
            .app_data(self.public_paths.clone())
            .app_data(RouteLabel::none())
            .wrap(Compress::default())
            .wrap(from_fn(observe::observe))
            .wrap(from_fn(middleware::admit))
            .configure(|config| routes(config, &registry))
    }
}

/// A client behind a proxy of TCP connections would otherwise choose its own address.
fn check_proxy_protocol(settings: &ServerSettings, sources: &Sources) -> Result<(), ConfigError> {
    let is_on = settings.proxy_protocol == ProxyProtocol::V2;
    if is_on && settings.trusted_proxies == TrustedProxies::default() {
        let problem = "`trusted_proxies` must name the proxies that send the header";
        return Err(sources.error("proxy_protocol", problem));
    }
    Ok(())
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| "an address with a port was expected, such as 127.0.0.1:8080".to_owned())
}

fn base_url(text: &str) -> Result<String, String> {
    let is_address = (text.starts_with("https://") || text.starts_with("http://"))
        && text
            .bytes()
            .all(|b| b.is_ascii_graphic() && !matches!(b, b'?' | b'#' | b'"' | b'\\'));
    if is_address {
        Ok(text.trim_end_matches('/').to_owned())
    } else {
        Err("a URL was expected, such as https://scim.example.com/scim/v2, without query or fragment".to_owned())
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(2, NonZero::get)
}
