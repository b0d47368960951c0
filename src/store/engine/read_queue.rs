//! The queue in front of the readers, which shares them among tenants.
//!
//! A tenant may start a query if it runs fewer than readers are free: one that floods gets half of
//! them, two get a third each, and one is left for the next. Of the tenants that wait, the one that
//! runs least comes first, then the one that was served longest ago. Lookups of single rows have
//! readers that run nothing else, and use the others too.
//!
//! A tenant may also fill only as much of the queue as is free.

use std::collections::{HashMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::store::engine::job::{QueueTimeout, Waiting};
use crate::store::engine::read_job::ReadJob;
use crate::store::{StoreError, TenantId};

/// The jobs of the service itself belong to no tenant.
pub(in crate::store) const SERVICE: TenantId = TenantId::SERVICE;

/// The kind of a job, which decides which readers run it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Lane {
    /// One statement that finds a few rows by an index.
    Lookup,
    Query,
}

/// The work of a reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Reads {
    Everything,
    Lookups,
}

/// A queue of read jobs.
#[derive(Debug)]
pub(in crate::store) struct ReadQueue {
    state: Mutex<QueueState>,
    /// For readers of everything.
    general: Condvar,
    /// For readers of lookups.
    lookups: Condvar,
}

#[derive(Debug)]
struct QueueState {
    lookups: Waitlist,
    queries: Waitlist,
    /// Idle readers of everything.
    general_free: usize,
    /// Idle readers of lookups.
    lookups_free: usize,
    is_closed: bool,
}

/// The waiting and running jobs of one lane.
#[derive(Debug)]
struct Waitlist {
    owners: HashMap<TenantId, Owner>,
    waiting: usize,
    capacity: usize,
    wait: Duration,
    /// Advances with each new or served owner.
    turn: u64,
}

/// A tenant with jobs that wait or run.
#[derive(Debug)]
struct Owner {
    jobs: VecDeque<Waiting<ReadJob>>,
    running: usize,
    /// When it came or was served last.
    turn: u64,
    timeout: QueueTimeout,
}

/// A job that left the queue. Dropping it makes the reader free again.
pub(in crate::store) struct Taken<'q> {
    pub job: ReadJob,
    /// Whether it waited too long to be run.
    pub is_late: bool,
    _seat: Seat<'q>,
}

/// The use of a reader.
struct Seat<'q> {
    queue: &'q ReadQueue,
    lane: Lane,
    owner: TenantId,
    reads: Reads,
}

impl ReadQueue {
    /// A queue for `general` readers of everything and `lookups` readers of lookups. Each lane has
    /// room for `capacity` jobs.
    pub fn new(general: usize, lookups: usize, capacity: usize, wait: Duration) -> Self {
        Self {
            state: Mutex::new(QueueState {
                lookups: Waitlist::new(capacity, wait),
                queries: Waitlist::new(capacity, wait),
                general_free: general,
                lookups_free: lookups,
                is_closed: false,
            }),
            general: Condvar::new(),
            lookups: Condvar::new(),
        }
    }

    /// Adds a job.
    ///
    /// # Errors
    /// [`StoreError::Busy`] if the tenant's part of the queue is full, and
    /// [`StoreError::Unavailable`] if the store is closed.
    pub fn push(
        &self,
        lane: Lane,
        owner: TenantId,
        job: Waiting<ReadJob>,
    ) -> Result<(), StoreError> {
        let mut state = self.lock();
        if state.is_closed {
            return Err(StoreError::unavailable("the store is closed"));
        }
        state.list(lane).push(owner, job)?;
        let is_for_lookups = lane == Lane::Lookup && state.lookups.waiting <= state.lookups_free;
        drop(state);
        if is_for_lookups {
            self.lookups.notify_one();
        } else {
            self.general.notify_one();
        }
        Ok(())
    }

    /// Waits for a job that this reader may run. Returns `None` once the queue is closed and empty.
    pub fn next(&self, reads: Reads) -> Option<Taken<'_>> {
        let mut state = self.lock();
        loop {
            if let Some(taken) = self.take(&mut state, reads) {
                return Some(taken);
            }
            if state.is_closed && state.is_empty_for(reads) {
                return None;
            }
            let signal = match reads {
                Reads::Everything => &self.general,
                Reads::Lookups => &self.lookups,
            };
            state = signal.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn take<'q>(&'q self, state: &mut QueueState, reads: Reads) -> Option<Taken<'q>> {
        let all_free = state.general_free + state.lookups_free;
        let general_free = state.general_free;
        let found = state
            .lookups
            .take(all_free)
            .map(|found| (Lane::Lookup, found));
        let (lane, (owner, waiting, is_late)) = match (found, reads) {
            (Some(found), _) => found,
            (None, Reads::Lookups) => return None,
            (None, Reads::Everything) => (Lane::Query, state.queries.take(general_free)?),
        };
        *state.free(reads) = state.free(reads).saturating_sub(1);
        Some(Taken {
            job: waiting.job,
            is_late,
            _seat: Seat {
                queue: self,
                lane,
                owner,
                reads,
            },
        })
    }

    /// The number of waiting jobs.
    pub fn len(&self) -> usize {
        let state = self.lock();
        state.lookups.waiting + state.queries.waiting
    }

    /// Accepts no more jobs. Those that wait are still run.
    pub fn close(&self) {
        self.lock().is_closed = true;
        self.general.notify_all();
        self.lookups.notify_all();
    }

    fn leave(&self, seat: &Seat<'_>) {
        let mut state = self.lock();
        *state.free(seat.reads) += 1;
        state.list(seat.lane).leave(seat.owner);
        if state.is_closed {
            self.general.notify_all();
            self.lookups.notify_all();
        }
    }

    fn lock(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.queue.leave(self);
    }
}

