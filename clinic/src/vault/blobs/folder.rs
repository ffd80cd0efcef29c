//! Pictures in a folder: written beside, synced, then renamed, so that a name holds a whole picture or none. Two
//! characters of the name are a folder of their own: a million files in one folder are slow to list.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use domain::vault::SEALED_MAX_BYTES;

use super::{BlobError, BlobId};

/// The ending of a file that is being written.
const UNFINISHED: &str = "part";

/// A folder of sealed pictures.
#[derive(Debug, Clone)]
pub struct FolderBlobs {
    root: Arc<Path>,
}

impl FolderBlobs {
    pub(super) fn new(root: &Path) -> Self {
        Self { root: root.into() }
    }

    pub(super) async fn put(&self, id: BlobId, bytes: Vec<u8>) -> Result<(), BlobError> {
        let path = self.path(id);
        work(move || write_whole(&path, &bytes)).await
    }

    pub(super) async fn get(&self, id: BlobId) -> Result<Vec<u8>, BlobError> {
        let path = self.path(id);
        let read = work(move || {
            let mut bytes = Vec::new();
            File::open(path)?.take(SEALED_MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
            Ok(bytes)
        });
        match read.await {
            Err(BlobError::Folder(error)) if error.kind() == io::ErrorKind::NotFound => Err(BlobError::Missing),
            done => done,
        }
    }

    pub(super) async fn remove(&self, id: BlobId) -> Result<(), BlobError> {
        let path = self.path(id);
        work(move || {
            match fs::remove_file(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                done => done?,
            }
            sync_folder_of(&path)
        })
        .await
    }

    pub(super) async fn list(&self, older_ms: u64) -> Result<Vec<BlobId>, BlobError> {
        let root = Arc::clone(&self.root);
        work(move || list(&root, older_ms)).await
    }

    fn path(&self, id: BlobId) -> PathBuf {
        let name = id.to_string();
        self.root.join(&name[..2]).join(name)
    }
}

/// Files are read and written by threads that may wait.
async fn work<T: Send + 'static>(job: impl FnOnce() -> io::Result<T> + Send + 'static) -> Result<T, BlobError> {
    match tokio::task::spawn_blocking(job).await {
        Ok(done) => Ok(done?),
        Err(stopped) => Err(BlobError::Folder(io::Error::other(stopped))),
    }
}

fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let unfinished = path.with_extension(UNFINISHED);
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    sync_folder_of(path)
}

fn sync_folder_of(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

/// Age is told by the file system's own clock: by how much the newest thing in the folder is younger.
fn list(root: &Path, older_ms: u64) -> io::Result<Vec<BlobId>> {
    let folders = match fs::read_dir(root) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        folders => folders?,
    };
    let probe = root.join(".now");
    File::create(&probe)?;
    let now = fs::metadata(&probe)?.modified()?;
    let mut found = Vec::new();
    for folder in folders {
        let folder = folder?;
        if !folder.file_type()?.is_dir() {
            continue;
        }
        for file in fs::read_dir(folder.path())? {
            let file = file?;
            let age = now.duration_since(file.metadata()?.modified()?).unwrap_or_default();
            if age.as_millis() < u128::from(older_ms) {
                continue;
            }
            let path = file.path();
            if path.extension().is_some_and(|ending| ending == UNFINISHED) {
                // Left behind by a power cut.
                fs::remove_file(&path)?;
            } else if let Some(id) = file.file_name().to_str().and_then(|name| name.parse().ok()) {
                found.push(id);
            }
        }
    }
    Ok(found)
}
