//! The tasks that run beside the requests.

use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use futures_util::future::join_all;
use jiff::SignedDuration;
use tokio::signal::unix::Signal;
use tokio::task::JoinHandle;

use crate::http::state::AppState;
use crate::service::access::storage;
use crate::service::{Service, feed};
use crate::store::Backend;
use crate::telemetry;

/// Pause between two removals of old changes.
const PRUNING_ROUND: Duration = Duration::from_secs(60 * 60);
/// Pause between two measurements of what tenants store.
const MEASURING_ROUND: Duration = Duration::from_secs(24 * 60 * 60);
/// Pause between two moves of measured values into their buckets.
const TIDYING_ROUND: Duration = Duration::from_secs(2);

/// Starts the tasks that run until the server stops.
pub fn start(state: &AppState, change_retention: Option<Duration>) -> Vec<JoinHandle<()>> {
    let mut tasks = vec![
        tokio::spawn(tidy_metrics(state.clone())),
        tokio::spawn(watch_connections(state.clone())),
        tokio::spawn(measure_storage(Arc::clone(&state.service))),
    ];
    let store = &state.service.store;
    tasks.push(tokio::spawn(feed::poll_other_nodes(Arc::clone(store))));
    if store.backend() == Backend::Postgres {
        tasks.push(tokio::spawn(Arc::clone(store).watch_replica()));
    }
    if let Some(retention) = change_retention {
        tasks.push(tokio::spawn(prune_changes(
            Arc::clone(&state.service),
            retention,
        )));
    }
    tasks
}

/// Ends the streams of changes when the process is asked to stop: they have no end of their own,
/// and the server waits for requests in flight.
pub fn close_streams(
    state: &AppState,
    mut terminate: Signal,
    servers: Vec<ServerHandle>,
) -> JoinHandle<()> {
    let store = Arc::clone(&state.service.store);
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {
                store.notifier().close();
                // The main server listens for the signal too, but not from the start.
                join_all(servers.iter().map(|server| server.stop(true))).await;
            }
            _ = tokio::signal::ctrl_c() => store.notifier().close(),
        }
    })
}

async fn tidy_metrics(state: AppState) {
    loop {
        tokio::time::sleep(TIDYING_ROUND).await;
        state.metrics.tidy();
    }
}

/// Closes the connections of clients that are too slow.
async fn watch_connections(state: AppState) {
    state.connections.watch(&state.metrics).await;
}

/// Finds out what an older version has stored, at the start and in case one runs beside this one.
async fn measure_storage(service: Arc<Service>) {
    loop {
        if let Err(error) = storage::measure(&service.store).await {
            tracing::warn!(error = %telemetry::chain(&error), "the storage of tenants could not be measured");
        }
        tokio::time::sleep(MEASURING_ROUND).await;
    }
}

async fn prune_changes(service: Arc<Service>, retention: Duration) {
    let retention = SignedDuration::try_from(retention).unwrap_or(SignedDuration::MAX);
    loop {
        let now = service.clock.now();
        if let Err(error) = feed::prune(&service.store, now, retention).await {
            tracing::warn!(error = %telemetry::chain(&error), "old changes could not be removed");
        }
        tokio::time::sleep(PRUNING_ROUND).await;
    }
}
