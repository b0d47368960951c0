//! The settings that change what a use case does.

use std::time::Duration;

use scim_core::message::{Bulk, Capabilities, Pagination};

use crate::service::context::to_u64;

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
    pub bulk: BulkOptions,
    /// How long a cursor is good at least.
    pub cursor_timeout: Duration,
    /// What of a user the subject of an access token is, for `/Me`; `None` is no `/Me`.
    pub me: Option<Subject>,
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

/// The settings of bulk requests.
#[derive(Debug, Clone, Copy)]
pub struct BulkOptions {
    pub enabled: bool,
    pub max_operations: usize,
    pub max_payload_bytes: usize,
}

/// What of a user the subject of an access token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    UserName,
    ExternalId,
    Id,
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
