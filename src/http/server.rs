//! The running of the server.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::num::NonZero;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::dev::{Server, ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::middleware::{Compress, from_fn};
use actix_web::web::Data;
use actix_web::{App, HttpServer};

use crate::http::admission::public_paths::PublicPaths;
use crate::http::admission::slow_clients::{HEAD_TIME, KEEP_ALIVE};
use crate::http::admission::{middleware, sockets};
use crate::http::client_address::TrustedProxies;
use crate::http::endpoints;
use crate::http::listener::{Groups, ListenAddress, Serves};
use crate::http::operations::observe;
use crate::http::operations::route_metrics::RouteLabel;
use crate::http::proxied;
use crate::http::proxied::Listening;
use crate::http::routes::routes;
use crate::http::state::AppState;
use crate::settings::{
    ConfigError, Kind, Sources, absent, choice, computed, number, parsed, required, seconds,
    settings,
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
        /// Where `/admin/v1` is served, and on `listen` no longer. An address uses
        /// `tls_certificate` if that is set; a socket never uses TLS
        /// ([more](operating.md#several-listeners)).
        pub admin_listen: Option<ListenAddress> = setting(
            "admin_listen",
            other_address().optional(),
            absent("none", "unix:/run/rollcall/admin.sock")
        ),
        /// Where `/metrics` is served, and on `listen` no longer. Without TLS, unless it is the same
        /// address as `admin_listen`.
        pub metrics_listen: Option<ListenAddress> = setting(
            "metrics_listen",
            other_address().optional(),
            absent("none", "127.0.0.1:9090")
        ),
        /// Whether `/docs` and `/openapi.json` are served.
        pub docs: Serves =
            setting("docs", choice(&[("on", Serves::Yes), ("off", Serves::No)]), "on"),
        /// Threads that serve HTTP.
        pub workers: usize =
            setting("workers", number(1..=1024), computed("one per core", "2", cores())),
        /// Open connections. More wait in the operating system's queue.
        pub max_connections: usize = setting("max_connections", number(1..=1_000_000), 8192),
        /// Longest time for requests in flight after SIGTERM.
        pub shutdown_timeout: Duration = setting("shutdown_timeout_s", seconds(1..=3600), 30),
    }
    validate = check_server;
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

/// A listener that is bound, so that its address can be told before it accepts connections.
pub enum Listener {
    Tcp(TcpListener),
    /// Always without TLS: a socket is reached on this machine only.
    Unix(UnixListener),
}

/// The size of a server, and the proxies that it trusts.
#[derive(Debug, Clone)]
pub struct Size {
    /// Threads.
    pub workers: usize,
    pub max_connections: usize,
    pub shutdown_timeout: Duration,
    pub trusted_proxies: TrustedProxies,
    pub proxy_protocol: ProxyProtocol,
}

/// Starts the workers of a listener, which serve these groups of endpoints.
///
/// # Errors
/// Where the listener cannot be used.
pub fn start(
    listener: Listener,
    groups: Groups,
    shared: AppState,
    tls: Option<Arc<rustls::ServerConfig>>,
    size: Size,
) -> io::Result<Server> {
    let watches = Arc::clone(&shared.connections);
    let parts = Parts::new(shared, groups, &size.trusted_proxies);
    let app = move || parts.app();
    let max_connections = size.max_connections.div_ceil(size.workers).max(1);
    let listener = match listener {
        Listener::Tcp(listener) if size.proxy_protocol == ProxyProtocol::V2 => {
            sockets::prepare(&listener);
            let listening = Listening {
                listener,
                tls,
                trusted_proxies: size.trusted_proxies,
                watches,
                workers: size.workers,
                max_connections,
                shutdown_timeout: size.shutdown_timeout,
            };
            return proxied::serve(app, listening);
        }
        other => other,
    };
    let mut server = HttpServer::new(app)
        .workers(size.workers)
        .shutdown_timeout(size.shutdown_timeout.as_secs())
        .on_connect(move |io, data| watches.connect(io, data))
        .max_connections(max_connections)
        // A client that gives up closes, and what it asked for need not be done any more.
        .h1_allow_half_closed(false)
        .client_request_timeout(HEAD_TIME)
        .keep_alive(KEEP_ALIVE);
    server = match listener {
        Listener::Unix(listener) => server.listen_uds(listener)?,
        Listener::Tcp(listener) => {
            sockets::prepare(&listener);
            match tls {
                None => server.listen(listener)?,
                Some(tls) => server.listen_rustls_0_23(listener, Arc::unwrap_or_clone(tls))?,
            }
        }
    };
    if !groups.has_interface() {
        // The main server receives them, and stops this one.
        server = server.disable_signals();
    }
    Ok(server.run())
}

fn check_server(settings: &ServerSettings, sources: &Sources) -> Result<(), ConfigError> {
    check_proxy_protocol(settings, sources)?;
    check_addresses(settings, sources)
}

/// Two listeners may share an address only where it is `admin_listen` and `metrics_listen`: then
/// one listener serves both.
fn check_addresses(settings: &ServerSettings, sources: &Sources) -> Result<(), ConfigError> {
    let main = ListenAddress::Tcp(settings.listen);
    let others = [
        ("admin_listen", &settings.admin_listen),
        ("metrics_listen", &settings.metrics_listen),
    ];
    let mut others = others.into_iter();
    let is_shared = |address: &ListenAddress| address.is_shared_with(&main);
    match others.find(|(_, address)| address.as_ref().is_some_and(is_shared)) {
        Some((key, _)) => Err(sources.error(
            key,
            "it must not be the address of `listen`; leave it out to serve the paths there",
        )),
        None => Ok(()),
    }
}

fn other_address() -> Kind<ListenAddress> {
    let values = "address and port, or `unix:` and the path of a socket";
    parsed("ADDRESS", values, str::parse)
}

/// The parts of each worker's application.
#[derive(Clone)]
struct Parts {
    shared: AppState,
    groups: Groups,
    trusted_proxies: Data<TrustedProxies>,
    public_paths: Data<PublicPaths>,
}

impl Parts {
    fn new(shared: AppState, groups: Groups, trusted_proxies: &TrustedProxies) -> Self {
        let served = endpoints::served_by(&shared.service.registry, groups);
        Self {
            shared,
            groups,
            trusted_proxies: Data::new(trusted_proxies.clone()),
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
            .configure(|config| routes(config, &registry, self.groups))
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
