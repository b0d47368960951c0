//! The gate: how many requests are inside at once, and whose. Who finds no place is told so before anything is done
//! for it: no look-up, no body, no line in the log.
//!
//! A tenant may hold as many places as are free beside it. So one that floods gets half of them, two a third each, and
//! there is always room for one more. Who finds none waits for half a second, for a burst ends.

mod places;
pub mod rates;
mod refusals;

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::ConnectionType;
use actix_web::http::header::{AUTHORIZATION, CONTENT_LENGTH, HeaderValue};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpMessage as _, HttpRequest, ResponseError as _};
use futures_util::StreamExt as _;
use quick_cache::sync::Cache;

use crate::auth::Principal;
use crate::http::answer::Answer;
use crate::http::error::{ApiError, Limited};
use crate::http::shared::Shared;
use crate::http::wire::Wire;
use crate::service::TenantId;

pub use places::Place;
use places::{Places, Whose};
use rates::{Buckets, Rate, whole_seconds};
use refusals::Refusals;

/// Credentials beyond this many are forgotten.
const MOST_KNOWN: usize = 100_000;
/// How long a request may wait for a place. As many may come at once as the machine does in this time.
const WAIT: Duration = Duration::from_millis(500);
/// The body of a refused request is read where it is as small as this: to close the connection instead costs both more.
const SMALL_BODY_BYTES: u64 = 64 * 1024;
/// How long that may take.
const SMALL_BODY_TIME: Duration = Duration::from_secs(2);

/// What must always be answered: it tells how the service is.
const OPEN: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

/// The settings of the gate.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub places: usize,
    /// Requests of one token.
    pub token: Rate,
    /// Requests of one tenant.
    pub tenant: Rate,
    /// Tokens that turn out to be nobody's, of all clients together: each costs the database a look-up.
    pub unknown: Rate,
}

/// Those who are inside.
pub struct Gate {
    places: Arc<Places>,
    /// Whose a credential was when it was last good, by a hash of the header. It lets nobody in: it only tells who is
    /// asking, before that is looked up.
    known: Cache<u64, Known>,
    hasher: RandomState,
    started: Instant,
    tokens: Buckets<u64>,
    tenants: Buckets<TenantId>,
    unknown: Buckets<()>,
    refusals: Refusals,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Known {
    tenant: TenantId,
    /// A hash of the tenant and the principal's name, which is the same for each access token of one subject.
    token: u64,
}

struct Refused {
    error: ApiError,
    tenant: Option<TenantId>,
}

impl Gate {
    pub fn new(limits: Limits) -> Self {
        Self {
            places: Arc::new(Places::new(limits.places, WAIT)),
            known: Cache::new(MOST_KNOWN),
            hasher: RandomState::new(),
            started: Instant::now(),
            tokens: Buckets::new(limits.token),
            tenants: Buckets::new(limits.tenant),
            unknown: Buckets::new(limits.unknown),
            refusals: Refusals::default(),
        }
    }

    /// Remembers that this `Authorization` header is good, and whose it is.
    pub fn welcome(&self, header: &[u8], principal: &Principal) {
        let known = self.known_as(principal);
        let key = self.hasher.hash_one(header);
        if self.known.get(&key) != Some(known) {
            self.known.insert(key, known);
        }
    }

    /// Forgets an `Authorization` header that is good no more, or never was.
    pub fn forget(&self, header: &[u8]) {
        self.known.remove(&self.hasher.hash_one(header));
        self.unknown.charge((), 1, || self.started.elapsed());
    }

    /// Counts what a request holds besides itself: the other operations of a bulk.
    pub fn charge(&self, principal: &Principal, count: usize) {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.charge_known(self.known_as(principal), count);
    }

    fn charge_known(&self, known: Known, count: u32) {
        let now = || self.started.elapsed();
        self.tokens.charge(known.token, count, now);
        self.tenants.charge(known.tenant, count, now);
    }

    fn known_as(&self, principal: &Principal) -> Known {
        Known {
            tenant: TenantId(principal.tenant),
            token: self.hasher.hash_one((principal.tenant, &principal.name)),
        }
    }

