//! The use cases: one function each, each inside one unit of work of the store.
//!
//! They know the core, the store, the clock and who calls; they must not know actix or the query builder.

pub mod admin;
pub mod arrivals;
mod assignments;
pub mod bulk;
pub mod cursor;
pub mod directory;
pub mod erasure;
pub mod error;
pub mod feed;
mod group_names;
pub mod history;
pub mod indexes;
mod last_used;
pub mod list;
pub mod load;
pub mod me;
pub mod membership;
pub mod passwords;
pub mod present;
pub mod presumed;
pub mod provision;
pub mod setup;
pub mod tenants;
pub mod tokens;
pub mod transfer;
mod update;
mod verbs;
pub mod walk;
pub mod webhooks;
mod write;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use scim_core::field_mask::Limit;
use scim_core::message::{Bulk, Capabilities, Pagination};
use scim_core::registry::AttrRef;
use scim_core::{Filter, Registry, ResourceType};

use crate::auth::{Principal, Scope};
use crate::clock::Clock;
use crate::issuers::Issuers;
use crate::store::{Conn, Store};

pub use crate::store::tenants::{GroupNames, PatchAnswer, Policy};
pub use crate::store::{ResourceId, TenantId};
pub use error::Error;
pub use scim_core::Precondition;

/// Everything that the use cases need, built once by [`crate::app`].
pub struct Service {
    pub store: Arc<Store>,
    pub registry: Arc<Registry>,
    pub clock: Arc<dyn Clock>,
    pub options: Arc<Options>,
    pub issuers: Issuers,
    pub walks: walk::Walks,
    pub cursors: cursor::Cursors,
    pub arrivals: arrivals::Arrivals,
    pub callers: presumed::Callers,
    pub listeners: feed::Listeners,
    pub bootstrap: Option<tokens::Bootstrap>,
}

/// The settings that change what a use case does.
#[derive(Debug, Clone)]
pub struct Options {
    /// `https://scim.example.com/scim/v2`, without a slash at the end: what `meta.location` and `$ref` start with.
    pub base_url: String,
    pub unknown_members: UnknownMembers,
    pub unknown_roles: UnknownRoles,
    pub password_sync: PasswordSync,
    pub default_page_size: u32,
    pub max_page_size: u32,
    /// How many documents a filter that no index serves may read.
    pub scan_limit: u64,
    /// A PATCH of a group with more members than this answers 204 instead of the whole list.
    pub patch_answer_members: u32,
    pub bulk: bulk::BulkOptions,
    /// How long a cursor is good at least.
    pub cursor_timeout: Duration,
    /// What of a user the subject of an access token is, for `/Me`; `None` is no `/Me`.
    pub me: Option<me::Subject>,
}

/// What to do with a member id that the tenant does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownMembers {
    /// Leave it out, apply the rest, tell the log and the change (the default: Okta loses a whole push over one error).
    Skip,
    /// Answer 400 naming the ids.
    Refuse,
}

/// What to do with a role or entitlement that a user is given and that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownRoles {
    /// Leave it out, do the rest, tell the log (the default: a refusal would also stop the deactivation of a leaver).
    Drop,
    /// Answer 400 naming it.
    Refuse,
}

/// Whether passwords are kept, as argon2id hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PasswordSync {
    On,
    Off,
}

/// Who asks, and when.
#[derive(Debug, Clone)]
pub struct Context {
    pub principal: Principal,
    /// As it was when the credential was looked up: a change of it holds from the next request on.
    pub policy: Policy,
    pub at: Timestamp,
}

impl Service {
    /// Reads for a caller. One whose token cannot write has no write of its own to see, and is content with a
    /// replica; whoever can write sees the primary, always.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        context: &Context,
        work: impl FnOnce(&mut Conn) -> Result<T, Error> + Clone + Send + 'static,
    ) -> Result<T, Error> {
        if self.is_read_behind(context) {
            self.store.read_behind(work).await
        } else {
            self.store.read(work).await
        }
    }

    /// Whether a replica is asked first for this caller.
    pub(crate) fn is_read_behind(&self, context: &Context) -> bool {
        let scopes = context.principal.scopes;
        let writes = scopes.allow(Scope::Scim) || scopes.allow(Scope::Admin);
        self.store.has_replica() && !writes
    }
}

impl Context {
    pub fn tenant(&self) -> TenantId {
        TenantId(self.principal.tenant)
    }

    /// Stops a caller whose token does not allow what it asks for.
    ///
    /// # Errors
    /// [`Error::Forbidden`].
    pub fn require(&self, scope: Scope) -> Result<(), Error> {
        if self.principal.scopes.allow(scope) {
            Ok(())
        } else {
            Err(Error::Forbidden(scope))
        }
    }

    /// What the caller may read.
    pub fn limit(&self) -> Option<Limit> {
        let fields = self.principal.fields.as_ref()?;
        Some(Limit::to(fields.names()))
    }

    /// Stops a filter that asks for what the caller may not read.
    ///
    /// # Errors
    /// [`Error::Hidden`].
    pub fn may_ask(&self, rt: &ResourceType, filter: &Filter) -> Result<(), Error> {
        match self.limit().and_then(|limit| limit.hidden_in(rt, filter)) {
            None => Ok(()),
            Some(path) => Err(Error::Hidden(path.to_string())),
        }
    }

    /// Stops an order that would tell what the caller may not read.
    ///
    /// # Errors
    /// [`Error::Hidden`].
    pub fn may_sort(&self, rt: &ResourceType, path: &AttrRef) -> Result<(), Error> {
        match self.limit() {
            Some(limit) if !limit.allows(rt, path) => Err(Error::Hidden(path.to_string())),
            _ => Ok(()),
        }
    }

    /// The time as the store keeps it: microseconds since the epoch.
    pub fn at_us(&self) -> i64 {
        self.at.as_microsecond()
    }
}

impl Options {
    /// What `/ServiceProviderConfig` tells.
    pub fn capabilities(&self) -> Capabilities {
        Capabilities {
            filter_max_results: self.max_page_size.into(),
            change_password: self.password_sync == PasswordSync::On,
            sort: true,
            etag: true,
            bulk: Bulk {
                supported: self.bulk.enabled,
                max_operations: to_u64(self.bulk.max_operations),
                max_payload_size_bytes: to_u64(self.bulk.max_payload_bytes),
            },
            pagination: Pagination {
                cursor: true,
                default_page_size: self.default_page_size.into(),
                max_page_size: self.max_page_size.into(),
                cursor_timeout_seconds: self.cursor_timeout.as_secs(),
            },
            ..Capabilities::default()
        }
    }
}

/// A stored time.
fn time(microseconds: i64) -> Timestamp {
    // Only times that jiff gave are stored.
    Timestamp::from_microsecond(microseconds).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn to_u64(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
