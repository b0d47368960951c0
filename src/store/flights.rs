//! Lookups that wait share one statement. PostgreSQL only: there a statement is a round trip, and many lookups cost little
//! more than one.
//!
//! A statement answers only those who asked before it began. So nobody is told of anything as it was before a write that was
//! answered earlier: a token that was revoked is turned away at once, by every node.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

use crate::store::shown::{self, By, Sight, What};
use crate::store::tokens::{self, Known};
use crate::store::{Store, StoreError, TenantId};

/// How many share a statement at most.
const MOST: usize = 256;

/// All that are on their way.
#[derive(Debug, Default)]
pub(super) struct Flights {
    tokens: Board<String, (), Option<Arc<Known>>>,
    lookups: Board<Lookups, By, Sight>,
}

/// The lookups that one statement can answer together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Lookups {
    tenant: TenantId,
    what: What,
    is_by_id: bool,
}

/// Who waits for the next statement of each key. A key that is here has a statement on its way.
#[derive(Debug)]
struct Board<K, Q, A>(Mutex<HashMap<K, Vec<Waiting<Q, A>>>>);

#[derive(Debug)]
struct Waiting<Q, A> {
    question: Q,
    reply: oneshot::Sender<Result<A, StoreError>>,
}

impl<K, Q, A> Default for Board<K, Q, A> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash + Clone, Q, A> Board<K, Q, A> {
    /// Waits for the answer; `take_off` begins with the statements where nobody has.
    async fn ask(&self, key: K, question: Q, take_off: impl FnOnce(K)) -> Result<A, StoreError> {
        let (reply, answer) = oneshot::channel();
        let waiting = Waiting { question, reply };
        let is_first = self.with(|all| match all.get_mut(&key) {
            Some(others) => {
                others.push(waiting);
                false
            }
            None => {
                all.insert(key.clone(), vec![waiting]);
                true
            }
        });
        if is_first {
            take_off(key);
        }
        answer
            .await
            .unwrap_or_else(|_| Err(StoreError::internal("a lookup was lost")))
    }

    /// Those who asked until now. Where nobody has, the next who asks is the first again.
    fn board(&self, key: &K) -> Option<Vec<Waiting<Q, A>>> {
        self.with(|all| {
            let waiting = all.get_mut(key)?;
            if waiting.is_empty() {
                all.remove(key);
                return None;
            }
            let aboard = waiting.len().min(MOST);
            Some(waiting.drain(..aboard).collect())
        })
    }

    /// Lets go of those who wait where the task that flies for them ends early, by a panic or with its thread: they are told
    /// of a fault, and the next who asks is the first again.
    fn landing(&self, key: &K) -> Landing<'_, K, Q, A> {
        Landing {
            board: self,
            key: key.clone(),
            is_early: true,
        }
    }

    fn with<T>(&self, work: impl FnOnce(&mut HashMap<K, Vec<Waiting<Q, A>>>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

struct Landing<'b, K: Eq + Hash + Clone, Q, A> {
    board: &'b Board<K, Q, A>,
    key: K,
    is_early: bool,
}

impl<K: Eq + Hash + Clone, Q, A> Drop for Landing<'_, K, Q, A> {
    fn drop(&mut self) {
        if self.is_early {
            self.board.with(|all| all.remove(&self.key));
        }
    }
}

impl Store {
    pub(super) async fn token_among_others(
        self: &Arc<Self>,
        hash: &str,
    ) -> Result<Option<Arc<Known>>, StoreError> {
        // A task of its own: the one who asked first may go, the others still wait.
        let store = Arc::clone(self);
        let take_off = |hash| drop(tokio::spawn(fly_tokens(store, hash)));
        let board = &self.flights.tokens;
        board.ask(hash.to_owned(), (), take_off).await
    }

    pub(super) async fn show_among_others(
        self: &Arc<Self>,
        tenant: TenantId,
        what: What,
        by: By,
    ) -> Result<Sight, StoreError> {
        let key = Lookups {
            tenant,
            what,
            is_by_id: matches!(by, By::Id(_)),
        };
        let store = Arc::clone(self);
        let take_off = |key| drop(tokio::spawn(fly_lookups(store, key)));
        self.flights.lookups.ask(key, by, take_off).await
    }
}

async fn fly_tokens(store: Arc<Store>, hash: String) {
    let mut landing = store.flights.tokens.landing(&hash);
    while let Some(waiting) = store.flights.tokens.board(&hash) {
        let wanted = hash.clone();
        let found = store
            .look_up(move |conn| Ok(tokens::by_hash(conn, &wanted)?.map(Arc::new)))
            .await;
        for one in waiting {
            // Whoever asked may have gone.
            let _ = one.reply.send(found.clone());
        }
    }
    // The board took the key off itself; it may be another's by now.
    landing.is_early = false;
}

async fn fly_lookups(store: Arc<Store>, key: Lookups) {
    let mut landing = store.flights.lookups.landing(&key);
    while let Some(waiting) = store.flights.lookups.board(&key) {
        let (questions, replies): (Vec<By>, Vec<_>) = waiting
            .into_iter()
            .map(|one| (one.question, one.reply))
            .unzip();
        let (tenant, what) = (key.tenant, key.what.clone());
        let found = store
            .look_up(move |conn| shown::all(conn, tenant, &what, &questions))
            .await;
        match found {
            Ok(sights) => {
                for (reply, sight) in replies.into_iter().zip(sights) {
                    let _ = reply.send(Ok(sight));
                }
            }
            Err(fault) => {
                for reply in replies {
                    let _ = reply.send(Err(fault.clone()));
                }
            }
        }
    }
    landing.is_early = false;
}
