//! The connections and whose turn it is on each. The server itself bounds the first head and the time in which nothing
//! comes; here is bounded what it leaves open: a client that does not take its answer, and one that begins another
//! request and never ends its head.
//!
//! What the server holds of a connection cannot be reached from outside, so each is held here by a second descriptor,
//! to shut it.

use std::any::Any;
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::dev::Extensions;
use actix_web::rt::net::TcpStream as Io;

use crate::settings::{seconds, settings};
use crate::telemetry::Metrics;

/// How often the connections are looked through.
const ROUND: Duration = Duration::from_secs(1);
/// The server ends what it can end by itself, with a better answer.
const SLACK: Duration = Duration::from_secs(5);
/// Not the client's turn.
const OURS: u64 = u64::MAX;

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

/// All connections.
pub struct ConnectionWatches {
    turns: Timeouts,
    started: Instant,
    all: Mutex<Vec<Weak<ConnectionWatch>>>,
}

/// One connection.
pub struct ConnectionWatch {
    socket: TcpStream,
    /// When it is shut, in milliseconds since the start.
    due_ms: AtomicU64,
    turns: Timeouts,
    started: Instant,
}

impl ConnectionWatches {
    pub fn new(turns: Timeouts) -> Self {
        Self {
            turns,
            started: Instant::now(),
            all: Mutex::default(),
        }
    }

    /// Takes a new connection in.
    pub fn connect(&self, io: &dyn Any, data: &mut Extensions) {
        let plain = io.downcast_ref::<Io>();
        let tls = || Some(io.downcast_ref::<TlsStream<Io>>()?.get_ref().0);
        let Some(io) = plain.or_else(tls) else {
            return;
        };
        let socket = match io.as_fd().try_clone_to_owned() {
            Ok(descriptor) => TcpStream::from(descriptor),
            Err(error) => {
                tracing::warn!(%error, "a connection is not watched");
                return;
            }
        };
        let wire = Arc::new(ConnectionWatch {
            socket,
            due_ms: AtomicU64::new(OURS),
            turns: self.turns,
            started: self.started,
        });
        wire.rest();
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(Arc::downgrade(&wire));
        drop(all);
        data.insert(wire);
    }

    /// Shuts, once a round and for ever, the connections whose client took too long.
    pub async fn watch(&self, metrics: &Metrics) {
        let mut round = tokio::time::interval(ROUND);
        round.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            round.tick().await;
            let (open, shut) = self.look(self.started.elapsed());
            metrics.connections(open, shut);
            if shut > 0 {
                tracing::warn!(
                    connections = shut,
                    "shut: the client neither reads its answer nor ends its request"
                );
            }
        }
    }

    /// Looks through them once; how many there are, and how many of them were shut.
    fn look(&self, now: Duration) -> (u32, u64) {
        let now_ms = to_ms(now);
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let mut shut: u64 = 0;
        all.retain(|wire| {
            let Some(wire) = wire.upgrade() else {
                return false;
            };
            if wire.due_ms.load(Ordering::Relaxed) <= now_ms {
                shut += 1;
                wire.due_ms.store(OURS, Ordering::Relaxed);
                // It may be gone already.
                wire.socket.shutdown(Shutdown::Both).ok();
            }
            true
        });
        (u32::try_from(all.len()).unwrap_or(u32::MAX), shut)
    }
}

impl ConnectionWatch {
    /// A request is here, or its answer is not ready.
    pub fn work(&self) {
        self.due_ms.store(OURS, Ordering::Relaxed);
    }

    /// A piece of an answer goes out: the next is asked for when the client has taken it.
    pub fn hand_out(&self) {
        self.due_in(self.turns.piece);
    }

    /// The connection waits for a request.
    pub fn rest(&self) {
        self.due_in(self.turns.idle + self.turns.head + SLACK);
    }

    fn due_in(&self, time: Duration) {
        let due = self.started.elapsed().saturating_add(time);
        self.due_ms.store(to_ms(due), Ordering::Relaxed);
    }
}

fn to_ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::net::TcpListener;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn who_takes_too_long_is_shut() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let wires = ConnectionWatches::new(Timeouts {
            head: 10 * SECOND,
            idle: 20 * SECOND,
            piece: 5 * SECOND,
        });
        let wire = Arc::new(ConnectionWatch {
            socket: listener.accept().unwrap().0,
            due_ms: AtomicU64::new(OURS),
            turns: wires.turns,
            started: wires.started,
        });
        wires.all.lock().unwrap().push(Arc::downgrade(&wire));
        assert_eq!(wires.look(1_000 * SECOND), (1, 0));
        wire.rest();
        assert_eq!(wires.look(34 * SECOND), (1, 0));
        wire.work();
        assert_eq!(wires.look(1_000 * SECOND), (1, 0));
        wire.hand_out();
        assert_eq!(wires.look(4 * SECOND), (1, 0));
        assert_eq!(wires.look(15 * SECOND), (1, 1));
        assert_eq!(client.read(&mut [0]).unwrap(), 0, "it was shut");
        assert_eq!(wires.look(1_000 * SECOND), (1, 0), "once");
        drop(wire);
        assert_eq!(wires.look(1_000 * SECOND), (0, 0));
    }
}
