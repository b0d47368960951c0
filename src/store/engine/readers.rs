//! The readers: threads with a connection each, fed from one queue.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::store::engine::budget;
use crate::store::engine::job::Repeat;
use crate::store::engine::read_job::ReadJob;
use crate::store::engine::read_queue::{ReadQueue, Reads};
use crate::store::engine::session::Session;
use crate::store::{Conn, StoreError};

/// Works until the queue is closed and empty. `first` runs first in each transaction and may reject
/// it.
pub(in crate::store) fn serve(
    mut session: Session,
    queue: &ReadQueue,
    reads: Reads,
    first: impl Fn(&mut Conn) -> Result<(), StoreError>,
) {
    while let Some(taken) = queue.next(reads) {
        if taken.is_late {
            taken.job.fail(StoreError::Busy);
            continue;
        }
        // A job catches its own panics. A panic of the driver must not end the thread.
        let job = taken.job;
        if catch_unwind(AssertUnwindSafe(|| run(&mut session, job, &first))).is_err() {
            session.discard();
        }
    }
}

fn run(session: &mut Session, job: ReadJob, first: &impl Fn(&mut Conn) -> Result<(), StoreError>) {
    match job {
        ReadJob::Transaction(mut job, limit) => match session.begin_within(limit, first) {
            Ok((conn, ())) => {
                match limit {
                    Some(limit) => budget::within(limit, || job.run(conn)),
                    None => job.run(conn),
                };
                job.answer();
                session.rollback();
            }
            Err(fault) => {
                ReadJob::Transaction(job, limit).fail(fault);
                session.rollback();
            }
        },
        ReadJob::Statement(mut job) => match run_statement(session, job.as_mut()) {
            Ok(()) => job.answer(),
            Err(fault) => ReadJob::Statement(job).fail(fault),
        },
    }
}

fn run_statement(session: &mut Session, job: &mut dyn Repeat) -> Result<(), StoreError> {
    job.run(session.connected()?);
    if job.is_lost() {
        tracing::warn!("the database connection is lost, reconnecting");
        session.discard();
        job.run(session.connected()?);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
