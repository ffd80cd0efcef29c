//! What the journal keeps for network peers (controllers and access control servers that speak in numbered streams):
//! how far their stream has been taken in, what was taken in already, what could not be understood, and what we still
//! have to tell them.
//!
//! Owns the words for it and their limits. Never looks into a message: bodies are sealed before they come here (they
//! may contain card numbers, and [`SealedBytes`] has no other way in), so nothing in the file is a number in clear.
//!
//! Peers are named by the configuration, so their number is bounded by it; those of former configurations stay until
//! [`Journal::forget_peer`].
//!
//! # Coming in
//! [`Journal::append_marked`] writes facts, position, event ids and quarantine in one commit or not at all. A peer is
//! acknowledged only after that, so a crash before it makes the peer send again, and a crash behind it is recognised by
//! the position. Event ids recognise what a peer sends again under another number (its journal began anew, or it has no
//! numbers); whoever appends asks [`Journal::known_events`] first, and waits for its own appends before it asks.
//!
//! # Going out
//! [`Journal::post`] numbers messages 1, 2, 3 … within the peer's outgoing epoch and notes in the same commit what the
//! peer was told of each pass. They are kept until [`Journal::drop_outgoing`]: dropping is written lazily, and a drop
//! that a crash has lost is given again by the peer's next acknowledgement. A peer that has more of our stream than
//! [`OutgoingState::last`] shows that this file was replaced by an older copy; [`Journal::restart_outgoing`] begins the
//! stream anew, after a person has decided so.

use std::collections::HashSet;
use std::ops::RangeInclusive;
use std::sync::Arc;

use domain::card::{SEAL_OVERHEAD_BYTES, SealedBytes};
use domain::{Draft, Epoch, LineId, UtcMillis};
use thiserror::Error;
use tokio::sync::oneshot;

use super::group::Post;
use super::peer_file::PeerRow;
use super::writer::{Edit, Job};
use super::{APPEND_MAX_FACTS, Journal, Pending, Refused};
use crate::Error;

/// Event ids of one [`Mark`]: twice a full batch of reports.
pub const MARK_MAX_EVENTS: usize = 128;
/// Messages quarantined by one [`Mark`]: a full batch.
pub const MARK_MAX_QUARANTINED: usize = 64;
/// Bytes of all of them: what one peer may keep.
pub const MARK_MAX_QUARANTINED_BYTES: usize = QUARANTINE_MAX_BYTES;
/// Longest event id, in bytes.
pub const EVENT_ID_MAX_BYTES: usize = 64;
/// Event ids kept for each peer, the newest; up to a tenth more until the next clearing.
pub const EVENTS_KEPT: u64 = 100_000;
/// Longest message, sealed or to be sealed: a whole frame of acs-link.
pub const BODY_MAX_BYTES: usize = 65_536 + SEAL_OVERHEAD_BYTES;
/// Longest reason for a quarantine, in bytes; longer ones are cut.
pub const WHY_MAX_BYTES: usize = 200;
/// Quarantined messages kept for each peer, the newest.
pub const QUARANTINE_MAX: usize = 1000;
/// Bytes of quarantined messages kept for each peer, the newest: the last fifteen largest frames, or a thousand usual
/// messages.
pub const QUARANTINE_MAX_BYTES: usize = 1 << 20;
/// Messages of one [`Journal::post`]: they are committed together or not at all.
pub const POST_MAX_MESSAGES: usize = 64;
/// Messages that may wait for one peer's acknowledgement. Beyond it [`Journal::post`] answers [`PostError::Full`]: what
/// a peer has to be told is worked out from the policy when there is room, so nothing is lost by it.
pub const OUTGOING_MAX: u64 = 4096;
/// Passes that one peer may have been told of.
pub const TOLD_MAX: u64 = 200_000;
/// Longest key of a pass, in bytes.
pub const KEY_MAX_BYTES: usize = 64;

/// Largest number in a peer's stream: what the file can hold. A peer that counts further is not one of ours.
pub const SEQ_MAX: u64 = i64::MAX.cast_unsigned();
/// What one place in a queue stands for: about what a fact takes.
const UNIT_BYTES: usize = 256;
/// Places for messages that wait to be written: 8 MB. Beyond it [`Journal::post`] waits; a tap's place is not taken.
pub(super) const POST_QUEUE_MAX: usize = (8 << 20) / UNIT_BYTES;

