//! Webhooks over HTTP. Operators manage those of every tenant, admins those of their own.

use actix_web::http::{Method, StatusCode};
use actix_web::web::{self, Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::openapi::response::Response;

use crate::auth::Scope;
use crate::http::admin::common::{TENANT, name_in_path, named_tenant, timestamp};
use crate::http::describe::tag;
use crate::http::endpoint::{Accepts, Authorization, Body, Endpoint, Operation, Parameter};
use crate::http::error::HandlerResult;
use crate::http::json_body;
use crate::http::state::{AppState, Caller};
use crate::service;
use crate::service::access::admin;
use crate::webhooks::subscriptions::{NewSubscription, Redelivery};
use crate::webhooks::{Outcome, subscriptions};

/// The endpoints.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint {
        method: Method::GET,
        path: "/admin/v1/webhooks",
        handler: || web::to(list),
        authorization: Authorization::Scope(Scope::Admin),
        accepts: Accepts::Declared,
        parameters: &[TENANT],
        body: None,
        responses: &[(200, |describer| {
            describer.json_list::<Webhook>("The webhooks.", json!([payroll()]))
        })],
        errors: &[404],
        operation: Some(Operation {
            tag: tag::ADMINISTRATION,
            id: "listWebhooks",
            summary: "List webhooks",
            description: "By name, with their state.",
        }),
    },
    Endpoint {
        method: Method::POST,
        path: "/admin/v1/webhooks",
        handler: || web::to(create),
        authorization: Authorization::Scope(Scope::Admin),
        accepts: Accepts::Any,
        parameters: &[],
        body: Some(Body::message(|describer| {
            describer.json_body::<NewWebhook>(json!({
                "name": "payroll",
                "url": "https://payroll.example.com/rollcall",
                "kinds": ["created", "deactivated"],
                "resourceTypes": ["User"],
            }))
        })),
        responses: &[(201, |describer| {
            describer.json::<WebhookSecret>("The webhook was created.", secret())
        })],
        errors: &[404, 409],
        operation: Some(Operation {
            tag: tag::ADMINISTRATION,
            id: "createWebhook",
            summary: "Create a webhook",
            description: "Changes are posted in the format of Standard Webhooks, at least once and in order. \
                          Only this response ever shows the secret.",
        }),
    },
    Endpoint {
        method: Method::DELETE,
        path: "/admin/v1/webhooks/{name}",
        handler: || web::to(delete),
        authorization: Authorization::Scope(Scope::Admin),
        accepts: Accepts::Declared,
        parameters: &[NAME, TENANT],
        body: None,
        responses: &[(204, |_| Response::new("The webhook was deleted."))],
        errors: &[404],
        operation: Some(Operation {
            tag: tag::ADMINISTRATION,
            id: "deleteWebhook",
            summary: "Delete a webhook",
            description: "A message that is already being sent may still arrive.",
        }),
    },
    Endpoint {
        method: Method::GET,
        path: "/admin/v1/webhooks/{name}/dead-letters",
        handler: || web::to(dead_letters),
        authorization: Authorization::Scope(Scope::Admin),
        accepts: Accepts::Declared,
        parameters: &[NAME, TENANT],
        body: None,
        responses: &[(200, |describer| {
            describer.json_list::<WebhookDeadLetter>(
                "The dead letters.",
                json!([{
                    "seq": 4711,
                    "givenUp": "2026-03-04T08:00:00Z",
                    "attempts": 75,
                    "failure": "the receiver answered 503 Service Unavailable",
                    "wanted": false,
                }]),
            )
        })],
        errors: &[404],
        operation: Some(Operation {
            tag: tag::ADMINISTRATION,
            id: "listDeadLetters",
            summary: "List the changes that were given up",
            description: "The first thousand, in the order of the changes.",
        }),
    },
    Endpoint {
        method: Method::POST,
        path: "/admin/v1/webhooks/{name}/redeliver",
        handler: || web::to(redeliver),
        authorization: Authorization::Scope(Scope::Admin),
        accepts: Accepts::Declared,
        parameters: &[NAME, TENANT],
        body: Some(Body::message(|describer| {
            describer.json_body::<WebhookAgain>(json!({ "seq": 4711 }))
        })),
        responses: &[(200, |describer| {
            let counted = json!({ "deadLetters": 1 });
            describer.json::<WebhookWanted>("The redelivery is scheduled.", counted)
        })],
        errors: &[404],
        operation: Some(Operation {
            tag: tag::ADMINISTRATION,
            id: "redeliverWebhook",
            summary: "Deliver once more",
            description: "All dead letters, one of them, or every change after a number. A webhook that waits \
                          or was stopped resumes.",
        }),
    },
    Endpoint {
        method: Method::POST,
        path: "/admin/v1/webhooks/{name}/rotate",
        handler: || web::to(rotate),
        authorization: Authorization::Scope(Scope::Admin),
        accepts: Accepts::Declared,
        parameters: &[NAME, TENANT],
        body: Some(Body::message(|describer| {
            describer.json_body::<WebhookRotation>(json!({ "keepSeconds": 86_400 }))
        })),
        responses: &[(200, |describer| {
            describer.json::<WebhookSecret>("The secret was replaced.", secret())
        })],
        errors: &[404],
        operation: Some(Operation {
            tag: tag::ADMINISTRATION,
            id: "rotateWebhookSecret",
            summary: "Make a new secret",
            description: "The previous one signs beside it for a while, so that the receiver can switch.",
        }),
    },
    Endpoint {
        method: Method::POST,
        path: "/admin/v1/webhooks/{name}/test",
        handler: || web::to(test),
        authorization: Authorization::Scope(Scope::Admin),
        accepts: Accepts::Declared,
        parameters: &[NAME, TENANT],
        body: None,
        responses: &[(200, |describer| {
            describer.json::<WebhookTest>(
                "The message was sent, or could not be delivered.",
                json!({ "delivered": false, "failure": "the receiver answered 404 Not Found" }),
            )
        })],
        errors: &[404],
        operation: Some(Operation {
            tag: tag::ADMINISTRATION,
            id: "testWebhook",
            summary: "Post a test message",
            description: "Once and immediately. The response tells whether it was delivered.",
        }),
    },
];

