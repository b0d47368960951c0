//! A number of bytes that all requests share, and what each has reserved of it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::ids::TenantId;

/// A request needs no reservation for this much: the number of requests in flight bounds it.
pub const FREE_BYTES: usize = 16 * 1024;

/// A reservation grows by at least this, so that it rarely has to.
const STEP_BYTES: usize = 64 * 1024;

/// A tenant that holds more than this part of a budget leaves [`SPARE_DIVISOR`]'s part to others.
const SMALL_HOLDER_DIVISOR: usize = 16;
/// The part of a budget that is left to tenants that hold little, so that one tenant with large
/// requests does not fail the ordinary requests of another.
const SPARE_DIVISOR: usize = 8;
/// A smaller part would be of no use to others.
const LEAST_SPARE_BYTES: usize = 1 << 20;

/// The memory that the requests of all tenants share for one purpose.
#[derive(Debug)]
pub struct MemoryBudget {
    total_bytes: usize,
    in_use: Mutex<InUse>,
}

#[derive(Debug, Default)]
struct InUse {
    bytes: usize,
    by_tenant: HashMap<TenantId, usize>,
}

/// Memory that was not granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MemoryError {
    /// Other requests hold it at the moment.
    #[error("the memory for this is in use")]
    InUse,
    /// One request never gets as much.
    #[error("one request takes more memory than the service gives to one")]
    TooLarge,
}

impl MemoryBudget {
    /// Creates a budget of this many bytes.
    pub fn new(total_bytes: usize) -> Arc<Self> {
        Arc::new(Self {
            total_bytes,
            in_use: Mutex::default(),
        })
    }

    /// Begins a reservation of nothing.
    pub fn reservation(self: &Arc<Self>, tenant: TenantId) -> Reservation {
        Reservation {
            budget: Arc::clone(self),
            tenant,
            used_bytes: 0,
            held_bytes: 0,
        }
    }

    /// Reserves memory.
    ///
    /// # Errors
    /// See [`Reservation::grow`].
    pub fn reserve(
        self: &Arc<Self>,
        tenant: TenantId,
        bytes: usize,
    ) -> Result<Reservation, MemoryError> {
        let mut reservation = self.reservation(tenant);
        reservation.grow(bytes)?;
        Ok(reservation)
    }

    /// Reserves memory for work on stored data, which must be possible whatever its size: more than
    /// one request gets counts as that much, so such work is done alone.
    ///
    /// # Errors
    /// [`MemoryError::InUse`].
    pub fn reserve_work(
        self: &Arc<Self>,
        tenant: TenantId,
        bytes: usize,
    ) -> Result<Reservation, MemoryError> {
        self.reserve(tenant, bytes.min(self.largest_bytes()))
    }

    /// Returns the most that one request may hold.
    pub fn largest_bytes(&self) -> usize {
        match self.total_bytes / SPARE_DIVISOR {
            spare if spare < LEAST_SPARE_BYTES => self.total_bytes,
            spare => self.total_bytes.saturating_sub(spare),
        }
    }

    /// Returns the bytes that are reserved.
    pub fn used_bytes(&self) -> usize {
        self.lock().bytes
    }

    /// Checks whether a tenant could reserve this much now.
    ///
    /// # Errors
    /// As [`Reservation::grow`].
    pub fn check(&self, tenant: TenantId, bytes: usize) -> Result<(), MemoryError> {
        if bytes > self.largest_bytes() {
            return Err(MemoryError::TooLarge);
        }
        if self.has_room(&self.lock(), tenant, bytes) {
            Ok(())
        } else {
            Err(MemoryError::InUse)
        }
    }

    fn has_room(&self, in_use: &InUse, tenant: TenantId, bytes: usize) -> bool {
        let held = in_use.by_tenant.get(&tenant).copied().unwrap_or_default();
        let total = in_use.bytes.saturating_add(bytes);
        if held.saturating_add(bytes) <= self.total_bytes / SMALL_HOLDER_DIVISOR {
            total <= self.total_bytes
        } else {
            total <= self.largest_bytes()
        }
    }

    fn take(&self, tenant: TenantId, bytes: usize) -> Result<(), MemoryError> {
        let mut in_use = self.lock();
        if !self.has_room(&in_use, tenant, bytes) {
            return Err(MemoryError::InUse);
        }
        in_use.bytes = in_use.bytes.saturating_add(bytes);
        let held = in_use.by_tenant.entry(tenant).or_default();
        *held = held.saturating_add(bytes);
        Ok(())
    }