/// How far a peer's stream has been taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Which life of the peer's journal.
    pub epoch: Epoch,
    /// The last number taken in.
    pub seq: u64,
    /// When it was.
    pub at: UtcMillis,
}

/// A position in a peer's stream that becomes durable together with the facts made of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// Whose stream.
    pub peer: LineId,
    /// Which life of the peer's journal. Another one than before replaces it, and may begin with any number.
    pub epoch: Epoch,
    /// The last number that the facts and the quarantine cover. Rises within an epoch; a peer without numbers counts
    /// its batches.
    pub seq: u64,
    /// Wall time at the gateway.
    pub at: UtcMillis,
    /// Ids of the events in it, at most [`MARK_MAX_EVENTS`] of at most [`EVENT_ID_MAX_BYTES`] bytes. One that is known
    /// already changes nothing.
    pub events: Vec<String>,
    /// What could not be understood, at most [`MARK_MAX_QUARANTINED`] of [`MARK_MAX_QUARANTINED_BYTES`] in all.
    pub quarantined: Vec<Quarantined>,
}

/// A message set aside, so that it blocks nothing behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantined {
    /// Its number in the peer's stream.
    pub seq: u64,
    /// What is wrong with it; never personal data.
    pub why: String,
    /// The message, at most [`BODY_MAX_BYTES`]; empty where nobody can keep it safely.
    pub bytes: SealedBytes,
}

/// A message set aside, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantine {
    /// Who sent it.
    pub peer: LineId,
    /// In which life of its journal.
    pub epoch: Epoch,
    /// When we got it.
    pub at: UtcMillis,
    /// The message.
    pub message: Quarantined,
}

/// A message for a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// Its id, the same at every repetition.
    pub id: [u8; 16],
    /// The message, at most [`BODY_MAX_BYTES`].
    pub body: SealedBytes,
    /// What the peer knows of a pass once it has this.
    pub note: Option<Note>,
}

/// What to note of a pass together with a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// The peer was told this.
    Told(Told),
    /// The pass with this key need not be remembered any longer; its revisions would begin anew.
    Forget(String),
}

impl Note {
    /// The key of the pass.
    pub fn key(&self) -> &str {
        match self {
            Self::Told(told) => &told.key,
            Self::Forget(key) => key,
        }
    }
}

/// What a peer was told of a pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The peer's key of the pass, at most [`KEY_MAX_BYTES`]; never a card number.
    pub key: String,
    /// Revision.
    pub rev: u64,
    /// A digest of what it was told, made by whoever posts; compares with what it should know.
    pub digest: [u8; 16],
}

/// A message that waits for a peer's acknowledgement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its number.
    pub seq: u64,
    /// Its id.
    pub id: [u8; 16],
    /// The message.
    pub body: SealedBytes,
}

/// The stream of messages to a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutgoingState {
    /// Which life of the stream: the journal's own epoch until it is restarted.
    pub epoch: Epoch,
    /// The last number given, whether or not it still waits; 0 before the first.
    pub last: u64,
    /// The last number that the peer acknowledged.
    pub dropped: u64,
    /// The last number given when the journal was opened. A peer that has more than this, and more than was sent to it
    /// since, has it from a file that was replaced by this older copy, even if [`OutgoingState::last`] has caught up.
    pub at_open: u64,
}

impl OutgoingState {
    /// How many messages wait for the peer's acknowledgement.
    pub const fn waiting(&self) -> u64 {
        self.last.saturating_sub(self.dropped)
    }
}

/// One peer, for people who look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerRecord {
    /// Its name.
    pub peer: LineId,
    /// How far its stream has been taken in.
    pub position: Option<Position>,
    /// What it is being told.
    pub outgoing: OutgoingState,
    /// Passes that it was told of.
    pub told: u64,
    /// Messages set aside and still kept.
    pub quarantined: u64,
}

/// Why a mark was not written; nothing that came with it was.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MarkError {
    /// It is not ahead of what is durable. After an append of the same mark that failed, this says that it had been
    /// written after all, facts included: trying again would never end otherwise.
    #[error("the stream of {peer} has been taken in up to {held} already, {seq} is not behind it")]
    NotAhead {
        /// Whose stream.
        peer: LineId,
        /// What the mark says.
        seq: u64,
        /// What is durable.
        held: u64,
    },
}

