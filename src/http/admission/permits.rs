//! The places inside, and those who wait for one.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::http::error::{ApiError, Limited};
use crate::service::TenantId;

/// Strangers hold at most one in so many of the free places.
const STRANGERS: usize = 4;

/// Whose part a request counts for. Reads and writes of a tenant are two parts: writes wait for a disk, and who only
/// reads has no need to wait for that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Share {
    Reads(TenantId),
    Writes(TenantId),
    /// Whoever has shown no credential that was good before.
    Stranger,
}

pub struct Permits {
    count: usize,
    wait: Duration,
    inside: Mutex<InFlight>,
}

#[derive(Default)]
struct InFlight {
    total: usize,
    held: BTreeMap<Share, usize>,
    /// In turn: who was given a place goes to the end.
    waiting: VecDeque<(Share, VecDeque<oneshot::Sender<Permit>>)>,
}

/// A place, left when dropped.
pub struct Permit {
    places: Arc<Permits>,
    whose: Share,
    held: Mutex<PermitState>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PermitState {
    Yes,
    No,
}

impl Permits {
    /// As many as `count`; who finds none waits for `wait`.
    pub fn new(count: usize, wait: Duration) -> Self {
        Self {
            count,
            wait,
            inside: Mutex::default(),
        }
    }

    /// Takes a place, and waits for one where there is none.
    ///
    /// # Errors
    /// 429 where the caller's part is taken, 503 where all are.
    pub async fn enter(self: &Arc<Self>, whose: Share) -> Result<Permit, ApiError> {
        let (refused, coming) = {
            let mut inside = self.lock();
            let refused = match inside.room_for(whose, self.count) {
                Ok(()) if !inside.has_waiting(whose) => {
                    inside.take(whose);
                    drop(inside);
                    return Ok(self.place(whose));
                }
                Ok(()) => ApiError::Full,
                Err(refused) => refused,
            };
            (refused, inside.wait(whose))
        };
        match tokio::time::timeout(self.wait, coming).await {
            Ok(Ok(place)) => Ok(place),
            _ => Err(refused),
        }
    }

    fn leave(self: &Arc<Self>, whose: Share) {
        let mut inside = self.lock();
        inside.give_back(whose);
        for _ in 0..inside.waiting.len() {
            let Some((whose, mut line)) = inside.waiting.pop_front() else {
                break;
            };
            while inside.room_for(whose, self.count).is_ok()
                && let Some(next) = line.pop_front()
            {
                inside.take(whose);
                let Err(place) = next.send(self.place(whose)) else {
                    break;
                };
                // Gone meanwhile. Not by its drop, which would wait for the lock that is held here.
                place.give_up();
                inside.give_back(whose);
            }
            if !line.is_empty() {
                inside.waiting.push_back((whose, line));
            }
        }
    }

    fn place(self: &Arc<Self>, whose: Share) -> Permit {
        Permit {
            places: Arc::clone(self),
            whose,
            held: Mutex::new(PermitState::Yes),
        }
    }

    fn lock(&self) -> MutexGuard<'_, InFlight> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl InFlight {
    fn room_for(&self, whose: Share, places: usize) -> Result<(), ApiError> {
        let free = places.saturating_sub(self.total);
        if free == 0 {
            return Err(ApiError::Full);
        }
        let held = self.held.get(&whose).copied().unwrap_or(0);
        let (most, limited) = match whose {
            Share::Reads(_) | Share::Writes(_) => (free, Limited::Share),
            Share::Stranger => (free / STRANGERS, Limited::Strangers),
        };
        // Who holds nothing gets one.
        if held == 0 || held < most {
            Ok(())
        } else {
            Err(ApiError::TooMany {
                limited,
                after_s: 1,
            })
        }
    }

    fn take(&mut self, whose: Share) {
        self.total = self.total.saturating_add(1);
        let held = self.held.entry(whose).or_insert(0);
        *held = held.saturating_add(1);
    }

    fn give_back(&mut self, whose: Share) {
        self.total = self.total.saturating_sub(1);
        if let Some(held) = self.held.get_mut(&whose) {
            *held = held.saturating_sub(1);
            if *held == 0 {
                self.held.remove(&whose);
            }
        }
    }

