//! haproxy and nginx in front of a server, each on a Unix socket in a temporary directory.

use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use tempfile::TempDir;

use super::postgres::variable;
use super::server::{Keeper, TIMEOUT};

/// The program in front of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    Haproxy,
    Nginx,
}

/// A running proxy. Dropping ends it.
pub struct Proxy {
    directory: TempDir,
    child: Child,
    /// Dropped explicitly, before the process id of the child is free again.
    keeper: Option<Keeper>,
}

impl Proxy {
    /// Returns `None` if this machine does not have the program. On CI that is a failure.
    pub fn start(program: Program, server: &str) -> Option<Self> {
        let name = match program {
            Program::Haproxy => "haproxy",
            Program::Nginx => "nginx",
        };
        let Some(path) = find(name) else {
            assert!(
                variable("CI").is_none(),
                "no {name} for the tests: install it"
            );
            let note = format!("\nSKIPPED: the tests behind {name}: it was not found\n\n");
            std::io::stderr().write_all(note.as_bytes()).ok();
            return None;
        };
        let directory = TempDir::with_prefix("rollcall-proxy-").expect("makes a directory");
        let folder = directory.path().display().to_string();
        let configuration = match program {
            Program::Haproxy => haproxy(&folder, server),
            Program::Nginx => nginx(&folder, server),
        };
        let file = directory.path().join("proxy.conf");
        std::fs::write(&file, configuration).expect("writes the configuration");
        let log = std::fs::File::create(directory.path().join("log")).expect("creates the log");
        let mut command = Command::new(path);
        match program {
            Program::Haproxy => command.args(["-db", "-f"]).arg(&file),
            Program::Nginx => command
                .args(["-e", "stderr", "-p", &folder, "-c"])
                .arg(&file),
        };
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .spawn()
            .expect("starts the proxy");
        let keeper = Keeper::new(&format!("kill -KILL {}; rm -rf '{folder}'", child.id()));
        let mut proxy = Self {
            directory,
            child,
            keeper: Some(keeper),
        };
        proxy.wait();
        Some(proxy)
    }

    /// Opens a connection to the proxy.
    pub fn connect(&self) -> UnixStream {
        UnixStream::connect(self.socket()).expect("connects to the proxy")
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("socket")
    }

    /// Waits until the proxy accepts connections.
    fn wait(&mut self) {
        let deadline = Instant::now() + TIMEOUT;
        while UnixStream::connect(self.socket()).is_err() {
            let ended = self.child.try_wait().expect("asks for the status");
            let log = std::fs::read_to_string(self.directory.path().join("log"));
            assert!(ended.is_none(), "the proxy ended: {log:?}");
            assert!(
                Instant::now() < deadline,
                "the proxy does not start: {log:?}"
            );
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.child.kill().ok();
        drop(self.keeper.take());
        self.child.wait().ok();
    }
}

/// Both proxies reuse connections to the server wherever they can, which is what smuggling needs,
/// and give a client little time to complete a request.
fn haproxy(folder: &str, server: &str) -> String {
    format!(
        "defaults\n\
         \x20   mode http\n\
         \x20   timeout connect 30s\n\
         \x20   timeout server 30s\n\
         \x20   timeout client 250ms\n\
         \x20   timeout http-request 250ms\n\
         \x20   http-reuse always\n\
         \x20   retry-on conn-failure empty-response\n\
         frontend clients\n\
         \x20   bind unix@{folder}/socket\n\
         \x20   default_backend rollcall\n\
         backend rollcall\n\
         \x20   server rollcall {server}\n"
    )
}

/// It passes bodies on as they come, and finishes requests of clients that have gone away.
fn nginx(folder: &str, server: &str) -> String {
    format!(
        "daemon off;\n\
         master_process off;\n\
         pid {folder}/pid;\n\
         events {{}}\n\
         http {{\n\
         \x20   access_log off;\n\
         \x20   client_body_temp_path {folder}/body;\n\
         \x20   proxy_temp_path {folder}/proxy;\n\
         \x20   fastcgi_temp_path {folder}/fastcgi;\n\
         \x20   uwsgi_temp_path {folder}/uwsgi;\n\
         \x20   scgi_temp_path {folder}/scgi;\n\
         \x20   client_header_timeout 250ms;\n\
         \x20   client_body_timeout 250ms;\n\
         \x20   lingering_timeout 250ms;\n\
         \x20   upstream rollcall {{ server {server}; keepalive 8; }}\n\
         \x20   server {{\n\
         \x20       listen unix:{folder}/socket;\n\
         \x20       location / {{\n\
         \x20           proxy_pass http://rollcall;\n\
         \x20           proxy_http_version 1.1;\n\
         \x20           proxy_set_header Connection \"\";\n\
         \x20           proxy_request_buffering off;\n\
         \x20           proxy_ignore_client_abort on;\n\
         \x20       }}\n\
         \x20   }}\n\
         }}\n"
    )
}

fn find(name: &str) -> Option<PathBuf> {
    let path = variable("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from))
        .map(|directory: PathBuf| directory.join(name))
        .find(|program: &PathBuf| Path::exists(program))
}
