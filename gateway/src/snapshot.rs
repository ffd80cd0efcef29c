//! The policy snapshot on this machine: the last one that was in force is kept in a file, so that doors decide from
//! the first second after a restart, whatever else is away.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use domain::policy::{Policy, PolicyBuilder, PolicyError};
use thiserror::Error;
use wire::snapshot::{Snapshot, SnapshotError};

/// Why a snapshot cannot be put in force.
#[derive(Debug, Error)]
pub enum UseError {
    /// The bytes are not a snapshot.
    #[error(transparent)]
    Bytes(#[from] SnapshotError),
    /// Its contents contradict each other.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The file.
    #[error("{path}: {error}")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The operating system gives no random bytes.
    #[error("the operating system gives no random bytes: {0}")]
    Random(String),
}

/// Compiles a snapshot's bytes. Takes about a second for a million passes: call it off the decision path.
///
/// # Errors
/// See [`UseError`].
pub fn compile(bytes: &[u8]) -> Result<Arc<Policy>, UseError> {
    let mut seed = [0; 8];
    getrandom::fill(&mut seed).map_err(|error| UseError::Random(error.to_string()))?;
    let snapshot = Snapshot::read(bytes)?;
    let (credentials, grants) = (snapshot.credentials(), snapshot.grants());
    let expected = credentials.size_hint().0;
    let mut builder = PolicyBuilder::new(snapshot.layout, u64::from_le_bytes(seed), expected)?;
    for credential in credentials {
        builder.add(&credential?)?;
    }
    for grant in grants {
        builder.grant(&grant)?;
    }
    Ok(Arc::new(builder.finish()))
}

/// The snapshot kept in `path`; `None` if there is none yet.
///
/// # Errors
/// See [`UseError`].
pub fn load(path: &Path) -> Result<Option<Arc<Policy>>, UseError> {
    match std::fs::read(path) {
        Ok(bytes) => compile(&bytes).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(UseError::File { path: path.to_owned(), error }),
    }
}

/// Keeps a snapshot: either the old or the new one is in the file, whatever happens.
///
/// # Errors
/// What the system said, with the file.
pub fn keep(path: &Path, bytes: &[u8]) -> Result<(), UseError> {
    let fault = |error| UseError::File { path: path.to_owned(), error };
    let new = path.with_extension("new");
    let write = || -> io::Result<()> {
        let mut file = File::create(&new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&new, path)?;
        File::open(path.parent().unwrap_or_else(|| Path::new(".")))?.sync_all()
    };
    write().map_err(fault)
}

#[cfg(test)]
mod tests {
    use domain::policy::{Layout, PolicySource};

    use super::*;

    #[test]
    fn a_kept_snapshot_is_there_after_a_restart_and_a_damaged_one_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("policy.bin");
        assert!(load(&path).unwrap().is_none());
        let source = PolicySource {
            layout: Layout { version: 7, ..Layout::empty() },
            credentials: Vec::new(),
            grants: Vec::new(),
        };
        let mut bytes = wire::snapshot::encode(&source).unwrap();
        keep(&path, &bytes).unwrap();
        assert_eq!(load(&path).unwrap().unwrap().version(), 7);
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        assert!(matches!(load(&path), Err(UseError::Bytes(_))));
    }
}
