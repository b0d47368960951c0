//! What the operating system gives: descriptors, and buffers of sockets.

use std::net::TcpListener;

use rustix::net::{listen, sockopt};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// A connection takes its own descriptor, and one to shut it by.
const PER_CONNECTION: u64 = 2;
/// For the database, the log, webhooks and what else is open.
const BESIDE: u64 = 512;
/// Connections that the system keeps until they are taken.
const WAITING: i32 = 1024;
/// What the system keeps of an answer that its client does not read; it takes twice of that. Without a bound it is some
/// MiB for each.
const SEND_BUFFER_BYTES: usize = 128 * 1024;

/// Raises the limit of open descriptors as far as so many connections need and as the system allows. Returns for how
/// many connections that is enough.
pub fn allow(connections: usize) -> usize {
    let wanted = u64::try_from(connections).unwrap_or(u64::MAX);
    let needed = wanted.saturating_mul(PER_CONNECTION).saturating_add(BESIDE);
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
            Err(error) => tracing::warn!(%error, "the limit of open descriptors stays"),
        }
    }
    if current >= needed {
        return connections;
    }
    // Half of few is better than none.
    let enough = (current.saturating_sub(BESIDE).max(current / 2) / PER_CONNECTION).max(1);
    tracing::warn!(
        descriptors = current,
        needed,
        connections = enough,
        max_connections = connections,
        "fewer connections than wanted: the system allows no more open descriptors (ulimit -n)"
    );
    usize::try_from(enough).unwrap_or(connections)
}

/// Sets what the connections of a listener inherit. What cannot be set stays as the system has it.
pub fn prepare(listener: &TcpListener) {
    let set = sockopt::set_socket_send_buffer_size(listener, SEND_BUFFER_BYTES)
        .and_then(|()| listen(listener, WAITING));
    if let Err(error) = set {
        tracing::warn!(%error, "the listening socket stays as it is");
    }
}
