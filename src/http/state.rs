//! The state that all handlers share, and the caller of a request.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::http::header::AUTHORIZATION;
use actix_web::web::{Bytes, Data};
use actix_web::{FromRequest, HttpRequest};
use tokio::sync::Semaphore;

use crate::auth::Credential;
use crate::http::admission::body_memory::{BodyLimits, BodyMemory};
use crate::http::admission::control;
use crate::http::admission::control::AdmissionControl;
use crate::http::admission::slow_clients::ConnectionWatches;
use crate::http::endpoint::{Authorization, Endpoint, SCIM_ROOT};
use crate::http::error::ApiError;
use crate::http::json_body;
use crate::http::query::Query;
use crate::http::scim::accept;
use crate::http::security_headers::Transport;
use crate::service;
use crate::service::access::auth_attempts::AuthOutcome;
use crate::service::access::caller_cache::CachedCaller;
use crate::service::error::Unauthenticated;
use crate::service::feed::SharedReads;
use crate::service::{Context, Service};
use crate::telemetry::Metrics;
use crate::webhooks::WebhookSender;

/// The state of the application, shared by all workers.
#[derive(Clone)]
pub struct AppState {
    pub service: Arc<Service>,
    pub body_limits: BodyLimits,
    pub body_memory: BodyMemory,
    /// The responses that may be compressed at the same time.
    pub encoders: Arc<Semaphore>,
    pub admission: Arc<AdmissionControl>,
    pub connections: Arc<ConnectionWatches>,
    pub metrics: Arc<Metrics>,
    /// The reads that streams of the feed share.
    pub shared_reads: Arc<SharedReads<Bytes>>,
    /// Sends the test messages of webhooks; deliveries have a sender of their own.
    pub webhook_sender: WebhookSender,
    /// The OpenAPI document of the listener's endpoints, rendered once.
    pub openapi: Bytes,
    /// How clients reach the listener.
    pub transport: Transport,
}

/// The caller of a request, authenticated and with the scope that the endpoint declares. Taking it
/// also checks the query parameters, and what the head says about the body.
pub struct Caller {
    pub context: Context,
}

impl FromRequest for Caller {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>;

    fn from_request(request: &HttpRequest, _payload: &mut Payload) -> Self::Future {
        let header = request
            .headers()
            .get(AUTHORIZATION)
            .map(|value| value.as_bytes().to_vec());
        let headers = request.headers().get_all(AUTHORIZATION).count();
        let query = Query::of(request);
        let is_in_address = query.has("access_token");
        let endpoint = Endpoint::of_request(request);
        let accepted = endpoint.map_or(Ok(()), |endpoint| query.check_accepted(endpoint));
        let shared = request.app_data::<Data<AppState>>().cloned();
        let with_body = endpoint.filter(|endpoint| endpoint.body.is_some());
        let with_body = with_body.map(|endpoint| (endpoint, request.clone()));
        let is_refused = request.path().starts_with(SCIM_ROOT) && !accept::takes_json(request);
        let request = request.clone();
        Box::pin(async move {
            let shared =
                shared.ok_or_else(|| service::Error::internal("the handler has no shared data"))?;
            if header.is_some() && (headers > 1 || is_in_address) {
                shared
                    .service
                    .authenticator
                    .record_unauthenticated(AuthOutcome::Malformed);
                return Err(ApiError::SeveralCredentials);
            }
            let caller = Self::of(&shared, header.as_deref()).await?;
            if control::is_caller_unknown(&request) {
                shared.admission.charge_late(&caller.context.principal)?;
            }
            if is_refused && caller.context.policy.compatibility.is_strict() {
                return Err(ApiError::NotAcceptable);
            }
            accepted?;
            // An endpoint without a declaration has no scope to check, so it is for no caller.
            let endpoint =
                endpoint.ok_or_else(|| service::Error::internal("the endpoint is not declared"))?;
            if let Authorization::Scope(scope) = endpoint.authorization {
                caller.context.require(scope)?;
            }
            if let Some((endpoint, request)) = with_body {
                let tenant = caller.context.tenant();
                json_body::check_head(&request, endpoint, tenant, &shared)?;
            }
            Ok(caller)
        })
    }
}

/// Returns the caller that the request's credential belonged to when it was last looked up. The
/// query that answers the request confirms it. Where this is `None`, [`Caller`] has the reason.
pub fn cached_caller(
    request: &HttpRequest,
    query: &Query<'_>,
    shared: &AppState,
) -> Option<CachedCaller> {
    let mut headers = request.headers().get_all(AUTHORIZATION);
    let (Some(header), None) = (headers.next(), headers.next()) else {
        return None;
    };
    if query.has("access_token") {
        return None;
    }
    let credential = Credential::parse(header.as_bytes()).ok()?;
    let cached_caller = shared.service.authenticator.get_cached(&credential)?;
    let is_strict = cached_caller.context().policy.compatibility.is_strict();
    (!is_strict || accept::takes_json(request)).then_some(cached_caller)
}

impl Caller {
    /// Authenticates a request with this `Authorization` header, without checking a scope.
    ///
    /// # Errors
    /// 401.
    pub async fn of(shared: &AppState, header: Option<&[u8]>) -> Result<Self, ApiError> {
        let authenticator = &shared.service.authenticator;
        let Some(header) = header else {
            authenticator.record_unauthenticated(AuthOutcome::Missing);
            return Err(service::Error::Unauthenticated(Unauthenticated::Missing).into());
        };
        let credential = Credential::parse(header).map_err(|_| {
            authenticator.record_unauthenticated(AuthOutcome::Malformed);
            service::Error::Unauthenticated(Unauthenticated::Invalid)
        })?;
        let (principal, policy) = authenticator.authenticate(&credential).await?;
        let at = shared.service.clock.now();
        Ok(Self {
            context: Context {
                principal,
                policy,
                at,
            },
        })
    }
}
