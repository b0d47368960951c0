//! Work for a reader.

use std::time::Duration;

use crate::store::engine::job::{Job, Repeat, Reply, Waiting};
use crate::store::{Conn, StoreError};

/// Work for a reader.
pub(in crate::store) enum ReadJob {
    /// In a transaction, so that all its statements see one state, and within this time, if it is
    /// limited.
    Transaction(Box<dyn Job<Conn>>, Option<Duration>),
    /// One statement, which sees one state by itself.
    Statement(Box<dyn Repeat>),
}

impl ReadJob {
    pub fn fail(mut self, fault: StoreError) {
        self.as_answer().fail(fault);
        match self {
            Self::Transaction(job, _) => job.answer(),
            Self::Statement(job) => job.answer(),
        }
    }

    fn as_answer(&mut self) -> &mut dyn Reply {
        match self {
            Self::Transaction(job, _) => job.as_mut(),
            Self::Statement(job) => job.as_mut(),
        }
    }
}

impl Waiting<ReadJob> {
    /// Whether the caller no longer waits.
    pub fn is_abandoned(&mut self) -> bool {
        self.job.as_answer().is_abandoned()
    }
}
