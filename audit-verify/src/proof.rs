//! Checking the proof of one entry: its content against its hash, the hash and the path against the root, the root
//! against the signed head, the head against what was published.

use std::fmt;
use std::path::Path;

use domain::audit::{Entry, Inclusion, SignedHead, TreeHash};
use serde_json::{Value, json};

use crate::report::{Fault, FaultKind};
use crate::{Error, Published, json};

/// Longest file read, in bytes: an entry and a path of at most 64 hashes.
const FILE_MAX_BYTES: u64 = 1 << 20;
/// The version of the form that this program reads.
const VERSION: u64 = 1;

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProofReport {
    /// The entry, if it could be read.
    pub entry: Option<Entry>,
    /// The head under which it stands; its signature is right.
    pub head: Option<SignedHead>,
    /// Where that head was published, if it was found in a file of a second place.
    pub place: Option<String>,
    /// What is wrong.
    pub faults: Vec<Fault>,
}

impl ProofReport {
    /// Whether the entry is shown to be in the log of which the head was signed.
    pub fn is_sound(&self) -> bool {
        self.faults.is_empty() && self.head.is_some()
    }

    /// For programs.
    pub fn to_json(&self) -> Value {
        let faults: Vec<Value> = self
            .faults
            .iter()
            .map(|fault| json!({ "kind": fault.kind.as_str(), "found": fault.found, "advice": fault.kind.advice() }))
            .collect();
        json!({
            "sound": self.is_sound(),
            "entry": self.entry.as_ref().map(|entry| entry.no),
            "head": self.head.as_ref().map(ToString::to_string),
            "published": self.place,
            "faults": faults,
        })
    }
}

impl fmt::Display for ProofReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(entry) = &self.entry {
            writeln!(f, "entry {} of {}: {} {}", entry.no, entry.at, entry.action, entry.outcome)?;
        }
        for fault in &self.faults {
            writeln!(f, "FAULT {fault}")?;
        }
        match (&self.head, &self.place) {
            _ if !self.faults.is_empty() => Ok(()),
            (None, _) => writeln!(f, "the file names no signed head: it shows nothing to somebody who doubts the log"),
            (Some(head), Some(place)) => {
                writeln!(f, "sound: it stands in the log of {} entries published in {place}", head.head.size)
            }
            (Some(head), None) => writeln!(
                f,
                "sound: it stands in the log of {} entries signed at {}; give --heads to see that this was published",
                head.head.size, head.head.at
            ),
        }
    }
}

/// Checks the file of a proof.
///
/// # Errors
/// [`Error::File`]; [`Error::Form`] when it is no proof at all.
pub fn verify_proof(path: &Path, published: &Published) -> Result<ProofReport, Error> {
    let failed = |error| Error::File { path: path.to_owned(), error };
    let strange = |problem: String| Error::Form {
        path: path.to_owned(),
        expected: "the proof of an entry of an audit log",
        problem,
    };
    let length = std::fs::metadata(path).map_err(failed)?.len();
    if length > FILE_MAX_BYTES {
        return Err(strange(format!("it has {length} bytes")));
    }
    let bytes = std::fs::read(path).map_err(failed)?;
    let file: Value = serde_json::from_slice(&bytes).map_err(|error| strange(error.to_string()))?;
    match file["tapward_audit_proof"].as_u64() {
        Some(VERSION) => {}
        Some(_) => return Err(strange("it is of a version that this program does not know".to_owned())),
        None => return Err(strange("it does not say so".to_owned())),
    }
    let Value::Object(object) = &file["entry"] else { return Err(strange("it has no entry".to_owned())) };
    let stored = json::stored(object.clone()).map_err(strange)?;
    let entry = stored.entry.as_ref().map_err(|problem| strange(problem.clone()))?;
    let size = file["size"].as_u64().ok_or_else(|| strange("it has no size".to_owned()))?;
    let hash = |value: &Value| value.as_str().and_then(|text| text.parse::<TreeHash>().ok());
    let root = hash(&file["root"]).ok_or_else(|| strange("it has no root".to_owned()))?;
    let path_hashes: Option<Vec<TreeHash>> = file["path"].as_array().and_then(|path| path.iter().map(hash).collect());
    let path_hashes = path_hashes.ok_or_else(|| strange("it has no path".to_owned()))?;

    let here = Some((entry.no, entry.no));
    let mut faults = Vec::new();
    let mut fault = |kind, found: String| faults.push(Fault { kind, entries: here, found });
    let leaf = entry.leaf();
    if stored.leaf != Some(leaf) {
        fault(FaultKind::EntryAltered, "its content is not what its hash was made of".to_owned());
    }
    if let (Some(expected), Some(note)) = (&entry.note_hash, &stored.note) {
        let salt = stored.salt.as_deref().and_then(|salt| salt.try_into().ok());
        if salt.is_none_or(|salt| domain::audit::note_hash(salt, note) != *expected) {
            fault(FaultKind::NoteAltered, "its note is not what the hash of the note was made of".to_owned());
        }
    } else if stored.note.is_some() {
        fault(FaultKind::NoteAltered, "it has a note, though none was written".to_owned());
    }
    if !(Inclusion { no: entry.no, size, path: path_hashes }).holds(leaf, root) {
        fault(FaultKind::NodeAltered, "the path does not lead from the entry to the root".to_owned());
    }
    let head = file["head"].as_str().map(|line| line.parse::<SignedHead>().map_err(|error| error.to_string()));
    let head = match head {
        None => None,
        Some(Ok(head)) if head.head.size != size || head.head.root != root => {
            fault(FaultKind::HeadAltered, "the head tells another size or root".to_owned());
            None
        }
        Some(Ok(head)) if !published.keys.signed(&head) => {
            fault(FaultKind::HeadAltered, "no key that was given signed the head".to_owned());
            None
        }
        Some(Ok(head)) => Some(head),
        Some(Err(problem)) => {
            fault(FaultKind::HeadAltered, problem);
            None
        }
    };
    let place = head
        .as_ref()
        .and_then(|head| published.heads.iter().find(|published| published.signed == *head))
        .map(|found| found.place.clone());
    if let (Some(head), None, false) = (&head, &place, published.heads.is_empty()) {
        let found = format!("the head of {} entries is in none of the files of published heads", head.head.size);
        fault(FaultKind::HeadMissing, found);
    }
    Ok(ProofReport { entry: Some(entry.clone()), head, place, faults })
}
