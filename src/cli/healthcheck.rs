//! `rollcall healthcheck`: a container's health check, without a shell or curl in the image.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use anyhow::{Context as _, bail};

use crate::config::{self, DatabaseArgs};
use crate::http::listener::ListenAddress;
use crate::http::server::ServerSettings;

const TIMEOUT: Duration = Duration::from_secs(3);

#[derive(Debug, clap::Args)]
pub struct HealthcheckArgs {
    /// Address that the service listens on, over plain HTTP [default: `metrics_listen` of the
    /// configuration, or else `listen`]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<ListenAddress>,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// Runs `rollcall healthcheck`.
pub fn run(args: &HealthcheckArgs) -> anyhow::Result<()> {
    let address = match &args.listen {
        Some(address) => address.clone(),
        None => configured(config::load(&args.database)?),
    };
    let context = || format!("nothing listens on {address}");
    let status = match &address {
        ListenAddress::Tcp(tcp) => {
            let stream = TcpStream::connect_timeout(&reachable(*tcp), TIMEOUT);
            let stream = stream.with_context(context)?;
            stream.set_read_timeout(Some(TIMEOUT))?;
            stream.set_write_timeout(Some(TIMEOUT))?;
            ask(stream)?
        }
        ListenAddress::Unix(path) => {
            let stream = UnixStream::connect(path).with_context(context)?;
            stream.set_read_timeout(Some(TIMEOUT))?;
            stream.set_write_timeout(Some(TIMEOUT))?;
            ask(stream)?
        }
    };
    if status != "200" {
        bail!("{address} answered {status}");
    }
    println!("ok");
    Ok(())
}

/// The listener to ask: that of the metrics has no TLS.
fn configured(settings: ServerSettings) -> ListenAddress {
    let main = ListenAddress::Tcp(settings.listen);
    settings.metrics_listen.unwrap_or(main)
}

fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    address
}

/// Returns the status of the answer.
fn ask(mut stream: impl Read + Write) -> std::io::Result<String> {
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut response = Vec::new();
    stream.take(4096).read_to_end(&mut response)?;
    let response = String::from_utf8_lossy(&response);
    let status = response.split(' ').nth(1);
    Ok(status.unwrap_or_default().to_owned())
}
