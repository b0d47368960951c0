//! Webhooks over HTTP, for `admin` tokens: those of the default tenant manage every tenant's, any other its own.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::http::admin::tenants_and_tokens as door;
use crate::http::error::ApiError;
use crate::http::json_body;
use crate::http::state::{AppState, Caller};
use crate::service;
use crate::service::access::admin;
use crate::webhooks::subscriptions::{NewSubscription, Redelivery};
use crate::webhooks::{Outcome, subscriptions};

type Answer = Result<HttpResponse, ApiError>;

/// How long the old secret signs beside the new one where nobody says.
const KEEP_S: i64 = 86_400;

/// A webhook to make.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct NewWebhook {
    /// The caller's own tenant where it is left out.
    pub tenant: Option<String>,
    /// Unique in the tenant.
    #[schema(pattern = "^[A-Za-z0-9_.-]{1,63}$")]
    pub name: String,
    /// Where changes are posted: a public https address, unless the operator allows others.
    #[schema(format = "uri", max_length = 2000)]
    pub url: String,
    /// Only these kinds of change; all where it is left out.
    #[serde(default)]
    pub kinds: Vec<String>,
    /// Only changes of these resource types; all where it is left out.
    #[serde(default)]
    pub resource_types: Vec<String>,
    /// Begin behind the change of this number; 0 is the beginning. What happens from now on where it is left out.
    #[schema(minimum = 0)]
    pub after: Option<i64>,
}

/// The only place where a secret is ever shown.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct WebhookSecret {
    /// `whsec_…`, as the libraries of Standard Webhooks take it.
    pub secret: String,
}

/// A webhook and how it is doing.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Webhook {
    pub name: String,
    pub url: String,
    pub kinds: Vec<String>,
    pub resource_types: Vec<String>,
    #[schema(value_type = String, format = DateTime)]
    pub created: Timestamp,
    /// Why nothing is sent any more.
    pub stopped: Option<String>,
    /// The number of the last change that is done with.
    pub done: i64,
    /// How many changes of the tenant are still to be looked at.
    pub behind: i64,
    /// How often the change that comes next was tried.
    pub attempts: i64,
    /// Why the last attempt failed, where it did.
    pub failure: Option<String>,
    /// How many changes were given up.
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
    /// Whether it is about to be tried once more.
    pub wanted: bool,
}

/// What to deliver once more: every dead letter, or at most one of these.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookAgain {
    /// The dead letter of one change.
    #[schema(minimum = 0)]
    pub seq: Option<i64>,
    /// Every change behind this number, delivered before or not.
    #[schema(minimum = 0)]
    pub after: Option<i64>,
}

/// What was asked for.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebhookWanted {
    pub dead_letters: usize,
}

/// How long the secret before signs beside the new one.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct WebhookRotation {
    /// A day where it is left out; less than nothing counts as 0, more than a year as a year.
    pub keep_seconds: Option<i64>,
}

/// How a test message went.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct WebhookTest {
    pub delivered: bool,
    /// Why not.
    pub failure: Option<String>,
}

/// `GET /admin/v1/webhooks?tenant=`: for `admin`.
pub async fn list(request: HttpRequest, caller: Caller, shared: Data<AppState>) -> Answer {
    let tenant = tenant_of(&request, &caller, &shared).await?;
    let rows = subscriptions::list(&shared.service.store, tenant).await?;
    let shown: Vec<Webhook> = rows.into_iter().map(Webhook::from).collect();
    Ok(HttpResponse::Ok().json(shown))
}

/// `POST /admin/v1/webhooks`: for `admin`.
pub async fn create(
    request: HttpRequest,
    caller: Caller,
    shared: Data<AppState>,
    payload: Payload,
) -> Answer {
    let new: NewWebhook = json_body::typed(&request, payload, shared.body_limits).await?;
    let service = &shared.service;
    let tenant = admin::managed(service, &caller.context, new.tenant).await?;
    let wish = NewSubscription {
        tenant,
        name: new.name,
        url: new.url,
        kinds: new.kinds,
        resource_types: new.resource_types,
        after: new.after,
    };
    shared.courier.check(&wish.url)?;
    let secret = subscriptions::create(&service.store, wish, service.clock.as_ref()).await?;
    let secret = secret.to_text();
    Ok(HttpResponse::build(StatusCode::CREATED).json(WebhookSecret { secret }))
}

/// `DELETE /admin/v1/webhooks/{name}?tenant=`: for `admin`. What is on its way may still arrive.
pub async fn delete(
    request: HttpRequest,
    caller: Caller,
    shared: Data<AppState>,
    name: Path<String>,
) -> Answer {
    let tenant = tenant_of(&request, &caller, &shared).await?;
    subscriptions::delete(&shared.service.store, tenant, name.into_inner()).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// `GET /admin/v1/webhooks/{name}/dead-letters?tenant=`: for `admin`.
pub async fn dead_letters(
    request: HttpRequest,
    caller: Caller,
    shared: Data<AppState>,
    name: Path<String>,
) -> Answer {
    let tenant = tenant_of(&request, &caller, &shared).await?;
    let rows =
        subscriptions::dead_letters(&shared.service.store, tenant, name.into_inner()).await?;
    let shown: Vec<WebhookDeadLetter> = rows
        .into_iter()
        .map(|row| WebhookDeadLetter {
            seq: row.seq,
            given_up: door::time(row.at),
            attempts: row.attempts,
            failure: row.failure,
            wanted: row.wanted,
        })
        .collect();
    Ok(HttpResponse::Ok().json(shown))
}

/// `POST /admin/v1/webhooks/{name}/redeliver?tenant=`: for `admin`.
pub async fn redeliver(
    request: HttpRequest,
    caller: Caller,
    shared: Data<AppState>,
    name: Path<String>,
    payload: Payload,
) -> Answer {
    let wish: WebhookAgain = json_body::typed(&request, payload, shared.body_limits).await?;
    let again = match (wish.seq, wish.after) {
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

/// `POST /admin/v1/webhooks/{name}/rotate?tenant=`: for `admin`.
pub async fn rotate(
    request: HttpRequest,
    caller: Caller,
    shared: Data<AppState>,
    name: Path<String>,
    payload: Payload,
) -> Answer {
    let wish: WebhookRotation = json_body::typed(&request, payload, shared.body_limits).await?;
    let keep = wish.keep_seconds.unwrap_or(KEEP_S).clamp(0, 31_536_000);
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

/// `POST /admin/v1/webhooks/{name}/test?tenant=`: for `admin`. It waits for the receiver.
pub async fn test(
    request: HttpRequest,
    caller: Caller,
    shared: Data<AppState>,
    name: Path<String>,
) -> Answer {
    let tenant = tenant_of(&request, &caller, &shared).await?;
    let service = &shared.service;
    let clock = service.clock.as_ref();
    let outcome = shared
        .courier
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
    let named = door::tenant_in(request)?;
    admin::managed(&shared.service, &caller.context, named).await
}

impl From<subscriptions::SubscriptionView> for Webhook {
    fn from(row: subscriptions::SubscriptionView) -> Self {
        Self {
            name: row.name,
            url: row.url,
            kinds: row.kinds,
            resource_types: row.resource_types,
            created: door::time(row.created),
            stopped: row.stopped,
            done: row.done_seq,
            behind: row.behind,
            attempts: row.attempts,
            failure: row.failure,
            dead_letters: row.dead_letters,
        }
    }
}