const NAME: Parameter = Parameter::path("name", "The name of the webhook.", |_| {
    name_in_path("payroll")
});

fn secret() -> Value {
    json!({ "secret": "whsec_EXAMPLE-shown-only-once" })
}

fn payroll() -> Value {
    json!({
        "name": "payroll",
        "url": "https://payroll.example.com/rollcall",
        "kinds": ["created", "deactivated"],
        "resourceTypes": ["User"],
        "created": "2026-03-01T08:00:00Z",
        "stopped": null,
        "done": 4711,
        "behind": 0,
        "attempts": 0,
        "failure": null,
        "deadLetters": 0,
    })
}

/// The time in which the previous secret signs beside the new one, by default.
const KEEP_S: i64 = 86_400;

/// A webhook to create.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct NewWebhook {
    /// The caller's own tenant if it is left out.
    pub tenant: Option<String>,
    /// Unique in the tenant.
    #[schema(pattern = "^[A-Za-z0-9_.-]{1,63}$")]
    pub name: String,
    /// The address to post changes to: public and https, unless the operator allows others.
    #[schema(format = "uri", max_length = 2000)]
    pub url: String,
    /// Only these kinds of change; all if it is left out.
    #[serde(default)]
    pub kinds: Vec<String>,
    /// Only changes of these resource types; all if it is left out.
    #[serde(default)]
    pub resource_types: Vec<String>,
    /// Begin after the change of this number; 0 is the beginning. If it is left out, begin with the
    /// next change.
    #[schema(minimum = 0)]
    pub after: Option<i64>,
}

