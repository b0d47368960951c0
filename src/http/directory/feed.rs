//! The change feed: in pages, by long polling, and as Server-Sent Events.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::time::Duration;

use actix_web::http::Method;
use actix_web::http::header::{
    AUTHORIZATION, CACHE_CONTROL, ContentEncoding, ContentType, HeaderName,
};
use actix_web::web::{self, Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use serde_json::json;
use tokio::time::Instant;
use utoipa::openapi::ContentBuilder;
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::{ObjectBuilder, SchemaType};

use crate::auth::Scope;
use crate::http::admission::control;
use crate::http::chunked_body::{ChunkWriter, ChunkedBody};
use crate::http::describe::describer::Describer;
use crate::http::describe::schema::{integer, string};
use crate::http::describe::tag;
use crate::http::directory::common::{GROUP, GROUP_ID, LIMIT, USER, USER_ID, parse_id};
use crate::http::directory::stream::Live;
use crate::http::endpoint::{Accepts, Authorization, Endpoint, Operation, Parameter};
use crate::http::error::HandlerResult;
use crate::http::query::Query;
use crate::http::state::{AppState, Caller};
use crate::memory::Held;
use crate::service;
use crate::service::access::listening_caller::ListeningCaller;
use crate::service::feed::history::{HistoryRequest, Past};
use crate::service::feed::{self, ChangeFilter, ChangeKind, MOST, PageRequest, history};
use crate::service::query::directory;

/// The endpoints.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint {
        method: Method::GET,
        path: "/directory/v1/users/{id}/history",
        handler: || web::to(history_of_user),
        authorization: Authorization::Scope(Scope::Read),
        accepts: Accepts::Declared,
        parameters: &[USER, BEFORE, LIMIT],
        body: None,
        responses: &[(200, |describer| described_history(describer, "User"))],
        errors: &[404],
        operation: Some(Operation {
            tag: tag::DIRECTORY,
            id: "listHistoryOfUser",
            summary: "Read what happened to one resource",
            description: "The latest changes first, with their actors; also of a deleted resource, as far back as \
                          changes are kept.",
        }),
    },
    Endpoint {
        method: Method::GET,
        path: "/directory/v1/groups/{id}/history",
        handler: || web::to(history_of_group),
        authorization: Authorization::Scope(Scope::Read),
        accepts: Accepts::Declared,
        parameters: &[GROUP, BEFORE, LIMIT],
        body: None,
        responses: &[(200, |describer| described_history(describer, "Group"))],
        errors: &[404],
        operation: Some(Operation {
            tag: tag::DIRECTORY,
            id: "listHistoryOfGroup",
            summary: "Read what happened to one resource",
            description: "The latest changes first, with their actors; also of a deleted resource, as far back as \
                          changes are kept.",
        }),
    },
    Endpoint {
        method: Method::GET,
        path: "/directory/v1/changes",
        handler: || web::to(changes),
        authorization: Authorization::Scope(Scope::Read),
        accepts: Accepts::Declared,
        parameters: &[AFTER, KIND, TYPE, CHANGES_LIMIT, WAIT],
        body: None,
        responses: &[(200, described_page)],
        errors: &[410],
        operation: Some(Operation {
            tag: tag::DIRECTORY,
            id: "listChanges",
            summary: "Read changes",
            description: "The changes of the tenant in order, numbered without gaps. Attributes that the token may \
                          not read are left out.",
        }),
    },
    Endpoint {
        method: Method::GET,
        path: "/directory/v1/changes/stream",
        handler: || web::to(stream),
        authorization: Authorization::Scope(Scope::Read),
        accepts: Accepts::Declared,
        parameters: &[AFTER, KIND, TYPE, LAST_EVENT_ID],
        body: None,
        responses: &[(200, |_| described_events())],
        errors: &[410],
        operation: Some(Operation {
            tag: tag::DIRECTORY,
            id: "streamChanges",
            summary: "Receive changes as they happen",
            description: "Endless Server-Sent Events: the id is the number, the event the kind, and the data a \
                          change as in the list. Without `after` and `Last-Event-ID` the stream begins \
                          with the next change. It ends when the token does, and after an hour by default.",
        }),
    },
    Endpoint {
        method: Method::GET,
        path: "/directory/v1/snapshot",
        handler: || web::to(snapshot),
        authorization: Authorization::Scope(Scope::Read),
        accepts: Accepts::Declared,
        parameters: &[CURSOR, CHANGES_LIMIT],
        body: None,
        responses: &[(200, described_snapshot)],
        errors: &[410],
        operation: Some(Operation {
            tag: tag::DIRECTORY,
            id: "readSnapshot",
            summary: "Read everything, to follow the feed from there",
            description: "Page by page all resources, then all members of groups. All pages have the same `seq`. A \
                          client that reads all pages and then applies every change after this number \
                          misses none.",
        }),
    },
];

