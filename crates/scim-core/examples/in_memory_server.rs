//! An in-memory SCIM server for users, built on `scim-core` and `actix-web`: create, get, list with
//! a filter, PATCH and delete, without authentication.
//!
//! ```text
//! cargo run -p scim-core --example in_memory_server
//! curl -d '{"userName": "ada"}' http://127.0.0.1:8080/Users
//! curl 'http://127.0.0.1:8080/Users?filter=userName+eq+%22ada%22'
//! ```

#![expect(clippy::disallowed_methods, reason = "an example needs no test clock")]

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actix_web::http::StatusCode;
use actix_web::web::{Bytes, Data, Path, Query, ServiceConfig};
use actix_web::{App, HttpResponse, HttpServer, ResponseError, delete, get, patch, post, services};
use scim_core::{Compatibility::Tolerant, Document, Registry, Resource, ResourceType, ScimError};
use scim_core::{Timestamp, admit, filter, message, patch};

const BASE_URL: &str = "http://127.0.0.1:8080";

struct Directory {
    user: Arc<ResourceType>,
    users: BTreeMap<String, Resource>,
    last_id: u64,
}

type State = Data<Mutex<Directory>>;
type Answer = Result<HttpResponse, Failure>;

#[post("/Users")]
async fn create(state: State, body: Bytes) -> Answer {
    let mut directory = lock(&state);
    let admitted = admit::create(&directory.user, &message::parse_body(&body)?, Tolerant)?;
    directory.check_unique(&admitted.document)?;
    directory.last_id += 1;
    let id = directory.last_id.to_string();
    let document = admitted.document;
    let user = Resource::new(&directory.user, &id, document, BASE_URL, Timestamp::now());
    let body = user.to_string();
    directory.users.insert(id, user);
    Ok(response(201, body))
}

#[get("/Users/{id}")]
async fn read(state: State, id: Path<String>) -> Answer {
    let user = lock(&state).find(&id)?.to_string();
    Ok(response(200, user))
}

#[get("/Users")]
async fn list(state: State, parameters: Query<HashMap<String, String>>) -> Answer {
    let directory = lock(&state);
    let filter = parameters.get("filter");
    let filter = filter.map(|text| filter::parse(&directory.user, text, Tolerant));
    let filter = filter.transpose()?;
    let users = directory.users.values();
    let found = users.filter(|user| filter.as_ref().is_none_or(|filter| user.matches(filter)));
    let found: Vec<String> = found.map(Resource::to_string).collect();
    Ok(response(200, message::whole_list(&found)))
}

#[patch("/Users/{id}")]
async fn update(state: State, id: Path<String>, body: Bytes) -> Answer {
    let mut directory = lock(&state);
    let mut user = directory.find(&id)?.clone();
    let patch = patch::parse(&directory.user, &message::parse_body(&body)?, Tolerant)?;
    let patched = patch.apply(&directory.user, user.document())?;
    directory.check_unique(&patched.document)?;
    user.update(patched.document, Timestamp::now());
    let body = user.to_string();
    directory.users.insert(id.into_inner(), user);
    Ok(response(200, body))
}

#[delete("/Users/{id}")]
async fn remove(state: State, id: Path<String>) -> Answer {
    let removed = lock(&state).users.remove(id.as_str());
    removed.ok_or(Failure::NotFound)?;
    Ok(HttpResponse::NoContent().finish())
}

impl Directory {
    fn find(&self, id: &str) -> Result<&Resource, Failure> {
        self.users.get(id).ok_or(Failure::NotFound)
    }

    fn check_unique(&self, document: &Document) -> Result<(), ScimError> {
        let mut users = self.users.values();
        users.try_for_each(|user| user.check_distinct(document))
    }
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("no such user")]
    NotFound,
    #[error(transparent)]
    Scim(#[from] ScimError),
}

impl ResponseError for Failure {
    fn error_response(&self) -> HttpResponse {
        match self {
            Self::NotFound => response(404, message::error_body(404, None, "no such user")),
            Self::Scim(error) => response(error.status(), message::error(error)),
        }
    }
}

