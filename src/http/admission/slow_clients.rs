//! Closes connections whose client is too slow. The server (actix) bounds the head of the first
//! request and idle time. This bounds what it leaves open: a client that does not read its
//! response, and one that begins a further request and never ends its head.
//!
//! The server's own handle of a connection is out of reach, so each connection is held here by a
//! second descriptor, through which it can be shut down.
//! [Decision 25](../../../docs/decisions/0025-log-writer-and-slow-clients.md) has the measurements.

use std::any::Any;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::dev::Extensions;
use actix_web::rt::net::{TcpStream, UnixStream};
use rustix::net::{Shutdown, shutdown};

use crate::settings::{seconds, settings};
use crate::telemetry::Metrics;

/// The interval at which the connections are checked.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// Added to the server's own timeouts, which answer the client before they close.
const SLACK: Duration = Duration::from_secs(5);
/// The due time of a connection on which the server has to act, not the client.
const NEVER: u64 = u64::MAX;

/// How long the head of a request may take.
pub const HEAD_TIME: Duration = Duration::from_secs(15);
/// How long a connection may wait for its next request.
pub const KEEP_ALIVE: Duration = Duration::from_secs(75);

settings! {
    /// How long a client may take.
    #[derive(Debug, Clone, Copy)]
    pub struct Timeouts {
        /// For the head of a request.
        pub head: Duration = fixed(HEAD_TIME),
        /// From one request to the next.
        pub idle: Duration = fixed(KEEP_ALIVE),
        /// Longest time for a client to read 64 KiB of a response.
        pub piece: Duration = setting("answer_timeout_s", seconds(1..=3600), 30),
    }
}

/// All open connections.
pub struct ConnectionWatches {
    timeouts: Timeouts,
    started: Instant,
    watches: Mutex<Vec<Weak<ConnectionWatch>>>,
}

/// One open connection.
pub struct ConnectionWatch {
    /// `None` if there was no descriptor for it: then the connection cannot be shut down.
    socket: Option<OwnedFd>,
    /// Whether no further request is taken; see [`super::framing`].
    ended: AtomicBool,
    /// When the connection will be closed, in milliseconds since `started`.
    due_ms: AtomicU64,
    timeouts: Timeouts,
    started: Instant,
}

impl ConnectionWatches {
    /// Creates an empty set of connections.
    pub fn new(timeouts: Timeouts) -> Self {
        Self {
            timeouts,
            started: Instant::now(),
            watches: Mutex::default(),
        }
    }

    /// Adds a new connection, and puts its [`ConnectionWatch`] into its data.
    pub fn connect(&self, io: &dyn Any, data: &mut Extensions) {
        let Some(io) = descriptor(io) else {
            return;
        };
        let socket = match io.try_clone_to_owned() {
            Ok(socket) => Some(socket),
            Err(error) => {
                tracing::warn!(%error, "a connection is not watched for slow clients");
                None
            }
        };
        let watch = Arc::new(ConnectionWatch {
            socket,
            ended: AtomicBool::new(false),
            due_ms: AtomicU64::new(NEVER),
            timeouts: self.timeouts,
            started: self.started,
        });
        watch.expect_request();
        let mut watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        watches.push(Arc::downgrade(&watch));
        drop(watches);
        data.insert(watch);
    }

    /// Closes the connections of slow clients, once per interval; does not return.
    pub async fn watch(&self, metrics: &Metrics) {
        let mut interval = tokio::time::interval(CHECK_INTERVAL);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            interval.tick().await;
            let (open, closed) = self.close_due(self.started.elapsed());
            metrics.record_connections(open, closed);
            if closed > 0 {
                tracing::warn!(
                    connections = closed,
                    "closed connections: the client did not read its response or complete its request in time"
                );
            }
        }
    }

    /// Closes the connections that are due. Returns the number of open connections and the number
    /// of those that were closed.
    fn close_due(&self, now: Duration) -> (u32, u64) {
        let now_ms = to_ms(now);
        let mut watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        let mut closed: u64 = 0;
        watches.retain(|watch| {
            let Some(watch) = watch.upgrade() else {
                return false;
            };
            if watch.due_ms.load(Ordering::Relaxed) <= now_ms {
                closed += 1;
                watch.due_ms.store(NEVER, Ordering::Relaxed);
                watch.close();
            }
            true
        });
        (u32::try_from(watches.len()).unwrap_or(u32::MAX), closed)
    }
}