    fn line(&mut self, whose: Share) -> Option<&mut VecDeque<oneshot::Sender<Permit>>> {
        let lines = self.waiting.iter_mut();
        lines
            .filter(|(other, _)| *other == whose)
            .map(|(_, line)| line)
            .next()
    }

    fn has_waiting(&self, whose: Share) -> bool {
        let mut lines = self.waiting.iter();
        lines.any(|(other, line)| *other == whose && line.iter().any(|next| !next.is_closed()))
    }

    fn wait(&mut self, whose: Share) -> oneshot::Receiver<Permit> {
        self.waiting.retain_mut(|(_, line)| {
            // Who came first gives up first.
            while line.front().is_some_and(oneshot::Sender::is_closed) {
                line.pop_front();
            }
            !line.is_empty()
        });
        let (sender, coming) = oneshot::channel();
        match self.line(whose) {
            Some(line) => line.push_back(sender),
            None => self.waiting.push_back((whose, VecDeque::from([sender]))),
        }
        coming
    }
}

impl Permit {
    /// Gives it free before the end.
    pub fn leave(&self) {
        if self.give_up() == PermitState::Yes {
            self.places.leave(self.whose);
        }
    }

    fn give_up(&self) -> PermitState {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut held, PermitState::No)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    const A: Share = Share::Writes(TenantId(1));
    const B: Share = Share::Writes(TenantId(2));

    fn enter(places: &Arc<Permits>, whose: Share) -> Result<Permit, ApiError> {
        places.enter(whose).now_or_never().unwrap()
    }

    #[actix_web::test]
    async fn everybody_has_a_part() {
        let places = Arc::new(Permits::new(4, Duration::ZERO));
        let first = enter(&places, A).unwrap();
        let second = enter(&places, A).unwrap();
        let refused = places.enter(A).await.err().unwrap();
        assert_eq!(refused.reason(), "share");
        let _other = enter(&places, B).unwrap();
        assert_eq!(places.enter(B).await.err().unwrap().reason(), "share");
        let stranger = enter(&places, Share::Stranger).unwrap();
        assert_eq!(places.enter(A).await.err().unwrap().reason(), "full");
        drop((first, stranger));
        let _third = enter(&places, A).unwrap();
        second.leave();
        drop(second);
        assert_eq!(places.lock().total, 2, "nobody leaves twice");
    }

    #[actix_web::test]
    async fn who_waits_comes_in_turn() {
        let places = Arc::new(Permits::new(1, Duration::from_secs(3600)));
        let first = enter(&places, A).unwrap();
        let mut waiting: Vec<_> = [A, A, B, B]
            .into_iter()
            .map(|whose| Box::pin(places.enter(whose)))
            .collect();
        for one in &mut waiting {
            assert!(one.now_or_never().is_none());
        }
        // The second gives up.
        drop(waiting.remove(1));
        drop(first);
        let of_a = waiting.remove(0).now_or_never().unwrap().unwrap();
        assert!(waiting.iter_mut().all(|one| one.now_or_never().is_none()));
        drop(of_a);
        for one in waiting {
            drop(one.now_or_never().unwrap().unwrap());
        }
        assert_eq!(places.lock().total, 0);
        assert!(places.lock().held.is_empty());
    }

    #[actix_web::test]
    async fn however_many_wait_each_comes_in() {
        let places = Arc::new(Permits::new(1, Duration::from_secs(3600)));
        let first = enter(&places, A).unwrap();
        // One task polls more of them here than tokio would let it.
        let enter = || Box::pin(tokio::task::unconstrained(places.enter(A)));
        let mut waiting: Vec<_> = (0..10_000).map(|_| enter()).collect();
        assert!(waiting.iter_mut().all(|one| one.now_or_never().is_none()));
        drop(first);
        for one in waiting {
            drop(one.now_or_never().unwrap().unwrap());
        }
        assert_eq!(places.lock().total, 0);
    }

    #[actix_web::test]
    async fn writes_of_a_tenant_leave_room_for_its_reads() {
        let places = Arc::new(Permits::new(4, Duration::ZERO));
        let _writes = [enter(&places, A).unwrap(), enter(&places, A).unwrap()];
        assert_eq!(places.enter(A).await.err().unwrap().reason(), "share");
        enter(&places, Share::Reads(TenantId(1))).unwrap();
    }
}
