//! Work on its way to a database thread and back: a closure, its result and the one who waits.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::store::{Conn, StoreError};

/// The part of a job that does not depend on what it works on.
pub(in crate::store) trait Reply: Send {
    /// Nobody waits any more.
    fn is_abandoned(&self) -> bool;
    /// Puts this fault in the place of whatever the work returned.
    fn fail(&mut self, fault: StoreError);
    /// Sends the result.
    fn answer(self: Box<Self>);
}

/// Work on an `A`: a connection or a transaction.
pub(in crate::store) trait Job<A>: Reply {
    /// Runs the work, once, and keeps its result. False: what it did must be undone.
    fn run(&mut self, on: &mut A) -> bool;
}

pub(in crate::store) struct Pending<F, T, E> {
    work: Option<F>,
    result: Option<Result<T, E>>,
    reply: oneshot::Sender<Result<T, E>>,
}

/// A job.
type Boxed<F, T, E> = Box<Pending<F, T, E>>;
/// Where a job's result will arrive.
pub(in crate::store) type PendingReply<T, E> = oneshot::Receiver<Result<T, E>>;

pub(in crate::store) fn pending<F, T, E>(work: F) -> (Boxed<F, T, E>, PendingReply<T, E>) {
    let (reply, arrival) = oneshot::channel();
    let job = Pending {
        work: Some(work),
        result: None,
        reply,
    };
    (Box::new(job), arrival)
}

impl<F: Send, T: Send, E: From<StoreError> + Send> Reply for Pending<F, T, E> {
    fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    fn fail(&mut self, fault: StoreError) {
        self.result = Some(Err(fault.into()));
    }

    fn answer(self: Box<Self>) {
        if let Some(result) = self.result {
            // The one who asked may have gone.
            let _ = self.reply.send(result);
        }
    }
}

impl<A, F, T, E> Job<A> for Pending<F, T, E>
where
    F: FnOnce(&mut A) -> Result<T, E> + Send,
    T: Send,
    E: From<StoreError> + Send,
{
    fn run(&mut self, on: &mut A) -> bool {
        let Some(work) = self.work.take() else {
            return false;
        };
        // Safe to go on after a panic: the caller undoes what the work did in the database, and its own
        // state is gone with the closure.
        let result = catch_unwind(AssertUnwindSafe(|| work(on)))
            .unwrap_or_else(|panic| Err(panicked(&*panic).into()));
        let good = result.is_ok();
        self.result = Some(result);
        good
    }
}

/// A statement that may run again where the connection broke.
pub(in crate::store) trait Again: Job<Conn> {
    /// Whether it ended because the connection broke.
    fn is_lost(&self) -> bool;
}

pub(in crate::store) struct Repeatable<F, T> {
    work: F,
    result: Option<Result<T, StoreError>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

pub(in crate::store) fn repeatable<F, T>(
    work: F,
) -> (Box<Repeatable<F, T>>, PendingReply<T, StoreError>) {
    let (reply, arrival) = oneshot::channel();
    let job = Repeatable {
        work,
        result: None,
        reply,
    };
    (Box::new(job), arrival)
}

impl<F: Send, T: Send> Reply for Repeatable<F, T> {
    fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    fn fail(&mut self, fault: StoreError) {
        self.result = Some(Err(fault));
    }

    fn answer(self: Box<Self>) {
        if let Some(result) = self.result {
            // The one who asked may have gone.
            let _ = self.reply.send(result);
        }
    }
}

impl<F, T> Job<Conn> for Repeatable<F, T>
where
    F: Fn(&mut Conn) -> Result<T, StoreError> + Send,
    T: Send,
{
    fn run(&mut self, on: &mut Conn) -> bool {
        let result = catch_unwind(AssertUnwindSafe(|| (self.work)(on)))
            .unwrap_or_else(|panic| Err(panicked(&*panic)));
        let good = result.is_ok();
        self.result = Some(result);
        good
    }
}

impl<F, T> Again for Repeatable<F, T>
where
    F: Fn(&mut Conn) -> Result<T, StoreError> + Send,
    T: Send,
{
    fn is_lost(&self) -> bool {
        let fault = self
            .result
            .as_ref()
            .and_then(|result| result.as_ref().err());
        fault.is_some_and(StoreError::is_connection_lost)
    }
}

/// The fault that a caught panic becomes.
pub(in crate::store) fn panicked(panic: &(dyn Any + Send)) -> StoreError {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    StoreError::internal(format!("a panic in a database job: {text}"))
}

/// A job in a queue.
pub(in crate::store) struct Waiting<J> {
    pub job: J,
    since: Instant,
}

impl<J> Waiting<J> {
    pub fn new(job: J) -> Self {
        Self {
            job,
            since: Instant::now(),
        }
    }
}

/// How long a job may wait. A burst may wait for long, for it ends. Where the queue stands and no job was in time for
/// as long as that, more comes than can be done: then jobs are refused early, so that the others are answered in time,
/// and not all of them late.
pub(in crate::store) struct QueueTimeout {
    /// In a burst.
    long: Duration,
    /// In a queue that stands.
    short: Duration,
    /// Since when no job was in time.
    standing: Option<Instant>,
}

/// How much less a job may wait in a queue that stands.
const SHORTER: u32 = 10;

impl QueueTimeout {
    pub fn new(wait: Duration) -> Self {
        Self {
            long: wait,
            short: wait.checked_div(SHORTER).unwrap_or(wait),
            standing: None,
        }
    }

    /// Whether the job that leaves the queue now has waited for too long.
    pub fn is_over<J>(&mut self, waiting: &Waiting<J>) -> bool {
        let now = Instant::now();
        self.is_over_at(now.duration_since(waiting.since), now)
    }

    fn is_over_at(&mut self, waited: Duration, now: Instant) -> bool {
        if waited <= self.short {
            self.standing = None;
            return false;
        }
        let since = *self.standing.get_or_insert(now);
        waited > self.long || now.duration_since(since) > self.long
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_waits_and_a_standing_queue_does_not() {
        let second = Duration::from_secs;
        let start = Instant::now();
        let mut patience = QueueTimeout::new(second(5));
        let mut check = |at, waited_ms, expected| {
            let waited = Duration::from_millis(waited_ms);
            let found = patience.is_over_at(waited, start + second(at));
            assert_eq!(found, expected, "{waited_ms} ms at {at} s");
        };
        check(0, 100, false);
        // A burst: long, but it ends.
        check(1, 2_000, false);
        check(4, 4_900, false);
        check(5, 5_100, true);
        check(6, 400, false);
        // It stands.
        check(10, 700, false);
        check(14, 4_000, false);
        check(16, 700, true);
        check(17, 501, true);
        check(18, 500, false);
        check(19, 4_000, false);
    }
}
