//! A PostgreSQL that follows the primary and is read in its place, where it is near enough.
//!
//! What is near is told by the primary's log and not by clocks: every so often the primary is asked how far its
//! log has come. A replica that has replayed such a mark has all that was committed before the mark was asked for.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_channel::Sender;
use diesel::sql_types::{Bool, Nullable, Text};
use diesel::{QueryableByName, RunQueryDsl};

use crate::settings::{milliseconds, required, settings};
use crate::store::engine::job::Waiting;
use crate::store::engine::readers::ReadJob;
use crate::store::engine::sql::Sql;
use crate::store::{Conn, DatabaseUrl, StoreError};

/// How long a read waits for the replica before the primary is asked, and how long the replica is left alone then.
const PATIENCE: Duration = Duration::from_secs(2);
const REST: Duration = Duration::from_secs(5);
/// How many marks the time that a replica may lag is divided into.
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

/// The way to the replica's readers.
#[derive(Debug)]
pub(in crate::store) struct Replica {
    reads: Sender<Waiting<ReadJob>>,
    marks: Arc<Marks>,
}

impl Replica {
    pub fn new(reads: Sender<Waiting<ReadJob>>, marks: Arc<Marks>) -> Self {
        Self { reads, marks }
    }

    /// The queue to its readers, unless nothing can come of it at the moment.
    pub fn queue(&self) -> Option<&Sender<Waiting<ReadJob>>> {
        let state = self.marks.state();
        let rests = state
            .rests_until
            .is_some_and(|until| Instant::now() < until);
        (!rests && state.wanted(self.marks.lag).is_some()).then_some(&self.reads)
    }

    /// Records a position of the primary's log. `at`: before the primary was asked.
    pub fn note(&self, position: String, at: Instant) {
        self.marks.note(position, at);
    }

    /// The pause until the primary is asked again.
    pub fn pause(&self) -> Duration {
        self.marks.pause()
    }

    pub fn close(&self) {
        self.reads.close();
    }

    /// An answer of the replica; `None` where none comes soon.
    pub async fn patiently<T>(&self, answer: impl Future<Output = T>) -> Option<T> {
        let answer = tokio::time::timeout(PATIENCE, answer).await.ok();
        if answer.is_none() {
            self.marks.state().rests_until = Some(Instant::now() + REST);
        }
        answer
    }
}

/// How far the primary's log had come of late.
#[derive(Debug)]
pub(in crate::store) struct Marks {
    lag: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The oldest first.
    marks: VecDeque<Mark>,
    rests_until: Option<Instant>,
}

#[derive(Debug)]
struct Mark {
    position: String,
    /// Before the primary was asked.
    at: Instant,
}

impl State {
    /// What a replica must have replayed: the oldest mark that is young enough.
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

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pause(&self) -> Duration {
        (self.lag / MARKS).clamp(SHORTEST, LONGEST)
    }

    fn note(&self, position: String, at: Instant) {
        let marks = &mut self.state().marks;
        marks.push_back(Mark { position, at });
        while marks
            .front()
            .is_some_and(|mark| mark.at.elapsed() > self.lag)
        {
            marks.pop_front();
        }
    }

    /// Stops a read on a server that lags too far, or that follows nobody any more.
    pub fn check(&self, conn: &mut Conn) -> Result<(), StoreError> {
        #[derive(QueryableByName)]
        struct Near {
            #[diesel(sql_type = Nullable<Bool>)]
            near: Option<bool>,
        }
        let wanted = self.state().wanted(self.lag).map(str::to_owned);
        let wanted = wanted.ok_or(StoreError::Busy)?;
        let found: Near = Sql::new(
            "SELECT pg_is_in_recovery() AND pg_last_wal_replay_lsn() >= $1::pg_lsn AS near",
        )
        .text(&wanted)
        .get_result(conn)?;
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
    let found: Position =
        Sql::new("SELECT pg_current_wal_lsn()::TEXT AS position").get_result(conn)?;
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