/// Why messages were not posted.
#[derive(Debug, Error)]
pub enum PostError {
    /// [`OUTGOING_MAX`] messages wait for this peer, or it was told of [`TOLD_MAX`] passes.
    #[error("{peer} has {waiting} messages waiting and was told of {told} passes: no more are taken")]
    Full {
        /// For whom.
        peer: LineId,
        /// How many messages wait.
        waiting: u64,
        /// How many passes it was told of.
        told: u64,
    },
    /// None, too many, or one beyond its limits.
    #[error(
        "a post takes 1 to {POST_MAX_MESSAGES} messages of at most {BODY_MAX_BYTES} bytes, with keys of 1 to {KEY_MAX_BYTES} bytes"
    )]
    Size,
    /// The engine or the disk refused, or the journal is closed. The messages may still turn out to be in the file, as
    /// with [`super::AppendError`]: [`Journal::outgoing_state`] says.
    #[error(transparent)]
    Storage(#[from] Arc<Error>),
}

impl Journal {
    /// As [`Journal::append`], with a position in a peer's stream: facts (there may be none), position, event ids and
    /// quarantine become durable together or not at all. The range is empty when there are no facts.
    ///
    /// # Errors
    /// At once: [`Refused`]; [`Refused::Size`] also for a mark beyond its limits. While writing:
    /// [`super::AppendError::Mark`].
    pub fn append_marked(&self, facts: Vec<Draft>, mark: Mark) -> Result<Pending, Refused> {
        if facts.len() > APPEND_MAX_FACTS || !mark.is_within_limits() {
            return Err(Refused::Size(facts));
        }
        let units = facts.len() + mark.units();
        self.hand_over(facts, Some(Box::new(mark)), units)
    }

    /// How far a peer's stream has been taken in; `None` before its first mark. In order with the calls before it.
    ///
    /// # Errors
    /// The journal is closed, or its file cannot be opened.
    pub async fn position(&self, peer: &LineId) -> Result<Option<Position>, Error> {
        Ok(self.peer(peer).await?.position)
    }

    /// Which of these events have been taken in from this peer, in whatever epoch.
    ///
    /// # Errors
    /// Engine errors.
    pub async fn known_events(&self, peer: &LineId, ids: &[String]) -> Result<HashSet<String>, Error> {
        // In this order: an event leaves the log for its place only after it is durable there.
        let (mut known, others) = self.shared.recent.known(peer, ids);
        if !others.is_empty() {
            known.extend(self.reader.folded_events(peer, &others).await?);
        }
        Ok(known)
    }

    /// Sets the position by hand, forwards or backwards, `None` to forget it: an operator's decision after a backup was
    /// put back on either side. Event ids stay, so what comes again is recognised.
    ///
    /// # Errors
    /// Engine errors.
    pub async fn reset_position(&self, peer: &LineId, to: Option<Position>) -> Result<(), Error> {
        let to = to.map(|to| Position { seq: to.seq.min(SEQ_MAX), ..to });
        self.edit(peer, Edit::Position(to)).await
    }

    /// Messages set aside, of one peer or of all, the newest first, at most `limit` (and [`QUARANTINE_MAX`]).
    ///
    /// # Errors
    /// Engine errors.
    pub async fn quarantined(&self, peer: Option<&LineId>, limit: usize) -> Result<Vec<Quarantine>, Error> {
        self.reader.quarantined(peer, limit).await
    }

    /// Numbers messages for a peer and keeps them until [`Journal::drop_outgoing`]. Returns their numbers, once they
    /// are durable. Waits while others post more than the disk takes. Who goes away while it waits may have posted.
    ///
    /// # Errors
    /// See [`PostError`].
    pub async fn post(&self, peer: &LineId, messages: Vec<Outgoing>) -> Result<RangeInclusive<u64>, PostError> {
        let sound =
            (1..=POST_MAX_MESSAGES).contains(&messages.len()) && messages.iter().all(Outgoing::is_within_limits);
        if !sound {
            return Err(PostError::Size);
        }
        let closed = || PostError::Storage(Arc::new(closed("journal.post")));
        let units: usize = messages.iter().map(|message| message.body.len().div_ceil(UNIT_BYTES) + 1).sum();
        let units = u32::try_from(units).map_err(|_| PostError::Size)?;
        let permit = Arc::clone(&self.post_room).acquire_many_owned(units).await.map_err(|_| closed())?;
        let (answer, posted) = oneshot::channel();
        let post = Post { peer: peer.clone(), messages, answer, permit };
        self.jobs.send(Job::Post(post)).map_err(|_| closed())?;
        posted.await.map_err(|_| closed())?
    }

