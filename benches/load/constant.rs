//! A baseline server with the same framework that answers every request with the same user. It runs
//! in its own process, like the server, and the benchmark starts it with `--constant`.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::thread::available_parallelism;

use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::web::{Bytes, Data};
use actix_web::{App, HttpResponse, HttpServer, web};
use anyhow::Context as _;

use crate::template::Template;

/// Killed when dropped.
pub struct Constant {
    child: Child,
    pub host: String,
}

impl Constant {
    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn start(template: &Template) -> anyhow::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("--constant")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start the constant handler")?;
        let mut stdin = child.stdin.take().context("no pipe")?;
        let stdout = child.stdout.take().context("no pipe")?;
        let mut constant = Self {
            child,
            host: String::new(),
        };
        stdin.write_all(template.head.as_bytes())?;
        stdin.write_all(&template.body)?;
        drop(stdin);
        BufReader::new(stdout).read_line(&mut constant.host)?;
        constant.host.truncate(constant.host.trim_end().len());
        Ok(constant)
    }
}

impl Drop for Constant {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[derive(Clone)]
struct Answer {
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
}

async fn answer(answer: Data<Answer>) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    for header in &answer.headers {
        response.insert_header(header.clone());
    }
    response.body(answer.body.clone())
}

/// Reads a response from standard input, and serves it until the process is killed.
pub fn serve() -> anyhow::Result<()> {
    let mut text = Vec::new();
    std::io::stdin().read_to_end(&mut text)?;
    let end = text
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .context("no headers")?;
    let (head, body) = text.split_at(end + 4);
    let mut headers = Vec::new();
    for line in str::from_utf8(head)?.lines().skip(1) {
        let Some((name, value)) = line.split_once(": ") else {
            continue;
        };
        // Headers that the framework adds itself.
        if !["content-length", "date"].contains(&name.to_ascii_lowercase().as_str()) {
            headers.push((name.parse()?, value.parse()?));
        }
    }
    let data = Data::new(Answer {
        headers,
        body: Bytes::copy_from_slice(body),
    });
    actix_web::rt::System::new().block_on(async move {
        let server = HttpServer::new(move || {
            App::new()
                .app_data(data.clone())
                .default_service(web::to(answer))
        })
        .workers(available_parallelism()?.get())
        .bind(("127.0.0.1", 0))?;
        let address = server.addrs().first().copied().context("no address")?;
        println!("{address}");
        Ok(server.run().await?)
    })
}
