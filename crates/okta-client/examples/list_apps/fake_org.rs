//! A fake org with three apps on two pages, to run the example without Okta.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};

/// The only API token that the org accepts.
pub const TOKEN: &str = "00fake";

/// Starts the org on a free port of this machine and returns its address.
pub fn start() -> io::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = format!("http://{}", listener.local_addr()?);
    let own = address.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            // A client that closes its connection does not end the org.
            stream.and_then(|stream| serve(stream, &own)).ok();
        }
    });
    Ok(address)
}

/// Serves one request and closes the connection.
fn serve(mut stream: TcpStream, own: &str) -> io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    let mut has_token = false;
    for line in lines {
        let line = line?;
        if line.is_empty() {
            break;
        }
        has_token |= line.split_once(": ").is_some_and(|(name, value)| {
            name.eq_ignore_ascii_case("authorization") && value == format!("SSWS {TOKEN}")
        });
    }
    let next = format!("link: <{own}/api/v1/apps?after=0oa2&limit=200>; rel=\"next\"\r\n");
    let (status, link, body) = match request.split(' ').nth(1) {
        _ if !has_token => (
            "401 Unauthorized",
            "",
            r#"{"errorCode":"E0000011","errorSummary":"Invalid token provided","errorId":"oae1"}"#,
        ),
        Some("/api/v1/apps?limit=200") => (
            "200 OK",
            next.as_str(),
            r#"[{"id":"0oa1","status":"ACTIVE","label":"Payroll"},{"id":"0oa2","status":"INACTIVE","label":"Wiki"}]"#,
        ),
        Some("/api/v1/apps?after=0oa2&limit=200") => (
            "200 OK",
            "",
            r#"[{"id":"0oa3","status":"ACTIVE","label":"Rollcall"}]"#,
        ),
        _ => ("404 Not Found", "", r#"{"errorCode":"E0000008"}"#),
    };
    write!(
        stream,
        "HTTP/1.1 {status}\r\n{link}content-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}
