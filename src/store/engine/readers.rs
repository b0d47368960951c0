//! The readers: threads with a connection each, fed from one queue.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use async_channel::Receiver;

use crate::store::engine::job::{Job, QueueTimeout, Repeat, Reply, Waiting};
use crate::store::engine::session::Session;
use crate::store::{Conn, StoreError};

/// Work for a reader.
pub(in crate::store) enum ReadJob {
    /// In a transaction, so that all its statements see one state.
    Transaction(Box<dyn Job<Conn>>),
    /// One statement, which sees one state by itself.
    Statement(Box<dyn Repeat>),
}

impl ReadJob {
    fn fail(mut self, fault: StoreError) {
        self.as_answer().fail(fault);
        match self {
            Self::Transaction(job) => job.answer(),
            Self::Statement(job) => job.answer(),
        }
    }

    fn as_answer(&mut self) -> &mut dyn Reply {
        match self {
            Self::Transaction(job) => job.as_mut(),
            Self::Statement(job) => job.as_mut(),
        }
    }
}

/// Works until the queue is closed and empty. `first` runs first in each transaction and may reject
/// it.
pub(in crate::store) fn serve(
    mut session: Session,
    queue: &Receiver<Waiting<ReadJob>>,
    wait: Duration,
    first: impl Fn(&mut Conn) -> Result<(), StoreError>,
) {
    let mut timeout = QueueTimeout::new(wait);
    while let Ok(waiting) = queue.recv_blocking() {
        let late = timeout.is_over(&waiting);
        let mut job = waiting.job;
        if job.as_answer().is_abandoned() {
            continue;
        }
        if late {
            job.fail(StoreError::Busy);
            continue;
        }
        // A job catches its own panics. A panic of the driver must not end the thread.
        if catch_unwind(AssertUnwindSafe(|| run(&mut session, job, &first))).is_err() {
            session.discard();
        }
    }
}

fn run(session: &mut Session, job: ReadJob, first: &impl Fn(&mut Conn) -> Result<(), StoreError>) {
    match job {
        ReadJob::Transaction(mut job) => match session.begin_with(first) {
            Ok((conn, ())) => {
                job.run(conn);
                job.answer();
                session.rollback();
            }
            Err(fault) => {
                ReadJob::Transaction(job).fail(fault);
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