impl ConnectionWatch {
    /// Stops the clock while the server works on a request or on the next chunk of its response.
    pub fn suspend(&self) {
        self.due_ms.store(NEVER, Ordering::Relaxed);
    }

    /// Starts the time in which the client has to read a chunk of a response. The server asks for
    /// the next chunk when the client has taken this one.
    pub fn expect_read(&self) {
        self.set_due(self.timeouts.piece);
    }

    /// Starts the time in which the client has to send the head of its next request.
    pub fn expect_request(&self) {
        self.set_due(self.timeouts.idle + self.timeouts.head + SLACK);
    }

    /// Takes no further request on this connection.
    pub fn end(&self) {
        self.ended.store(true, Ordering::Relaxed);
    }

    /// Whether [`ConnectionWatch::end`] was called.
    pub fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    /// Makes the server find the end of the client's data, as if the client had closed: it then
    /// sends what it has answered, and closes.
    pub fn stop_reading(&self) {
        self.shut_down(Shutdown::Read);
    }

    /// Closes the connection, whatever is still to be sent.
    pub fn close(&self) {
        self.shut_down(Shutdown::Both);
    }

    fn shut_down(&self, how: Shutdown) {
        if let Some(socket) = &self.socket {
            // It may be closed already.
            shutdown(socket, how).ok();
        }
    }

    fn set_due(&self, time: Duration) {
        let due = self.started.elapsed().saturating_add(time);
        self.due_ms.store(to_ms(due), Ordering::Relaxed);
    }
}

/// Returns the descriptor of a connection of the server.
fn descriptor(io: &dyn Any) -> Option<BorrowedFd<'_>> {
    if let Some(io) = io.downcast_ref::<TcpStream>() {
        return Some(io.as_fd());
    }
    if let Some(io) = io.downcast_ref::<TlsStream<TcpStream>>() {
        return Some(io.get_ref().0.as_fd());
    }
    Some(io.downcast_ref::<UnixStream>()?.as_fd())
}

fn to_ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::net::{TcpListener, TcpStream};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn connections_of_slow_clients_are_closed() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let watches = ConnectionWatches::new(Timeouts {
            head: 10 * SECOND,
            idle: 20 * SECOND,
            piece: 5 * SECOND,
        });
        let watch = Arc::new(ConnectionWatch {
            socket: Some(listener.accept().unwrap().0.into()),
            ended: AtomicBool::new(false),
            due_ms: AtomicU64::new(NEVER),
            timeouts: watches.timeouts,
            started: watches.started,
        });
        watches.watches.lock().unwrap().push(Arc::downgrade(&watch));
        assert_eq!(watches.close_due(1_000 * SECOND), (1, 0));
        watch.expect_request();
        assert_eq!(watches.close_due(34 * SECOND), (1, 0));
        watch.suspend();
        assert_eq!(watches.close_due(1_000 * SECOND), (1, 0));
        watch.expect_read();
        assert_eq!(watches.close_due(4 * SECOND), (1, 0));
        assert_eq!(watches.close_due(15 * SECOND), (1, 1));
        assert_eq!(client.read(&mut [0]).unwrap(), 0, "it was closed");
        assert_eq!(watches.close_due(1_000 * SECOND), (1, 0), "once");
        drop(watch);
        assert_eq!(watches.close_due(1_000 * SECOND), (0, 0));
    }
}