    /// Whether the caller has asked for too much of late.
    fn check_rates(&self, header: Option<&[u8]>, known: Option<Known>) -> Result<(), ApiError> {
        let now = || self.started.elapsed();
        let too_many = |limited| {
            move |wait| ApiError::TooMany {
                limited,
                after_s: whole_seconds(wait),
            }
        };
        let Some(known) = known else {
            if header.is_none() {
                return Ok(());
            }
            let checked = self.unknown.check(&(), now);
            return checked.map_err(too_many(Limited::UnknownTokens));
        };
        self.tokens
            .check(&known.token, now)
            .map_err(too_many(Limited::Token(self.tokens.rate().per_s)))?;
        self.tenants
            .check(&known.tenant, now)
            .map_err(too_many(Limited::Tenant(self.tenants.rate().per_s)))
    }

    /// Finds who asks, and a place.
    async fn admit(&self, header: Option<&[u8]>) -> Result<Place, Refused> {
        let known = header.and_then(|header| self.known.get(&self.hasher.hash_one(header)));
        let whose = known.map_or(Whose::Stranger, |known| Whose::Tenant(known.tenant));
        let place = match self.check_rates(header, known) {
            Ok(()) => self.places.enter(whose).await,
            Err(refused) => Err(refused),
        };
        let place = place.map_err(|error| Refused {
            error,
            tenant: known.map(|known| known.tenant),
        })?;
        if let Some(known) = known {
            self.charge_known(known, 1);
        }
        Ok(place)
    }
}

/// Gives the place of a request free before its end: for one that now waits for something to happen, and has a bound of
/// its own.
pub fn step_aside(request: &HttpRequest) {
    if let Some(place) = request.extensions().get::<Arc<Place>>() {
        place.leave();
    }
}

/// Wraps a request: it gets a place, which it holds until its answer is sent, or is refused.
///
/// # Errors
/// What the inner service answers.
pub async fn pass(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<Answer>, Error> {
    let wire = request.conn_data::<Arc<Wire>>().cloned();
    if let Some(wire) = &wire {
        wire.work();
    }
    let shared = request.app_data::<Data<Shared>>().cloned();
    let Some(shared) = shared.filter(|_| !OPEN.contains(&request.path())) else {
        let response = next.call(request).await?;
        return Ok(response.map_body(|_, body| Answer::new(body.boxed(), wire, None)));
    };
    let header = request.headers().get(AUTHORIZATION);
    let admitted = shared.gate.admit(header.map(HeaderValue::as_bytes)).await;
    match admitted {
        Ok(place) => {
            let place = Arc::new(place);
            request.extensions_mut().insert(Arc::clone(&place));
            let response = next.call(request).await?;
            Ok(response.map_body(|_, body| Answer::new(body.boxed(), wire, Some(place))))
        }
        Err(refused) => {
            let refusals = &shared.gate.refusals;
            refusals.count(&shared.metrics, &refused.error, refused.tenant);
            let mut response = refused.error.error_response();
            if !read_away(&mut request).await {
                response
                    .head_mut()
                    .set_connection_type(ConnectionType::Close);
            }
            let response = request.into_response(response);
            Ok(response.map_body(|_, body| Answer::new(body, wire, None)))
        }
    }
}

/// Reads what is left of a small body, so that the connection can go on. False: it is not small.
async fn read_away(request: &mut ServiceRequest) -> bool {
    let length = request.headers().get(CONTENT_LENGTH);
    let length = length.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > SMALL_BODY_BYTES) {
        return false;
    }
    let mut payload = request.take_payload();
    let read = async move {
        let mut left = SMALL_BODY_BYTES;
        while let Some(chunk) = payload.next().await {
            let size = chunk.ok().and_then(|chunk| u64::try_from(chunk.len()).ok());
            match size.and_then(|size| left.checked_sub(size)) {
                Some(rest) => left = rest,
                None => return false,
            }
        }
        true
    };
    tokio::time::timeout(SMALL_BODY_TIME, read)
        .await
        .unwrap_or(false)
}
