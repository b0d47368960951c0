//! Admission: limits on rate, concurrency, body size and time, and the middleware that applies them
//! before a handler runs.

pub mod body_memory;
pub mod control;
pub mod framing;
pub mod middleware;
pub mod permits;
pub mod public_paths;
pub mod rate_limit;
pub mod response_body;
pub mod shed_log;
pub mod slow_clients;
pub mod sockets;