const BEFORE: Parameter = Parameter::query(
    "before",
    "`next` of the previous page: only changes with lower numbers.",
    |_| integer().minimum(Some(1_u32)),
);

const AFTER: Parameter = Parameter::query(
    "after",
    "The number of the last change that the client has; 0 begins with the first.",
    |_| integer().minimum(Some(0_u32)),
);

const KIND: Parameter = Parameter::query(
    "kind",
    "Only these kinds, separated by commas: `created`, `updated`, `activated`, `deactivated`, \
     `deleted`, `member_added`, `member_removed`, `member_skipped`, `erased`. The last is sent in any \
     case: a client must drop the values that it stored from other kinds.",
    |_| string(),
);

const TYPE: Parameter = Parameter::query(
    "type",
    "Only resources of these types, separated by commas: `User,Group`.",
    |_| string(),
);

const CHANGES_LIMIT: Parameter = Parameter::query(
    "limit",
    "The maximum number to return; 100 if it is left out.",
    |_| integer().minimum(Some(1_u32)).maximum(Some(MOST)),
);

const WAIT: Parameter = Parameter::query(
    "wait",
    "The number of seconds to wait for a change if there is none yet.",
    |_| integer().minimum(Some(0_u32)).maximum(Some(60_u32)),
);

const LAST_EVENT_ID: Parameter = Parameter::header(
    "Last-Event-ID",
    "The number of the last change that the client has; takes precedence over `after`.",
    |_| integer().minimum(Some(0_u32)),
);

const CURSOR: Parameter = Parameter::query(
    "cursor",
    "`next` of the previous page; the first page if it is left out.",
    |_| string(),
);

fn described_history(describer: &mut Describer<'_>, type_name: &str) -> Response {
    let activated = json!({
        "seq": 13, "kind": "activated", "type": type_name, "id": USER_ID,
        "at": "2026-03-01T08:00:02Z", "actor": "token:okta",
        "attributes": [{ "path": "active", "before": false, "after": true }],
    });
    let page = json!({ "changes": [activated], "next": null });
    describer.json::<Past>("The changes.", page)
}

fn described_page(describer: &mut Describer<'_>) -> Response {
    let joined = json!({
        "seq": 12, "kind": "member_added", "type": "Group", "id": GROUP_ID,
        "at": "2026-03-01T08:00:01Z", "actor": "token:okta", "members": [USER_ID],
    });
    let renamed = json!({
        "seq": 13, "kind": "updated", "type": "User", "id": USER_ID,
        "at": "2026-03-01T08:00:02Z", "actor": "token:okta",
        "attributes": [{ "path": "title", "before": null, "after": "Countess" }],
    });
    let page = json!({ "changes": [joined, renamed], "next": 13, "last": 13 });
    describer.json::<FeedPage>("The changes.", page)
}

