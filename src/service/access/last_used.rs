//! Records when a token was last used. People read it, so it is written rarely and in the
//! background.

use std::sync::Arc;
use std::time::Duration;

use crate::service::Error;
use crate::store::Store;
use crate::store::tables::auth_attempts::TokenKey;
use crate::store::tables::tokens;

/// The shortest time between two writes for one token: a write costs a disk flush.
const STEP: Duration = Duration::from_secs(60);

/// Returns whether it is time to write again. Both times are microseconds since the epoch.
pub(in crate::service) fn is_due(last_us: i64, now_us: i64) -> bool {
    let step_us = i64::try_from(STEP.as_micros()).unwrap_or(i64::MAX);
    now_us.saturating_sub(last_us) >= step_us
}

/// Writes `last_used` in the background. No request waits for it or fails over it.
pub(in crate::service) fn record(store: &Arc<Store>, token: &TokenKey, now_us: i64) {
    let store = Arc::clone(store);
    let token = token.clone();
    tokio::spawn(async move {
        let written = store
            .admin(move |conn| {
                let TokenKey { tenant, id } = &token;
                Ok::<_, Error>(tokens::touch_last_used(conn, *tenant, id, now_us)?)
            })
            .await;
        if let Err(error) = written {
            tracing::debug!(%error, "cannot write when a token was last used");
        }
    });
}
