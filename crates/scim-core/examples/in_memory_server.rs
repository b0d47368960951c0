//! An in-memory SCIM server for users, built on `scim-core` and the standard library: create, get,
//! list with a filter, PATCH and delete. It serves one connection at a time, without
//! authentication.
//!
//! ```text
//! cargo run -p scim-core --example in_memory_server
//! curl -d '{"userName": "ada"}' http://127.0.0.1:8080/Users
//! curl 'http://127.0.0.1:8080/Users?filter=userName+eq+"ada"'
//! ```

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use scim_core::admit::{self, admit};
use scim_core::eval::{View, matches};
use scim_core::indexing::hot_columns;
use scim_core::project::Selection;
use scim_core::render::{Meta, render};
use scim_core::views::Related;
use scim_core::{
    Compatibility, Document, Registry, ResourceType, ScimError, Timestamp, filter, message, patch,
};
use serde_json::Value;

/// A user with the attributes that the server sets.
struct Stored {
    document: Document,
    version: i64,
    created: Timestamp,
    modified: Timestamp,
    location: String,
}

impl Stored {
    fn meta(&self) -> Meta<'_> {
        Meta {
            resource_type: "User",
            created: self.created,
            modified: self.modified,
            location: &self.location,
            version: self.version.into(),
        }
    }
}

enum Failure {
    NotFound,
    Scim(ScimError),
}

impl From<ScimError> for Failure {
    fn from(error: ScimError) -> Self {
        Self::Scim(error)
    }
}

/// A status and a body.
type Reply = (u16, String);

struct Server {
    base_url: String,
    user: Arc<ResourceType>,
    users: BTreeMap<String, Stored>,
    last_id: u64,
}

impl Server {
    fn new(base_url: String) -> io::Result<Self> {
        let registry = Registry::standard();
        let user = registry.by_name("User").ok_or(io::ErrorKind::NotFound)?;
        Ok(Self {
            base_url,
            user: Arc::clone(user),
            users: BTreeMap::new(),
            last_id: 0,
        })
    }

    fn handle(&mut self, method: &str, target: &str, body: &[u8]) -> Reply {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let id = path.strip_prefix("/Users").map(|id| id.trim_matches('/'));
        let reply = match (method, id) {
            ("POST", Some("")) => self.create(body),
            ("GET", Some("")) => self.list(query),
            ("GET", Some(id)) => self.get(id),
            ("PATCH", Some(id)) => self.patch(id, body),
            ("DELETE", Some(id)) => self.delete(id),
            _ => Err(Failure::NotFound),
        };
        reply.unwrap_or_else(|failure| match failure {
            Failure::NotFound => (404, message::error_body(404, None, "no such resource")),
            Failure::Scim(ScimError { kind, detail }) => {
                let body = message::error_body(kind.status(), Some(kind.scim_type()), &detail);
                (kind.status(), body)
            }
        })
    }

    fn create(&mut self, body: &[u8]) -> Result<Reply, Failure> {
        let mut admitted = admit(&self.user, &parse_json(body)?, Compatibility::Tolerant)?;
        admit::defaults(&self.user, &mut admitted);
        self.check_user_name(&admitted.document, None)?;
        self.last_id += 1;
        let id = self.last_id.to_string();
        let mut document = admitted.document;
        document.set_id(&id);
        let now = now();
        let user = Stored {
            document,
            version: 1,
            created: now,
            modified: now,
            location: format!("{}/Users/{id}", self.base_url),
        };
        let text = self.render(&user);
        self.users.insert(id, user);
        Ok((201, text))
    }

    fn get(&self, id: &str) -> Result<Reply, Failure> {
        let user = self.users.get(id).ok_or(Failure::NotFound)?;
        Ok((200, self.render(user)))
    }

    fn list(&self, query: &str) -> Result<Reply, Failure> {
        let mut parameters = query.split('&').filter_map(|pair| pair.split_once('='));
        let text = parameters.find(|(name, _)| *name == "filter");
        let filter = match text {
            Some((_, text)) => Some(filter::parse(
                &self.user,
                &decode(text),
                Compatibility::Tolerant,
            )?),
            None => None,
        };
        let is_wanted = |user: &&Stored| {
            let view = View {
                document: &user.document,
                meta: &user.meta(),
                members: &[],
                groups: &[],
            };
            filter.as_ref().is_none_or(|filter| matches(filter, &view))
        };
        let found = self.users.values().filter(is_wanted);
        let found: Vec<String> = found.map(|user| self.render(user)).collect();
        let total = found.len().try_into().unwrap_or(u64::MAX);
        Ok((200, message::list_response(total, 1, &found)))
    }

    fn patch(&mut self, id: &str, body: &[u8]) -> Result<Reply, Failure> {
        let user = self.users.get(id).ok_or(Failure::NotFound)?;
        let patch = patch::parse(&self.user, &parse_json(body)?, Compatibility::Tolerant)?;
        let patched = patch.apply(&self.user, &user.document)?;
        self.check_user_name(&patched.document, Some(id))?;
        if let Some(user) = self.users.get_mut(id)
            && user.document != patched.document
        {
            user.document = patched.document;
            user.version += 1;
            user.modified = now();
        }
        self.get(id)
    }

