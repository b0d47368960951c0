//! The caller that a credential belongs to.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::LazyLock;

use crate::auth::Principal;
use crate::ids::{Actor, TenantId};

/// The caller that a credential belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KnownCaller {
    pub tenant: TenantId,
    /// A hash of the tenant and the principal's name: all access tokens of one subject are one
    /// caller.
    pub principal: u64,
}

impl KnownCaller {
    /// Returns the caller with this principal.
    pub fn of(principal: &Principal) -> Self {
        Self::new(principal.tenant, &principal.actor)
    }

    pub(super) fn new(tenant: TenantId, actor: &Actor) -> Self {
        // Random, so that no caller can choose a name that has the hash of another one.
        static HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        Self {
            tenant,
            principal: HASHER.hash_one((tenant, actor)),
        }
    }
}
