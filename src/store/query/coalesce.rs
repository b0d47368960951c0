//! Waiting lookups share one statement. PostgreSQL only: a statement is a round trip there, and
//! many lookups cost little more than one.
//!
//! A statement answers only callers that asked before it began. So no caller sees a state from
//! before a write that was already answered: a revoked token is refused at once, by every node.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

use crate::store::query::lookup::{self, LookupKey, LookupResult, LookupShape};
use crate::store::tables::tenants::Policy;
use crate::store::tables::tokens::TokenWithPolicy;
use crate::store::tables::{tenants, tokens};
use crate::store::{Backend, Conn, Store, StoreError, TenantId};

/// Whose lookup that of a token counts as: only its result says which tenant it belongs to.
const ANY_TENANT: TenantId = TenantId(0);
/// The most lookups in one statement.
const MOST: usize = 256;

/// Reads of which equal ones share a statement.
#[derive(Debug)]
pub struct CoalescedReads {
    store: Arc<Store>,
    tokens: Arc<SingleFlight<String, (), Option<Arc<TokenWithPolicy>>>>,
    policies: Arc<SingleFlight<TenantId, (), Option<AtEpoch>>>,
    lookups: Arc<SingleFlight<Lookups, LookupKey, LookupResult>>,
}

/// A policy, and the access epoch at which it was read.
pub type AtEpoch = (Policy, i64);

/// The lookups that one statement can answer together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Lookups {
    tenant: TenantId,
    shape: LookupShape,
    is_by_id: bool,
}

/// The callers that wait for the next statement of each key. A key in the map has a statement in
/// flight.
#[derive(Debug)]
struct SingleFlight<K, Q, A>(Mutex<HashMap<K, Vec<Waiter<Q, A>>>>);

#[derive(Debug)]
struct Waiter<Q, A> {
    question: Q,
    reply: oneshot::Sender<Result<A, StoreError>>,
}

impl<K, Q, A> Default for SingleFlight<K, Q, A> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash + Clone, Q, A> SingleFlight<K, Q, A> {
    /// Waits for the answer. `start` begins to run statements for the key if none is in flight.
    async fn ask(&self, key: K, question: Q, start: impl FnOnce(K)) -> Result<A, StoreError> {
        let (reply, answer) = oneshot::channel();
        let waiter = Waiter { question, reply };
        let is_first = self.with(|all| match all.get_mut(&key) {
            Some(others) => {
                others.push(waiter);
                false
            }
            None => {
                all.insert(key.clone(), vec![waiter]);
                true
            }
        });
        if is_first {
            start(key);
        }
        answer
            .await
            .unwrap_or_else(|_| Err(StoreError::internal("a lookup ended without a result")))
    }

    /// Takes the callers that have asked until now. If there are none, the key is no longer in
    /// flight, and the next caller starts it again.
    fn take_waiters(&self, key: &K) -> Option<Vec<Waiter<Q, A>>> {
        self.with(|all| {
            let waiters = all.get_mut(key)?;
            if waiters.is_empty() {
                all.remove(key);
                return None;
            }
            let count = waiters.len().min(MOST);
            Some(waiters.drain(..count).collect())
        })
    }

    /// Guards the key for the task that runs its statements. If the task ends early, by a panic or
    /// with its runtime, perhaps before it began, the waiting callers get an error, and the next
    /// caller starts again.
    fn guard(self: &Arc<Self>, key: &K) -> InFlightGuard<K, Q, A> {
        InFlightGuard {
            flights: Arc::clone(self),
            key: key.clone(),
            is_finished: false,
        }
    }