impl QueueState {
    fn list(&mut self, lane: Lane) -> &mut Waitlist {
        match lane {
            Lane::Lookup => &mut self.lookups,
            Lane::Query => &mut self.queries,
        }
    }

    fn free(&mut self, reads: Reads) -> &mut usize {
        match reads {
            Reads::Everything => &mut self.general_free,
            Reads::Lookups => &mut self.lookups_free,
        }
    }

    fn is_empty_for(&self, reads: Reads) -> bool {
        self.lookups.waiting == 0 && (reads == Reads::Lookups || self.queries.waiting == 0)
    }
}

impl Waitlist {
    fn new(capacity: usize, wait: Duration) -> Self {
        Self {
            owners: HashMap::new(),
            waiting: 0,
            capacity: capacity.max(1),
            wait,
            turn: 0,
        }
    }

    fn push(&mut self, owner: TenantId, job: Waiting<ReadJob>) -> Result<(), StoreError> {
        if !self.has_room(owner) {
            self.drop_abandoned();
            if !self.has_room(owner) {
                return Err(StoreError::Busy);
            }
        }
        let turn = &mut self.turn;
        let wait = self.wait;
        let entry = self.owners.entry(owner).or_insert_with(|| {
            *turn += 1;
            Owner {
                jobs: VecDeque::new(),
                running: 0,
                turn: *turn,
                timeout: QueueTimeout::new(wait),
            }
        });
        entry.jobs.push_back(job);
        self.waiting += 1;
        Ok(())
    }

    fn has_room(&self, owner: TenantId) -> bool {
        let own = self.owners.get(&owner).map_or(0, |owner| owner.jobs.len());
        own < self.capacity.saturating_sub(self.waiting)
    }

    /// Removes the jobs whose caller no longer waits.
    fn drop_abandoned(&mut self) {
        for owner in self.owners.values_mut() {
            owner.jobs.retain_mut(|job| !job.is_abandoned());
        }
        self.owners
            .retain(|_, owner| owner.running > 0 || !owner.jobs.is_empty());
        self.waiting = self.owners.values().map(|owner| owner.jobs.len()).sum();
    }

    /// Takes the next job, while this number of readers is free. The flag says whether it waited
    /// too long.
    fn take(&mut self, free: usize) -> Option<(TenantId, Waiting<ReadJob>, bool)> {
        loop {
            let may_run = |owner: &&Owner| !owner.jobs.is_empty() && owner.running < free;
            let candidates = self.owners.iter().filter(|(_, owner)| may_run(owner));
            let (&id, _) = candidates.min_by_key(|(_, owner)| (owner.running, owner.turn))?;
            let owner = self.owners.get_mut(&id)?;
            let mut waiting = owner.jobs.pop_front()?;
            self.waiting -= 1;
            let is_late = owner.timeout.is_over(&waiting);
            // The caller may have been cancelled, or its time may have run out.
            if waiting.is_abandoned() || !waiting.claim() {
                if owner.jobs.is_empty() && owner.running == 0 {
                    self.owners.remove(&id);
                }
                continue;
            }
            self.turn += 1;
            owner.turn = self.turn;
            owner.running += 1;
            return Some((id, waiting, is_late));
        }
    }

