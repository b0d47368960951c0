//! The addresses that the service listens on, and the endpoints that each serves.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

const UNIX_PREFIX: &str = "unix:";
const ADMIN_ROOT: &str = "/admin/v1";

/// An address to listen on: `127.0.0.1:8080`, or `unix:/run/rollcall/admin.sock`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenAddress {
    Tcp(SocketAddr),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

impl ListenAddress {
    /// Whether one listener serves both. Port 0 takes another port each time.
    pub fn is_shared_with(&self, other: &Self) -> bool {
        self == other && !matches!(self, Self::Tcp(address) if address.port() == 0)
    }
}

impl FromStr for ListenAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix(UNIX_PREFIX) {
            Some(path) if path.starts_with('/') => Ok(Self::Unix(path.into())),
            Some(_) => Err("the absolute path of a socket was expected after `unix:`".to_owned()),
            None => text.parse().map(Self::Tcp).map_err(|_| {
                "an address with a port was expected, such as 127.0.0.1:8081, or unix:/path"
                    .to_owned()
            }),
        }
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "{UNIX_PREFIX}{}", path.display()),
        }
    }
}

/// The answer to whether a listener serves a group of endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Serves {
    Yes,
    No,
}

impl From<bool> for Serves {
    fn from(does: bool) -> Self {
        if does { Self::Yes } else { Self::No }
    }
}

/// The groups of endpoints that a listener serves. `/healthz` and `/readyz` are on each.
#[derive(Debug, Clone, Copy)]
pub struct Groups {
    /// `/scim/v2` and `/directory/v1`.
    pub interface: Serves,
    /// `/admin/v1`.
    pub admin: Serves,
    /// `/metrics`.
    pub metrics: Serves,
    /// `/docs` and `/openapi.json`.
    pub docs: Serves,
}

impl Groups {
    /// Whether clients other than administrators and monitoring are served.
    pub fn has_interface(&self) -> bool {
        self.interface == Serves::Yes
    }

    /// What is served, for the operator.
    pub fn purpose(&self) -> &'static str {
        match (self.interface, self.admin, self.metrics) {
            (Serves::Yes, ..) => "clients",
            (_, Serves::Yes, Serves::Yes) => "admin and metrics",
            (_, Serves::Yes, Serves::No) => "admin",
            (_, Serves::No, _) => "metrics",
        }
    }

    /// Whether an endpoint of this path is served.
    pub fn include(&self, path: &str) -> bool {
        let group = match path {
            "/healthz" | "/readyz" => Serves::Yes,
            "/metrics" => self.metrics,
            "/openapi.json" => self.docs,
            _ if path.starts_with("/docs") => self.docs,
            _ if path.starts_with(ADMIN_ROOT) => self.admin,
            _ => self.interface,
        };
        group == Serves::Yes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for text in ["127.0.0.1:8080", "[::1]:0", "unix:/run/a b.sock"] {
            let address: ListenAddress = text.parse().unwrap();
            assert_eq!(address.to_string(), text);
        }
        for text in [
            "",
            "8080",
            "localhost:80",
            "unix:",
            "unix:a.sock",
            "/a.sock",
        ] {
            assert!(text.parse::<ListenAddress>().is_err(), "{text}");
        }
    }
}
