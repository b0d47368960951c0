//! Applications that follow the changes as server-sent events.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use anyhow::{Context as _, ensure};

use crate::server::TOKEN;

/// Disconnected when dropped.
pub struct Listeners {
    streams: Vec<TcpStream>,
    threads: Vec<JoinHandle<()>>,
    events: Arc<AtomicU64>,
}

impl Listeners {
    pub fn attach(host: &str, count: usize) -> anyhow::Result<Self> {
        let mut listeners = Self {
            streams: Vec::new(),
            threads: Vec::new(),
            events: Arc::default(),
        };
        for _ in 0..count {
            let mut stream = TcpStream::connect(host)?;
            let request = format!(
                "GET /directory/v1/changes/stream HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
            );
            stream.write_all(request.as_bytes())?;
            let mut lines = BufReader::new(stream.try_clone()?).lines();
            let status = lines.next().context("no answer")??;
            ensure!(status.contains(" 200 "), "{status}");
            listeners.streams.push(stream);
            let events = Arc::clone(&listeners.events);
            listeners.threads.push(std::thread::spawn(move || {
                for line in lines.map_while(Result::ok) {
                    if line.starts_with("data:") {
                        events.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }));
        }
        Ok(listeners)
    }

    /// Returns the number of events that all of them received.
    pub fn events(&self) -> u64 {
        self.events.load(Ordering::Relaxed)
    }
}

impl Drop for Listeners {
    fn drop(&mut self) {
        for stream in &self.streams {
            stream.shutdown(Shutdown::Both).ok();
        }
        for thread in self.threads.drain(..) {
            thread.join().ok();
        }
    }
}
