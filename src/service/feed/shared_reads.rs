//! Reads that followers of the feed share: those at the same position get the same changes, so
//! these are read and encoded once.
//!
//! A batch with changes may be given to every reader at its position, also later: the reader gets
//! what the batch lacks with the next one. An empty batch may already be stale for a reader that
//! joined late, so such a reader reads again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::OnceCell;

use crate::auth::Fields;
use crate::service::feed::page::{Page, PageReader, PageRequest, push};
use crate::service::{Context, Error, Service};
use crate::store::TenantId;

/// Finished reads are dropped once there are as many entries.
const SWEEP_AT: usize = 64;

/// The reads in progress, and those whose batch is still in use.
#[derive(Debug)]
pub struct SharedReads<T>(Mutex<Reads<T>>);

#[derive(Debug)]
struct Reads<T> {
    by_position: HashMap<ReaderPosition, Weak<OnceCell<Batch<T>>>>,
    sweep_at: usize,
}

/// A position in the feed, and what its reader may see.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct ReaderPosition {
    tenant: TenantId,
    request: PageRequest,
    fields: Option<Fields>,
}

/// The next changes of the feed, encoded.
#[derive(Debug, Clone)]
pub struct Batch<T> {
    /// The number of the last change that was read.
    pub next: i64,
    /// The tenant's access epoch, no older than the call that returned the batch.
    pub epoch: i64,
    pub encoded: T,
}

impl<T> Default for SharedReads<T> {
    fn default() -> Self {
        Self(Mutex::new(Reads {
            by_position: HashMap::new(),
            sweep_at: SWEEP_AT,
        }))
    }
}

impl<T: Clone + Send + Sync + 'static> SharedReads<T> {
    /// Returns the changes after a position, read from the primary. Without any, `next` is the
    /// position. All callers must pass the same `encode`.
    ///
    /// # Errors
    /// As [`super::page()`].
    pub async fn next(
        &self,
        service: &Service,
        context: &Context,
        request: PageRequest,
        encode: fn(Page) -> T,
    ) -> Result<Batch<T>, Error> {
        let after = request.after;
        let position = ReaderPosition {
            tenant: context.tenant(),
            request: request.clone(),
            fields: context.principal.fields.clone(),
        };
        let reader = PageReader::new(service, context, request)?;
        let read = async || {
            let reader = reader.clone();
            let work = move |conn: &mut _| {
                let page = reader.read(conn, push)?;
                Ok::<_, Error>(Batch {
                    next: page.next,
                    epoch: page.epoch,
                    encoded: encode(page),
                })
            };
            service.store.query(context.tenant(), work).await
        };
        let mut is_own = false;
        let shared = self.join(position);
        let batch = shared.get_or_try_init(|| {
            is_own = true;
            read()
        });
        let mut batch = batch.await?.clone();
        if is_own {
            return Ok(batch);
        }
        if batch.next > after {
            // The changes are old enough to be shared, but the epoch may have moved since.
            let policy = service.reads.policy(context.tenant()).await?;
            batch.epoch = policy.map_or(0, |(_, epoch)| epoch);
            return Ok(batch);
        }
        read().await
    }

    /// Returns the read at a position, new or in use.
    fn join(&self, position: ReaderPosition) -> Arc<OnceCell<Batch<T>>> {
        let mut reads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Reads {
            by_position,
            sweep_at,
        } = &mut *reads;
        if by_position.len() >= *sweep_at {
            by_position.retain(|_, read| read.strong_count() > 0);
            *sweep_at = by_position.len().saturating_mul(2).max(SWEEP_AT);
        }
        let entry = by_position.entry(position).or_default();
        entry.upgrade().unwrap_or_else(|| {
            let new = Arc::default();
            *entry = Arc::downgrade(&new);
            new
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::feed::page::ChangeFilter;

    fn at(after: i64) -> ReaderPosition {
        ReaderPosition {
            tenant: TenantId::DEFAULT,
            request: PageRequest {
                after,
                wanted: ChangeFilter::default(),
                limit: 200,
            },
            fields: None,
        }
    }

    #[test]
    fn a_read_is_shared_while_it_is_in_use() {
        let reads = SharedReads::<i64>::default();
        let first = reads.join(at(1));
        assert!(Arc::ptr_eq(&first, &reads.join(at(1))));
        assert!(!Arc::ptr_eq(&first, &reads.join(at(2))));
        let limited = ReaderPosition {
            fields: Fields::parse(vec!["userName".to_owned()]).ok(),
            ..at(1)
        };
        assert!(!Arc::ptr_eq(&first, &reads.join(limited)));
        first
            .set(Batch {
                next: 2,
                epoch: 1,
                encoded: 7,
            })
            .unwrap();
        drop(first);
        assert!(reads.join(at(1)).get().is_none());
    }

    #[test]
    fn finished_reads_are_forgotten() {
        let reads = SharedReads::<i64>::default();
        let used = reads.join(at(0));
        for after in 1..1_000 {
            reads.join(at(after));
        }
        assert!(reads.0.lock().unwrap().by_position.len() <= SWEEP_AT);
        assert!(Arc::ptr_eq(&used, &reads.join(at(0))));
    }
}
