//! Lookups of tokens that wait share one statement: the credential of a busy client is asked for hundreds of times while
//! the database answers once.
//!
//! A lookup answers only those who asked before it began. So nobody is told of a token as it was before a write that was
//! answered earlier, and one that was revoked is turned away at once, by every node.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

use crate::store::tokens::{self, Known};
use crate::store::{Store, StoreError};

type Answer = Result<Option<Arc<Known>>, StoreError>;

/// Who waits for the next lookup of each hash. One that is here is being looked up.
#[derive(Debug, Default)]
pub(super) struct Flights(Mutex<HashMap<String, Vec<oneshot::Sender<Answer>>>>);

impl Flights {
    pub async fn token(&self, store: &Arc<Store>, hash: &str) -> Answer {
        let (reply, answer) = oneshot::channel();
        let is_first = self.with(|flights| match flights.get_mut(hash) {
            Some(waiting) => {
                waiting.push(reply);
                false
            }
            None => {
                flights.insert(hash.to_owned(), vec![reply]);
                true
            }
        });
        if is_first {
            // A task of its own: the one who asked first may go, the others still wait.
            tokio::spawn(fly(Arc::clone(store), hash.to_owned()));
        }
        answer
            .await
            .unwrap_or_else(|_| Err(StoreError::internal("a lookup was lost")))
    }

    /// Those who asked until now. Where nobody has, the flight ends.
    fn board(&self, hash: &str) -> Option<Vec<oneshot::Sender<Answer>>> {
        self.with(|flights| {
            let waiting = std::mem::take(flights.get_mut(hash)?);
            if waiting.is_empty() {
                flights.remove(hash);
                return None;
            }
            Some(waiting)
        })
    }

    fn with<T>(
        &self,
        work: impl FnOnce(&mut HashMap<String, Vec<oneshot::Sender<Answer>>>) -> T,
    ) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn fly(store: Arc<Store>, hash: String) {
    while let Some(waiting) = store.flights.board(&hash) {
        let wanted = hash.clone();
        let found = store
            .look_up(move |conn| Ok(tokens::by_hash(conn, &wanted)?.map(Arc::new)))
            .await;
        for reply in waiting {
            // Whoever asked may have gone.
            let _ = reply.send(found.clone());
        }
    }
}
