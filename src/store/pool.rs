//! The readers: threads with a connection each, fed from one queue.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use async_channel::Receiver;

use crate::store::Conn;
use crate::store::StoreError;
use crate::store::job::{Job, Waiting};
use crate::store::session::Session;

pub(super) type ReadJob = Box<dyn Job<Conn>>;

/// Works until the queue is closed and empty.
pub(super) fn serve(mut session: Session, queue: &Receiver<Waiting<ReadJob>>, wait: Duration) {
    while let Ok(waiting) = queue.recv_blocking() {
        let late = waiting.is_late(wait);
        let mut job = waiting.job;
        if job.is_abandoned() {
            continue;
        }
        if late {
            job.fail(StoreError::Busy);
            job.answer();
            continue;
        }
        // A job catches its own panics. One of the driver must not cost the thread.
        if catch_unwind(AssertUnwindSafe(|| run(&mut session, job))).is_err() {
            session.discard();
        }
    }
}

fn run(session: &mut Session, mut job: ReadJob) {
    match session.begin() {
        Ok(conn) => {
            job.run(conn);
            job.answer();
            session.rollback();
        }
        Err(error) => {
            job.fail(error);
            job.answer();
        }
    }
}
