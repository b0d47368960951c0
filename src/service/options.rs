//! The settings that change what a use case does.

use std::sync::Arc;
use std::time::Duration;

use scim_core::message::{Bulk, Capabilities, Pagination};

use crate::memory::MemoryBudget;
use crate::service::access::tokens::TokenLimits;
use crate::service::context::to_u64;
use crate::settings::{ConfigError, Sources, bytes, choice, days, number, seconds, settings};

/// The settings that change what a use case does.
#[derive(Debug, Clone)]
pub struct Options {
    /// `https://scim.example.com/scim/v2`, without a slash at the end: `meta.location` and `$ref`
    /// begin with it.
    pub base_url: String,
    pub scim: ScimSettings,
    pub tokens: TokenLimits,
    /// The memory of responses, and of the work on large documents.
    pub memory: Arc<MemoryBudget>,
}

settings! {
    /// Storing, listing and answering of resources.
    #[derive(Debug, Clone)]
    pub struct ScimSettings {
        /// Treatment of member ids that the tenant does not have. `skip` leaves them out, logs a
        /// warning and records a change; `refuse` answers 400. See [decision
        /// 7](decisions/0007-unknown-members-are-skipped.md).
        pub unknown_members: UnknownMembers = setting(
            "unknown_members",
            choice(&[("skip", UnknownMembers::Skip), ("refuse", UnknownMembers::Refuse)]),
            "skip"
        ),
        /// Treatment of roles and entitlements that do not exist, where their types are declared.
        /// `drop` leaves them out and logs a warning; `refuse` answers 400. See [decision
        /// 17](decisions/0017-unknown-roles-are-dropped.md).
        pub unknown_roles: UnknownRoles = setting(
            "unknown_roles",
            choice(&[("drop", UnknownRoles::Drop), ("refuse", UnknownRoles::Refuse)]),
            "drop"
        ),
        /// `on` stores passwords as argon2id hashes; `off` discards them.
        pub password_sync: PasswordSync = setting(
            "password_sync",
            choice(&[("on", PasswordSync::On), ("off", PasswordSync::Off)]),
            "off"
        ),
        /// The attribute of a user that equals the `sub` of a JWT, for `/Me`. `off` answers 501.
        pub me: Option<Subject> = setting(
            "me",
            choice(&[
                ("userName", Some(Subject::UserName)),
                ("externalId", Some(Subject::ExternalId)),
                ("id", Some(Subject::Id)),
                ("off", None),
            ]),
            "userName"
        ),
        /// Resources on a page if the client does not send `count`.
        pub default_page_size: u32 = setting(
            "default_page_size",
            number(1..=LARGEST_PAGE).described("1 to `max_page_size`"),
            100
        ),
        /// Most resources on a page. Okta asks for 100, so it cannot be less.
        pub max_page_size: u32 = setting("max_page_size", number(OKTA_PAGE..=LARGEST_PAGE), 1000),
        /// Most bytes of resources on a page. A page that would have more has fewer resources.
        pub page_limit_bytes: usize =
            setting("page_limit_bytes", bytes(64 << 10..=1 << 30), 4 << 20),
        /// Largest resource, as JSON without members and groups. Each of its values counts as at
        /// least 32 bytes. A tenant can have [another limit](tokens.md#settings-of-a-tenant).
        pub document_limit_bytes: u64 =
            setting("document_limit_bytes", bytes(1024..=1 << 30), 5 << 20),
        /// Most values of one attribute, members excluded. A tenant can have another limit.
        pub attribute_values_limit: u64 =
            setting("attribute_values_limit", number(1..=100_000_000), 20_000),
        /// Time for which a cursor stays valid.
        pub cursor_timeout: Duration = setting("cursor_timeout_s", seconds(1..=31_536_000), 3600),
        /// Most resources that one filter or sort order without an index may read; more is 400
        /// `tooMany`.
        pub scan_limit: u64 = setting("scan_limit", number(1..=100_000_000), 100_000),
        /// Most comparisons that one filter may cost: the resources of the type, times the
        /// comparisons that no index answers; more is 400 `tooMany`.
        pub query_cost_limit: u64 =
            setting("query_cost_limit", number(1..=1_000_000_000_000), 4_000_000),
        /// A PATCH of a group with more members than this is answered 204 without a body.
        pub patch_answer_members: u32 =
            setting("patch_answer_members", number(0..=100_000_000), 1000),
        pub bulk: BulkOptions = section,
        /// Days for which changes are kept for the feed and for history. 0 keeps them forever.
        pub change_retention: Option<Duration> = setting(
            "change_retention_days",
            days(0..=36_500).map(|time| (!time.is_zero()).then_some(time)),
            0
        ),
    }
    validate = check_page_sizes;
}

settings! {
    /// The settings of bulk requests.
    #[derive(Debug, Clone, Copy)]
    pub struct BulkOptions {
        /// `off` answers `/Bulk` with 501.
        pub enabled: bool = setting("bulk", choice(&[("on", true), ("off", false)]), "on"),
        /// Most operations in a bulk request.
        pub max_operations: usize = setting("bulk_max_operations", number(1..=100_000), 1000),
        /// Largest body of a bulk request.
        pub max_payload_bytes: usize =
            setting("bulk_max_payload_bytes", bytes(1024..=1 << 30), 10 << 20),
        /// Time after which no more operations of a bulk request begin. Each of the others is
        /// answered 413.
        pub time: Duration = setting("bulk_time_s", seconds(1..=3600), 30),
        /// Bytes of resources and changes that a bulk request may write before the rest of its
        /// operations is answered 413.
        pub write_bytes: u64 = setting("bulk_write_bytes", bytes(1 << 20..=1 << 40), 128 << 20),
    }
}

/// Okta asks for pages of 100 and advances by 100 whatever it gets, so a lower limit would lose
/// users.
const OKTA_PAGE: u64 = 100;
const LARGEST_PAGE: u64 = 10_000;

fn check_page_sizes(settings: &ScimSettings, sources: &Sources) -> Result<(), ConfigError> {
    let default = settings.default_page_size;
    let max = settings.max_page_size;
    if default > max {
        let problem = format!("a whole number from 1 to {max} was expected, and not `{default}`");
        return Err(sources.error("default_page_size", &problem));
    }
    Ok(())
}

/// Treatment of a member id that the tenant does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownMembers {
    /// Leave it out, apply the rest, log it and record it in the change (the default: Okta loses a
    /// whole push over one error).
    Skip,
    /// Answer 400 naming the ids.
    Refuse,
}

/// Treatment of a role or entitlement that does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownRoles {
    /// Leave it out, apply the rest and log it (the default: a refusal would also stop the
    /// deactivation of someone who left).
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

/// The attribute of a user that the subject of an access token equals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    UserName,
    ExternalId,
    Id,
}

impl Options {
    /// The content of `/ServiceProviderConfig`.
    pub fn capabilities(&self) -> Capabilities {
        Capabilities {
            filter_max_results: self.scim.max_page_size.into(),
            change_password: self.scim.password_sync == PasswordSync::On,
            sort: true,
            etag: true,
            bulk: Bulk {
                supported: self.scim.bulk.enabled,
                max_operations: to_u64(self.scim.bulk.max_operations),
                max_payload_size_bytes: to_u64(self.scim.bulk.max_payload_bytes),
            },
            pagination: Pagination {
                cursor: true,
                default_page_size: self.scim.default_page_size.into(),
                max_page_size: self.scim.max_page_size.into(),
                cursor_timeout_seconds: self.scim.cursor_timeout.as_secs(),
            },
            ..Capabilities::default()
        }
    }
}
