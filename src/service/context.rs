//! The caller of a use case, and the time of the call.

use jiff::Timestamp;
use scim_core::field_mask::FieldMask;
use scim_core::registry::AttrRef;
use scim_core::{Filter, ResourceType};

use crate::auth::{Principal, Scope};
use crate::service::{Error, Policy, TenantId};

/// The caller, its tenant's policy, and the time of the call.
#[derive(Debug, Clone)]
pub struct Context {
    pub principal: Principal,
    /// As read with the credential. A change applies from the next request on.
    pub policy: Policy,
    pub at: Timestamp,
}

impl Context {
    pub fn tenant(&self) -> TenantId {
        self.principal.tenant
    }

    /// Rejects a caller without the scope.
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

    /// Returns the attributes that the caller may read; `None` if all.
    pub fn limit(&self) -> Option<FieldMask> {
        let fields = self.principal.fields.as_ref()?;
        Some(FieldMask::new(fields.names()))
    }

    /// Rejects a filter on attributes that the caller may not read.
    ///
    /// # Errors
    /// [`Error::Hidden`].
    pub fn may_ask(&self, rt: &ResourceType, filter: &Filter) -> Result<(), Error> {
        match self.limit().and_then(|limit| limit.hidden_in(rt, filter)) {
            None => Ok(()),
            Some(path) => Err(Error::Hidden(path.to_string())),
        }
    }

    /// Rejects sorting by an attribute that the caller may not read.
    ///
    /// # Errors
    /// [`Error::Hidden`].
    pub fn may_sort(&self, rt: &ResourceType, path: &AttrRef) -> Result<(), Error> {
        match self.limit() {
            Some(limit) if !limit.allows(rt, path) => Err(Error::Hidden(path.to_string())),
            _ => Ok(()),
        }
    }

    /// Returns the time as the store has it, in microseconds since the epoch.
    pub fn at_us(&self) -> i64 {
        self.at.as_microsecond()
    }
}

/// Converts a stored time.
pub(crate) fn time(microseconds: i64) -> Timestamp {
    // Stored times come from jiff, so the fallback is never used.
    Timestamp::from_microsecond(microseconds).unwrap_or(Timestamp::UNIX_EPOCH)
}

pub(crate) fn to_u64(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
