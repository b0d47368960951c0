//! The listeners: what each serves, and how.

use std::fs::{self, Permissions};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use actix_web::dev::Server;
use anyhow::Context as _;

use crate::http::admission::sockets;
use crate::http::listener::{Groups, ListenAddress, Serves};
use crate::http::security_headers::Transport;
use crate::http::server::{self, Listener, ProxyProtocol, ServerSettings, Size};
use crate::http::state::AppState;
use crate::http::{endpoints, openapi};

/// Administrators and monitoring open few connections; their descriptors are among those that
/// [`sockets`] sets aside.
const OTHER_CONNECTIONS: usize = 64;
/// The group may use the socket too, such as one that Prometheus is a member of.
const SOCKET_MODE: u32 = 0o660;

/// The TLS of the service, if it has one.
pub type Tls = Option<Arc<rustls::ServerConfig>>;

/// A listener that is bound and does not accept connections yet.
pub struct Bound {
    listener: Listener,
    pub address: BoundAddress,
    groups: Groups,
    transport: Transport,
}

/// The address of a listener.
#[derive(Debug, Clone)]
pub struct BoundAddress {
    pub address: ListenAddress,
    transport: Transport,
}

/// All listeners of the service.
pub struct Listening<L> {
    /// Serves SCIM, and everything that has no listener of its own.
    pub main: L,
    pub others: Vec<L>,
}

/// A server that accepts connections while it is awaited.
pub struct Running {
    pub server: Server,
    pub address: BoundAddress,
    /// The paths that it serves, in words for the operator.
    pub purpose: &'static str,
    /// Removes its file when dropped.
    pub socket: Option<SocketFile>,
}

/// The file of a Unix socket, which is removed at the end.
pub struct SocketFile(PathBuf);

impl BoundAddress {
    /// The address as a URL, or `unix:` and the path.
    pub fn url(&self) -> String {
        match (&self.address, self.transport) {
            (ListenAddress::Tcp(address), Transport::Tls) => format!("https://{address}"),
            (ListenAddress::Tcp(address), Transport::Plain) => format!("http://{address}"),
            (unix @ ListenAddress::Unix(_), _) => unix.to_string(),
        }
    }
}

/// Binds every address.
///
/// # Errors
/// An address cannot be used.
pub fn bind(settings: &ServerSettings) -> anyhow::Result<Listening<Bound>> {
    let (admin, metrics) = (&settings.admin_listen, &settings.metrics_listen);
    let is_shared = match (admin, metrics) {
        (Some(admin), Some(metrics)) => admin.is_shared_with(metrics),
        _ => false,
    };
    let main = Groups {
        interface: Serves::Yes,
        admin: admin.is_none().into(),
        metrics: metrics.is_none().into(),
        docs: settings.docs,
    };
    let transport = match settings.tls {
        Some(_) => Transport::Tls,
        None => Transport::Plain,
    };
    let mut others = Vec::new();
    if let Some(address) = admin {
        let groups = Groups {
            interface: Serves::No,
            admin: Serves::Yes,
            metrics: is_shared.into(),
            docs: settings.docs,
        };
        others.push(Bound::new(address, groups, transport)?);
    }
    if let Some(address) = metrics.as_ref().filter(|_| !is_shared) {
        let groups = Groups {
            interface: Serves::No,
            admin: Serves::No,
            metrics: Serves::Yes,
            docs: Serves::No,
        };
        others.push(Bound::new(address, groups, Transport::Plain)?);
    }
    Ok(Listening {
        main: Bound::new(&ListenAddress::Tcp(settings.listen), main, transport)?,
        others,
    })
}

impl Listening<Bound> {
    /// Starts a server for each listener.
    ///
    /// # Errors
    /// A listener cannot be used.
    pub fn start(
        self,
        state: &AppState,
        tls: &Tls,
        settings: &ServerSettings,
    ) -> anyhow::Result<Listening<Running>> {
        let main = Size {
            workers: settings.workers,
            max_connections: sockets::allow(settings.max_connections),
            shutdown_timeout: settings.shutdown_timeout,
            trusted_proxies: settings.trusted_proxies.clone(),
            proxy_protocol: settings.proxy_protocol,
        };
        let other = Size {
            workers: 1,
            max_connections: OTHER_CONNECTIONS,
            proxy_protocol: ProxyProtocol::Off,
            ..main.clone()
        };
        let others = self.others.into_iter();
        Ok(Listening {
            main: self.main.start(state, tls, main)?,
            others: others
                .map(|bound| bound.start(state, tls, other.clone()))
                .collect::<anyhow::Result<_>>()?,
        })
    }
}

impl Bound {
    fn new(address: &ListenAddress, groups: Groups, transport: Transport) -> anyhow::Result<Self> {
        let context = || format!("cannot listen on {address}");
        let (listener, address, transport) = match address {
            ListenAddress::Tcp(address) => {
                let (listener, address) = bind_address(*address).with_context(context)?;
                let address = ListenAddress::Tcp(address);
                (Listener::Tcp(listener), address, transport)
            }
            ListenAddress::Unix(path) => {
                let listener = bind_socket(path).with_context(context)?;
                (Listener::Unix(listener), address.clone(), Transport::Plain)
            }
        };
        Ok(Self {
            listener,
            address: BoundAddress { address, transport },
            groups,
            transport,
        })
    }

    fn start(self, state: &AppState, tls: &Tls, size: Size) -> anyhow::Result<Running> {
        let registry = &state.service.registry;
        let served = endpoints::served_by(registry, self.groups);
        let state = AppState {
            openapi: openapi::describe(registry, &served)
                .to_pretty_json()?
                .into(),
            transport: self.transport,
            ..state.clone()
        };
        let socket = match &self.address.address {
            ListenAddress::Tcp(_) => None,
            ListenAddress::Unix(path) => Some(SocketFile(path.clone())),
        };
        let tls = tls.clone().filter(|_| self.transport == Transport::Tls);
        Ok(Running {
            server: server::start(self.listener, self.groups, state, tls, size)?,
            address: self.address,
            purpose: self.groups.purpose(),
            socket,
        })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        fs::remove_file(&self.0).ok();
    }
}

fn bind_address(address: SocketAddr) -> std::io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// Binds a Unix socket. One that a killed process left behind is replaced.
fn bind_socket(path: &Path) -> std::io::Result<UnixListener> {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    if is_socket && UnixStream::connect(path).is_err() {
        fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, Permissions::from_mode(SOCKET_MODE))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}
