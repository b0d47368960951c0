//! Lookups that wait share one statement. PostgreSQL only: there a statement is a round trip, and many lookups cost little
//! more than one.
//!
//! A statement answers only those who asked before it began. So nobody is told of anything as it was before a write that was
//! answered earlier: a token that was revoked is turned away at once, by every node.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

use crate::store::query::lookup::{self, LookupKey, LookupResult, LookupShape};
use crate::store::tables::tenants::Policy;
use crate::store::tables::tokens::TokenWithPolicy;
use crate::store::tables::{tenants, tokens};
use crate::store::{Backend, Conn, Store, StoreError, TenantId};

/// How many share a statement at most.
const MOST: usize = 256;

/// The reads of which equal ones share a statement.
#[derive(Debug)]
pub struct CoalescedReads {
    store: Arc<Store>,
    tokens: Arc<SingleFlight<String, (), Option<Arc<TokenWithPolicy>>>>,
    policies: Arc<SingleFlight<TenantId, (), Option<AtEpoch>>>,
    lookups: Arc<SingleFlight<Lookups, LookupKey, LookupResult>>,
}

/// A policy, and the access epoch that it was read at.
pub type AtEpoch = (Policy, i64);

/// The lookups that one statement can answer together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Lookups {
    tenant: TenantId,
    what: LookupShape,
    is_by_id: bool,
}

/// Who waits for the next statement of each key. A key that is here has a statement on its way.
#[derive(Debug)]
struct SingleFlight<K, Q, A>(Mutex<HashMap<K, Vec<Waiting<Q, A>>>>);

#[derive(Debug)]
struct Waiting<Q, A> {
    question: Q,
    reply: oneshot::Sender<Result<A, StoreError>>,
}

impl<K, Q, A> Default for SingleFlight<K, Q, A> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash + Clone, Q, A> SingleFlight<K, Q, A> {
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

    /// Lets go of those who wait where the task that flies for them ends early, by a panic or with its thread, perhaps before
    /// it began: they are told of a fault, and the next who asks is the first again.
    fn landing(self: &Arc<Self>, key: &K) -> InFlightGuard<K, Q, A> {
        InFlightGuard {
            board: Arc::clone(self),
            key: key.clone(),
            is_early: true,
        }
    }

    fn with<T>(&self, work: impl FnOnce(&mut HashMap<K, Vec<Waiting<Q, A>>>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

struct InFlightGuard<K: Eq + Hash + Clone, Q, A> {
    board: Arc<SingleFlight<K, Q, A>>,
    key: K,
    is_early: bool,
}

impl<K: Eq + Hash + Clone, Q, A> Drop for InFlightGuard<K, Q, A> {
    fn drop(&mut self) {
        if self.is_early {
            self.board.with(|all| all.remove(&self.key));
        }
    }
}

impl CoalescedReads {
    pub fn new(store: Arc<Store>) -> Self {
        Self {
            store,
            tokens: Arc::default(),
            policies: Arc::default(),
            lookups: Arc::default(),
        }
    }

    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// The token with this hash, as it is after every write that was answered before.
    pub async fn token(&self, hash: &str) -> Result<Option<Arc<TokenWithPolicy>>, StoreError> {
        let find = |conn: &mut Conn, hash: &String| Ok(tokens::by_hash(conn, hash)?.map(Arc::new));
        self.same(&self.tokens, hash.to_owned(), find).await
    }

    /// The settings of a tenant's clients and its access epoch, likewise.
    pub async fn policy(&self, tenant: TenantId) -> Result<Option<AtEpoch>, StoreError> {
        let find = |conn: &mut Conn, tenant: &TenantId| tenants::policy(conn, *tenant);
        self.same(&self.policies, tenant, find).await
    }

    /// The resource, likewise.
    pub async fn resource(
        &self,
        tenant: TenantId,
        what: LookupShape,
        by: LookupKey,
    ) -> Result<LookupResult, StoreError> {
        if self.store.backend() == Backend::Sqlite {
            let find = move |conn: &mut Conn| lookup::one(conn, tenant, &what, &by);
            return self.store.look_up(find).await;
        }
        let key = Lookups {
            tenant,
            what,
            is_by_id: matches!(by, LookupKey::Id(_)),
        };
        let (store, board) = (Arc::clone(&self.store), &self.lookups);
        let take_off = |key| {
            let landing = board.landing(&key);
            tokio::spawn(fly_lookups(store, key, landing));
        };
        board.ask(key, by, take_off).await
    }

    /// Finds what the key names; callers that wait for the same key share a statement.
    async fn same<K, A>(
        &self,
        board: &Arc<SingleFlight<K, (), A>>,
        key: K,
        find: fn(&mut Conn, &K) -> Result<A, StoreError>,
    ) -> Result<A, StoreError>
    where
        K: Eq + Hash + Clone + Send + 'static,
        A: Clone + Send + 'static,
    {
        if self.store.backend() == Backend::Sqlite {
            return self.store.look_up(move |conn| find(conn, &key)).await;
        }
        // A task of its own: the caller that asked first may go while the others still wait.
        let store = Arc::clone(&self.store);
        let take_off = |key: K| {
            let landing = board.landing(&key);
            tokio::spawn(fly_alike(store, key, landing, find));
        };
        board.ask(key, (), take_off).await
    }
}

/// For those who all ask the same.
async fn fly_alike<K, A>(
    store: Arc<Store>,
    key: K,
    mut landing: InFlightGuard<K, (), A>,
    find: fn(&mut Conn, &K) -> Result<A, StoreError>,
) where
    K: Eq + Hash + Clone + Send + 'static,
    A: Clone + Send + 'static,
{
    while let Some(waiting) = landing.board.board(&key) {
        let wanted = key.clone();
        let found = store.look_up(move |conn| find(conn, &wanted)).await;
        for one in waiting {
            // Whoever asked may have gone.
            let _ = one.reply.send(found.clone());
        }
    }
    // The board took the key off itself; it may be another's by now.
    landing.is_early = false;
}

async fn fly_lookups(
    store: Arc<Store>,
    key: Lookups,
    mut landing: InFlightGuard<Lookups, LookupKey, LookupResult>,
) {
    while let Some(waiting) = landing.board.board(&key) {
        let (questions, replies): (Vec<LookupKey>, Vec<_>) = waiting
            .into_iter()
            .map(|one| (one.question, one.reply))
            .unzip();
        let (tenant, what) = (key.tenant, key.what.clone());
        let found = store
            .look_up(move |conn| lookup::all(conn, tenant, &what, &questions))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_never_begins_lets_go_of_who_waits() {
        let board: Arc<SingleFlight<&str, (), ()>> = Arc::default();
        let lost = board.ask("k", (), |key| drop(board.landing(&key))).await;
        assert!(lost.is_err());
        let mut landing = None;
        let asked = board.ask("k", (), |key| landing = Some(board.landing(&key)));
        let answer = async {
            // Whoever was let go left no key, so that this one is the first again.
            for one in board.board(&"k").unwrap() {
                one.reply.send(Ok(())).unwrap();
            }
        };
        let (asked, ()) = tokio::join!(asked, answer);
        assert!(asked.is_ok());
        assert!(landing.is_some());
    }
}
