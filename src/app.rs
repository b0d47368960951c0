//! The whole service, built in one place from the settings.

pub mod registry;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use anyhow::Context as _;
use jiff::SignedDuration;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use secrecy::ExposeSecret as _;
use tokio::signal::unix::Signal;
use tokio::task::JoinHandle;

use crate::auth::Fields;
use crate::auth::jwt::{Issuer, KeySet, TenantOf};
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, DatabaseConfig, IssuerSettings, Rate, TlsFiles};
use crate::http::admission::body_memory::{BodyLimits, MemoryBudget};
use crate::http::admission::control::AdmissionControl;
use crate::http::admission::slow_clients::{ConnectionWatches, Timeouts};
use crate::http::admission::{control, rate_limit};
use crate::http::server::{self, Bound, Listen};
use crate::http::state::AppState;
use crate::http::{SCIM_ROOT, openapi};
use crate::issuers::{Bounds, Issuers, Origin, Pace};
use crate::service::access::auth_attempts::AuthAttempts;
use crate::service::access::authenticator::{Authenticator, Bootstrap};
use crate::service::access::caller_cache::CallerCache;
use crate::service::access::tokens::{DEFAULT_TENANT, NewToken};
use crate::service::access::{tenants, tokens};
use crate::service::feed::Listeners;
use crate::service::query::cursor::Cursors;
use crate::service::query::index_walk::Walks;
use crate::service::{Options, Service, feed, indexes};
use crate::store::query::coalesce::CoalescedReads;
use crate::store::{Backend, Store};
use crate::telemetry::{self, Metrics};
use crate::webhooks::{Deliveries, MessageRenderer, WebhookSender};

/// A bound server and what must outlive it.
pub struct App {
    pub bound: Bound,
    pub base_url: String,
    /// The token that was made because there was none; to be shown once.
    pub first_token: Option<String>,
    shared: AppState,
    store: Arc<Store>,
    deliveries: Deliveries,
    clock: Arc<dyn Clock>,
    change_retention: Option<Duration>,
}

/// Opens the database: connects and brings its tables up to date.
///
/// # Errors
/// Where it cannot be reached or is newer than this program.
pub fn open_store(config: &DatabaseConfig) -> anyhow::Result<Arc<Store>> {
    Ok(Arc::new(Store::open(&crate::store::Config {
        replica: config.replica.clone(),
        readers: config.readers,
        queue: config.queue,
        wait: config.queue_wait,
        ..crate::store::Config::new(config.url.clone())
    })?))
}

impl App {
    /// Builds everything and binds the port. Requests are answered once [`App::run`] is awaited.
    ///
    /// # Errors
    /// The database, the port, the TLS files or an issuer's key set cannot be used.
    pub async fn build(config: &Config) -> anyhow::Result<Self> {
        let registry = Arc::new(registry::build(&config.declared)?);
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        let store = open_store(&config.database)?;
        indexes::prepare(&store, &registry)
            .await
            .context("cannot make the indexes of the resource types")?;
        let issuers = issuers(&store, &config.issuers).await?;
        let (bootstrap, first_token) = first_access(&store, config, clock.as_ref()).await?;
        let cursors = Cursors::load(&store, clock.as_ref(), config.cursor_timeout).await?;
        let tls = config.tls.as_ref().map(tls).transpose()?;
        let listener = std::net::TcpListener::bind(config.listen)
            .with_context(|| format!("cannot listen on {}", config.listen))?;
        listener.set_nonblocking(true)?;
        let base_url = match &config.base_url {
            Some(url) => url.clone(),
            None => own_url(listener.local_addr()?, tls.is_some()),
        };
        let voice = MessageRenderer::new(&registry);
        let reads = Arc::new(CoalescedReads::new(Arc::clone(&store)));
        let shared = AppState {
            openapi: openapi::document(&registry).to_pretty_json()?.into(),
            service: Arc::new(Service {
                store: Arc::clone(&store),
                reads: Arc::clone(&reads),
                registry,
                clock: Arc::clone(&clock),
                options: Arc::new(options(config, base_url.clone())),
                walks: Walks::default(),
                cursors,
                listeners: Listeners::default(),
                authenticator: Authenticator {
                    reads,
                    clock: Arc::clone(&clock),
                    issuers,
                    callers: CallerCache::default(),
                    attempts: AuthAttempts::default(),
                    bootstrap,
                },
            }),
            body_limits: BodyLimits {
                size_bytes: config.body.limit_bytes,
                time: config.body.timeout,
                bytes_per_s: config.body.bytes_per_s,
            },
            room: Arc::new(MemoryBudget::new(config.body.memory_bytes)),
            gate: Arc::new(AdmissionControl::new(gate_limits(config))),
            wires: Arc::new(ConnectionWatches::new(Timeouts {
                head: server::HEAD_TIME,
                idle: server::KEEP_ALIVE,
                piece: config.answer_timeout,
            })),
            metrics: Arc::new(Metrics::new()?),
            bursts: Arc::default(),
            courier: WebhookSender::new(config.webhooks.reach, config.webhooks.timeout)?,
        };
        let listen = Listen {
            workers: config.workers,
            connections: config.max_connections,
            tls,
            shutdown_timeout: config.shutdown_timeout,
        };
        let bound = server::start(listener, shared.clone(), &listen)?;
        let deliveries = Deliveries::start(
            Arc::clone(&store),
            Arc::clone(&clock),
            voice,
            config.webhooks,
        )?;
        Ok(Self {
            bound,
            base_url,
            first_token,
            shared,
            store,
            deliveries,
            clock,
            change_retention: config.change_retention,
        })
    }

