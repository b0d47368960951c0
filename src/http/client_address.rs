//! The address of the client that sent a request: that of the connection, or the one that a trusted
//! proxy reports.
//!
//! A header is only believed if the connection comes from a trusted proxy. Proxies append to the
//! list that they receive, so its right end is theirs and the rest may be the client's invention:
//! the client is the rightmost hop that is no trusted proxy.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use actix_web::HttpRequest;
use actix_web::http::header::{FORWARDED, HeaderMap, HeaderName, X_FORWARDED_FOR};
use actix_web::web::Data;
use ipnet::IpNet;

/// The most hops that are read: far more than there are proxies in a row.
const MAX_HOPS: usize = 32;

/// The networks of the proxies whose `X-Forwarded-For` and `Forwarded` are believed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<IpNet>);

/// The networks of which one is one client: an IPv4 address, or the /64 that one IPv6 client has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ClientNetwork {
    V4(Ipv4Addr),
    V6([u16; 4]),
    /// The connection has no address, such as that of a Unix socket.
    Unknown,
}

impl TrustedProxies {
    /// Parses addresses and networks separated by commas, such as `10.0.0.0/8, ::1`.
    ///
    /// # Errors
    /// Names the part that is neither.
    pub fn parse(text: &str) -> Result<Self, String> {
        let parts = text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty());
        let networks = parts.map(|part| match (part.parse(), part.parse::<IpAddr>()) {
            (Ok(network), _) => Ok(network),
            (_, Ok(address)) => Ok(IpNet::from(address)),
            _ => Err(format!(
                "addresses or networks separated by commas were expected, such as 10.0.0.0/8, and `{part}` is neither"
            )),
        });
        networks.collect::<Result<_, _>>().map(Self)
    }

    /// Returns whether this is the address of a trusted proxy.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }
}

impl ClientNetwork {
    /// Returns the network of an address.
    pub fn of(address: Option<IpAddr>) -> Self {
        match address {
            None => Self::Unknown,
            Some(IpAddr::V4(address)) => Self::V4(address),
            Some(IpAddr::V6(address)) => {
                let [a, b, c, d, ..] = address.segments();
                Self::V6([a, b, c, d])
            }
        }
    }
}

/// Returns the address of the client. `None` if the connection has none, as on a Unix socket.
pub fn client_address(request: &HttpRequest) -> Option<IpAddr> {
    let peer = request
        .peer_addr()
        .as_ref()
        .map(SocketAddr::ip)?
        .to_canonical();
    match request.app_data::<Data<TrustedProxies>>() {
        Some(trusted) if trusted.contains(peer) => Some(reported(trusted, peer, request.headers())),
        _ => Some(peer),
    }
}

/// Returns the client that a trusted proxy reports.
fn reported(trusted: &TrustedProxies, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
    let of = |name: HeaderName, parse: fn(&str) -> Option<IpAddr>| {
        headers
            .contains_key(&name)
            .then(|| rightmost(trusted, peer, headers, &name, parse))
    };
    match (of(X_FORWARDED_FOR, parse_hop), of(FORWARDED, forwarded_for)) {
        // A proxy that sets one of them may pass the client's own text in the other.
        (Some(one), Some(other)) if one != other => peer,
        (Some(address), _) | (None, Some(address)) => address,
        (None, None) => peer,
    }
}

/// Returns the rightmost hop of a list that is no trusted proxy. Of an unreadable hop, it returns
/// the proxy that reported it.
fn rightmost(
    trusted: &TrustedProxies,
    peer: IpAddr,
    headers: &HeaderMap,
    name: &HeaderName,
    parse: fn(&str) -> Option<IpAddr>,
) -> IpAddr {
    // Several headers of one name are one list (RFC 9110 section 5.3).
    let lists: Vec<_> = headers.get_all(name).collect();
    let mut hops = lists
        .into_iter()
        .rev()
        .flat_map(|list| list.to_str().unwrap_or_default().rsplit(','));
    let mut address = peer;
    for hop in hops.by_ref().take(MAX_HOPS) {
        match parse(hop.trim()).map(|hop| hop.to_canonical()) {
            Some(hop) if trusted.contains(hop) => address = hop,
            Some(hop) => return hop,
            None => return address,
        }
    }
    address
}

/// Parses an address, with or without a port, and an IPv6 address with or without brackets.
fn parse_hop(text: &str) -> Option<IpAddr> {
    let in_brackets = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    text.parse()
        .ok()
        .or_else(|| text.parse().ok().as_ref().map(SocketAddr::ip))
        .or_else(in_brackets)
}