fn described_events() -> Response {
    let text = "retry: 1000\nid: 12\n\nid: 13\nevent: updated\n\
                data: {\"seq\":13,\"kind\":\"updated\"}\n\n";
    // Some tools compare each event with the schema, others the whole text.
    let events = ContentBuilder::new()
        .schema(Some(ObjectBuilder::new().schema_type(SchemaType::AnyValue)))
        .example(Some(json!(text)));
    ResponseBuilder::new()
        .description("The changes, as they happen.")
        .content("text/event-stream", events.build())
        .build()
}

fn described_snapshot(describer: &mut Describer<'_>) -> Response {
    let user = json!({
        "id": USER_ID, "type": "User",
        "resource": { "id": USER_ID, "userName": "ada@example.com" },
    });
    let page = json!({
        "seq": 13,
        "resources": [user],
        "members": [{ "group": GROUP_ID, "member": USER_ID, "type": "User" }],
        "next": null,
    });
    describer.json::<FeedSnapshot>("A page of the snapshot.", page)
}

/// A part of the feed.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = FeedPage)]
pub struct FeedPage {
    pub changes: Vec<feed::Change>,
    /// The `after` of the next request.
    pub next: i64,
    /// The number of the last change. If it is greater than `next`, there is more to read.
    pub last: i64,
}

/// A part of the state from which the feed is followed.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = FeedSnapshot)]
pub struct FeedSnapshot {
    /// The `after` with which to follow the feed after the last page; the same on all pages.
    pub seq: i64,
    pub resources: Vec<feed::SnapshotItem>,
    /// The members follow all resources.
    pub members: Vec<FeedMember>,
    /// The `cursor` of the next page; null on the last one.
    pub next: Option<String>,
}

/// A member of a group.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = FeedMember)]
pub struct FeedMember {
    pub group: String,
    pub member: String,
    /// `User` or `Group`.
    #[serde(rename = "type")]
    pub kind: String,
}

/// `GET /directory/v1/changes`.
async fn changes(request: HttpRequest, caller: Caller, shared: Data<AppState>) -> HandlerResult {
    let query = Query::of(&request);
    let after = number(&query, "after", 0..=i64::MAX)?.unwrap_or(0);
    let limit = limit(&query)?;
    let seconds = number(&query, "wait", 0..=60)?.unwrap_or(0);
    let wanted = wanted(&query, &shared)?;
    let page = PageRequest {
        after,
        wanted,
        limit,
    };
    let service = &shared.service;
    let mut caller = listening(&request, caller, &shared);
    let page = match u64::try_from(seconds).unwrap_or(0) {
        0 => feed::page_as(service, &mut caller, page, List::push).await?,
        seconds => {
            control::release_permit(&request);
            let patience = Duration::from_secs(seconds);
            let page = feed::wait(service, &mut caller, page, patience).await?;
            let mut list = List::default();
            for change in page.changes {
                list.push(change)?;
            }
            feed::Page {
                changes: list,
                next: page.next,
                last: page.last,
                epoch: page.epoch,
                held: page.held,
            }
        }
    };
    Ok(HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header(ContentType::json())
        .body(page_text(page)?))
}

/// The changes of a [`FeedPage`] as text.
#[derive(Default)]
struct List {
    text: ChunkWriter,
    is_begun: bool,
}

impl List {
    fn push(&mut self, change: feed::Change) -> Result<(), service::Error> {
        let before: &[u8] = if self.is_begun { b"," } else { BEGIN };
        self.is_begun = true;
        self.text
            .write_all(before)
            .map_err(service::Error::internal)?;
        serde_json::to_writer(&mut self.text, &change).map_err(service::Error::internal)
    }
}

const BEGIN: &[u8] = br#"{"changes":["#;

