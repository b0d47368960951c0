//! The settings that change what a use case does.

use std::time::Duration;

use scim_core::message::{Bulk, Capabilities, Pagination};

use crate::service::context::to_u64;

/// The settings that change what a use case does.
#[derive(Debug, Clone)]
pub struct Options {
    /// The start of `meta.location` and `$ref`, without a slash at the end: `https://scim.example.com/scim/v2`.
    pub base_url: String,
    pub unknown_members: UnknownMembers,
    pub unknown_roles: UnknownRoles,
    pub password_sync: PasswordSync,
    pub default_page_size: u32,
    pub max_page_size: u32,
    /// The most documents that a filter without an index may read.
    pub scan_limit: u64,
    /// A PATCH of a group with more members than this answers 204 instead of the whole list.
    pub patch_answer_members: u32,
    pub bulk: BulkOptions,
    /// The shortest time that a cursor is valid.
    pub cursor_timeout: Duration,
    /// The attribute that identifies the user of an access token, for `/Me`; `None` disables `/Me`.
    pub me: Option<Subject>,
}

/// The handling of a member id that the tenant does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownMembers {
    /// Skip it, apply the rest, log and record it (the default: an error makes Okta drop a whole push).
    Skip,
    /// Answer 400 naming the ids.
    Refuse,
}

/// The handling of a role or entitlement of a user that does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownRoles {
    /// Drop it, apply the rest and log it (the default: an error would also prevent the deactivation of a leaver).
    Drop,
    /// Answer 400 naming it.
    Refuse,
}

/// Whether passwords are stored, as argon2id hashes.
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

/// The attribute of a user that the subject of an access token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    UserName,
    ExternalId,
    Id,
}

impl Options {
    /// Returns the contents of `/ServiceProviderConfig`.
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
