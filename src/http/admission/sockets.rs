//! Limits of the operating system: open descriptors, and the buffers of sockets.

use std::net::TcpListener;

use rustix::net::{listen, sockopt};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// A connection takes its own descriptor, and a second one of the watch for slow clients.
const DESCRIPTORS_PER_CONNECTION: u64 = 2;
/// Descriptors for everything else: the database, the log, webhooks.
const OTHER_DESCRIPTORS: u64 = 512;
/// The length of the queue of connections that were not yet accepted.
const BACKLOG: i32 = 1024;
/// The size of a socket's send buffer; the kernel doubles it. Without a limit, a client that does
/// not read its response takes some MiB of kernel memory.
const SEND_BUFFER_BYTES: usize = 128 * 1024;

/// Raises the limit of open descriptors to what this number of connections needs, as far as the
/// system allows. Returns the number of connections that the limit is enough for.
pub fn allow(connections: usize) -> usize {
    let wanted = u64::try_from(connections).unwrap_or(u64::MAX);
    let needed = wanted
        .saturating_mul(DESCRIPTORS_PER_CONNECTION)
        .saturating_add(OTHER_DESCRIPTORS);
    let limit = getrlimit(Resource::Nofile);
    let mut current = limit.current.unwrap_or(u64::MAX);
    if current < needed {
        let most = limit.maximum.unwrap_or(u64::MAX).min(needed);
        let raised = Rlimit {
            current: Some(most),
            maximum: limit.maximum,
        };
        match setrlimit(Resource::Nofile, raised) {
            Ok(()) => current = most,
            Err(error) => tracing::warn!(%error, "could not raise the limit of open descriptors"),
        }
    }
    if current >= needed {
        return connections;
    }
    // Under a very low limit, connections get at least half of the descriptors.
    let available = current.saturating_sub(OTHER_DESCRIPTORS).max(current / 2);
    let enough = (available / DESCRIPTORS_PER_CONNECTION).max(1);
    tracing::warn!(
        descriptors = current,
        needed,
        connections = enough,
        max_connections = connections,
        "accepting fewer connections than max_connections: the system allows no more open descriptors (ulimit -n)"
    );
    usize::try_from(enough).unwrap_or(connections)
}

/// Sets options that the connections of a listener inherit. If that fails, the system's defaults
/// apply.
pub fn prepare(listener: &TcpListener) {
    let set = sockopt::set_socket_send_buffer_size(listener, SEND_BUFFER_BYTES)
        .and_then(|()| listen(listener, BACKLOG));
    if let Err(error) = set {
        tracing::warn!(%error, "could not set the options of the listening socket");
    }
}