/// The text of a [`FeedPage`], in chunks.
fn page_text(page: feed::Page<List>) -> Result<ChunkedBody, service::Error> {
    let List { mut text, is_begun } = page.changes;
    let before = if is_begun { b"" } else { BEGIN };
    let written = text
        .write_all(before)
        .and_then(|()| write!(text, r#"],"next":{},"last":{}}}"#, page.next, page.last));
    written.map_err(service::Error::internal)?;
    Ok(ChunkedBody::from(text).holding(page.held))
}

/// `GET /directory/v1/users/{id}/history`.
async fn history_of_user(
    request: HttpRequest,
    caller: Caller,
    shared: Data<AppState>,
    id: Path<String>,
) -> HandlerResult {
    past(&request, &caller, &shared, "User", &id).await
}

/// `GET /directory/v1/groups/{id}/history`.
async fn history_of_group(
    request: HttpRequest,
    caller: Caller,
    shared: Data<AppState>,
    id: Path<String>,
) -> HandlerResult {
    past(&request, &caller, &shared, "Group", &id).await
}

async fn past(
    request: &HttpRequest,
    caller: &Caller,
    shared: &AppState,
    what: &'static str,
    id: &str,
) -> HandlerResult {
    let query = Query::of(request);
    let before = number(&query, "before", 1..=i64::MAX)?;
    let limit = number(&query, "limit", 1..=directory::MOST.into())?.unwrap_or(100);
    let limit = u32::try_from(limit).unwrap_or(directory::MOST);
    let id = parse_id(what, id)?;
    let (service, context) = (&shared.service, &caller.context);
    let wanted = HistoryRequest {
        type_name: what,
        id,
        before,
        limit,
    };
    let past = history::of_resource(service, context, wanted).await?;
    fresh(past)
}

/// `GET /directory/v1/snapshot`.
async fn snapshot(request: HttpRequest, caller: Caller, shared: Data<AppState>) -> HandlerResult {
    let query = Query::of(&request);
    let cursor = query.get("cursor").map(str::to_owned);
    let page = feed::snapshot(&shared.service, &caller.context, cursor, limit(&query)?).await?;
    let shown = FeedSnapshot {
        seq: page.seq,
        resources: page.resources,
        members: page.members.into_iter().map(FeedMember::from).collect(),
        next: page.next,
    };
    fresh(Held::new(shown, page.held))
}

/// `GET /directory/v1/changes/stream`. It ends when the token does.
async fn stream(request: HttpRequest, caller: Caller, shared: Data<AppState>) -> HandlerResult {
    let query = Query::of(&request);
    let resumed = request
        .headers()
        .get(HeaderName::from_static("last-event-id"))
        .and_then(|value| value.to_str().ok()?.trim().parse().ok());
    let after = match resumed {
        Some(after) => Some(after),
        None => number(&query, "after", 0..=i64::MAX)?,
    };
    let wanted = wanted(&query, &shared)?;
    let mut caller = listening(&request, caller, &shared);
    let listener = feed::listen(&shared.service, caller.context())?;
    let after = match after {
        Some(after) => after,
        None => feed::last(&shared.service, caller.context()).await?,
    };
    // Only before the stream starts can a status report that changes are gone.
    let first = PageRequest {
        after,
        wanted: wanted.clone(),
        limit: 1,
    };
    feed::page(&shared.service, &mut caller, first).await?;
    control::release_permit(&request);
    let end = shared.service.listeners.stream_end();
    let live = Live {
        caller,
        shared,
        listener,
        after,
        wanted,
        asked: Instant::now(),
        end,
        has_begun: false,
    };
    Ok(HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header((CACHE_CONTROL, "no-store"))
        // Compression would hold changes back until a block is full, and so would a proxy's buffer.
        .insert_header(ContentEncoding::Identity)
        .insert_header((HeaderName::from_static("x-accel-buffering"), "no"))
        .streaming(futures_util::stream::unfold(live, Live::next)))
}

fn listening(request: &HttpRequest, caller: Caller, shared: &AppState) -> ListeningCaller {
    let header = request.headers().get(AUTHORIZATION);
    let header = header.map_or(&b""[..], |value| value.as_bytes());
    ListeningCaller::new(&shared.service, header, caller.context)
}

fn fresh(answer: Held<impl Serialize>) -> HandlerResult {
    let mut text = ChunkWriter::default();
    let (answer, held) = answer.into_parts();
    serde_json::to_writer(&mut text, &answer).map_err(service::Error::internal)?;
    drop(answer);
    let mut body = ChunkedBody::from(text);
    if let Some(held) = held {
        body = body.holding(held);
    }
    Ok(HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header(ContentType::json())
        .body(body))
}

fn wanted(query: &Query, shared: &AppState) -> Result<ChangeFilter, service::Error> {
    let words = |name: &str| query.get(name).map(|text| text.split(',').map(str::trim));
    let kinds = words("kind").map(|words| {
        let kind = |word| {
            ChangeKind::parse(word)
                .ok_or_else(|| service::Error::BadRequest(format!("There is no kind `{word}`.")))
        };
        words.map(kind).collect::<Result<BTreeSet<_>, _>>()
    });
    let types = words("type").map(|words| {
        let name = |word| match shared.service.registry.by_name(word) {
            Some(rt) => Ok(rt.name.clone()),
            None => Err(service::Error::BadRequest(format!(
                "There is no resource type `{word}`."
            ))),
        };
        words.map(name).collect::<Result<BTreeSet<_>, _>>()
    });
    Ok(ChangeFilter {
        kinds: kinds.transpose()?,
        types: types.transpose()?,
    })
}

fn limit(query: &Query) -> Result<u32, service::Error> {
    let found = number(query, "limit", 1..=MOST.into())?;
    Ok(found
        .and_then(|found| u32::try_from(found).ok())
        .unwrap_or(100))
}

fn number(
    query: &Query,
    name: &str,
    range: std::ops::RangeInclusive<i64>,
) -> Result<Option<i64>, service::Error> {
    let Some(text) = query.get(name) else {
        return Ok(None);
    };
    let number = text.parse().ok().filter(|number| range.contains(number));
    number.map(Some).ok_or_else(|| {
        service::Error::BadRequest(format!(
            "`{name}` is a whole number from {} to {}.",
            range.start(),
            range.end()
        ))
    })
}

impl From<crate::service::feed::MemberPair> for FeedMember {
    fn from(pair: crate::service::feed::MemberPair) -> Self {
        Self {
            group: pair.group.into_string(),
            member: pair.member.into_string(),
            kind: pair.kind,
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::body::to_bytes;
    use jiff::Timestamp;
    use serde_json::Map;

    use super::*;
    use crate::ids::TenantId;
    use crate::memory::MemoryBudget;

    fn change(seq: i64) -> feed::Change {
        feed::Change {
            seq,
            kind: ChangeKind::Created,
            resource_type: "User".to_owned(),
            id: format!("u{seq}"),
            at: Timestamp::UNIX_EPOCH,
            actor: "token:okta".to_owned(),
            attributes: Vec::new(),
            lists: Vec::new(),
            members: Vec::new(),
            resource: Some(Map::from_iter([("userName".to_owned(), "a\"b".into())])),
            erased: false,
        }
    }

    #[actix_web::test]
    async fn the_text_of_a_page_is_that_of_its_schema() {
        for count in [0, 1, 3] {
            let mut changes = List::default();
            for seq in 1..=count {
                changes.push(change(seq)).unwrap();
            }
            let (next, last) = (count, 7);
            let page = FeedPage {
                changes: (1..=count).map(change).collect(),
                next,
                last,
            };
            let page_of_text = feed::Page {
                changes,
                next,
                last,
                epoch: 1,
                held: MemoryBudget::new(0).reservation(TenantId::DEFAULT),
            };
            let text = to_bytes(page_text(page_of_text).unwrap()).await.unwrap();
            assert_eq!(text, serde_json::to_string(&page).unwrap());
        }
    }
}
