//! When a token was used last. It is for people, so it is written now and then, in the background.

use std::sync::Arc;
use std::time::Duration;

use crate::service::Error;
use crate::store::tables::tokens;
use crate::store::{Store, TenantId};

/// It is written at most this often for one token: a write costs a disk flush.
const STEP: Duration = Duration::from_secs(60);

/// Whether it is to be written again. Both are microseconds since the epoch.
pub(in crate::service) fn is_due(last_us: i64, now_us: i64) -> bool {
    let step_us = i64::try_from(STEP.as_micros()).unwrap_or(i64::MAX);
    now_us.saturating_sub(last_us) >= step_us
}

/// Writes `last_used` in the background: no request waits for it or fails over it.
pub(in crate::service) fn note(store: &Arc<Store>, tenant: TenantId, token_id: &str, now_us: i64) {
    let (store, id) = (Arc::clone(store), token_id.to_owned());
    tokio::spawn(async move {
        let written = store
            .admin(move |conn| Ok::<_, Error>(tokens::touch_last_used(conn, tenant, &id, now_us)?))
            .await;
        if let Err(error) = written {
            tracing::debug!(%error, "last_used was not written");
        }
    });
}