/// The secret of a webhook, shown only once.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct WebhookSecret {
    /// `whsec_…`, as the libraries of Standard Webhooks take it.
    pub secret: String,
}

/// A webhook and its state.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Webhook {
    pub name: String,
    pub url: String,
    pub kinds: Vec<String>,
    pub resource_types: Vec<String>,
    #[schema(value_type = String, format = DateTime)]
    pub created: Timestamp,
    /// Why nothing is sent any more; null if it is sent.
    pub stopped: Option<String>,
    /// The number of the last change that needs no more attempts.
    pub done: i64,
    /// The number of changes of the tenant that are not yet processed.
    pub behind: i64,
    /// The number of attempts at the next change.
    pub attempts: i64,
    /// Why the last attempt failed, if it did.
    pub failure: Option<String>,
    /// The number of changes that were given up.
    pub dead_letters: i64,
}

/// A change that was given up.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebhookDeadLetter {
    /// The number of the change.
    pub seq: i64,
    #[schema(value_type = String, format = DateTime)]
    pub given_up: Timestamp,
    pub attempts: i64,
    pub failure: String,
    /// Whether it will be tried once more.
    pub wanted: bool,
}

/// The changes to deliver once more: all dead letters, or those of one of these members.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookAgain {
    /// The dead letter of one change.
    #[schema(minimum = 0)]
    pub seq: Option<i64>,
    /// Every change after this number, delivered before or not.
    #[schema(minimum = 0)]
    pub after: Option<i64>,
}

/// The size of a redelivery.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebhookWanted {
    pub dead_letters: usize,
}

/// The time in which the previous secret signs beside the new one.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct WebhookRotation {
    /// A day if it is left out. Negative values count as 0, more than a year as a year.
    pub keep_seconds: Option<i64>,
}

/// The result of a test message.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct WebhookTest {
    pub delivered: bool,
    /// Why it was not delivered.
    pub failure: Option<String>,
}

/// `GET /admin/v1/webhooks`.
async fn list(request: HttpRequest, caller: Caller, shared: Data<AppState>) -> HandlerResult {
    let tenant = tenant_of(&request, &caller, &shared).await?;
    let rows = subscriptions::list(&shared.service.store, tenant).await?;
    let rows: Vec<Webhook> = rows.into_iter().map(Webhook::from).collect();
    Ok(HttpResponse::Ok().json(rows))
}

/// `POST /admin/v1/webhooks`.
async fn create(
    request: HttpRequest,
    caller: Caller,
    shared: Data<AppState>,
    payload: Payload,
) -> HandlerResult {
    let new: NewWebhook = json_body::typed(&request, &caller, &shared, payload).await?;
    let service = &shared.service;
    let tenant = admin::managed(service, &caller.context, new.tenant).await?;
    let subscription = NewSubscription {
        tenant,
        name: new.name,
        url: new.url,
        kinds: new.kinds,
        resource_types: new.resource_types,
        after: new.after,
    };
    shared.webhook_sender.check(&subscription.url)?;
    let secret =
        subscriptions::create(&service.store, subscription, service.clock.as_ref()).await?;
    let secret = secret.to_text();
    Ok(HttpResponse::build(StatusCode::CREATED).json(WebhookSecret { secret }))
}

