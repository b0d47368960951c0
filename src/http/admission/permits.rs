//! The permits that requests in flight hold, and the queue of requests that wait for one.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::http::client_address::ClientNetwork;
use crate::http::error::{ApiError, Limited};
use crate::service::TenantId;

/// The requests of a class that needs no valid token hold at most the free permits divided by this.
const CLASS_DIVISOR: usize = 4;

/// The share of the permits that a request counts towards. Reads and writes of a tenant are two
/// shares: writes wait for the disk, and reads should not wait for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Share {
    Reads(TenantId),
    Writes(TenantId),
    /// Requests for pages that need no credential. All of them are one class.
    Public(ClientNetwork),
    /// Requests that need a credential and have none that is recognized. All of them are one class.
    Unauthenticated(ClientNetwork),
}

/// A class of requests without a valid token. Its clients share a fixed part of the permits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Public,
    Unauthenticated,
}

impl Share {
    fn class(self) -> Option<Class> {
        match self {
            Self::Reads(_) | Self::Writes(_) => None,
            Self::Public(_) => Some(Class::Public),
            Self::Unauthenticated(_) => Some(Class::Unauthenticated),
        }
    }
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
    held_by_class: BTreeMap<Class, usize>,
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
        let (is_allowed, limited) = match share.class() {
            // A share that holds nothing gets one.
            None => (held == 0 || held < free, Limited::Share),
            Some(class) => {
                let of_class = self.held_by_class.get(&class).copied().unwrap_or(0);
                let most = free / CLASS_DIVISOR;
                // Within the class, a client may hold as many as the class has left.
                let left = most.saturating_sub(of_class);
                let is_allowed = of_class == 0 || (left > 0 && (held == 0 || held < left));
                let limited = match class {
                    Class::Public => Limited::Public,
                    Class::Unauthenticated => Limited::Strangers,
                };
                (is_allowed, limited)
            }
        };
        if is_allowed {
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
        increment(&mut self.held, share);
        if let Some(class) = share.class() {
            increment(&mut self.held_by_class, class);
        }
    }

    fn remove(&mut self, share: Share) {
        self.total = self.total.saturating_sub(1);
        decrement(&mut self.held, share);
        if let Some(class) = share.class() {
            decrement(&mut self.held_by_class, class);
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

fn increment<K: Ord>(counts: &mut BTreeMap<K, usize>, key: K) {
    let count = counts.entry(key).or_insert(0);
    *count = count.saturating_add(1);
}

fn decrement<K: Ord>(counts: &mut BTreeMap<K, usize>, key: K) {
    if let Some(count) = counts.get_mut(&key) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(&key);
        }
    }
}

impl Permit {
    /// Returns whether the request had no credential that was recognized.
    pub fn is_unauthenticated(&self) -> bool {
        self.share.class().is_some()
    }

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

    fn network(number: u8) -> ClientNetwork {
        ClientNetwork::of(Some([192, 0, 2, number].into()))
    }

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
        let unauthenticated = acquire(&permits, Share::Unauthenticated(network(1))).unwrap();
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

    #[actix_web::test]
    async fn slow_readers_of_public_pages_use_up_only_their_class() {
        let permits = Arc::new(Permits::new(64, Duration::ZERO));
        let mut held = Vec::new();
        for (number, share) in [(1, 7), (2, 3), (3, 2)] {
            let public = Share::Public(network(number));
            for _ in 0..share {
                held.push(acquire(&permits, public).unwrap());
            }
            let rejected = permits.acquire(public).await.err().unwrap();
            assert_eq!(rejected.reason(), "public", "{number}");
        }
        while let Ok(permit) = permits.acquire(Share::Public(network(4))).await {
            held.push(permit);
        }
        assert!(held.len() < 64 / CLASS_DIVISOR);
        let _unknown = acquire(&permits, Share::Unauthenticated(network(1))).unwrap();
        let _tenant = acquire(&permits, A).unwrap();
        drop(held);
        assert!(permits.lock().held_by_class.len() == 1);
    }
}
