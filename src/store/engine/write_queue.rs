//! Takes waiting jobs off a writer's queue, in batches, and answers them.

use std::collections::VecDeque;
use std::time::Duration;

use async_channel::Receiver;

use crate::store::engine::analyze::StatisticsRefresher;
use crate::store::engine::job::{QueueTimeout, Waiting};
use crate::store::engine::rerun;
use crate::store::engine::session::Session;
use crate::store::engine::writer::{WriteJob, WriterShared};
use crate::store::{Conn, StoreError, TenantId};
use crate::telemetry;

/// The most jobs in one transaction.
pub(in crate::store) const BATCH: usize = 256;

type Queue = Receiver<Waiting<WriteJob>>;

/// Works until the queue is closed and empty.
pub(in crate::store) fn serve(
    mut session: Session,
    queue: &Queue,
    wait: Duration,
    shared: &WriterShared,
) {
    let mut backlog = VecDeque::new();
    let mut statistics = StatisticsRefresher::new();
    let mut timeout = QueueTimeout::new(wait);
    while let Some((target, mut jobs)) = next_batch(queue, &mut backlog, &mut timeout) {
        shared.writing.advance();
        let growth = rerun::run_all(&mut session, target, &mut jobs, shared, wait);
        shared.writing.advance();
        for job in jobs {
            job.answer();
        }
        if let Some(growth) = growth
            && let Some(conn) = session.idle()
            && let Err(error) = statistics.add(growth, conn)
        {
            tracing::warn!(error = %telemetry::chain(&error), "cannot analyse the tables");
        }
    }
    tidy(&mut session);
}

/// Waits for work, then takes the jobs for the target of the first job, in order of arrival. A job
/// that cannot run again is taken alone.
fn next_batch(
    queue: &Queue,
    backlog: &mut VecDeque<Waiting<WriteJob>>,
    timeout: &mut QueueTimeout,
) -> Option<(Option<TenantId>, Vec<WriteJob>)> {
    loop {
        if backlog.is_empty() {
            backlog.push_back(queue.recv_blocking().ok()?);
        }
        while backlog.len() < BATCH
            && let Ok(waiting) = queue.try_recv()
        {
            backlog.push_back(waiting);
        }
        let first = &backlog.front()?.job;
        let target = first.target();
        let is_alone = !first.is_repeatable();
        let mut jobs = Vec::new();
        for (index, waiting) in std::mem::take(backlog).into_iter().enumerate() {
            let is_apart = is_alone || !waiting.job.is_repeatable();
            if waiting.job.target() != target || (is_apart && index > 0) {
                backlog.push_back(waiting);
                continue;
            }
            let late = timeout.is_over(&waiting);
            let is_given_up = !waiting.claim();
            let mut job = waiting.job;
            if is_given_up || job.as_answer().is_abandoned() {
                continue;
            }
            if late {
                job.as_answer().fail(StoreError::Busy);
                job.answer();
                continue;
            }
            jobs.push(job);
        }
        if !jobs.is_empty() {
            return Some((target, jobs));
        }
    }
}

/// Updates the statistics of an SQLite file and truncates its log. PostgreSQL does both by itself.
fn tidy(session: &mut Session) {
    if let Some(conn @ Conn::Sqlite(_)) = session.idle()
        && let Err(error) = conn.batch("PRAGMA optimize; PRAGMA wal_checkpoint(TRUNCATE)")
    {
        tracing::warn!(%error, "cannot write the log back into the database file");
    }
}
