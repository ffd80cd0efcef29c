//! Erasure by destroying a person's key, remembered outside the database so that a restored backup brings nobody back.

use domain::{PersonId, UtcMillis};

use super::{Vault, VaultError};
use crate::acting::Acting;

/// A person who was erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remembered {
    /// Who.
    pub person: PersonId,
    /// When.
    pub at: UtcMillis,
}

/// What applying the list of erased persons did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reapplied {
    /// How many persons the list names.
    pub remembered: usize,
    /// Those who had come back, with a restored backup, and were erased again.
    pub again: Vec<PersonId>,
}

impl Vault {
    /// Erases what the vault knows of a person: their key, the hashes of the index, photographs. Remembered outside the
    /// database first. Needs no open vault.
    ///
    /// # Errors
    /// [`VaultError::ShredList`] or [`VaultError::File`] if it cannot be remembered: then nothing is erased.
    pub async fn shred(&self, acting: &Acting, person: PersonId) -> Result<(), VaultError> {
        let _ = (acting, person);
        Err(VaultError::Unknown)
    }

    /// Who was erased, from the lists outside the database.
    ///
    /// # Errors
    /// [`VaultError::File`], [`VaultError::ShredList`].
    pub async fn remembered(&self) -> Result<Vec<Remembered>, VaultError> {
        Ok(Vec::new())
    }

    /// Erases again whoever a restored backup has brought back.
    ///
    /// # Errors
    /// As [`Vault::shred`].
    pub async fn reapply(&self, acting: &Acting) -> Result<Reapplied, VaultError> {
        let _ = acting;
        Ok(Reapplied::default())
    }
}
