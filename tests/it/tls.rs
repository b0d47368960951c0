//! HTTPS by the service itself. The certificate and its key protect nothing; they were made for
//! this test.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};

use crate::harness::{Backend, Database, Server};

// R7644-7.2-01, RINTEROP-7-01
#[test]
fn https_uses_the_configured_certificate() {
    expect_https(&[], &[]);
}

#[test]
fn the_proxy_protocol_precedes_tls() {
    let arguments = ["--trusted-proxies", "127.0.0.1", "--proxy-protocol", "v2"];
    let of_proxy_itself = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
    expect_https(&arguments, of_proxy_itself);
}

/// Sends a request by TLS on a connection that begins with these bytes.
fn expect_https(arguments: &[&str], first: &[u8]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/tls");
    let file = |name: &str| folder.join(name).to_str().expect("a UTF-8 path").to_owned();
    let (certificate, key) = (file("certificate.pem"), file("key.pem"));
    let database = Database::fresh(Backend::Sqlite).expect("SQLite is always there");
    let files = ["--tls-certificate", &*certificate, "--tls-key", &*key];
    let server = Server::start_with(&database, &[&files, arguments].concat(), &[]);
    let place = server.address.strip_prefix("https://").expect("HTTPS");

    let mut roots = RootCertStore::empty();
    let trusted = CertificateDer::from_pem_file(&certificate).expect("reads the certificate");
    roots.add(trusted).expect("takes the certificate");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").expect("a name");
    let session = ClientConnection::new(Arc::new(config), name).expect("starts a session");
    let mut socket = TcpStream::connect(place).expect("connects");
    socket.write_all(first).expect("sends the first bytes");
    let mut stream = StreamOwned::new(session, socket);
    stream
        .write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .expect("asks");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("reads the answer");
    assert!(answer.starts_with(b"HTTP/1.1 200 OK"), "{answer:?}");
    let answer = String::from_utf8(answer).expect("UTF-8");
    let hsts = "strict-transport-security: max-age=31536000\r\n";
    assert!(answer.contains(hsts), "{answer}");
}
