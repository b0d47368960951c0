//! The header of the PROXY protocol, version 2, with which a proxy of TCP connections begins each
//! connection to tell the address of its client.
//!
//! It is read on connections from trusted proxies only, and there every connection must have it:
//! where a header is optional, a client behind the proxy could send one of its own.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// The first bytes of every header.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// The size of the fixed part.
const FIXED_BYTES: usize = 16;
/// The most bytes of addresses and further fields. Proxies send some hundred, with certificates
/// some thousand.
const MAX_VARIABLE_BYTES: usize = 8 * 1024;
/// The time in which the header must arrive. Proxies send it at once.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The address that a header tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// The address of the client.
    Client(SocketAddr),
    /// The proxy itself has connected, such as for a health check, or its client has no address.
    Nothing,
}

/// The fixed part of a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Fixed {
    command: Command,
    /// Of the addresses.
    family: Family,
    variable_bytes: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Command {
    Local,
    Proxy,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    V4,
    V6,
    Other,
}

/// Reads the header, and nothing of what follows it.
///
/// # Errors
/// The connection does not begin with a header, or the header does not arrive in time.
pub async fn read(io: &mut (impl AsyncRead + Unpin)) -> io::Result<Told> {
    let reading = async {
        let mut fixed = [0; FIXED_BYTES];
        io.read_exact(&mut fixed).await?;
        let fixed = Fixed::parse(fixed)?;
        let mut variable = vec![0; fixed.variable_bytes];
        io.read_exact(&mut variable).await?;
        fixed.told(&variable)
    };
    tokio::time::timeout(TIMEOUT, reading)
        .await
        .map_err(|_| invalid("the PROXY header does not arrive in time"))?
}

impl Fixed {
    fn parse(bytes: [u8; FIXED_BYTES]) -> io::Result<Self> {
        let [signature @ .., version, family, high, low] = bytes;
        if signature != SIGNATURE || version >> 4 != 2 {
            return Err(invalid("no PROXY header of version 2"));
        }
        let command = match version & 0xF {
            0 => Command::Local,
            1 => Command::Proxy,
            _ => return Err(invalid("an unknown command in the PROXY header")),
        };
        let variable_bytes = usize::from(u16::from_be_bytes([high, low]));
        if variable_bytes > MAX_VARIABLE_BYTES {
            return Err(invalid("the PROXY header is too long"));
        }
        let family = match family >> 4 {
            1 => Family::V4,
            2 => Family::V6,
            _ => Family::Other,
        };
        Ok(Self {
            command,
            family,
            variable_bytes,
        })
    }

    /// Parses the addresses, of which the first is the client's.
    fn told(self, variable: &[u8]) -> io::Result<Told> {
        let short = || invalid("the PROXY header is too short for its addresses");
        let address = match (self.command, self.family) {
            (Command::Local, _) | (Command::Proxy, Family::Other) => return Ok(Told::Nothing),
            (Command::Proxy, Family::V4) => {
                let [a, b, c, d, _, _, _, _, high, low, _, _] =
                    *variable.first_chunk().ok_or_else(short)?;
                let ip = IpAddr::from(Ipv4Addr::new(a, b, c, d));
                SocketAddr::new(ip, u16::from_be_bytes([high, low]))
            }
            (Command::Proxy, Family::V6) => {
                let addresses: &[u8; 36] = variable.first_chunk().ok_or_else(short)?;
                let ip: &[u8; 16] = addresses.first_chunk().ok_or_else(short)?;
                let [.., high, low, _, _] = *addresses;
                let ip = IpAddr::from(Ipv6Addr::from(*ip));
                SocketAddr::new(ip, u16::from_be_bytes([high, low]))
            }
        };
        Ok(Told::Client(address))
    }
}

fn invalid(problem: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(version: u8, family: u8, variable: &[u8]) -> Vec<u8> {
        let length = u16::try_from(variable.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[version, family], &length, variable].concat()
    }

    fn check(bytes: &[u8], expected: Option<Told>) {
        let rest = b"GET / HTTP/1.1";
        let stream = [bytes, rest].concat();
        let mut io = &stream[..];
        let read = futures_util::FutureExt::now_or_never(read(&mut io)).unwrap();
        assert_eq!(read.as_ref().ok(), expected.as_ref(), "{bytes:?} {read:?}");
        if read.is_ok() {
            assert_eq!(io, rest, "nothing else was read");
        }
    }

    #[tokio::test]
    async fn headers() {
        let v4 = [192, 0, 2, 1, 10, 0, 0, 1, 0x12, 0x34, 0, 80];
        let client = |text: &str| Some(Told::Client(text.parse().unwrap()));
        check(&header(0x21, 0x11, &v4), client("192.0.2.1:4660"));
        let with_fields = [&v4[..], &[3, 0, 4, 1, 2, 3, 4]].concat();
        check(&header(0x21, 0x11, &with_fields), client("192.0.2.1:4660"));
        let mut v6 = [0; 36];
        v6[..4].copy_from_slice(&[0x20, 1, 0xd, 0xb8]);
        v6[15] = 1;
        v6[33] = 7;
        check(&header(0x21, 0x21, &v6), client("[2001:db8::1]:7"));
        check(&header(0x20, 0, &[]), Some(Told::Nothing));
        check(&header(0x20, 0x11, &v4), Some(Told::Nothing));
        check(&header(0x21, 0x31, &[0; 216]), Some(Told::Nothing));
        check(&header(0x21, 0, &[]), Some(Told::Nothing));
        check(&header(0x21, 0x11, &v4[..11]), None);
        check(&header(0x21, 0x21, &v6[..35]), None);
        check(&header(0x22, 0x11, &v4), None);
        check(&header(0x11, 0x11, &v4), None);
        check(&header(0x21, 0x11, &[0; MAX_VARIABLE_BYTES + 1]), None);
        check(b"PROXY TCP4 192.0.2.1 10.0.0.1 4660 80\r\n", None);
        check(b"", None);
    }
}
