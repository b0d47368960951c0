//! Queries by POST (RFC 7644 section 3.4.3), so that no URL holds a filter, and queries of all
//! resource types.

use std::iter;

use actix_web::HttpRequest;
use actix_web::http::{Method, StatusCode};
use actix_web::web::{self, Data, Payload};
use scim_core::message::SEARCH_REQUEST;
use scim_core::project::Selection;
use scim_core::{Compatibility, ErrorKind, ScimError};
use serde_json::{Map, Value};

use crate::auth::Scope;
use crate::http::describe::{resources as described, tag};
use crate::http::endpoint::{Accepts, Authorization, Body, Endpoint, Operation};
use crate::http::error::{ApiError, HandlerResult};
use crate::http::json_body;
use crate::http::query::{self, Query};
use crate::http::scim::parameters::KNOWN;
use crate::http::scim::resources::ServedType;
use crate::http::scim::{parameters, responses};
use crate::http::state::{AppState, Caller};
use crate::service::query::list as queries;
use crate::service::query::list::{ListQuery, TypeFilter};

/// The endpoints of every resource type.
pub const OF_TYPE: &[Endpoint] = &[Endpoint {
    method: Method::POST,
    path: "/scim/v2{endpoint}/.search",
    handler: || web::to(search_type),
    authorization: Authorization::Scope(Scope::Read),
    accepts: Accepts::Declared,
    parameters: &[],
    body: Some(Body::message(described::search_body)),
    responses: &[(200, described::page)],
    errors: &[],
    operation: Some(Operation {
        tag: "{types}",
        id: "search{types}",
        summary: "List by a query in the body",
        description: SEARCH_DESCRIPTION,
    }),
}];

/// The endpoints of all types at once.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint {
        method: Method::GET,
        path: "/scim/v2",
        handler: || web::to(list_all),
        authorization: Authorization::Scope(Scope::Read),
        accepts: Accepts::ScimQuery,
        parameters: parameters::LIST,
        body: None,
        responses: &[(200, described::page_of_any)],
        errors: &[],
        operation: Some(Operation {
            tag: tag::SEARCH,
            id: "listAll",
            summary: "List resources of every type",
            description: "An attribute that a resource type does not have counts as unassigned.",
        }),
    },
    Endpoint {
        method: Method::POST,
        path: "/scim/v2/.search",
        handler: || web::to(search_all),
        authorization: Authorization::Scope(Scope::Read),
        accepts: Accepts::Declared,
        parameters: &[],
        body: Some(Body::message(described::search_body)),
        responses: &[(200, described::page_of_any)],
        errors: &[],
        operation: Some(Operation {
            tag: tag::SEARCH,
            id: "searchAll",
            summary: "List resources of every type by a query in the body",
            description: SEARCH_DESCRIPTION,
        }),
    },
];

const SEARCH_DESCRIPTION: &str = "The same as GET with these parameters, but the URL holds no filter \
                                  (RFC 7644 section 3.4.3).";

/// `POST /Users/.search`.
async fn search_type(
    request: HttpRequest,
    caller: Caller,
    served: Data<ServedType>,
    shared: Data<AppState>,
    payload: Payload,
) -> HandlerResult {
    let query = read_query(&request, &caller, &shared, payload).await?;
    answer(
        &shared,
        &caller,
        TypeFilter::One(served.resource_type()),
        query,
    )
    .await
}

/// `POST /.search`.
async fn search_all(
    request: HttpRequest,
    caller: Caller,
    shared: Data<AppState>,
    payload: Payload,
) -> HandlerResult {
    let query = read_query(&request, &caller, &shared, payload).await?;
    answer(&shared, &caller, TypeFilter::All, query).await
}

/// `GET /`.
async fn list_all(request: HttpRequest, caller: Caller, shared: Data<AppState>) -> HandlerResult {
    let query = Query::of(&request).list()?;
    answer(&shared, &caller, TypeFilter::All, query).await
}

async fn answer(
    shared: &AppState,
    caller: &Caller,
    types: TypeFilter,
    query: ListQuery,
) -> HandlerResult {
    let body = queries::list(&shared.service, &caller.context, types, query).await?;
    Ok(responses::scim_held(StatusCode::OK, body))
}

/// Reads the query of a `SearchRequest`. The whole query is in the body, so the endpoint accepts no
/// parameters in the address.
async fn read_query(
    request: &HttpRequest,
    caller: &Caller,
    shared: &AppState,
    payload: Payload,
) -> Result<ListQuery, ApiError> {
    let body = json_body::read(request, caller, shared, payload).await?;
    Ok(read(body.value(), caller.context.policy.compatibility)?)
}

