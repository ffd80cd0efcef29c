//! The controller's own small file: records that are on the disk before anybody is told, and nothing else.
//!
//! Owns framing, checksums and the fate of a torn tail; knows nothing of what the records mean. One record is written
//! by one call and synced before it returns, so a power cut leaves all of it or none.
//!
//! A record is its length (4 bytes, big-endian), the first 4 bytes of the SHA-256 of its content, and its content.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use thiserror::Error;

/// Longest record, in bytes: what one turn of a controller writes, with a message of the largest frame in it.
pub const RECORD_MAX: usize = 1 << 20;
/// Length and checksum.
const HEAD: usize = 8;

/// Why a file cannot be used.
#[derive(Debug, Error)]
pub enum FileError {
    /// The disk.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A record in the middle is damaged: not a torn tail.
    #[error("{path} is damaged at byte {at}: restore it from a copy, or remove it to begin anew under another epoch")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where.
        at: usize,
    },
}

/// An open file of records.
#[derive(Debug)]
pub struct RecordFile {
    path: PathBuf,
    file: File,
    len: u64,
}

impl RecordFile {
    /// Opens or makes the file (readable by its owner only); gives all records in their order. A record that a power
    /// cut left half written at the end is cut off: it was never acknowledged.
    pub fn open(path: &Path) -> Result<(Self, Vec<Vec<u8>>), FileError> {
        let io = |source| FileError::Io { path: path.into(), source };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(io)?;
        }
        let fresh = !path.exists();
        let mut file = File::options().read(true).append(true).create(true).mode(0o600).open(path).map_err(io)?;
        if fresh {
            sync_folder(path).map_err(io)?;
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(io)?;
        let (records, good) = split(&bytes).map_err(|at| FileError::Damaged { path: path.into(), at })?;
        if good < bytes.len() {
            tracing::warn!(file = %path.display(), lost = bytes.len() - good, "a record was half written; it is cut off");
            file.set_len(good as u64).map_err(io)?;
            file.sync_data().map_err(io)?;
        }
        Ok((Self { path: path.into(), file, len: good as u64 }, records))
    }

    /// Adds one record. It is on the disk when this returns.
    pub fn append(&mut self, content: &[u8]) -> Result<(), FileError> {
        let record = encode(content);
        let done = self.file.write_all(&record).and_then(|()| self.file.sync_data());
        done.map_err(|source| FileError::Io { path: self.path.clone(), source })?;
        self.len += record.len() as u64;
        Ok(())
    }

    /// Puts these records in place of all others, in one step.
    pub fn replace(&mut self, records: &[Vec<u8>]) -> Result<(), FileError> {
        let path = self.path.clone();
        let fresh = path.with_extension("new");
        let write = || {
            let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
            let bytes: Vec<u8> = records.iter().flat_map(|content| encode(content)).collect();
            file.write_all(&bytes)?;
            file.sync_all()?;
            std::fs::rename(&fresh, &path)?;
            sync_folder(&path)?;
            Ok((File::options().read(true).append(true).open(&path)?, bytes.len() as u64))
        };
        (self.file, self.len) = write().map_err(|source| FileError::Io { path, source })?;
        Ok(())
    }

    /// Its length in bytes.
    pub const fn length(&self) -> u64 {
        self.len
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn encode(content: &[u8]) -> Vec<u8> {
    let mut record = Vec::with_capacity(HEAD + content.len());
    record.extend_from_slice(&u32::try_from(content.len()).unwrap_or(u32::MAX).to_be_bytes());
    record.extend_from_slice(&checksum(content));
    record.extend_from_slice(content);
    record
}

fn checksum(content: &[u8]) -> [u8; 4] {
    let digest = Sha256::digest(content);
    [digest[0], digest[1], digest[2], digest[3]]
}

/// The records, and how many bytes they take; what follows is a torn tail. `Err`: where a damaged record stands
/// before good ones.
fn split(bytes: &[u8]) -> Result<(Vec<Vec<u8>>, usize), usize> {
    let mut records = Vec::new();
    let mut at = 0;
    while let Some((content, next)) = record_at(bytes, at) {
        records.push(content.to_vec());
        at = next;
    }
    // A power cut tears the last record only: a good one anywhere behind means that something else happened.
    let torn = (at + 1..bytes.len()).all(|later| record_at(bytes, later).is_none());
    if torn { Ok((records, at)) } else { Err(at) }
}

fn record_at(bytes: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let head = bytes.get(at..at + HEAD)?;
    let (len, sum) = head.split_at(4);
    let len = usize::try_from(u32::from_be_bytes(len.try_into().ok()?)).ok()?;
    if len == 0 || len > RECORD_MAX {
        return None;
    }
    let content = bytes.get(at + HEAD..at + HEAD + len)?;
    (checksum(content) == sum).then_some((content, at + HEAD + len))
}

/// A name in a folder is durable when the folder is.
fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) => File::open(folder)?.sync_all(),
        None => File::open(".")?.sync_all(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(records: &[&[u8]]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("queue");
        let (mut file, none) = RecordFile::open(&path).unwrap();
        assert!(none.is_empty());
        for record in records {
            file.append(record).unwrap();
        }
        (folder, path)
    }

    #[test]
    fn what_was_appended_is_there_again() {
        let (_folder, path) = written(&[b"one", b"two", &[7; 70_000]]);
        let (file, records) = RecordFile::open(&path).unwrap();
        assert_eq!(records, [b"one".to_vec(), b"two".to_vec(), vec![7; 70_000]]);
        assert_eq!(file.length(), std::fs::metadata(&path).unwrap().len());
    }

    #[test]
    fn a_record_cut_at_any_byte_is_left_out_and_the_ones_before_stay() {
        let (_folder, path) = written(&[b"first", b"second"]);
        let whole = std::fs::read(&path).unwrap();
        for cut in 0..whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let (mut file, records) = RecordFile::open(&path).unwrap();
            let wanted: &[&[u8]] = if cut >= HEAD + 5 { &[b"first"] } else { &[] };
            assert_eq!(records, wanted, "cut at {cut}");
            file.append(b"third").unwrap();
            let (_, records) = RecordFile::open(&path).unwrap();
            assert_eq!(records.last().unwrap(), b"third", "cut at {cut}");
        }
    }

    #[test]
    fn damage_before_good_records_is_an_error_and_not_a_torn_tail() {
        let (_folder, path) = written(&[b"first", b"second"]);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[HEAD] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        assert!(matches!(RecordFile::open(&path), Err(FileError::Damaged { at: 0, .. })));
    }

    #[test]
    fn records_are_replaced_in_one_step() {
        let (_folder, path) = written(&[b"first", b"second"]);
        let (mut file, _) = RecordFile::open(&path).unwrap();
        file.replace(&[b"all".to_vec()]).unwrap();
        file.append(b"more").unwrap();
        assert_eq!(RecordFile::open(&path).unwrap().1, [b"all".to_vec(), b"more".to_vec()]);
    }

    #[test]
    fn only_the_owner_may_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let (_folder, path) = written(&[b"one"]);
        assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
