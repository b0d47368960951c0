//! A job for a database thread: a closure, its result and the channel to its caller.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::store::{Conn, StoreError};

/// The part of a job that does not depend on what it works on.
pub(in crate::store) trait Reply: Send {
    /// Whether the caller no longer waits.
    fn is_abandoned(&self) -> bool;
    /// Replaces the result of the work with this error.
    fn fail(&mut self, fault: StoreError);
    /// Sends the result.
    fn answer(self: Box<Self>);
}

/// Work on an `A`: a connection or a transaction.
pub(in crate::store) trait Job<A>: Reply {
    /// Runs the work and stores its result. Returns false if its changes must be undone.
    fn run(&mut self, on: &mut A) -> bool;
}

pub(in crate::store) struct Pending<F, T, E> {
    work: Option<F>,
    result: Option<Result<T, E>>,
    reply: oneshot::Sender<Result<T, E>>,
}

/// A job.
type Boxed<F, T, E> = Box<Pending<F, T, E>>;
/// The receiver of a job's result.
pub(in crate::store) type PendingReply<T, E> = oneshot::Receiver<Result<T, E>>;

pub(in crate::store) fn pending<F, T, E>(work: F) -> (Boxed<F, T, E>, PendingReply<T, E>) {
    let (reply, result) = oneshot::channel();
    let job = Pending {
        work: Some(work),
        result: None,
        reply,
    };
    (Box::new(job), result)
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
            // The caller may have been cancelled.
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
        // Unwind safe: after a panic, the changes in the database are undone, and the state of the
        // work is dropped with the closure.
        let result = catch_unwind(AssertUnwindSafe(|| work(on)))
            .unwrap_or_else(|panic| Err(panicked(&*panic).into()));
        let is_ok = result.is_ok();
        self.result = Some(result);
        is_ok
    }
}

/// A statement that may run again if the connection broke.
pub(in crate::store) trait Repeat: Job<Conn> {
    /// Whether it ended because the connection broke.
    fn is_lost(&self) -> bool;
}

/// A job that may run several times; the last result counts.
pub(in crate::store) struct Repeatable<F, T, E> {
    work: F,
    result: Option<Result<T, E>>,
    reply: oneshot::Sender<Result<T, E>>,
}

/// A repeatable job.
type BoxedRepeatable<F, T, E> = Box<Repeatable<F, T, E>>;

pub(in crate::store) fn repeatable<F, T, E>(
    work: F,
) -> (BoxedRepeatable<F, T, E>, PendingReply<T, E>) {
    let (reply, result) = oneshot::channel();
    let job = Repeatable {
        work,
        result: None,
        reply,
    };
    (Box::new(job), result)
}

impl<F: Send, T: Send, E: From<StoreError> + Send> Reply for Repeatable<F, T, E> {
    fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    fn fail(&mut self, fault: StoreError) {
        self.result = Some(Err(fault.into()));
    }

    fn answer(self: Box<Self>) {
        let Self {
            work,
            result,
            reply,
        } = *self;
        // The caller may take back what it shared with the work.
        drop(work);
        if let Some(result) = result {
            // The caller may have been cancelled.
            let _ = reply.send(result);
        }
    }
}

impl<A, F, T, E> Job<A> for Repeatable<F, T, E>
where
    F: Fn(&mut A) -> Result<T, E> + Send,
    T: Send,
    E: From<StoreError> + Send,
{
    fn run(&mut self, on: &mut A) -> bool {
        // Unwind safe: after a panic, the changes in the database are undone.
        let result = catch_unwind(AssertUnwindSafe(|| (self.work)(on)))
            .unwrap_or_else(|panic| Err(panicked(&*panic).into()));
        let is_ok = result.is_ok();
        self.result = Some(result);
        is_ok
    }
}

impl<F, T> Repeat for Repeatable<F, T, StoreError>
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

/// The error for a caught panic.
pub(in crate::store) fn panicked(panic: &(dyn Any + Send)) -> StoreError {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    StoreError::internal(format!("panic in a database job: {text}"))
}

/// A job in a queue.
pub(in crate::store) struct Waiting<J> {
    pub job: J,
    since: Instant,
    claim: Claim,
}

impl<J> Waiting<J> {
    /// The caller gives the job up with the claim.
    pub fn new(job: J) -> (Self, Claim) {
        let claim = Claim::default();
        let waiting = Self {
            job,
            since: Instant::now(),
            claim: claim.clone(),
        };
        (waiting, claim)
    }

    /// Returns whether the job may be run. It may not be if its caller has given it up, and the
    /// caller cannot give it up after this.
    pub fn claim(&self) -> bool {
        self.claim.take()
    }
}

impl<J> std::fmt::Debug for Waiting<J> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Waiting").finish_non_exhaustive()
    }
}

/// Decides whether a waiting job is run or given up: the first of its thread and its caller to take
/// the claim has it.
#[derive(Debug, Clone, Default)]
pub(in crate::store) struct Claim(Arc<AtomicBool>);

impl Claim {
    pub fn take(&self) -> bool {
        !self.0.swap(true, Ordering::AcqRel)
    }
}

/// The longest time a job may wait in a queue. A burst may wait long, because it ends. If the queue
/// is standing and no job was in time for that long, there is more work than capacity: jobs are
/// then refused early, so that the others are in time, instead of all being late.
#[derive(Debug)]
pub(in crate::store) struct QueueTimeout {
    /// In a burst.
    long: Duration,
    /// In a standing queue.
    short: Duration,
    /// The time since which no job has been in time.
    standing_since: Option<Instant>,
}

/// The divisor of the longest wait in a standing queue.
const DIVISOR: u32 = 10;

impl QueueTimeout {
    pub fn new(wait: Duration) -> Self {
        Self {
            long: wait,
            short: wait.checked_div(DIVISOR).unwrap_or(wait),
            standing_since: None,
        }
    }

    /// Whether the job that leaves the queue now has waited too long.
    pub fn is_over<J>(&mut self, waiting: &Waiting<J>) -> bool {
        let now = Instant::now();
        self.is_over_at(now.duration_since(waiting.since), now)
    }

    fn is_over_at(&mut self, waited: Duration, now: Instant) -> bool {
        if waited <= self.short {
            self.standing_since = None;
            return false;
        }
        let since = *self.standing_since.get_or_insert(now);
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
        let mut timeout = QueueTimeout::new(second(5));
        let mut check = |at, waited_ms, expected| {
            let waited = Duration::from_millis(waited_ms);
            let found = timeout.is_over_at(waited, start + second(at));
            assert_eq!(found, expected, "{waited_ms} ms at {at} s");
        };
        check(0, 100, false);
        // A burst: long, but it ends.
        check(1, 2_000, false);
        check(4, 4_900, false);
        check(5, 5_100, true);
        check(6, 400, false);
        // The queue is standing.
        check(10, 700, false);
        check(14, 4_000, false);
        check(16, 700, true);
        check(17, 501, true);
        check(18, 500, false);
        check(19, 4_000, false);
    }
}
