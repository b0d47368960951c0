//! The change feed: the changes of a tenant, in order and without gaps, and the state from which to
//! follow it.

mod change;
pub mod history;
pub(super) mod listeners;
mod page;
mod shared_reads;
mod snapshot;
mod view;

pub use crate::store::tables::changes::ChangeKind;
pub use crate::store::tables::members::MemberPair;
pub use change::{Change, Difference, SnapshotItem};
pub use listeners::{Listener, ListenerLimits, Listeners, WaitOutcome, poll_other_nodes};
pub use page::{ChangeFilter, MOST, Page, PageRequest, last, listen, page, page_as, prune, wait};
pub use shared_reads::{Batch, SharedReads};
pub use snapshot::{Snapshot, snapshot};
pub(crate) use view::View;