    fn leave(&mut self, id: TenantId) {
        if let Some(owner) = self.owners.get_mut(&id) {
            owner.running = owner.running.saturating_sub(1);
            if owner.running == 0 && owner.jobs.is_empty() {
                self.owners.remove(&id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Conn;
    use crate::store::engine::job;
    use crate::store::engine::job::{Claim, PendingReply};

    const A: TenantId = TenantId(1);
    const B: TenantId = TenantId(2);
    const C: TenantId = TenantId(3);

    type Reply = PendingReply<(), StoreError>;

    fn add(queue: &ReadQueue, lane: Lane, owner: TenantId) -> Result<(Reply, Claim), StoreError> {
        let (job, reply) = job::pending(|_: &mut Conn| Ok::<_, StoreError>(()));
        let (waiting, claim) = Waiting::new(ReadJob::Transaction(job, None));
        queue.push(lane, owner, waiting)?;
        Ok((reply, claim))
    }

    fn owner_of(taken: Option<&Taken<'_>>) -> Option<TenantId> {
        taken.map(|taken| taken._seat.owner)
    }

    /// The next job that a reader could take, if there is one, without waiting.
    fn take(queue: &ReadQueue, reads: Reads) -> Option<Taken<'_>> {
        let mut state = queue.lock();
        queue.take(&mut state, reads)
    }

    fn queue(general: usize, lookups: usize, capacity: usize) -> ReadQueue {
        ReadQueue::new(general, lookups, capacity, Duration::from_secs(60))
    }

    #[test]
    fn no_tenant_gets_all_readers() {
        for (readers, first, second) in [(2, 1, 1), (4, 2, 1), (8, 4, 2)] {
            let queue = queue(readers, 0, 100);
            let mut replies = Vec::new();
            let mut running = Vec::new();
            for (owner, expected) in [(A, first), (B, second)] {
                for _ in 0..20 {
                    replies.push(add(&queue, Lane::Query, owner).unwrap());
                }
                let mut count = 0;
                while let Some(taken) = take(&queue, Reads::Everything) {
                    assert_eq!(owner_of(Some(&taken)), Some(owner));
                    running.push(taken);
                    count += 1;
                }
                assert_eq!(count, expected, "{readers} readers");
            }
            if readers > 2 {
                replies.push(add(&queue, Lane::Query, C).unwrap());
                let taken = take(&queue, Reads::Everything);
                assert_eq!(owner_of(taken.as_ref()), Some(C));
            }
        }
    }

    #[test]
    fn tenants_that_wait_take_turns() {
        let queue = queue(2, 0, 100);
        let mut replies = Vec::new();
        for owner in [A, A, A, A, B, B, B] {
            replies.push(add(&queue, Lane::Query, owner).unwrap());
        }
        let one = take(&queue, Reads::Everything);
        let other = take(&queue, Reads::Everything);
        assert_eq!(owner_of(one.as_ref()), Some(A));
        assert_eq!(owner_of(other.as_ref()), Some(B));
        // A tenant that comes now is not behind all that waited before.
        replies.push(add(&queue, Lane::Query, C).unwrap());
        drop((one, other));
        let mut order = Vec::new();
        while let Some(taken) = take(&queue, Reads::Everything) {
            order.push(owner_of(Some(&taken)).unwrap());
        }
        assert_eq!(order, [A, B, C, A, B, A]);
    }

    #[test]
    fn lookups_have_readers_of_their_own() {
        let queue = queue(2, 2, 100);
        let mut replies = Vec::new();
        for owner in [A, B] {
            replies.push(add(&queue, Lane::Query, owner).unwrap());
        }
        let queries = [(); 2].map(|()| take(&queue, Reads::Everything).unwrap());
        assert!(take(&queue, Reads::Lookups).is_none());
        for owner in [A, A, A, B] {
            replies.push(add(&queue, Lane::Lookup, owner).unwrap());
        }
        let first = take(&queue, Reads::Lookups);
        let second = take(&queue, Reads::Lookups);
        assert_eq!(owner_of(first.as_ref()), Some(A));
        assert_eq!(owner_of(second.as_ref()), Some(B));
        drop(queries);
        let third = take(&queue, Reads::Everything);
        assert_eq!(owner_of(third.as_ref()), Some(A));
    }

    #[test]
    fn a_tenant_fills_half_of_the_queue() {
        let queue = queue(1, 0, 8);
        let mut replies = Vec::new();
        while let Ok(reply) = add(&queue, Lane::Query, A) {
            replies.push(reply);
        }
        assert_eq!(replies.len(), 4);
        replies.push(add(&queue, Lane::Query, B).unwrap());
        assert_eq!(queue.len(), 5);
        // Those whose caller is gone make room.
        replies.remove(0);
        replies.remove(0);
        add(&queue, Lane::Query, A).unwrap();
    }

    #[test]
    fn a_job_is_either_run_or_given_up() {
        let queue = queue(1, 0, 8);
        let given_up = add(&queue, Lane::Query, A).unwrap();
        assert!(given_up.1.take());
        assert!(take(&queue, Reads::Everything).is_none());
        let run = add(&queue, Lane::Query, A).unwrap();
        assert!(take(&queue, Reads::Everything).is_some());
        assert!(!run.1.take());
    }

    #[test]
    fn a_closed_queue_is_emptied() {
        let queue = queue(1, 0, 8);
        let waiting = add(&queue, Lane::Query, A).unwrap();
        queue.close();
        assert!(add(&queue, Lane::Query, A).is_err());
        assert!(queue.next(Reads::Everything).is_some());
        assert!(queue.next(Reads::Everything).is_none());
        drop(waiting);
    }
}
