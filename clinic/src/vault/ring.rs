//! The keys of an open vault. There is no cache of persons' keys: unwrapping one takes less time than reading its row,
//! and an erased person's key must not live on in memory.

use domain::vault::{Dek, IndexKey, Kek, KeyId, Sealed};
use domain::{PersonId, UtcMillis};

use super::{Locked, VaultError};

/// Keys of the site, as of one moment; replaced as a whole.
#[derive(Clone)]
pub(super) struct Ring {
    /// What new values are wrapped by.
    pub current: Kek,
    /// The key before, while there are persons whose keys it wraps.
    pub former: Vec<Kek>,
    /// The index's key: the first is what new hashes are made with, a second one is being replaced.
    pub index: Vec<IndexKey>,
    /// Since when the vault is open.
    pub since: UtcMillis,
}

impl Ring {
    pub fn is_changing(&self) -> bool {
        !self.former.is_empty() || self.index.len() > 1
    }

    fn kek(&self, id: KeyId) -> Result<&Kek, Locked> {
        let mut all = std::iter::once(&self.current).chain(&self.former);
        all.find(|key| key.id() == id).ok_or(Locked::WrongKey)
    }

    /// Opens a person's key.
    pub fn unwrap(&self, person: PersonId, wrapped: &[u8]) -> Result<Dek, VaultError> {
        let sealed = Sealed::from_bytes(wrapped.to_vec())?;
        Ok(self.kek(sealed.key_id())?.unwrap(person, &sealed)?)
    }

    /// The key with which new hashes are made.
    pub fn index_key(&self) -> Result<&IndexKey, Locked> {
        self.index.first().ok_or(Locked::WrongKey)
    }
}