    fn give_back(&self, tenant: TenantId, bytes: usize) {
        if bytes == 0 {
            return;
        }
        let mut in_use = self.lock();
        in_use.bytes = in_use.bytes.saturating_sub(bytes);
        if let Some(held) = in_use.by_tenant.get_mut(&tenant) {
            *held = held.saturating_sub(bytes);
            if *held == 0 {
                in_use.by_tenant.remove(&tenant);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, InUse> {
        self.in_use.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The memory that one request uses; dropping it returns what it holds.
#[derive(Debug)]
pub struct Reservation {
    budget: Arc<MemoryBudget>,
    tenant: TenantId,
    used_bytes: usize,
    /// At least `used_bytes` without those that are free.
    held_bytes: usize,
}

impl Reservation {
    /// Adds memory that is about to be used.
    ///
    /// # Errors
    /// [`MemoryError::InUse`] if others hold too much, [`MemoryError::TooLarge`] if one request
    /// never gets as much. Nothing is added then.
    pub fn grow(&mut self, bytes: usize) -> Result<(), MemoryError> {
        let used = self.used_bytes.saturating_add(bytes);
        let needed = used.saturating_sub(FREE_BYTES);
        if needed > self.held_bytes {
            let largest = self.budget.largest_bytes();
            if needed > largest {
                return Err(MemoryError::TooLarge);
            }
            let wanted = needed.saturating_add(STEP_BYTES).min(largest);
            if self.hold(wanted).is_err() {
                self.hold(needed)?;
            }
        }
        self.used_bytes = used;
        Ok(())
    }

    /// As [`Reservation::grow`], for stored data that must be usable whatever its size: it counts as
    /// no more than one request gets, so such work is done alone.
    ///
    /// # Errors
    /// [`MemoryError::InUse`].
    pub fn grow_for_work(&mut self, bytes: usize) -> Result<(), MemoryError> {
        let largest = self.budget.largest_bytes();
        self.grow(bytes.min(largest.saturating_sub(self.used_bytes)))
    }

    /// Keeps this much at most.
    pub fn shrink_to(&mut self, bytes: usize) {
        self.shrink(self.used_bytes.saturating_sub(bytes));
    }

    fn hold(&mut self, bytes: usize) -> Result<(), MemoryError> {
        let more = bytes.saturating_sub(self.held_bytes);
        self.budget.take(self.tenant, more)?;
        self.held_bytes = bytes;
        Ok(())
    }

    /// Returns memory that is no longer used.
    pub fn shrink(&mut self, bytes: usize) {
        self.used_bytes = self.used_bytes.saturating_sub(bytes);
        let needed = self.used_bytes.saturating_sub(FREE_BYTES);
        let kept = needed.min(self.held_bytes);
        self.budget
            .give_back(self.tenant, self.held_bytes.saturating_sub(kept));
        self.held_bytes = kept;
    }

    /// Returns the bytes in use.
    pub fn used_bytes(&self) -> usize {
        self.used_bytes
    }

    pub fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// Merges another reservation of the same budget and tenant into this one.
    pub fn absorb(&mut self, mut other: Self) {
        self.used_bytes = self.used_bytes.saturating_add(other.used_bytes);
        self.held_bytes = self
            .held_bytes
            .saturating_add(std::mem::take(&mut other.held_bytes));
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.give_back(self.tenant, self.held_bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;
    const A: TenantId = TenantId(1);
    const B: TenantId = TenantId(2);

    #[test]
    fn dropping_a_reservation_returns_it() {
        let budget = MemoryBudget::new(16 * MIB);
        let mut large = budget.reserve(A, 10 * MIB).unwrap();
        assert!(budget.used_bytes() >= 10 * MIB - FREE_BYTES);
        assert_eq!(large.grow(5 * MIB).err(), Some(MemoryError::TooLarge));
        assert_eq!(budget.reserve(B, 8 * MIB).err(), Some(MemoryError::InUse));
        assert_eq!(budget.check(B, 8 * MIB), Err(MemoryError::InUse));
        large.shrink(9 * MIB);
        assert!(budget.reserve(B, 8 * MIB).is_ok());
        large.grow(2 * MIB).unwrap();
        assert_eq!(large.used_bytes(), 3 * MIB);
        drop(large);
        assert_eq!(budget.used_bytes(), 0);
        assert!(budget.lock().by_tenant.is_empty());
    }

    #[test]
    fn small_uses_are_free() {
        let budget = MemoryBudget::new(0);
        let mut free = budget.reserve(A, FREE_BYTES).unwrap();
        assert_eq!(free.grow(1).err(), Some(MemoryError::TooLarge));
        assert_eq!(budget.used_bytes(), 0);
    }

    #[test]
    fn a_tenant_with_large_requests_leaves_memory_to_others() {
        let budget = MemoryBudget::new(16 * MIB);
        let most = budget.largest_bytes();
        let large = budget.reserve(A, most).unwrap();
        assert_eq!(budget.reserve(A, MIB).err(), Some(MemoryError::InUse));
        let other = budget.reserve(B, MIB).unwrap();
        assert_eq!(budget.reserve(B, MIB).err(), Some(MemoryError::InUse));
        drop((large, other));
        assert_eq!(budget.used_bytes(), 0);
    }

    #[test]
    fn work_on_stored_data_is_done_alone_if_it_is_too_large() {
        let budget = MemoryBudget::new(16 * MIB);
        let work = budget.reserve_work(A, 100 * MIB).unwrap();
        assert_eq!(
            budget.reserve_work(A, 2 * MIB).err(),
            Some(MemoryError::InUse)
        );
        drop(work);
        assert!(budget.reserve_work(A, 2 * MIB).is_ok());
    }

    #[test]
    fn merged_reservations_are_returned_together() {
        let budget = MemoryBudget::new(16 * MIB);
        let mut one = budget.reserve(A, MIB).unwrap();
        one.absorb(budget.reserve(A, 2 * MIB).unwrap());
        assert_eq!(one.used_bytes(), 3 * MIB);
        assert!(budget.used_bytes() >= 3 * MIB - 2 * FREE_BYTES);
        drop(one);
        assert_eq!(budget.used_bytes(), 0);
    }
}
