//! Builds the parts in the order in which they need each other.

use std::sync::Arc;
use std::time::Duration;

use actix_web::web::Bytes;
use anyhow::Context as _;
use futures_util::future::{join, join_all};
use tokio::signal::unix::Signal;
use tokio::sync::Semaphore;

use crate::app::first_access::{self, FirstAccess};
use crate::app::listen::{BoundAddress, Listening, Running};
use crate::app::{background, issuers, listen, registry, tls};
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::http::SCIM_ROOT;
use crate::http::admission::body_memory::BodyMemory;
use crate::http::admission::control::AdmissionControl;
use crate::http::admission::response_body::MAX_ENCODERS;
use crate::http::admission::slow_clients::ConnectionWatches;
use crate::http::security_headers::Transport;
use crate::http::state::AppState;
use crate::issuers::Issuers;
use crate::memory::MemoryBudget;
use crate::service::access::auth_attempts::AuthAttempts;
use crate::service::access::authenticator::{Authenticator, Bootstrap};
use crate::service::access::caller_cache::CallerCache;
use crate::service::access::known_callers::KnownCallers;
use crate::service::feed::Listeners;
use crate::service::query::cursor::Cursors;
use crate::service::query::index_walk::Walks;
use crate::service::shared_statement::SharedStatement;
use crate::service::{Options, Service, indexes};
use crate::store::Store;
use crate::store::query::coalesce::CoalescedReads;
use crate::telemetry::Metrics;
use crate::webhooks::{Deliveries, MessageRenderer, WebhookSender};

/// The bound servers and what must outlive them.
pub struct App {
    pub listeners: Listening<Running>,
    /// The token that was created because there was none; to be shown once.
    pub first_token: Option<String>,
    state: AppState,
    deliveries: Deliveries,
    change_retention: Option<Duration>,
}

impl App {
    /// Builds everything and binds the addresses. Requests are answered once [`App::run`] is awaited.
    ///
    /// # Errors
    /// The database, the port, the TLS files or an issuer's key set cannot be used.
    pub async fn build(config: &Config) -> anyhow::Result<Self> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        let registry = Arc::new(registry::build(&config.tables.types)?);
        let store = Arc::new(Store::open(&config.database)?);
        indexes::prepare(&store, &registry)
            .await
            .context("cannot make the indexes of the resource types")?;
        let reads = Arc::new(CoalescedReads::new(Arc::clone(&store)));
        let issuers = issuers::load(&store, &config.tables.issuers).await?;
        let FirstAccess { bootstrap, token } =
            first_access::prepare(&store, &config.tokens, clock.as_ref()).await?;
        let authenticator = authenticator(&reads, &clock, issuers, bootstrap);
        // Before the first request: it may be one of a flood.
        let now_us = clock.now().as_microsecond();
        authenticator.known.refresh(&store, now_us).await?;
        let cursors = Cursors::load(&store, clock.as_ref(), config.scim.cursor_timeout).await?;
        let tls = config.server.tls.as_ref().map(tls::load).transpose()?;
        let listeners = listen::bind(&config.server)?;
        let base_url = config.server.base_url.clone();
        let base_url = base_url.unwrap_or_else(|| own_url(&listeners.main.address));
        let options = Options {
            base_url,
            scim: config.scim.clone(),
            tokens: config.tokens.limits,
            memory: MemoryBudget::new(config.limits.response_memory_bytes),
        };
        let service = Arc::new(Service {
            store: Arc::clone(&store),
            reads,
            registry: Arc::clone(&registry),
            clock: Arc::clone(&clock),
            options: Arc::new(options),
            walks: Walks::default(),
            cursors,
            listeners: Listeners::new(config.limits.listeners),
            authenticator,
            readiness: SharedStatement::new(Duration::ZERO),
        });
        let state = state(config, service)?;
        let listeners = listeners.start(&state, &tls, &config.server)?;
        let renderer = MessageRenderer::new(&registry);
        let deliveries = Deliveries::start(store, clock, renderer, config.webhooks)?;
        Ok(Self {
            listeners,
            first_token: token,
            state,
            deliveries,
            change_retention: config.scim.change_retention,
        })
    }

    /// The address that clients use.
    pub fn base_url(&self) -> &str {
        &self.state.service.options.base_url
    }

    /// Serves until SIGTERM or SIGINT; requests in flight finish, then the database is closed in
    /// order.
    ///
    /// # Errors
    /// The server fails.
    pub async fn run(self, terminate: Signal) -> anyhow::Result<()> {
        let Listening { main, others } = self.listeners;
        let handles: Vec<_> = others.iter().map(|other| other.server.handle()).collect();
        let servers = [main.server.handle()].into_iter().chain(handles.clone());
        let closer = background::close_streams(&self.state, terminate, servers.collect());
        let tasks = background::start(&self.state, self.change_retention);
        let main = async {
            let served = main.server.await;
            // They stop with the main one, however it stops.
            join_all(handles.iter().map(|handle| handle.stop(true))).await;
            served
        };
        let others = others.into_iter().map(|other| async move {
            let socket = other.socket;
            let served = other.server.await;
            drop(socket);
            served
        });
        let (served, _) = join(main, join_all(others)).await;
        for task in tasks.into_iter().chain([closer]) {
            task.abort();
        }
        served?;
        self.deliveries.stop().await;
        let store = Arc::clone(&self.state.service.store);
        tokio::task::spawn_blocking(move || store.close()).await?;
        Ok(())
    }
}

fn authenticator(
    reads: &Arc<CoalescedReads>,
    clock: &Arc<dyn Clock>,
    issuers: Issuers,
    bootstrap: Option<Bootstrap>,
) -> Authenticator {
    Authenticator {
        reads: Arc::clone(reads),
        clock: Arc::clone(clock),
        issuers,
        callers: CallerCache::default(),
        known: KnownCallers::default(),
        attempts: AuthAttempts::default(),
        bootstrap,
    }
}

/// Builds what the handlers share.
fn state(config: &Config, service: Arc<Service>) -> anyhow::Result<AppState> {
    let limits = &config.limits;
    Ok(AppState {
        // Each listener has its own.
        openapi: Bytes::new(),
        transport: Transport::Plain,
        service,
        body_limits: limits.body,
        body_memory: BodyMemory::new(limits.body_memory_bytes),
        encoders: Arc::new(Semaphore::new(MAX_ENCODERS)),
        admission: Arc::new(AdmissionControl::new(limits.admission)),
        connections: Arc::new(ConnectionWatches::new(limits.timeouts)),
        metrics: Arc::new(Metrics::new()?),
        shared_reads: Arc::default(),
        webhook_sender: WebhookSender::new(config.webhooks.reach, config.webhooks.timeout)?,
    })
}

fn own_url(address: &BoundAddress) -> String {
    format!("{}{SCIM_ROOT}", address.url())
}
