//! Queries by POST (RFC 7644 section 3.4.3), so that no filter stands in a URL, and queries of all resource types.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Map, Value};

use crate::http::error::ApiError;
use crate::http::query::{self, Query};
use crate::http::resources::Endpoint;
use crate::http::shared::{Caller, Shared};
use crate::http::{body, respond};
use crate::scim::message::SEARCH_REQUEST;
use crate::scim::project::Selection;
use crate::scim::{ErrorKind, ScimError};
use crate::service::list::{self as queries, Among, ListQuery};

type Answer = Result<HttpResponse, ApiError>;

/// `POST /Users/.search`: for `read` and `scim`.
pub async fn one(
    request: HttpRequest,
    caller: Caller,
    of: Data<Endpoint>,
    shared: Data<Shared>,
    payload: Payload,
) -> Answer {
    let asked = body::read(&request, payload, shared.body_limits).await?;
    answer(
        &shared,
        &caller,
        Among::One(of.resource_type()),
        read(&asked)?,
    )
    .await
}

/// `POST /.search`: for `read` and `scim`.
pub async fn all(
    request: HttpRequest,
    caller: Caller,
    shared: Data<Shared>,
    payload: Payload,
) -> Answer {
    let asked = body::read(&request, payload, shared.body_limits).await?;
    answer(&shared, &caller, Among::All, read(&asked)?).await
}

/// `GET /`: for `read` and `scim`.
pub async fn list_all(request: HttpRequest, caller: Caller, shared: Data<Shared>) -> Answer {
    let query = Query::of(&request).list()?;
    answer(&shared, &caller, Among::All, query).await
}

async fn answer(shared: &Shared, caller: &Caller, among: Among, query: ListQuery) -> Answer {
    let body = queries::list(&shared.service, &caller.context, among, query).await?;
    Ok(respond::scim(StatusCode::OK, body))
}

/// Reads a `SearchRequest`: what GET has as parameters, as members of an object.
fn read(body: &Value) -> Result<ListQuery, ScimError> {
    let Value::Object(body) = body else {
        return Err(ScimError::invalid_syntax(
            "The body must be a JSON object: a SearchRequest.",
        ));
    };
    let is_request = |urn: &Value| {
        urn.as_str()
            .is_some_and(|urn| urn.eq_ignore_ascii_case(SEARCH_REQUEST))
    };
    let schemas = get(body, "schemas").and_then(Value::as_array);
    if !schemas.is_some_and(|urns| urns.iter().any(is_request)) {
        return Err(ScimError::invalid_syntax(format!(
            "schemas must hold {SEARCH_REQUEST}."
        )));
    }
    let filter = text(body, "filter")?;
    if filter.is_some_and(|filter| filter.trim().is_empty()) {
        return Err(ScimError::invalid_filter("The filter is empty."));
    }
    let cursor = text(body, "cursor")?;
    let wrong_count = match cursor {
        Some(_) => ErrorKind::InvalidCount,
        None => ErrorKind::InvalidValue,
    };
    let start_index = number(body, "startIndex", ErrorKind::InvalidValue)?;
    let attributes = names(body, "attributes")?;
    let excluded = names(body, "excludedAttributes")?;
    Ok(ListQuery {
        filter: filter.map(str::to_owned),
        sort: query::sort(
            text(body, "sortBy")?,
            text(body, "sortOrder")?.filter(|order| !order.is_empty()),
        )?,
        paging: query::paging(start_index, cursor)?,
        count: number(body, "count", wrong_count)?,
        selection: Selection::parse(attributes.as_deref(), excluded.as_deref())?,
    })
}

/// The member of this name, whatever its letter case; null is as good as none.
fn get<'b>(body: &'b Map<String, Value>, name: &str) -> Option<&'b Value> {
    let found = body.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
    found
        .map(|(_, value)| value)
        .filter(|value| !value.is_null())
}

fn text<'b>(body: &'b Map<String, Value>, name: &str) -> Result<Option<&'b str>, ScimError> {
    match get(body, name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(ScimError::invalid_syntax(format!(
            "`{name}` must be a text."
        ))),
    }
}

fn number(
    body: &Map<String, Value>,
    name: &str,
    wrong: ErrorKind,
) -> Result<Option<i64>, ScimError> {
    get(body, name)
        .map(|value| {
            let refused = || ScimError::new(wrong, format!("`{name}` must be a whole number."));
            value.as_i64().ok_or_else(refused)
        })
        .transpose()
}

/// Names in an array, or as in a URL with commas between them.
fn names(body: &Map<String, Value>, name: &str) -> Result<Option<String>, ScimError> {
    let refused = || ScimError::invalid_syntax(format!("`{name}` must be an array of names."));
    match get(body, name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(Value::Array(names)) => {
            let names: Option<Vec<&str>> = names.iter().map(Value::as_str).collect();
            Ok(Some(names.ok_or_else(refused)?.join(",")))
        }
        Some(_) => Err(refused()),
    }
}
