//! Where sealed pictures are kept: a folder of this machine, or a bucket that speaks S3. Names are random; nothing here
//! can open what it keeps.

mod folder;
mod s3;

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use thiserror::Error;

pub use folder::FolderBlobs;
pub use s3::{S3Blobs, S3Place};

/// The name of a sealed picture: 128 random bits as hexadecimal digits, and nothing else, so that no name can lead out
/// of the folder.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobId([u8; 16]);

impl BlobId {
    /// Takes 16 random bytes.
    pub const fn new(random: [u8; 16]) -> Self {
        Self(random)
    }
}

impl fmt::Display for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for BlobId {
    type Err = domain::ids::IdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<domain::PersonId>().map(|id| Self(id.0))
    }
}

/// Why a picture cannot be kept or fetched.
#[derive(Debug, Error)]
pub enum BlobError {
    /// Not there.
    #[error("the picture is not where it was put; restore the folder or bucket of photographs from a backup")]
    Missing,
    /// The folder failed.
    #[error("the folder of photographs: {0}")]
    Folder(#[from] std::io::Error),
    /// The bucket failed.
    #[error("the bucket of photographs: {0}")]
    Bucket(String),
}

/// Where pictures are kept. Cheap to clone.
#[derive(Debug, Clone)]
pub enum Blobs {
    /// A folder.
    Folder(FolderBlobs),
    /// A bucket.
    S3(S3Blobs),
}

impl Blobs {
    /// A folder, made when the first picture comes.
    pub fn folder(path: &Path) -> Self {
        Self::Folder(FolderBlobs::new(path))
    }

    /// A bucket that speaks S3.
    ///
    /// # Errors
    /// What is wrong with its address.
    pub fn s3(place: &S3Place) -> Result<Self, BlobError> {
        S3Blobs::new(place).map(Self::S3)
    }

    /// Stores a picture; when it returns, the bytes survive a power cut.
    ///
    /// # Errors
    /// [`BlobError`].
    pub async fn put(&self, id: BlobId, bytes: Vec<u8>) -> Result<(), BlobError> {
        match self {
            Self::Folder(folder) => folder.put(id, bytes).await,
            Self::S3(bucket) => bucket.put(id, bytes).await,
        }
    }

    /// Fetches a picture.
    ///
    /// # Errors
    /// [`BlobError::Missing`] and others.
    pub async fn get(&self, id: BlobId) -> Result<Vec<u8>, BlobError> {
        match self {
            Self::Folder(folder) => folder.get(id).await,
            Self::S3(bucket) => bucket.get(id).await,
        }
    }

    /// Removes a picture; one that is not there is removed already.
    ///
    /// # Errors
    /// [`BlobError`].
    pub async fn remove(&self, id: BlobId) -> Result<(), BlobError> {
        match self {
            Self::Folder(folder) => folder.remove(id).await,
            Self::S3(bucket) => bucket.remove(id).await,
        }
    }

    /// The names of all pictures that were stored before `older_ms` milliseconds ago. Of a bucket none: what a crash
    /// leaves there stays, sealed under a key that no row has.
    ///
    /// # Errors
    /// [`BlobError`].
    pub async fn list(&self, older_ms: u64) -> Result<Vec<BlobId>, BlobError> {
        match self {
            Self::Folder(folder) => folder.list(older_ms).await,
            Self::S3(_) => Ok(Vec::new()),
        }
    }
}
