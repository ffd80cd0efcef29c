//! Hashes of PINs: computed by the same threads and at the same cost as those of passwords.

use std::sync::Arc;

use super::password::Password;
use super::workers::{Line, PasswordWorkers, Place};
use super::{AccountError, hashing};

/// A place among those whose hashes are computed.
#[derive(Debug, Clone)]
pub(crate) struct Turn(Arc<Place>);

impl PasswordWorkers {
    /// Takes a place, before anything is looked at.
    ///
    /// # Errors
    /// [`AccountError::Busy`] at once when there is none.
    pub(crate) fn turn(&self) -> Result<Turn, AccountError> {
        Ok(Turn(Arc::new(self.place(Line::Known)?)))
    }

    /// The hash to store of these digits.
    ///
    /// # Errors
    /// [`AccountError::System`].
    pub(crate) async fn hash_digits(&self, turn: &Turn, digits: &str) -> Result<String, AccountError> {
        let digits = Password::new(digits);
        self.run(&turn.0, move || hashing::hash(&digits)).await
    }

    /// Whether these digits are those of a stored hash.
    ///
    /// # Errors
    /// [`AccountError::System`].
    pub(crate) async fn digits_match(&self, turn: &Turn, digits: &str, stored: String) -> Result<bool, AccountError> {
        let digits = Password::new(digits);
        self.run(&turn.0, move || Ok(hashing::verify(&digits, Some(&stored), None)?.is_right)).await
    }
}
