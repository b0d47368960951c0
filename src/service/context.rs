//! The caller of a use case, and the time of the call.

use jiff::Timestamp;
use scim_core::field_mask::FieldMask;
use scim_core::registry::AttrRef;
use scim_core::{Filter, ResourceType};

use crate::auth::{Principal, Scope};
use crate::service::{Error, Policy, TenantId};

/// Who asks, and when.
#[derive(Debug, Clone)]
pub struct Context {
    pub principal: Principal,
    /// As it was when the credential was looked up: a change of it holds from the next request on.
    pub policy: Policy,
    pub at: Timestamp,
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
    pub fn limit(&self) -> Option<FieldMask> {
        let fields = self.principal.fields.as_ref()?;
        Some(FieldMask::new(fields.names()))
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

/// A stored time.
pub(crate) fn time(microseconds: i64) -> Timestamp {
    // Only times that jiff gave are stored.
    Timestamp::from_microsecond(microseconds).unwrap_or(Timestamp::UNIX_EPOCH)
}

pub(crate) fn to_u64(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