/// Parses the `for` of an element of `Forwarded` (RFC 7239 section 4). A name instead of an address
/// is `None`.
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let mut pairs = element.split(';').filter_map(|pair| pair.split_once('='));
    let (_, node) = pairs.find(|(name, _)| name.trim().eq_ignore_ascii_case("for"))?;
    parse_hop(node.trim().trim_matches('"'))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    const XFF: &str = "x-forwarded-for";

    fn check(peer: &str, headers: &[(&str, &str)], expected: &str) {
        let trusted = TrustedProxies::parse("10.0.0.0/8, fd00::/8,192.0.2.1").unwrap();
        let mut request = TestRequest::default()
            .peer_addr(SocketAddr::new(peer.parse().unwrap(), 7))
            .app_data(Data::new(trusted));
        for header in headers {
            request = request.append_header(*header);
        }
        let found = client_address(&request.to_http_request());
        assert_eq!(found, Some(expected.parse().unwrap()), "{peer} {headers:?}");
    }

    #[test]
    fn the_rightmost_hop_that_is_no_trusted_proxy() {
        check("203.0.113.9", &[(XFF, "198.51.100.1")], "203.0.113.9");
        check("10.0.0.1", &[], "10.0.0.1");
        check("10.0.0.1", &[(XFF, "198.51.100.1")], "198.51.100.1");
        check(
            "::ffff:10.0.0.1",
            &[(XFF, "::ffff:198.51.100.1")],
            "198.51.100.1",
        );
        check(
            "10.0.0.1",
            &[(XFF, "1.1.1.1, 198.51.100.1")],
            "198.51.100.1",
        );
        check(
            "10.0.0.1",
            &[(XFF, "1.1.1.1, 198.51.100.1:80 ,192.0.2.1")],
            "198.51.100.1",
        );
        check(
            "10.0.0.1",
            &[(XFF, "1.1.1.1"), (XFF, "2001:db8::1")],
            "2001:db8::1",
        );
        check("fd00::7", &[(XFF, "[2001:db8::1]:443")], "2001:db8::1");
        check("10.0.0.1", &[(XFF, "[2001:db8::1]")], "2001:db8::1");
        check("10.0.0.1", &[(XFF, "10.0.0.3, 10.0.0.2")], "10.0.0.3");
        check("10.0.0.1", &[(XFF, "1.1.1.1, unknown")], "10.0.0.1");
        check(
            "10.0.0.1",
            &[(XFF, "1.1.1.1, unknown, 10.0.0.2")],
            "10.0.0.2",
        );
        check("10.0.0.1", &[(XFF, "")], "10.0.0.1");
    }

    #[test]
    fn the_standard_header() {
        let name = "forwarded";
        check(
            "10.0.0.1",
            &[(name, "for=198.51.100.1;proto=https")],
            "198.51.100.1",
        );
        let of_v6 = r#"for=1.1.1.1, proto=http; For="[2001:db8::1]:4711""#;
        check("10.0.0.1", &[(name, of_v6)], "2001:db8::1");
        check(
            "10.0.0.1",
            &[(name, "for=1.1.1.1, for=_hidden")],
            "10.0.0.1",
        );
        check("10.0.0.1", &[(name, "by=1.1.1.1")], "10.0.0.1");
        let both = |xff| [(name, "for=198.51.100.1"), (XFF, xff)];
        check("10.0.0.1", &both("198.51.100.1"), "198.51.100.1");
        check("10.0.0.1", &both("1.1.1.1"), "10.0.0.1");
    }

    #[test]
    fn the_list_is_read_to_a_limit() {
        let long = "10.0.0.2,".repeat(10_000) + "10.0.0.3";
        check("10.0.0.1", &[(XFF, &long)], "10.0.0.2");
    }

    #[test]
    fn settings() {
        assert_eq!(
            TrustedProxies::parse("").unwrap(),
            TrustedProxies::default()
        );
        for wrong in ["10.0.0.0/33", "proxy.example.com", "10.0.0.0/8;::1"] {
            assert!(TrustedProxies::parse(wrong).unwrap_err().contains(wrong));
        }
    }

    #[test]
    fn an_ipv6_client_is_a_network() {
        let network = |text: &str| ClientNetwork::of(Some(text.parse().unwrap()));
        assert_eq!(network("2001:db8:1:2::1"), network("2001:db8:1:2:ffff::"));
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
        assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
    }
}