    fn delete(&mut self, id: &str) -> Result<Reply, Failure> {
        self.users.remove(id).ok_or(Failure::NotFound)?;
        Ok((204, String::new()))
    }

    /// `userName` is unique ignoring letter case (RFC 7643 section 4.1.1); `id` is the user itself.
    fn check_user_name(&self, document: &Document, id: Option<&str>) -> Result<(), ScimError> {
        let name = hot_columns(&self.user, document).user_name;
        let is_taken = self.users.iter().any(|(other, user)| {
            Some(other.as_str()) != id && hot_columns(&self.user, &user.document).user_name == name
        });
        match is_taken {
            true => Err(ScimError::uniqueness("the userName is taken")),
            false => Ok(()),
        }
    }

    fn render(&self, user: &Stored) -> String {
        let text = user.document.to_string();
        let all = Selection::all();
        render(&self.user, &text, &user.meta(), Related::default(), &all)
    }

    fn serve(&mut self, connection: TcpStream) -> io::Result<()> {
        let mut reader = BufReader::new(&connection);
        let mut start = String::new();
        reader.read_line(&mut start)?;
        let mut words = start.split_whitespace();
        let method = words.next().unwrap_or_default();
        let target = words.next().unwrap_or_default();
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
                break;
            }
            let header = line.split_once(':').unwrap_or_default();
            if header.0.eq_ignore_ascii_case("content-length") {
                length = header.1.trim().parse().unwrap_or(0);
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let (status, text) = self.handle(method, target, &body);
        write!(
            &connection,
            "HTTP/1.1 {status} \r\nContent-Type: application/scim+json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{text}",
            text.len()
        )
    }
}

fn parse_json(body: &[u8]) -> Result<Value, ScimError> {
    serde_json::from_slice(body).map_err(|error| ScimError::invalid_syntax(error.to_string()))
}

/// Decodes `+` and `%20` in a query parameter.
fn decode(text: &str) -> String {
    let mut bytes = text.bytes();
    let mut decoded = Vec::new();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [bytes.next(), bytes.next()].map(Option::unwrap_or_default);
                let digits = std::str::from_utf8(&digits).unwrap_or_default();
                u8::from_str_radix(digits, 16).unwrap_or(b'?')
            }
            other => other,
        });
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[expect(clippy::disallowed_methods, reason = "an example needs no test clock")]
fn now() -> Timestamp {
    Timestamp::now()
}

fn main() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:8080")?;
    let mut server = Server::new(format!("http://{}", listener.local_addr()?))?;
    println!("{}/Users", server.base_url);
    for connection in listener.incoming() {
        if let Err(error) = server.serve(connection?) {
            eprintln!("{error}");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::thread;

    use serde_json::json;

    use super::*;

    /// Sends a request over TCP to a server that answers one connection.
    fn send(server: &mut Server, method: &str, target: &str, body: &str) -> (u16, Value) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let request = format!(
            "{method} {target} HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let client = thread::spawn(move || {
            let mut connection = TcpStream::connect(address).unwrap();
            connection.write_all(request.as_bytes()).unwrap();
            let mut answer = String::new();
            connection.read_to_string(&mut answer).unwrap();
            answer
        });
        server.serve(listener.accept().unwrap().0).unwrap();
        let answer = client.join().unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap_or_default())
    }

    #[test]
    fn a_life_of_a_user() {
        let mut server = Server::new("https://h".to_owned()).unwrap();
        let (status, ada) = send(&mut server, "POST", "/Users", r#"{"userName": "ada"}"#);
        assert_eq!(status, 201);
        assert_eq!(ada["active"], true);
        assert_eq!(ada["meta"]["location"], "https://h/Users/1");
        let (status, error) = send(&mut server, "POST", "/Users", r#"{"userName": "ADA"}"#);
        assert_eq!((status, &error["scimType"]), (409, &json!("uniqueness")));
        send(&mut server, "POST", "/Users", r#"{"userName": "bob"}"#);

        let filter = "/Users?filter=userName+eq+%22Ada%22";
        let (_, list) = send(&mut server, "GET", filter, "");
        assert_eq!(list["totalResults"], 1);
        assert_eq!(list["Resources"], json!([ada]));
        let (status, error) = send(&mut server, "GET", "/Users?filter=nope", "");
        assert_eq!((status, &error["scimType"]), (400, &json!("invalidFilter")));

        let operation = json!({"op": "replace", "path": "name.givenName", "value": "Ada"});
        let body = json!({"schemas": [message::PATCH_OP], "Operations": [operation]}).to_string();
        let (status, patched) = send(&mut server, "PATCH", "/Users/1", &body);
        assert_eq!(
            (status, &patched["name"]["givenName"]),
            (200, &json!("Ada"))
        );
        assert_eq!(patched["meta"]["version"], "W/\"2\"");
        let (_, again) = send(&mut server, "PATCH", "/Users/1", &body);
        assert_eq!(again, patched);

        assert_eq!(send(&mut server, "DELETE", "/Users/1", "").0, 204);
        assert_eq!(send(&mut server, "GET", "/Users/1", "").0, 404);
        let (_, list) = send(&mut server, "GET", "/Users", "");
        assert_eq!(list["totalResults"], 1);
    }
}