/// `DELETE /admin/v1/webhooks/{name}`. A message that is already being sent may still
/// arrive.
async fn delete(
    request: HttpRequest,
    caller: Caller,
    shared: Data<AppState>,
    name: Path<String>,
) -> HandlerResult {
    let tenant = tenant_of(&request, &caller, &shared).await?;
    subscriptions::delete(&shared.service.store, tenant, name.into_inner()).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// `GET /admin/v1/webhooks/{name}/dead-letters`.
async fn dead_letters(
    request: HttpRequest,
    caller: Caller,
    shared: Data<AppState>,
    name: Path<String>,
) -> HandlerResult {
    let tenant = tenant_of(&request, &caller, &shared).await?;
    let rows =
        subscriptions::dead_letters(&shared.service.store, tenant, name.into_inner()).await?;
    let rows: Vec<WebhookDeadLetter> = rows
        .into_iter()
        .map(|row| WebhookDeadLetter {
            seq: row.seq,
            given_up: timestamp(row.at),
            attempts: row.attempts,
            failure: row.failure,
            wanted: row.wanted,
        })
        .collect();
    Ok(HttpResponse::Ok().json(rows))
}

/// `POST /admin/v1/webhooks/{name}/redeliver`.
async fn redeliver(
    request: HttpRequest,
    caller: Caller,
    shared: Data<AppState>,
    name: Path<String>,
    payload: Payload,
) -> HandlerResult {
    let wanted: WebhookAgain = json_body::typed(&request, &caller, &shared, payload).await?;
    let again = match (wanted.seq, wanted.after) {
        (None, None) => Redelivery::DeadLetters,
        (Some(seq), None) => Redelivery::DeadLetter { seq },
        (None, Some(seq)) => Redelivery::After { seq },
        (Some(_), Some(_)) => {
            let text = "Send either `seq` or `after`, not both.";
            return Err(service::Error::BadRequest(text.to_owned()).into());
        }
    };
    let tenant = tenant_of(&request, &caller, &shared).await?;
    let store = &shared.service.store;
    let dead_letters = subscriptions::redeliver(store, tenant, name.into_inner(), again).await?;
    Ok(HttpResponse::Ok().json(WebhookWanted { dead_letters }))
}

/// `POST /admin/v1/webhooks/{name}/rotate`.
async fn rotate(
    request: HttpRequest,
    caller: Caller,
    shared: Data<AppState>,
    name: Path<String>,
    payload: Payload,
) -> HandlerResult {
    let rotation: WebhookRotation = json_body::typed(&request, &caller, &shared, payload).await?;
    let keep = rotation.keep_seconds.unwrap_or(KEEP_S).clamp(0, 31_536_000);
    let tenant = tenant_of(&request, &caller, &shared).await?;
    let secret = subscriptions::rotate(
        &shared.service.store,
        tenant,
        name.into_inner(),
        SignedDuration::from_secs(keep),
        caller.context.at,
    )
    .await?;
    let secret = secret.to_text();
    Ok(HttpResponse::Ok().json(WebhookSecret { secret }))
}

/// `POST /admin/v1/webhooks/{name}/test`. It waits for the receiver.
async fn test(
    request: HttpRequest,
    caller: Caller,
    shared: Data<AppState>,
    name: Path<String>,
) -> HandlerResult {
    let tenant = tenant_of(&request, &caller, &shared).await?;
    let service = &shared.service;
    let clock = service.clock.as_ref();
    let outcome = shared
        .webhook_sender
        .test(&service.store, tenant, name.into_inner(), clock)
        .await?;
    let failure = match outcome {
        Outcome::Delivered => None,
        Outcome::Gone => Some("the receiver answered 410 Gone".to_owned()),
        Outcome::Failed { why, .. } => Some(why),
    };
    let delivered = failure.is_none();
    Ok(HttpResponse::Ok().json(WebhookTest { delivered, failure }))
}

async fn tenant_of(
    request: &HttpRequest,
    caller: &Caller,
    shared: &AppState,
) -> Result<String, service::Error> {
    let named = named_tenant(request);
    admin::managed(&shared.service, &caller.context, named).await
}

impl From<subscriptions::SubscriptionView> for Webhook {
    fn from(row: subscriptions::SubscriptionView) -> Self {
        Self {
            name: row.name,
            url: row.url,
            kinds: row.kinds,
            resource_types: row.resource_types,
            created: timestamp(row.created),
            stopped: row.stopped,
            done: row.done_seq,
            behind: row.behind,
            attempts: row.attempts,
            failure: row.failure,
            dead_letters: row.dead_letters,
        }
    }
}
