//! Those who follow the feed and stand at the same place are told the same: it is read, and brought into the form that goes
//! out, once for all of them.
//!
//! Whatever has changes in it may be told to whoever comes to it, also later: what it lacks comes behind it. Where there is
//! nothing in it, who did not begin it reads for himself, or he would not be told what was written meanwhile.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::OnceCell;

use crate::auth::Fields;
use crate::service::feed::{ChangeFilter, Page, push, reading};
use crate::service::{Context, Error, Service};
use crate::store::TenantId;

/// How many changes are told at once.
const MOST: u32 = 200;
/// The readings that are over are forgotten once there are so many.
const SWEEP_AT: usize = 64;

/// The readings that somebody waits for or still has.
#[derive(Debug)]
pub struct SharedReads<T>(Mutex<Readings<T>>);

#[derive(Debug)]
struct Readings<T> {
    by_stand: HashMap<ReaderPosition, Weak<OnceCell<Batch<T>>>>,
    sweep_at: usize,
}

/// Where somebody stands, and what he wants and may see of what comes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct ReaderPosition {
    tenant: TenantId,
    after: i64,
    wanted: ChangeFilter,
    fields: Option<Fields>,
}

/// The next piece of the feed.
#[derive(Debug, Clone)]
pub struct Batch<T> {
    /// Up to where it goes.
    pub next: i64,
    pub form: T,
}

impl<T> Default for SharedReads<T> {
    fn default() -> Self {
        Self(Mutex::new(Readings {
            by_stand: HashMap::new(),
            sweep_at: SWEEP_AT,
        }))
    }
}

impl<T: Clone + Send + Sync + 'static> SharedReads<T> {
    /// What comes behind `after`, of the primary; its `next` is `after` where there is nothing yet. Everybody brings it into
    /// the same form.
    ///
    /// # Errors
    /// As [`super::page`].
    pub async fn next(
        &self,
        service: &Service,
        context: &Context,
        after: i64,
        wanted: &ChangeFilter,
        form: fn(Page) -> T,
    ) -> Result<Batch<T>, Error> {
        let read = async || {
            let work = reading(service, context, after, wanted.clone(), MOST, push)?;
            let work = move |conn: &mut _| {
                let page = work(conn)?;
                let next = page.next;
                Ok::<_, Error>(Batch {
                    next,
                    form: form(page),
                })
            };
            service.store.read(work).await
        };
        let stand = ReaderPosition {
            tenant: context.tenant(),
            after,
            wanted: wanted.clone(),
            fields: context.principal.fields.clone(),
        };
        let mut is_own = false;
        let shared = self.join(stand);
        let burst = shared.get_or_try_init(|| {
            is_own = true;
            read()
        });
        let burst = burst.await?.clone();
        if is_own || burst.next > after {
            return Ok(burst);
        }
        read().await
    }

    fn join(&self, stand: ReaderPosition) -> Arc<OnceCell<Batch<T>>> {
        let mut readings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Readings { by_stand, sweep_at } = &mut *readings;
        if by_stand.len() >= *sweep_at {
            by_stand.retain(|_, reading| reading.strong_count() > 0);
            *sweep_at = by_stand.len().saturating_mul(2).max(SWEEP_AT);
        }
        let kept = by_stand.entry(stand).or_default();
        kept.upgrade().unwrap_or_else(|| {
            let fresh = Arc::default();
            *kept = Arc::downgrade(&fresh);
            fresh
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(after: i64) -> ReaderPosition {
        ReaderPosition {
            tenant: TenantId(1),
            after,
            wanted: ChangeFilter::default(),
            fields: None,
        }
    }

    #[test]
    fn a_reading_is_shared_while_somebody_has_it() {
        let bursts = SharedReads::<i64>::default();
        let one = bursts.join(at(1));
        assert!(Arc::ptr_eq(&one, &bursts.join(at(1))));
        assert!(!Arc::ptr_eq(&one, &bursts.join(at(2))));
        let limited = ReaderPosition {
            fields: Fields::parse(vec!["userName".to_owned()]).ok(),
            ..at(1)
        };
        assert!(!Arc::ptr_eq(&one, &bursts.join(limited)));
        one.set(Batch { next: 2, form: 7 }).unwrap();
        drop(one);
        assert!(bursts.join(at(1)).get().is_none());
    }

    #[test]
    fn readings_that_are_over_are_forgotten() {
        let bursts = SharedReads::<i64>::default();
        let kept = bursts.join(at(0));
        for after in 1..1_000 {
            bursts.join(at(after));
        }
        assert!(bursts.0.lock().unwrap().by_stand.len() <= SWEEP_AT);
        assert!(Arc::ptr_eq(&kept, &bursts.join(at(0))));
    }
}
