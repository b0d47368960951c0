//! A value together with the memory that is reserved for it.

use crate::memory::{MemoryError, Reservation};

/// A value and its reservation, which is returned when both are dropped.
#[derive(Debug)]
pub struct Held<T> {
    value: T,
    reservation: Option<Reservation>,
}

impl<T> Held<T> {
    /// Joins a value and its reservation.
    pub fn new(value: T, reservation: Reservation) -> Self {
        Self {
            value,
            reservation: Some(reservation),
        }
    }

    /// A value that is so small that nothing is reserved for it.
    pub fn small(value: T) -> Self {
        Self {
            value,
            reservation: None,
        }
    }

    pub fn value(&self) -> &T {
        &self.value
    }

    /// Returns the memory that is reserved for the value.
    pub fn used_bytes(&self) -> usize {
        self.reservation.as_ref().map_or(0, Reservation::used_bytes)
    }

    /// Reserves more memory beside that of the value.
    ///
    /// # Errors
    /// See [`Reservation::grow`].
    pub fn grow(&mut self, bytes: usize) -> Result<(), MemoryError> {
        match &mut self.reservation {
            Some(reservation) => reservation.grow(bytes),
            None => Ok(()),
        }
    }

    /// Returns memory that was reserved beside that of the value.
    pub fn shrink(&mut self, bytes: usize) {
        if let Some(reservation) = &mut self.reservation {
            reservation.shrink(bytes);
        }
    }

    /// Takes the value and the reservation apart. The caller keeps the reservation for as long as
    /// it uses the value.
    pub fn into_parts(self) -> (T, Option<Reservation>) {
        (self.value, self.reservation)
    }

    /// Converts the value to one of about the same size.
    pub fn map<U>(self, convert: impl FnOnce(T) -> U) -> Held<U> {
        Held {
            value: convert(self.value),
            reservation: self.reservation,
        }
    }

    /// Replaces the value.
    pub fn replace<U>(self, value: U) -> Held<U> {
        self.map(|_| value)
    }
}

impl<T: AsRef<[u8]>> AsRef<[u8]> for Held<T> {
    fn as_ref(&self) -> &[u8] {
        self.value.as_ref()
    }
}