    /// Serves until SIGTERM or SIGINT; requests in flight finish, then the database is closed in order.
    ///
    /// # Errors
    /// Where the server fails.
    pub async fn run(self, terminate: Signal) -> anyhow::Result<()> {
        let beside = self.work_beside(terminate);
        let served = self.bound.server.await;
        for task in beside {
            task.abort();
        }
        served?;
        self.deliveries.stop().await;
        let store = self.store;
        tokio::task::spawn_blocking(move || store.close()).await?;
        Ok(())
    }
}

/// How often changes are looked through for those that are too old.
const PRUNING_ROUND: Duration = Duration::from_secs(60 * 60);

impl App {
    /// What runs beside the requests.
    fn work_beside(&self, terminate: Signal) -> Vec<JoinHandle<()>> {
        let mut tasks = vec![
            tokio::spawn(let_listeners_go(
                Arc::clone(&self.store),
                terminate,
                self.bound.server.handle(),
            )),
            tokio::spawn(tidy(self.shared.clone())),
            tokio::spawn(watch(self.shared.clone())),
        ];
        if self.store.backend() == Backend::Postgres {
            tasks.push(tokio::spawn(feed::poll_other_nodes(Arc::clone(
                &self.store,
            ))));
            tasks.push(tokio::spawn(Arc::clone(&self.store).watch_replica()));
        }
        if let Some(keep) = self.change_retention {
            let (store, clock) = (Arc::clone(&self.store), Arc::clone(&self.clock));
            tasks.push(tokio::spawn(prune(store, clock, keep)));
        }
        tasks
    }
}

/// A stream of changes has no end of its own, and the server waits for what is in flight.
async fn let_listeners_go(store: Arc<Store>, mut terminate: Signal, server: ServerHandle) {
    tokio::select! {
        _ = terminate.recv() => {
            store.bell().close();
            // The server listens for it too, but not from the start.
            server.stop(true).await;
        }
        _ = tokio::signal::ctrl_c() => store.bell().close(),
    }
}

/// How often what was measured is put into its buckets.
const TIDYING_ROUND: Duration = Duration::from_secs(2);

async fn tidy(shared: AppState) {
    loop {
        tokio::time::sleep(TIDYING_ROUND).await;
        shared.metrics.tidy();
    }
}

/// Shuts the connections of clients that are too slow.
async fn watch(shared: AppState) {
    shared.wires.watch(&shared.metrics).await;
}

async fn prune(store: Arc<Store>, clock: Arc<dyn Clock>, keep: Duration) {
    let keep = SignedDuration::try_from(keep).unwrap_or(SignedDuration::MAX);
    loop {
        if let Err(error) = feed::prune(&store, clock.now(), keep).await {
            tracing::warn!(error = %telemetry::chain(&error), "old changes could not be removed");
        }
        tokio::time::sleep(PRUNING_ROUND).await;
    }
}

