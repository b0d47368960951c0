//! The memory of `startIndex` walks.
//!
//! Okta imports by `startIndex=1, 101, 201, ..`. By position, such a walk misses a user for each
//! one that is deleted before the position. So each page leaves a note of the key where it ended,
//! and the next page resumes there. docs/decisions has the reasoning.

use std::sync::Arc;
use std::time::Duration;

use quick_cache::sync::Cache;
use sha2::{Digest, Sha256};

/// The longest time between two pages of a walk.
const TIMEOUT: Duration = Duration::from_secs(15 * 60);
/// See [`fresh_since`].
const FRESH_US: i64 = 60 * 1_000_000;
const MAX_NOTES: usize = 100_000;

/// Identifies the next page of one query of one client.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct WalkKey(String);

/// The position of a walk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WalkNote {
    /// The id of the last resource that was returned.
    pub last_id: String,
    /// When the note was written, in microseconds.
    pub at_us: i64,
    /// Whether the walk has gone on from here.
    pub used: bool,
    /// `None` with a filter, or if the resources were not counted.
    pub tally: Option<WalkCounts>,
}

/// The number of resources ahead of a walk, and the counts of the type at that time. Resources
/// created since are ahead too, because ids increase; after a deletion the resources have to be
/// counted again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WalkCounts {
    pub ahead: u64,
    pub live: i64,
    pub deleted: i64,
}

impl WalkCounts {
    /// Returns the number ahead, given the present counts.
    pub fn now(self, live: i64, deleted: i64) -> Option<u64> {
        let created = u64::try_from(live.checked_sub(self.live)?).ok()?;
        (deleted == self.deleted).then(|| self.ahead.saturating_add(created))
    }
}

impl WalkNote {
    pub fn of(last_id: String, at_us: i64) -> Self {
        Self {
            last_id,
            at_us,
            used: false,
            tally: None,
        }
    }
}

/// Returns the time before which notes are too old.
pub fn stale_before(now_us: i64) -> i64 {
    now_us.saturating_sub(i64::try_from(TIMEOUT.as_micros()).unwrap_or(i64::MAX))
}

/// Returns the time after which a note belongs to a walk that is probably still in progress.
pub fn fresh_since(now_us: i64) -> i64 {
    now_us.saturating_sub(FRESH_US)
}

/// The notes of this node.
#[derive(Debug, Clone)]
pub struct Walks {
    notes: Arc<Cache<WalkKey, Arc<WalkNote>>>,
}

impl Default for Walks {
    fn default() -> Self {
        Self {
            notes: Arc::new(Cache::new(MAX_NOTES)),
        }
    }
}

impl WalkKey {
    /// Returns the key of the page at `start_index` of the query that `parts` describe: tenant,
    /// caller, type, filter. Only a digest is stored, because a filter may contain personal data.
    pub fn new(parts: &[&str], start_index: u64) -> Self {
        let mut digest = Sha256::new();
        for part in parts {
            digest.update(part.len().to_le_bytes());
            digest.update(part.as_bytes());
        }
        digest.update(start_index.to_le_bytes());
        Self(
            digest
                .finalize()
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect(),
        )
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Walks {
    pub fn recall(&self, key: &WalkKey, now_us: i64) -> Option<Arc<WalkNote>> {
        let note = self.notes.get(key)?;
        if note.at_us < stale_before(now_us) {
            return None;
        }
        if !note.used {
            self.notes.insert(
                key.clone(),
                Arc::new(WalkNote {
                    used: true,
                    ..WalkNote::clone(&note)
                }),
            );
        }
        Some(note)
    }

    /// Stores the position of a walk. If another walk of the same client is at the same index, the
    /// one further behind wins: a resource that is returned twice does no harm, a missed one does.
    pub fn remember(&self, key: WalkKey, note: WalkNote) {
        if let Some(other) = self.notes.get(&key)
            && !other.used
            && other.at_us > fresh_since(note.at_us)
            && other.last_id < note.last_id
        {
            return;
        }
        self.notes.insert(key, Arc::new(note));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(last_id: &str, at_us: i64) -> WalkNote {
        WalkNote::of(last_id.to_owned(), at_us)
    }

    fn last(walks: &Walks, key: &WalkKey) -> String {
        walks.recall(key, FRESH_US).unwrap().last_id.clone()
    }

    #[test]
    fn of_two_walks_at_one_index_the_one_behind_wins() {
        let walks = Walks::default();
        let key = WalkKey::new(&["1", "okta", "User", ""], 101);
        walks.remember(key.clone(), note("b", 0));
        walks.remember(key.clone(), note("c", 1));
        assert_eq!(last(&walks, &key), "b");
    }

    #[test]
    fn a_note_that_was_used_or_is_old_is_replaced() {
        let walks = Walks::default();
        let key = WalkKey::new(&["1", "okta", "User", ""], 101);
        walks.remember(key.clone(), note("b", 0));
        assert_eq!(last(&walks, &key), "b");
        walks.remember(key.clone(), note("c", 1));
        assert_eq!(last(&walks, &key), "c");
        let other = WalkKey::new(&["1", "okta", "Group", ""], 101);
        walks.remember(other.clone(), note("b", 0));
        walks.remember(other.clone(), note("c", FRESH_US));
        assert_eq!(last(&walks, &other), "c");
    }

    #[test]
    fn a_note_that_is_too_old_is_ignored() {
        let walks = Walks::default();
        let key = WalkKey::new(&["1", "okta", "User", ""], 101);
        walks.remember(key.clone(), note("b", 0));
        let end_us = i64::try_from(TIMEOUT.as_micros()).unwrap();
        assert!(walks.recall(&key, end_us).is_some());
        assert_eq!(walks.recall(&key, end_us + 1), None);
    }

    #[test]
    fn parts_do_not_run_together() {
        assert_ne!(WalkKey::new(&["ab", "c"], 1), WalkKey::new(&["a", "bc"], 1));
    }
}
