//! The permits that requests in flight hold, and the queue of requests that wait for one.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::http::error::{ApiError, Limited};
use crate::service::TenantId;

/// Unauthenticated requests hold at most the free permits divided by this.
const UNAUTHENTICATED_DIVISOR: usize = 4;

/// The share of the permits that a request counts towards. Reads and writes of a tenant are two
/// shares: writes wait for the disk, and reads should not wait for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Share {
    Reads(TenantId),
    Writes(TenantId),
    /// All requests without a credential that was valid before.
    Unauthenticated,
}

/// A fixed number of permits.
pub struct Permits {
    count: usize,
    max_wait: Duration,
    state: Mutex<InFlight>,
}

#[derive(Default)]
struct InFlight {
    total: usize,
    held: BTreeMap<Share, usize>,
    /// A queue for each share, served round-robin: a share that was just served goes to the end.
    queues: VecDeque<(Share, VecDeque<oneshot::Sender<Permit>>)>,
}

/// A permit for one request; dropping it releases it.
pub struct Permit {
    permits: Arc<Permits>,
    share: Share,
    state: Mutex<PermitState>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PermitState {
    Held,
    Released,
}

impl Permits {
    /// Creates `count` permits; a request waits up to `max_wait` for one.
    pub fn new(count: usize, max_wait: Duration) -> Self {
        Self {
            count,
            max_wait,
            state: Mutex::default(),
        }
    }

    /// Acquires a permit, and waits for one if none is available to this share.
    ///
    /// # Errors
    /// 429 if the caller's share is used up, 503 if all permits are held.
    pub async fn acquire(self: &Arc<Self>, share: Share) -> Result<Permit, ApiError> {
        let (error, next_permit) = {
            let mut state = self.lock();
            let error = match state.check(share, self.count) {
                Ok(()) if !state.has_waiting(share) => {
                    state.add(share);
                    drop(state);
                    return Ok(self.permit(share));
                }
                Ok(()) => ApiError::Full,
                Err(error) => error,
            };
            (error, state.enqueue(share))
        };
        match tokio::time::timeout(self.max_wait, next_permit).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(error),
        }
    }

    /// Takes a permit back and hands permits to waiting requests.
    fn release(self: &Arc<Self>, share: Share) {
        let mut state = self.lock();
        state.remove(share);
        for _ in 0..state.queues.len() {
            let Some((share, mut queue)) = state.queues.pop_front() else {
                break;
            };
            while state.check(share, self.count).is_ok()
                && let Some(next) = queue.pop_front()
            {
                state.add(share);
                let Err(permit) = next.send(self.permit(share)) else {
                    break;
                };
                // The request stopped waiting. Dropping a permit that is still held would try to
                // take the lock that is held here.
                permit.mark_released();
                state.remove(share);
            }
            if !queue.is_empty() {
                state.queues.push_back((share, queue));
            }
        }
    }

    fn permit(self: &Arc<Self>, share: Share) -> Permit {
        Permit {
            permits: Arc::clone(self),
            share,
            state: Mutex::new(PermitState::Held),
        }
    }

    fn lock(&self) -> MutexGuard<'_, InFlight> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl InFlight {
    /// Checks whether the share may hold one more of `count` permits.
    fn check(&self, share: Share, count: usize) -> Result<(), ApiError> {
        let free = count.saturating_sub(self.total);
        if free == 0 {
            return Err(ApiError::Full);
        }
        let held = self.held.get(&share).copied().unwrap_or(0);
        let (most, limited) = match share {
            Share::Reads(_) | Share::Writes(_) => (free, Limited::Share),
            Share::Unauthenticated => (free / UNAUTHENTICATED_DIVISOR, Limited::Strangers),
        };
        // A share that holds nothing gets one.
        if held == 0 || held < most {
            Ok(())
        } else {
            Err(ApiError::TooMany {
                limited,
                after_s: 1,
            })
        }
    }

    fn add(&mut self, share: Share) {
        self.total = self.total.saturating_add(1);
        let held = self.held.entry(share).or_insert(0);
        *held = held.saturating_add(1);
    }

    fn remove(&mut self, share: Share) {
        self.total = self.total.saturating_sub(1);
        if let Some(held) = self.held.get_mut(&share) {
            *held = held.saturating_sub(1);
            if *held == 0 {
                self.held.remove(&share);
            }
        }
    }