fn response(status: u16, body: String) -> HttpResponse {
    let status = StatusCode::from_u16(status).unwrap_or_default();
    let mut response = HttpResponse::build(status);
    response.content_type("application/scim+json").body(body)
}

fn lock(directory: &Mutex<Directory>) -> MutexGuard<'_, Directory> {
    directory.lock().unwrap_or_else(PoisonError::into_inner)
}

fn routes(config: &mut ServiceConfig) {
    config.service(services![create, read, list, update, remove]);
}

fn state() -> Option<State> {
    Some(Data::new(Mutex::new(Directory {
        user: Arc::clone(Registry::standard().by_name("User")?),
        users: BTreeMap::new(),
        last_id: 0,
    })))
}

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    let state = state().ok_or(std::io::ErrorKind::NotFound)?;
    let server = HttpServer::new(move || App::new().app_data(state.clone()).configure(routes));
    server.bind("127.0.0.1:8080")?.run().await
}

#[cfg(test)]
mod tests {
    use actix_web::test::{TestRequest, call_service, init_service, read_body};
    use serde_json::{Value, json};

    use super::*;

    #[actix_web::test]
    async fn a_life_of_a_user() {
        let state = state().unwrap();
        let server = init_service(App::new().app_data(state).configure(routes)).await;
        let send = async |method: &str, uri: &str, body: Value| {
            let request = TestRequest::with_uri(uri).method(method.parse().unwrap());
            let request = request.set_payload(body.to_string()).to_request();
            let response = call_service(&server, request).await;
            let status = response.status().as_u16();
            let body = read_body(response).await;
            (
                status,
                serde_json::from_slice::<Value>(&body).unwrap_or_default(),
            )
        };

        let (status, ada) = send("POST", "/Users", json!({ "userName": "ada" })).await;
        assert_eq!(status, 201);
        assert_eq!(ada["active"], true);
        assert_eq!(ada["meta"]["location"], "http://127.0.0.1:8080/Users/1");
        assert_eq!(
            send("GET", "/Users/1", json!(null)).await,
            (200, ada.clone())
        );
        let (status, error) = send("POST", "/Users", json!({ "userName": "ADA" })).await;
        assert_eq!((status, &error["scimType"]), (409, &json!("uniqueness")));
        send("POST", "/Users", json!({ "userName": "bob" })).await;

        let filter = "/Users?filter=userName+eq+%22Ada%22";
        let (_, found) = send("GET", filter, json!(null)).await;
        assert_eq!(found["totalResults"], 1);
        assert_eq!(found["Resources"], json!([ada]));
        let (status, error) = send("GET", "/Users?filter=nope", json!(null)).await;
        assert_eq!((status, &error["scimType"]), (400, &json!("invalidFilter")));

        let operation = json!({ "op": "replace", "path": "name.givenName", "value": "Ada" });
        let body = json!({ "schemas": [message::PATCH_OP], "Operations": [operation] });
        let (status, patched) = send("PATCH", "/Users/1", body.clone()).await;
        assert_eq!(
            (status, &patched["name"]["givenName"]),
            (200, &json!("Ada"))
        );
        assert_eq!(patched["meta"]["version"], "W/\"2\"");
        assert_eq!(send("PATCH", "/Users/1", body).await, (200, patched));
        let operation = json!({ "op": "replace", "path": "userName", "value": "Bob" });
        let body = json!({ "Operations": [operation] });
        assert_eq!(send("PATCH", "/Users/1", body).await.0, 409);

        assert_eq!(send("DELETE", "/Users/2", json!(null)).await.0, 204);
        let (status, error) = send("GET", "/Users/2", json!(null)).await;
        assert_eq!((status, &error["detail"]), (404, &json!("no such user")));
        let (_, carl) = send("POST", "/Users", json!({ "userName": "carl" })).await;
        assert_eq!(carl["id"], "3");
        let (_, found) = send("GET", "/Users", json!(null)).await;
        assert_eq!(found["totalResults"], 2);
    }
}
