//! Runs a batch so that a job fails only because of what it does itself.
//!
//! A job that fails while it runs is undone by its savepoint. But the changes of all jobs are
//! written together, and committed together, so one that the database rejects there takes the whole
//! batch with it. Then the jobs run again: first together, each with its changes in its own
//! savepoint, which tells the one at fault from the others at the price of one more transaction. If
//! the transaction fails even so, as by a deferred constraint, each job has one of its own.
//!
//! Nothing runs again if the database is at fault: after a lost connection, it is unknown whether
//! the commit was done.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use crate::store::engine::analyze::TableGrowth;
use crate::store::engine::job::panicked;
use crate::store::engine::session::Session;
use crate::store::engine::writer::{
    BatchFailed, FailureCause, Flush, WriteJob, WriterShared, failed_together, run_batch,
};
use crate::store::{StoreError, TenantId};
use crate::telemetry;

/// Runs the jobs of one target and gives each its result. Returns the rows added to a tenant.
///
/// `wait` is the longest time for running jobs one by one, because further ones wait meanwhile.
pub(super) fn run_all(
    session: &mut Session,
    target: Option<TenantId>,
    jobs: &mut [WriteJob],
    shared: &WriterShared,
    wait: Duration,
) -> Option<TableGrowth> {
    let mut run = Run {
        session,
        target,
        shared,
    };
    let failed = match run.together(jobs, Flush::AtTheEnd) {
        Ok(growth) => return growth,
        Err(failed) => failed,
    };
    if failed.cause == FailureCause::Database || !jobs.iter().all(WriteJob::is_repeatable) {
        tracing::warn!(jobs = jobs.len(), error = %telemetry::chain(&failed.fault), "a batch of writes was undone");
        fail_all(jobs, &failed);
        return None;
    }
    tracing::warn!(jobs = jobs.len(), error = %telemetry::chain(&failed.fault), "a batch of writes was undone, its jobs run again");
    // A job that ends the transaction while it runs would do that again.
    if failed.by.is_none() {
        match run.together(jobs, Flush::WithEach) {
            Ok(growth) => return growth,
            Err(failed) if failed.cause == FailureCause::Database => {
                fail_all(jobs, &failed);
                return None;
            }
            Err(_) => {}
        }
    }
    run.one_by_one(jobs, Instant::now() + wait)
}

/// The state that all attempts at a batch share.
struct Run<'a> {
    session: &'a mut Session,
    target: Option<TenantId>,
    shared: &'a WriterShared,
}

impl Run<'_> {
    /// Runs the jobs in one transaction. Afterwards none is open.
    fn together(
        &mut self,
        jobs: &mut [WriteJob],
        mode: Flush,
    ) -> Result<Option<TableGrowth>, BatchFailed> {
        // Unwind safe: the connection is dropped, and with it the transaction.
        let run = catch_unwind(AssertUnwindSafe(|| {
            run_batch(self.session, self.target, jobs, self.shared, mode)
        }));
        match run {
            Ok(Ok(growth)) => Ok(growth),
            Ok(Err(failed)) => {
                let is_of_job = failed.cause == FailureCause::Job;
                if failed.fault.is_connection_lost() && !is_of_job {
                    self.session.discard();
                } else {
                    self.session.rollback();
                }
                Err(failed)
            }
            Err(panic) => {
                self.session.discard();
                Err(failed_together(panicked(&*panic)))
            }
        }
    }

    /// Runs each job in a transaction of its own, until the database fails or `until`.
    fn one_by_one(&mut self, jobs: &mut [WriteJob], until: Instant) -> Option<TableGrowth> {
        let mut growth: Option<TableGrowth> = None;
        let mut end: Option<StoreError> = None;
        for job in jobs {
            if end.is_none() && Instant::now() > until {
                end = Some(StoreError::Busy);
            }
            if let Some(fault) = &end {
                job.as_answer().fail(fault.clone());
                continue;
            }
            let one = std::slice::from_mut(job);
            match self.together(one, Flush::WithEach) {
                Ok(grown) => {
                    if let Some(grown) = grown {
                        *growth.get_or_insert_default() += grown;
                    }
                }
                Err(failed) => {
                    fail_all(one, &failed);
                    if failed.cause == FailureCause::Database {
                        end = Some(failed.fault);
                    }
                }
            }
        }
        growth
    }
}

fn fail_all(jobs: &mut [WriteJob], failed: &BatchFailed) {
    for (index, job) in jobs.iter_mut().enumerate() {
        if failed.by != Some(index) {
            job.as_answer().fail(failed.fault.clone());
        }
    }
}
