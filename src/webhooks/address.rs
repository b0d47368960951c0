//! The addresses that a webhook may reach. Without this check, anyone who may create a subscription
//! could make the server send requests into its own network.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// The addresses that may be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Public addresses by HTTPS.
    Public,
    /// Any address, also by plain HTTP, for receivers in the same network.
    Anywhere,
}

/// The reason why a webhook may not have a URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadAddress(String);

/// Checks a URL without resolving its host.
///
/// # Errors
/// Another scheme than HTTPS, a user or password in it, an address that is not public.
pub fn check(reach: Reach, text: &str) -> Result<Url, BadAddress> {
    let bad = |text: &str| BadAddress(text.to_owned());
    let url = Url::parse(text)
        .map_err(|_| bad("a URL was expected, such as https://app.example.com/rollcall"))?;
    match (url.scheme(), reach) {
        ("https", _) | ("http", Reach::Anywhere) => {}
        ("http", Reach::Public) => {
            return Err(bad(
                "a webhook goes to https; `webhook_allow_private = \"on\"` allows http for receivers in the same network",
            ));
        }
        _ => return Err(bad("a webhook goes to an https URL")),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(bad(
            "a webhook's URL holds no user and password; the receiver checks the signature instead",
        ));
    }
    // The parser has normalized every spelling of an address, such as 0x7f.1.
    let host = url.host_str().unwrap_or_default();
    let literal = host.trim_start_matches('[').trim_end_matches(']').parse();
    match literal {
        Ok(address) if !may_reach(reach, address) => Err(private(host)),
        _ if host.is_empty() => Err(bad("a webhook's URL names a host")),
        _ => Ok(url),
    }
}

fn private(host: &str) -> BadAddress {
    BadAddress(format!(
        "{host} is no public address; `webhook_allow_private = \"on\"` allows receivers in the same network"
    ))
}

fn may_reach(reach: Reach, address: IpAddr) -> bool {
    reach == Reach::Anywhere || is_public(address)
}

/// Resolves names to the addresses that may be reached. It resolves for each connection, so that a
/// name cannot change to a private address after the check.
pub struct Resolver(pub Reach);

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.0;
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let found: Vec<SocketAddr> =
                tokio::net::lookup_host((host.as_str(), 0)).await?.collect();
            let usable: Vec<SocketAddr> = found
                .into_iter()
                .filter(|address| may_reach(reach, address.ip()))
                .collect();
            if usable.is_empty() {
                return Err(io::Error::other(private(&host)).into());
            }
            let addresses: Addrs = Box::new(usable.into_iter());
            Ok(addresses)
        })
    }
}

/// Returns whether an address is public, by the special-purpose registries (RFC 6890).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = matches!(
        (a, b, c),
        (0 | 10 | 127 | 224..=255, _, _)
            // Shared by carriers (RFC 6598).
            | (100, 64..=127, _)
            // Link-local, where clouds keep their metadata.
            | (169, 254, _)
            | (172, 16..=31, _)
            | (192, 0, 0 | 2)
            | (192, 88, 99)
            | (192, 168, _)
            // Benchmarks (RFC 2544) and documentation.
            | (198, 18 | 19, _)
            | (198, 51, 100)
            | (203, 0, 113)
    );
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    if let Some(inner) = embedded(address) {
        return is_public_v4(inner);
    }
    let [a, b, ..] = address.segments();
    // Only 2000::/3 is handed out. In it: documentation, and 2001::/23 for protocols such as
    // Teredo.
    let is_global = a & 0xe000 == 0x2000;
    let is_special = (a == 0x2001 && (b < 0x0200 || b == 0x0db8)) || (a == 0x3fff && b < 0x1000);
    is_global && !is_special
}

/// Returns the IPv4 address that an IPv6 address embeds: mapped, compatible, NAT64 or 6to4.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Some(Ipv4Addr::new(a, b, c, d))
    };
    match (a, b, c, d, e, f) {
        (0, 0, 0, 0, 0, 0 | 0xffff) | (0x64, 0xff9b, 0, 0, 0, 0) => v4(g, h),
        (0x2002, high, low, _, _, _) => v4(high, low),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let check = |text: &str, expected: bool| {
            let address: IpAddr = text.parse().unwrap();
            assert_eq!(is_public(address), expected, "{text}");
        };
        for private in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.9.9.9",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::10.0.0.1",
            "64:ff9b::a00:1",
            "2002:a00:1::",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
            "3fff::1",
            "100::1",
        ] {
            check(private, false);
        }
        for public in [
            "1.1.1.1",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "192.167.1.1",
            "198.17.0.1",
            "223.255.255.255",
            "2606:4700::1111",
            "2a00::1",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
            "2001:200::1",
            "2002:808:808::1",
        ] {
            check(public, true);
        }
    }

    #[test]
    fn urls() {
        let refused = |reach: Reach, url: &str, expected: &str| {
            let error = check(reach, url).unwrap_err().to_string();
            assert!(error.contains(expected), "{url}: {error}");
        };
        for url in [
            "https://127.0.0.1/x",
            "https://[::1]/x",
            "https://0x7f.1/",
            "https://2130706433/",
            "https://017700000001/",
            "https://[::ffff:169.254.169.254]/",
            "https://192.168.0.10:8443/hook",
        ] {
            refused(Reach::Public, url, "no public address");
            assert!(check(Reach::Anywhere, url).is_ok(), "{url}");
        }
        refused(Reach::Public, "http://app.example.com/", "goes to https");
        refused(
            Reach::Public,
            "https://u:p@app.example.com/",
            "user and password",
        );
        for reach in [Reach::Public, Reach::Anywhere] {
            refused(reach, "file:///etc/passwd", "https");
            refused(reach, "ftp://example.com/", "https");
            refused(reach, "hook", "a URL was expected");
            refused(reach, "https://", "a URL was expected");
        }
        assert!(check(Reach::Public, "https://app.example.com:8443/a?b=c").is_ok());
        assert!(check(Reach::Anywhere, "http://localhost:9/").is_ok());
    }
}