    fn with<T>(&self, work: impl FnOnce(&mut HashMap<K, Vec<Waiter<Q, A>>>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

struct InFlightGuard<K: Eq + Hash + Clone, Q, A> {
    flights: Arc<SingleFlight<K, Q, A>>,
    key: K,
    is_finished: bool,
}

impl<K: Eq + Hash + Clone, Q, A> Drop for InFlightGuard<K, Q, A> {
    fn drop(&mut self) {
        if !self.is_finished {
            self.flights.with(|all| all.remove(&self.key));
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

    /// Returns the token with this hash, as of every write that was answered before.
    pub async fn token(&self, hash: &str) -> Result<Option<Arc<TokenWithPolicy>>, StoreError> {
        let find = |conn: &mut Conn, hash: &String| Ok(tokens::by_hash(conn, hash)?.map(Arc::new));
        self.same(&self.tokens, ANY_TENANT, hash.to_owned(), find)
            .await
    }

    /// Returns the settings of a tenant's clients and its access epoch, likewise.
    pub async fn policy(&self, tenant: TenantId) -> Result<Option<AtEpoch>, StoreError> {
        let find = |conn: &mut Conn, tenant: &TenantId| tenants::policy(conn, *tenant);
        self.same(&self.policies, tenant, tenant, find).await
    }

    /// Looks a resource up, likewise.
    pub async fn resource(
        &self,
        tenant: TenantId,
        shape: LookupShape,
        key: LookupKey,
    ) -> Result<LookupResult, StoreError> {
        if self.store.backend() == Backend::Sqlite {
            let find = move |conn: &mut Conn| lookup::find(conn, tenant, &shape, &key);
            return self.store.look_up(tenant, find).await;
        }
        let lookups = Lookups {
            tenant,
            shape,
            is_by_id: matches!(key, LookupKey::Id(_)),
        };
        let store = Arc::clone(&self.store);
        let start = |lookups| {
            let guard = self.lookups.guard(&lookups);
            tokio::spawn(answer_lookups(store, lookups, guard));
        };
        self.lookups.ask(lookups, key, start).await
    }

    /// Finds what the key names, for this tenant; callers that wait for the same key share a
    /// statement.
    async fn same<K, A>(
        &self,
        flights: &Arc<SingleFlight<K, (), A>>,
        tenant: TenantId,
        key: K,
        find: fn(&mut Conn, &K) -> Result<A, StoreError>,
    ) -> Result<A, StoreError>
    where
        K: Eq + Hash + Clone + Send + 'static,
        A: Clone + Send + 'static,
    {
        if self.store.backend() == Backend::Sqlite {
            let find = move |conn: &mut Conn| find(conn, &key);
            return self.store.look_up(tenant, find).await;
        }
        // A task of its own: the first caller may be cancelled while others still wait.
        let store = Arc::clone(&self.store);
        let start = |key: K| {
            let guard = flights.guard(&key);
            tokio::spawn(answer_same(store, tenant, guard, find));
        };
        flights.ask(key, (), start).await
    }
}

/// Answers all callers of the key with the result of one statement, until none waits.
async fn answer_same<K, A>(
    store: Arc<Store>,
    tenant: TenantId,
    mut guard: InFlightGuard<K, (), A>,
    find: fn(&mut Conn, &K) -> Result<A, StoreError>,
) where
    K: Eq + Hash + Clone + Send + 'static,
    A: Clone + Send + 'static,
{
    while let Some(waiters) = guard.flights.take_waiters(&guard.key) {
        let wanted = guard.key.clone();
        let find = move |conn: &mut Conn| find(conn, &wanted);
        let found = store.look_up(tenant, find).await;
        for waiter in waiters {
            // The caller may have been cancelled.
            let _ = waiter.reply.send(found.clone());
        }
    }
    // The key was removed with the last waiters; another task may have it by now.
    guard.is_finished = true;
}

/// Answers the waiting lookups, many with one statement, until none waits.
async fn answer_lookups(
    store: Arc<Store>,
    key: Lookups,
    mut guard: InFlightGuard<Lookups, LookupKey, LookupResult>,
) {
    while let Some(waiters) = guard.flights.take_waiters(&key) {
        let (questions, replies): (Vec<LookupKey>, Vec<_>) = waiters
            .into_iter()
            .map(|waiter| (waiter.question, waiter.reply))
            .unzip();
        let tenant = key.tenant;
        let shape = key.shape.clone();
        let asked = questions.clone();
        let found = store
            .look_up(tenant, move |conn| {
                lookup::find_many(conn, tenant, &shape, &asked)
            })
            .await;
        match found {
            Ok(results) => {
                for ((question, reply), result) in questions.into_iter().zip(replies).zip(results) {
                    let result = match result {
                        Some(result) => Ok(result),
                        // Large documents are read one at a time.
                        None => look_up_alone(&store, &key, question).await,
                    };
                    let _ = reply.send(result);
                }
            }
            Err(fault) => {
                for reply in replies {
                    let _ = reply.send(Err(fault.clone()));
                }
            }
        }
    }
    guard.is_finished = true;
}

async fn look_up_alone(
    store: &Store,
    key: &Lookups,
    question: LookupKey,
) -> Result<LookupResult, StoreError> {
    let (tenant, shape) = (key.tenant, key.shape.clone());
    store
        .look_up(tenant, move |conn| {
            lookup::find(conn, tenant, &shape, &question)
        })
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_never_begins_fails_its_waiters() {
        let flights: Arc<SingleFlight<&str, (), ()>> = Arc::default();
        let lost = flights.ask("k", (), |key| drop(flights.guard(&key))).await;
        assert!(lost.is_err());
        let mut guard = None;
        let asked = flights.ask("k", (), |key| guard = Some(flights.guard(&key)));
        let answer = async {
            // The failed flight left no key, so that this caller is the first again.
            for waiter in flights.take_waiters(&"k").unwrap() {
                waiter.reply.send(Ok(())).unwrap();
            }
        };
        let (asked, ()) = tokio::join!(asked, answer);
        assert!(asked.is_ok());
        assert!(guard.is_some());
    }
}
