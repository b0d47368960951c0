//! A PostgreSQL replica that is read in place of the primary while its lag is small enough.
//!
//! The lag is measured by the primary's log, not by clocks: the primary is polled for the position
//! of its log. A replica that has replayed such a mark has everything committed before the poll.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use diesel::QueryableByName;
use diesel::sql_types::{Bool, Nullable, Text};

use crate::settings::{milliseconds, required, settings};
use crate::store::engine::read_queue::ReadQueue;
use crate::store::engine::statement::{Fetch, Statement};
use crate::store::{Conn, DatabaseUrl, StoreError};

/// The longest wait for a reader of the replica before the primary is read.
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// How long a reader of the replica may take beyond the time of its query, and how long the replica
/// is avoided after that.
const LONGEST_SILENCE: Duration = Duration::from_secs(2);
const AVOIDED_FOR: Duration = Duration::from_secs(5);
/// The number of marks per allowed lag.
const MARKS: u32 = 8;
/// The pause between two marks.
const SHORTEST: Duration = Duration::from_millis(20);
const LONGEST: Duration = Duration::from_secs(1);

settings! {
    /// The replica's address, and how far it may lag.
    #[derive(Debug, Clone)]
    pub struct ReplicaConfig {
        /// A PostgreSQL that streams from `database`,
        /// [read for tokens that cannot write](scaling.md#read-from-a-replica).
        pub url: DatabaseUrl = setting(
            "database_replica",
            DatabaseUrl::kind(),
            required("postgres://USER@HOST/NAME?sslmode=verify-full")
        ),
        /// Longest time by which the replica may lag. Beyond that, the primary is read.
        pub lag: Duration = setting("database_replica_lag_ms", milliseconds(100..=600_000), 5000),
    }
}

/// The queue of the replica's readers.
#[derive(Debug)]
pub(in crate::store) struct Replica {
    reads: Arc<ReadQueue>,
    marks: Arc<Marks>,
}

impl Replica {
    pub fn new(reads: Arc<ReadQueue>, marks: Arc<Marks>) -> Self {
        Self { reads, marks }
    }

    /// The longest wait for one of its readers, if that is how long jobs wait elsewhere.
    pub fn wait(wait: Duration) -> Duration {
        wait.min(LONGEST_WAIT)
    }

    /// The queue of its readers, unless the replica cannot answer at the moment.
    pub fn queue(&self) -> Option<&Arc<ReadQueue>> {
        let state = self.marks.state();
        let is_avoided = state
            .avoided_until
            .is_some_and(|until| Instant::now() < until);
        (!is_avoided && state.wanted(self.marks.lag).is_some()).then_some(&self.reads)
    }

    /// Records a position of the primary's log. `at` is the time before the primary was polled.
    pub fn note(&self, position: String, at: Instant) {
        self.marks.note(position, at);
    }

    /// The pause until the next poll of the primary.
    pub fn pause(&self) -> Duration {
        self.marks.pause()
    }

    pub fn close(&self) {
        self.reads.close();
    }

    /// Waits for the replica to run a query of this time; returns `None` if it takes too long. Waits
    /// in the queue end before that, because a tenant with many queries says nothing about the
    /// replica.
    pub async fn wait_for<T>(&self, time: Duration, answer: impl Future<Output = T>) -> Option<T> {
        let limit = LONGEST_WAIT + time + LONGEST_SILENCE;
        let answer = tokio::time::timeout(limit, answer).await.ok();
        if answer.is_none() {
            self.marks.state().avoided_until = Some(Instant::now() + AVOIDED_FOR);
        }
        answer
    }
}

/// The recent positions of the primary's log.
#[derive(Debug)]
pub(in crate::store) struct Marks {
    lag: Duration,
    state: Mutex<ReplicaState>,
}

#[derive(Debug, Default)]
struct ReplicaState {
    /// The oldest first.
    marks: VecDeque<LogMark>,
    avoided_until: Option<Instant>,
}

#[derive(Debug)]
struct LogMark {
    position: String,
    /// Before the primary was polled.
    at: Instant,
}

impl ReplicaState {
    /// The mark that a replica must have replayed: the oldest within the allowed lag.
    fn wanted(&self, lag: Duration) -> Option<&str> {
        let young = self.marks.iter().find(|mark| mark.at.elapsed() <= lag);
        young.map(|mark| mark.position.as_str())
    }
}

impl Marks {
    pub fn new(lag: Duration) -> Self {
        Self {
            lag,
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, ReplicaState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pause(&self) -> Duration {
        (self.lag / MARKS).clamp(SHORTEST, LONGEST)
    }

    fn note(&self, position: String, at: Instant) {
        let marks = &mut self.state().marks;
        marks.push_back(LogMark { position, at });
        while marks
            .front()
            .is_some_and(|mark| mark.at.elapsed() > self.lag)
        {
            marks.pop_front();
        }
    }

    /// Rejects a read on a server that lags too far or no longer follows a primary.
    pub fn check(&self, conn: &mut Conn) -> Result<(), StoreError> {
        #[derive(QueryableByName)]
        struct Near {
            #[diesel(sql_type = Nullable<Bool>)]
            near: Option<bool>,
        }
        let wanted = self.state().wanted(self.lag).map(str::to_owned);
        let wanted = wanted.ok_or(StoreError::Busy)?;
        static IS_NEAR: Statement = Statement::new(
            "SELECT pg_is_in_recovery() AND pg_last_wal_replay_lsn() >= $1::pg_lsn AS near",
        );
        let found: Near = IS_NEAR.bind(&[(&wanted).into()]).fetch_one(conn)?;
        match found.near {
            Some(true) => Ok(()),
            Some(false) | None => Err(StoreError::Busy),
        }
    }
}

/// The position of the primary's log.
pub fn position(conn: &mut Conn) -> Result<String, StoreError> {
    #[derive(QueryableByName)]
    struct Position {
        #[diesel(sql_type = Text)]
        position: String,
    }
    static POSITION: Statement = Statement::new("SELECT pg_current_wal_lsn()::TEXT AS position");
    let found: Position = POSITION.bind(&[]).fetch_one(conn)?;
    Ok(found.position)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::Marks;

    #[test]
    fn the_oldest_mark_that_is_young_enough_is_wanted() {
        let marks = Marks::new(Duration::from_secs(60));
        let wanted = || marks.state().wanted(marks.lag).map(str::to_owned);
        assert_eq!(wanted(), None);
        let now = Instant::now();
        let ago = |seconds| now.checked_sub(Duration::from_secs(seconds)).unwrap();
        marks.note("0/1".to_owned(), ago(90));
        assert_eq!(wanted(), None);
        for (position, seconds) in [("0/2", 50), ("0/3", 10)] {
            marks.note(position.to_owned(), ago(seconds));
            assert_eq!(wanted().as_deref(), Some("0/2"));
        }
    }
}
