//! Counts what a batch adds to a tenant's storage, and rejects jobs that exceed its quota.

use crate::store::StoreError;
use crate::store::tables::changes::{Change, ChangeKind};
use crate::store::tables::storage_use::{StorageUse, row_bytes};

/// A tenant over its quota may still deactivate users. That changes their documents by a few bytes,
/// and must not be a way around the quota.
const SLACK_BYTES: i64 = 1024;

/// The storage of a tenant as a batch sees it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Account {
    /// `None` if there is no limit.
    limit: Option<i64>,
    /// With everything that the batch has done so far.
    now: StorageUse,
    /// As the table `tenants` has it.
    stored: StorageUse,
    /// As of the last [`Account::check`].
    checked: StorageUse,
    /// What was done since then.
    since: Effects,
    /// The bytes of documents and changes that were written, replaced ones included.
    written: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Effects {
    /// A resource was deleted, erased or deactivated.
    is_relief: bool,
    /// A user was activated. That takes a byte less than before, and must not be the way back from a
    /// deactivation.
    activates: bool,
    /// Something else was done than members removed.
    adds: bool,
    /// It is the operator who writes.
    is_exempt: bool,
}

impl Account {
    /// `quota` is the tenant's own, `default` that of the settings. 0 is no limit.
    pub fn open(stored: StorageUse, quota: Option<i64>, default: i64) -> Self {
        let limit = quota.unwrap_or(default);
        Self {
            limit: (limit > 0).then_some(limit),
            now: stored,
            stored,
            checked: stored,
            since: Effects::default(),
            written: 0,
        }
    }

    pub fn written(&self) -> u64 {
        self.written
    }

    pub fn exempt(&mut self) {
        self.since.is_exempt = true;
    }

    pub fn add_documents(&mut self, bytes: i64) {
        self.now.documents = self.now.documents.saturating_add(bytes);
    }

    pub fn add_history(&mut self, bytes: i64) {
        self.now.history = self.now.history.saturating_add(bytes);
    }

    pub fn add_written(&mut self, text: &str) {
        let bytes = u64::try_from(text.len()).unwrap_or(u64::MAX);
        self.written = self.written.saturating_add(bytes);
    }

    pub fn append(&mut self, change: &Change) {
        self.add_history(row_bytes(&change.payload));
        self.add_written(&change.payload);
        match change.kind {
            ChangeKind::Deleted | ChangeKind::Deactivated | ChangeKind::Erased => {
                self.since.is_relief = true;
            }
            ChangeKind::MemberRemoved => {}
            ChangeKind::Activated => {
                self.since.adds = true;
                self.since.activates = true;
            }
            ChangeKind::Created
            | ChangeKind::Updated
            | ChangeKind::MemberAdded
            | ChangeKind::MemberSkipped => self.since.adds = true,
        }
    }

    /// Rejects what was done since the last check if it exceeds the quota. What takes less than
    /// before, or takes something away, passes.
    pub fn check(&mut self) -> Result<(), StoreError> {
        let before = self.checked;
        let growth = self.now.documents.saturating_sub(before.documents);
        let passes = self.since.is_exempt
            || self.now.total() <= before.total()
            || (growth < 0 && !self.since.activates)
            || (self.since.is_relief && growth <= SLACK_BYTES)
            || (!self.since.adds && growth <= 0);
        match self.limit {
            Some(limit) if !passes && self.now.total() > limit => {
                let used = before.total();
                Err(StoreError::QuotaExceeded { used, limit })
            }
            _ => {
                self.checked = self.now;
                self.since = Effects::default();
                Ok(())
            }
        }
    }

    /// Returns the state before something that was undone. What was written for it was written.
    pub fn back_to(&self, mark: Self) -> Self {
        Self {
            written: self.written,
            ..mark
        }
    }

    /// Returns what the table lacks, and counts it as stored.
    pub fn settle(&mut self) -> StorageUse {
        let missing = StorageUse {
            documents: self.now.documents.saturating_sub(self.stored.documents),
            history: self.now.history.saturating_sub(self.stored.history),
        };
        self.stored = self.now;
        missing
    }
}
