//! The identity vault: who a pseudonym is. Passports and photographs are sealed per person under a key that only the
//! vault's key opens, found by keyed hashes, shown by field to those whose rights show it, and each look is recorded in
//! the transaction that allowed it: what cannot be recorded is not shown.
//!
//! Owns the tables of migration `0008_vault.sql`, the folder or bucket of photographs, and the list of erased persons
//! that is kept outside the database. Locked (its key is not there), it answers [`VaultError::Locked`] and everything
//! else in the clinic goes on by pseudonym. Never lets a key, a name or a number into a log, an error or an entry of
//! the audit log. May import `domain`, `store` and the clinic's `audit` and `acting`.

pub mod blobs;
mod change;
mod error;
mod find;
mod history;
mod keys;
pub mod local;
mod look;
mod memory;
mod opening;
mod photos;
pub mod picture;
mod ring;
mod rotate;
mod rows;
mod shred;
#[cfg(feature = "testing")]
pub mod testing;

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use domain::{Clock, UtcMillis};
use store::Database;
use tokio::sync::Semaphore;

pub use blobs::{BlobError, BlobId, Blobs, S3Place};
pub use change::LOAD_MAX;
pub use error::{Locked, VaultError};
pub use find::{Found, RESULTS_MAX};
pub use history::Past;
pub use keys::{KeySource, Passphrase, make_key_file};
pub use look::{CARDS_MAX, CardState, PersonCard};
pub use photos::{Consent, Photo, PhotoId, Size};
pub use picture::PictureRefused;
pub use rotate::{NewKey, Progress};
pub use shred::{Reapplied, Remembered};

use look::Looks;
use ring::Ring;

/// Pictures decoded at once: each may take 64 MiB.
const PICTURE_WORKERS: usize = 2;

/// The vault. Cheap to clone.
#[derive(Clone)]
pub struct Vault {
    inner: Arc<Inner>,
}

struct Inner {
    database: Database,
    clock: Clock,
    blobs: Blobs,
    source: KeySource,
    /// The keys, while the vault is open.
    held: RwLock<Result<Arc<Ring>, Locked>>,
    /// Who looked at whom lately.
    looks: Mutex<Looks>,
    pictures: Semaphore,
    /// One opening, guess of a passphrase or change of the key at a time.
    turn: tokio::sync::Mutex<()>,
    /// Where erased persons are remembered, the first place and the copies.
    shred_places: Vec<PathBuf>,
    /// One line at a time.
    shred_turn: tokio::sync::Mutex<()>,
}

/// What the vault can do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VaultState {
    /// Passports can be read and written.
    Open {
        /// Which key is in use.
        key: domain::vault::KeyId,
        /// Since when.
        since: UtcMillis,
        /// Whether a change of the key, or of the index's, is under way.
        changing: bool,
    },
    /// Pseudonyms only.
    Locked(Locked),
}

impl Vault {
    /// A vault, locked until [`Vault::start`].
    pub fn new(database: Database, clock: Clock, blobs: Blobs, key: KeySource) -> Self {
        let held = match key {
            KeySource::Workstation => Err(Locked::Workstation),
            KeySource::Own(_) | KeySource::File(_) | KeySource::Passphrase(_) => Err(Locked::NotOpened),
        };
        Self {
            inner: Arc::new(Inner {
                database,
                clock,
                blobs,
                source: key,
                held: RwLock::new(held),
                looks: Mutex::default(),
                pictures: Semaphore::new(PICTURE_WORKERS),
                turn: tokio::sync::Mutex::default(),
                shred_places: Vec::new(),
                shred_turn: tokio::sync::Mutex::default(),
            }),
        }
    }

    /// With the files in which erased persons are remembered: the first one and copies elsewhere. Called before the
    /// vault is shared; without it erasure is refused.
    #[must_use]
    pub fn remembering(self, places: Vec<PathBuf>) -> Self {
        match Arc::try_unwrap(self.inner) {
            Ok(inner) => Self { inner: Arc::new(Inner { shred_places: places, ..inner }) },
            Err(inner) => Self { inner },
        }
    }

    /// What the vault can do now.
    pub fn state(&self) -> VaultState {
        match &*self.inner.held.read().unwrap_or_else(PoisonError::into_inner) {
            Ok(ring) => VaultState::Open { key: ring.current.id(), since: ring.since, changing: ring.is_changing() },
            Err(locked) => VaultState::Locked(*locked),
        }
    }

    /// Where the key comes from.
    pub fn source(&self) -> &KeySource {
        &self.inner.source
    }

    fn ring(&self) -> Result<Arc<Ring>, Locked> {
        self.inner.held.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn hold(&self, held: Result<Arc<Ring>, Locked>) {
        *self.inner.held.write().unwrap_or_else(PoisonError::into_inner) = held;
        self.inner.looks.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn now(&self) -> UtcMillis {
        self.inner.clock.now()
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Vault({:?})", self.state())
    }
}