    fn queue(&mut self, share: Share) -> Option<&mut VecDeque<oneshot::Sender<Permit>>> {
        let mut queues = self.queues.iter_mut();
        queues
            .find(|(other, _)| *other == share)
            .map(|(_, queue)| queue)
    }

    fn has_waiting(&self, share: Share) -> bool {
        let mut queues = self.queues.iter();
        queues.any(|(other, queue)| *other == share && queue.iter().any(|next| !next.is_closed()))
    }

    fn enqueue(&mut self, share: Share) -> oneshot::Receiver<Permit> {
        self.queues.retain_mut(|(_, queue)| {
            // Requests time out in the order in which they came.
            while queue.front().is_some_and(oneshot::Sender::is_closed) {
                queue.pop_front();
            }
            !queue.is_empty()
        });
        let (sender, next_permit) = oneshot::channel();
        match self.queue(share) {
            Some(queue) => queue.push_back(sender),
            None => self.queues.push_back((share, VecDeque::from([sender]))),
        }
        next_permit
    }
}

impl Permit {
    /// Releases the permit before it is dropped.
    pub fn release(&self) {
        if self.mark_released() == PermitState::Held {
            self.permits.release(self.share);
        }
    }

    /// Marks the permit as released and returns its previous state.
    fn mark_released(&self) -> PermitState {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut state, PermitState::Released)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.release();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    const A: Share = Share::Writes(TenantId(1));
    const B: Share = Share::Writes(TenantId(2));

    fn acquire(permits: &Arc<Permits>, share: Share) -> Result<Permit, ApiError> {
        permits.acquire(share).now_or_never().unwrap()
    }

    #[actix_web::test]
    async fn each_tenant_has_a_share() {
        let permits = Arc::new(Permits::new(4, Duration::ZERO));
        let first = acquire(&permits, A).unwrap();
        let second = acquire(&permits, A).unwrap();
        let rejected = permits.acquire(A).await.err().unwrap();
        assert_eq!(rejected.reason(), "share");
        let _other = acquire(&permits, B).unwrap();
        assert_eq!(permits.acquire(B).await.err().unwrap().reason(), "share");
        let unauthenticated = acquire(&permits, Share::Unauthenticated).unwrap();
        assert_eq!(permits.acquire(A).await.err().unwrap().reason(), "full");
        drop((first, unauthenticated));
        let _third = acquire(&permits, A).unwrap();
        second.release();
        drop(second);
        assert_eq!(permits.lock().total, 2, "a permit is released once");
    }

    #[actix_web::test]
    async fn shares_are_served_in_turn() {
        let permits = Arc::new(Permits::new(1, Duration::from_secs(3600)));
        let first = acquire(&permits, A).unwrap();
        let mut waiting: Vec<_> = [A, A, B, B]
            .into_iter()
            .map(|share| Box::pin(permits.acquire(share)))
            .collect();
        for request in &mut waiting {
            assert!(request.now_or_never().is_none());
        }
        // The second gives up.
        drop(waiting.remove(1));
        drop(first);
        let permit_of_a = waiting.remove(0).now_or_never().unwrap().unwrap();
        assert!(waiting.iter_mut().all(|next| next.now_or_never().is_none()));
        drop(permit_of_a);
        for request in waiting {
            drop(request.now_or_never().unwrap().unwrap());
        }
        assert_eq!(permits.lock().total, 0);
        assert!(permits.lock().held.is_empty());
    }

    #[actix_web::test]
    async fn every_waiting_request_is_served() {
        let permits = Arc::new(Permits::new(1, Duration::from_secs(3600)));
        let first = acquire(&permits, A).unwrap();
        // One task polls more of them here than tokio would let it.
        let acquire = || Box::pin(tokio::task::unconstrained(permits.acquire(A)));
        let mut waiting: Vec<_> = (0..10_000).map(|_| acquire()).collect();
        assert!(waiting.iter_mut().all(|next| next.now_or_never().is_none()));
        drop(first);
        for request in waiting {
            drop(request.now_or_never().unwrap().unwrap());
        }
        assert_eq!(permits.lock().total, 0);
    }

    #[actix_web::test]
    async fn writes_of_a_tenant_leave_permits_for_its_reads() {
        let permits = Arc::new(Permits::new(4, Duration::ZERO));
        let _writes = [acquire(&permits, A).unwrap(), acquire(&permits, A).unwrap()];
        assert_eq!(permits.acquire(A).await.err().unwrap().reason(), "share");
        acquire(&permits, Share::Reads(TenantId(1))).unwrap();
    }
}