    /// Messages for a peer behind a number, in order, at most `limit` (and [`super::READ_MAX`]).
    ///
    /// # Errors
    /// Engine errors.
    pub async fn outgoing(&self, peer: &LineId, after: u64, limit: usize) -> Result<Vec<Message>, Error> {
        self.reader.outgoing(peer, after, limit).await
    }

    /// Notes that the peer has durably received everything up to `up_to`; a number beyond the last one given counts as
    /// the last one (who acknowledges more than it got is found by [`Journal::outgoing_state`]). Returns at once.
    pub fn drop_outgoing(&self, peer: &LineId, up_to: u64) {
        if self.shared.drops.add(peer, up_to) {
            // A closed journal keeps what it wrote last; the peer will acknowledge again.
            let _ = self.jobs.send(Job::Acked);
        }
    }

    /// How far the stream to a peer has got. In order with the calls before it.
    ///
    /// # Errors
    /// The journal is closed, or its file cannot be opened.
    pub async fn outgoing_state(&self, peer: &LineId) -> Result<OutgoingState, Error> {
        Ok(self.peer(peer).await?.outgoing(self.epoch))
    }

    /// Begins the stream to a peer anew in the epoch `fresh` (128 random bits): nothing waits, the peer was told
    /// nothing, the next number is 1. For a peer that lost its memory, and after a backup was put back.
    ///
    /// # Errors
    /// Engine errors.
    pub async fn restart_outgoing(&self, peer: &LineId, fresh: Epoch) -> Result<(), Error> {
        self.edit(peer, Edit::Restart(fresh)).await
    }

    /// What a peer was told, in the order of keys behind `after`, at most `limit` (and [`super::READ_MAX`]). What
    /// [`Journal::post`] has returned is in it.
    ///
    /// # Errors
    /// Engine errors.
    pub async fn told(&self, peer: &LineId, after: Option<&str>, limit: usize) -> Result<Vec<Told>, Error> {
        self.reader.told(peer, after, limit).await
    }

    /// Removes everything kept for a peer: it is gone for good.
    ///
    /// # Errors
    /// Engine errors.
    pub async fn forget_peer(&self, peer: &LineId) -> Result<(), Error> {
        self.edit(peer, Edit::Forget).await
    }

    /// All peers, by name.
    ///
    /// # Errors
    /// Engine errors.
    pub async fn peers(&self) -> Result<Vec<PeerRecord>, Error> {
        self.reader.peers().await
    }

    async fn peer(&self, peer: &LineId) -> Result<PeerRow, Error> {
        let (answer, known) = oneshot::channel();
        let closed = || closed("journal.peer");
        self.jobs.send(Job::Peer { peer: peer.clone(), answer }).map_err(|_| closed())?;
        known.await.map_err(|_| closed())?
    }

    async fn edit(&self, peer: &LineId, edit: Edit) -> Result<(), Error> {
        let (answer, edited) = oneshot::channel();
        let closed = || closed("journal.peer");
        self.jobs.send(Job::Edit { peer: peer.clone(), edit, answer }).map_err(|_| closed())?;
        edited.await.map_err(|_| closed())?
    }
}

fn closed(operation: &'static str) -> Error {
    Error::new(operation, crate::Fault::Unavailable)
}

impl Mark {
    fn is_within_limits(&self) -> bool {
        let event = |id: &String| (1..=EVENT_ID_MAX_BYTES).contains(&id.len());
        let message = |it: &Quarantined| it.bytes.len() <= BODY_MAX_BYTES && it.seq <= SEQ_MAX;
        self.seq <= SEQ_MAX
            && self.events.len() <= MARK_MAX_EVENTS
            && self.events.iter().all(event)
            && self.quarantined.len() <= MARK_MAX_QUARANTINED
            && self.quarantined.iter().all(message)
            && self.quarantined.iter().map(|it| it.bytes.len()).sum::<usize>() <= MARK_MAX_QUARANTINED_BYTES
    }

    /// How many facts it counts for in the queue: by the memory that it takes.
    fn units(&self) -> usize {
        let quarantined: usize = self.quarantined.iter().map(|it| it.bytes.len().div_ceil(UNIT_BYTES) + 1).sum();
        1 + self.events.len().div_ceil(4) + quarantined
    }
}

impl Outgoing {
    fn is_within_limits(&self) -> bool {
        let key = |note: &Note| (1..=KEY_MAX_BYTES).contains(&note.key().len());
        self.body.len() <= BODY_MAX_BYTES && self.note.as_ref().is_none_or(key)
    }
}
