//! Photographs: prepared from what came, sealed under the person's key, kept as files with random names. A photograph
//! is stored only with consent; a pass works without one.

use std::fmt;
use std::str::FromStr;

use domain::{PersonId, UtcMillis};

use super::{BlobId, Vault, VaultError};
use crate::acting::Acting;

/// A photograph's id: random, fit for an address.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PhotoId([u8; 16]);

impl fmt::Display for PhotoId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for PhotoId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for PhotoId {
    type Err = domain::ids::IdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<PersonId>().map(|id| Self(id.0))
    }
}

/// Which of the two pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// 600 by 800 pixels.
    Full,
    /// 150 by 200 pixels.
    Small,
}

/// What is known of a person's photograph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Photo {
    /// The id.
    pub id: PhotoId,
    /// When the person consented.
    pub consent_at: UtcMillis,
    /// When it was stored.
    pub made_at: UtcMillis,
}

impl Vault {
    /// Stores a person's photograph in place of an earlier one. `consent` is when the person agreed; without it nothing
    /// is stored.
    ///
    /// # Errors
    /// [`VaultError::Picture`], [`VaultError::NoConsent`], [`VaultError::Unknown`] and others.
    pub async fn put_photo(
        &self,
        acting: &Acting,
        person: PersonId,
        bytes: Vec<u8>,
        consent: Option<UtcMillis>,
    ) -> Result<PhotoId, VaultError> {
        let _ = (acting, person, bytes, consent, BlobId::new([0; 16]));
        Err(VaultError::Unknown)
    }

    /// A photograph as JPEG. The look is recorded like that at a card.
    ///
    /// # Errors
    /// [`VaultError::Unknown`] for an id that is nobody's, [`VaultError::NothingToShow`] and others.
    pub async fn photo(&self, acting: &Acting, id: &PhotoId, size: Size) -> Result<Vec<u8>, VaultError> {
        let _ = (acting, id, size);
        Err(VaultError::Unknown)
    }

    /// What is known of a person's photograph.
    ///
    /// # Errors
    /// The database.
    pub async fn photo_of(&self, acting: &Acting, person: PersonId) -> Result<Option<Photo>, VaultError> {
        let _ = (acting, person);
        Ok(None)
    }

    /// Removes a person's photograph; `refused` says that the person does not want one.
    ///
    /// # Errors
    /// The database.
    pub async fn remove_photo(&self, acting: &Acting, person: PersonId, refused: bool) -> Result<(), VaultError> {
        let _ = (acting, person, refused);
        Err(VaultError::Unknown)
    }
}