/// Reads a `SearchRequest`, which has the parameters of GET as members of an object.
fn read(body: &Value, compatibility: Compatibility) -> Result<ListQuery, ScimError> {
    let members = Members::read(body, compatibility)?;
    members.check_schemas()?;
    let filter = members.text("filter")?;
    if filter.is_some_and(|filter| filter.trim().is_empty()) {
        return Err(ScimError::invalid_filter("The filter is empty."));
    }
    let cursor = members.text("cursor")?;
    let wrong_count = match cursor {
        Some(_) => ErrorKind::InvalidCount,
        None => ErrorKind::InvalidValue,
    };
    let start_index = members.number("startIndex", ErrorKind::InvalidValue)?;
    let attributes = members.names("attributes")?;
    let excluded = members.names("excludedAttributes")?;
    Ok(ListQuery {
        filter: filter.map(str::to_owned),
        sort: query::sort(
            members.text("sortBy")?,
            members.text("sortOrder")?.filter(|order| !order.is_empty()),
        )?,
        paging: query::paging(start_index, cursor)?,
        count: members.number("count", wrong_count)?,
        selection: Selection::parse(attributes.as_deref(), excluded.as_deref())?,
    })
}

/// The members of a `SearchRequest`.
struct Members<'b> {
    body: &'b Map<String, Value>,
    is_strict: bool,
}

impl<'b> Members<'b> {
    /// Rejects members that would be ignored otherwise, as [`Query`] does for parameters: unknown
    /// ones, and those that occur twice in different letter case.
    fn read(body: &'b Value, compatibility: Compatibility) -> Result<Self, ScimError> {
        let Value::Object(body) = body else {
            return Err(ScimError::invalid_syntax(
                "The body must be a JSON object: a SearchRequest.",
            ));
        };
        let mut seen = Vec::new();
        for (name, _) in body.iter().filter(|(_, value)| !value.is_null()) {
            let mut known = iter::once("schemas").chain(KNOWN);
            let Some(known) = known.find(|known| known.eq_ignore_ascii_case(name)) else {
                return Err(query::unknown_parameter(name, &KNOWN));
            };
            if seen.contains(&known) {
                return Err(ScimError::invalid_value(format!(
                    "`{known}` is sent twice. Send it once."
                )));
            }
            seen.push(known);
        }
        Ok(Self {
            body,
            is_strict: compatibility.is_strict(),
        })
    }

    /// The member of this name in any letter case; null counts as absent.
    fn get(&self, name: &str) -> Option<&'b Value> {
        let mut members = self.body.iter().filter(|(_, value)| !value.is_null());
        let found = members.find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value)
    }

    fn check_schemas(&self) -> Result<(), ScimError> {
        let is_request = |urn: &Value| {
            let urn = urn.as_str();
            urn.is_some_and(|urn| urn.eq_ignore_ascii_case(SEARCH_REQUEST))
        };
        let schemas = self.get("schemas").and_then(Value::as_array);
        let is_named = schemas.is_some_and(|urns| urns.iter().any(is_request));
        // Clients leave it out, and the address implies it.
        if is_named || !self.is_strict {
            return Ok(());
        }
        Err(ScimError::invalid_syntax(format!(
            "schemas must hold {SEARCH_REQUEST}."
        )))
    }

    fn text(&self, name: &str) -> Result<Option<&'b str>, ScimError> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(ScimError::invalid_syntax(format!(
                "`{name}` must be a string."
            ))),
        }
    }

    /// A whole number. A tolerant tenant accepts it as text too, and an empty text as absent, as in
    /// a query string.
    fn number(&self, name: &str, wrong: ErrorKind) -> Result<Option<i64>, ScimError> {
        let number = match self.get(name) {
            None => return Ok(None),
            Some(Value::String(text)) if !self.is_strict => match text.trim() {
                "" => return Ok(None),
                text => text.parse().ok(),
            },
            Some(value) => value.as_i64(),
        };
        let refused = || ScimError::new(wrong, format!("`{name}` must be a whole number."));
        number.map(Some).ok_or_else(refused)
    }

    /// Names in an array, or as in a URL with commas between them.
    fn names(&self, name: &str) -> Result<Option<String>, ScimError> {
        let refused = || ScimError::invalid_syntax(format!("`{name}` must be an array of names."));
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(Value::Array(names)) => {
                let names: Option<Vec<&str>> = names.iter().map(Value::as_str).collect();
                Ok(Some(names.ok_or_else(refused)?.join(",")))
            }
            Some(_) => Err(refused()),
        }
    }
}