/// What the use cases are told of the settings.
pub fn options(config: &Config, base_url: String) -> Options {
    Options {
        base_url,
        unknown_members: config.unknown_members,
        unknown_roles: config.unknown_roles,
        password_sync: config.password_sync,
        default_page_size: config.default_page_size,
        max_page_size: config.max_page_size,
        scan_limit: config.scan_limit,
        patch_answer_members: config.patch_answer_members,
        bulk: config.bulk,
        cursor_timeout: config.cursor_timeout,
        me: config.me,
    }
}

fn gate_limits(config: &Config) -> control::AdmissionLimits {
    let rate = |rate: Rate| rate_limit::Rate {
        per_s: rate.per_s,
        burst: rate.burst,
    };
    control::AdmissionLimits {
        places: config.max_requests,
        token: rate(config.rates.token),
        tenant: rate(config.rates.tenant),
        // People mistype and restart; only who goes on for seconds is stopped.
        unknown: rate_limit::Rate {
            per_s: config.rates.unknown_tokens_per_s,
            burst: config.rates.unknown_tokens_per_s.saturating_mul(10),
        },
    }
}

fn own_url(address: SocketAddr, with_tls: bool) -> String {
    let scheme = if with_tls { "https" } else { "http" };
    format!("{scheme}://{address}{SCIM_ROOT}")
}

/// The bootstrap token of the environment, or a first token where the database has none.
async fn first_access(
    store: &Store,
    config: &Config,
    clock: &dyn Clock,
) -> anyhow::Result<(Option<Bootstrap>, Option<String>)> {
    if let Some(secret) = &config.bootstrap_token {
        let tenant = tenants::by_name(store, DEFAULT_TENANT.to_owned()).await?.id;
        return Ok((Some(Bootstrap::new(secret.expose_secret(), tenant)), None));
    }
    if tokens::any(store).await? {
        return Ok((None, None));
    }
    let wish = NewToken {
        tenant: DEFAULT_TENANT.to_owned(),
        name: "first".to_owned(),
        scopes: crate::auth::Scopes::every(),
        fields: None,
        expires: None,
    };
    Ok((None, Some(tokens::create(store, wish, clock).await?)))
}

async fn issuers(store: &Store, settings: &[IssuerSettings]) -> anyhow::Result<Issuers> {
    let mut entries = Vec::with_capacity(settings.len());
    for setting in settings {
        let tenant = tenant_of(store, setting)
            .await
            .with_context(|| format!("issuers: the tenant of {}", setting.issuer))?;
        let issuer = Issuer {
            issuer: setting.issuer.clone(),
            audience: setting.audience.clone(),
            tenant,
            scopes: setting.scopes.clone(),
            fields: setting.fields.clone().map(Fields::parse).transpose()?,
        };
        entries.push((issuer, origin(setting)?));
    }
    Ok(Issuers::new(entries, Pace::default(), Bounds::default()))
}

async fn tenant_of(store: &Store, setting: &IssuerSettings) -> anyhow::Result<TenantOf> {
    let Some(claim) = &setting.tenant_claim else {
        let name = setting.tenant.as_deref().unwrap_or(DEFAULT_TENANT);
        let row = tenants::by_name(store, name.to_owned()).await?;
        return Ok(TenantOf::One(row.id));
    };
    let mut named = BTreeMap::new();
    for (value, name) in &setting.tenants {
        let row = tenants::by_name(store, name.clone()).await?;
        named.insert(value.clone(), row.id);
    }
    Ok(TenantOf::Claim {
        name: claim.clone(),
        tenants: named,
    })
}

fn origin(setting: &IssuerSettings) -> anyhow::Result<Origin> {
    if let Some(url) = &setting.jwks_uri {
        return Ok(Origin::Address(url.clone()));
    }
    let Some(path) = &setting.jwks_file else {
        return Ok(Origin::Discovery);
    };
    let bytes =
        std::fs::read(path).with_context(|| format!("issuers: cannot open {}", path.display()))?;
    let keys = KeySet::parse(&bytes)
        .with_context(|| format!("issuers: {} is no JSON Web Key Set", path.display()))?;
    Ok(Origin::Fixed(keys))
}

fn tls(files: &TlsFiles) -> anyhow::Result<Arc<rustls::ServerConfig>> {
    let chain = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .with_context(|| {
            format!(
                "tls_certificate: cannot read {}",
                files.certificate.display()
            )
        })?;
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .with_context(|| format!("tls_key: cannot read {}", files.key.display()))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .context("tls_certificate and tls_key do not fit together")?;
    Ok(Arc::new(config))
}
