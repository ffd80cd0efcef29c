//! The gateway's journal: the truth about what happened at its doors, in an SQLite file of its own.
//!
//! Owns the numbering of entries (1, 2, 3 … within one [`Epoch`]), their durability and the chain of hashes over them.
//! Never decides anything, never talks to another program, never deletes what has not been acknowledged.
//! Only `gateway` writes one; `tapward journal` reads it beside a running gateway by [`JournalReader`].
//!
//! In the same file and the same commits it keeps what network peers have reported and must be told: see [`Mark`],
//! [`Outgoing`] and `peers.rs`. Nothing of that is in the chain; an entry that a peer's report became is.
//!
//! One task owns the file's writing connection. [`Journal::append`] hands it facts; the task takes all that wait (at
//! most [`GROUP_MAX`]), writes them as one text of SQL with one synced commit, and only then answers each waiter. While
//! it waits for the disk the next group gathers, so many writers share the price of one sync.
//!
//! Failures: a full or failing disk fails the appends that met it, with a typed error, and the file is opened anew for
//! the next append; when space returns, so does the journal, without a restart. An append that failed may still turn
//! out to be in the file (the disk wrote it but could not say so): failed means "not known to be durable".

mod chain;
mod file;
mod group;
mod peer_file;
mod peer_reader;
mod peer_sql;
mod peers;
mod reader;
mod writer;

use std::future::Future;
use std::ops::RangeInclusive;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use domain::{Clock, Draft, Entry, Epoch, GatewayId, Kind};
use thiserror::Error;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

pub use peers::*;
pub use reader::{JournalReader, Problem, Verification};

use crate::Error;
use group::Append;
use writer::{Job, Shared};

/// Facts that may wait for the disk at once: at the published size (270 readers) more than ten seconds of everybody
/// tapping without pause, and about 2 MB. Beyond it [`Journal::append`] answers [`Refused::Full`] at once.
pub const QUEUE_MAX_FACTS: usize = 8192;
/// Facts of one [`Journal::append`]: they are committed together or not at all.
pub const APPEND_MAX_FACTS: usize = 64;
/// Facts written by one statement and one commit; SQLite takes about 32 000 parameters, each fact has twelve.
pub const GROUP_MAX: usize = 500;
/// Entries handed out by one read.
pub const READ_MAX: usize = 5000;

/// Why an append was not even queued. The facts come back: the caller keeps them and stops asking readers for more.
#[derive(Debug, Error)]
pub enum Refused {
    /// [`QUEUE_MAX_FACTS`] facts are waiting for the disk already.
    #[error(
        "the journal has {QUEUE_MAX_FACTS} facts waiting for the disk and takes no more; reading of devices must pause"
    )]
    Full(Vec<Draft>),
    /// None, or more than [`APPEND_MAX_FACTS`] facts at once.
    #[error("an append takes 1 to {APPEND_MAX_FACTS} facts, not {}, and a mark has its own limits", .0.len())]
    Size(Vec<Draft>),
    /// The journal has been closed.
    #[error("the journal is closed")]
    Closed(Vec<Draft>),
}

/// Why a queued append is not known to be durable.
#[derive(Debug, Clone, Error)]
pub enum AppendError {
    /// The engine or the disk refused; the next append tries again.
    #[error(transparent)]
    Storage(Arc<Error>),
    /// The journal stopped before it came to this append.
    #[error("the journal was closed before the facts were written")]
    Closed,
    /// The mark does not follow what is durable; nothing that came with it was written.
    #[error(transparent)]
    Mark(#[from] MarkError),
}

/// Why an acknowledgement is not believed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "the receiver has entries up to {acked}, but this journal ends at {last}: the file was replaced by an older copy; its entries from {last} on would be taken for repetitions"
)]
pub struct AckAhead {
    /// What the receiver says it has.
    pub acked: u64,
    /// Our last entry.
    pub last: u64,
}

/// An append on its way to the disk. Awaiting it gives the numbers of the facts, once they are durable. Dropping it
/// does not take the facts back.
#[derive(Debug)]
#[must_use = "nothing is durable before this has been awaited"]
pub struct Pending(oneshot::Receiver<Result<RangeInclusive<u64>, AppendError>>);

impl Future for Pending {
    type Output = Result<RangeInclusive<u64>, AppendError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map(|answer| answer.unwrap_or(Err(AppendError::Closed)))
    }
}

/// A gateway's open journal. Cheap to clone; the file is closed when the last clone is gone or by [`Journal::close`].
#[derive(Clone)]
pub struct Journal {
    gateway: GatewayId,
    epoch: Epoch,
    jobs: mpsc::UnboundedSender<Job>,
    room: Arc<Semaphore>,
    post_room: Arc<Semaphore>,
    shared: Arc<Shared>,
    last: watch::Receiver<u64>,
    reader: JournalReader,
    opened_at: u64,
}

impl Journal {
    /// Opens the journal of `gateway` at `path`, or makes it with `fresh_epoch` (128 random bits) as its epoch.
    /// Must be called within a tokio runtime; a second opening by any process fails until the first is closed.
    ///
    /// # Errors
    /// Those of [`crate::Fault`]: missing folder, no permission, damaged, not a journal, made by a newer program,
    /// another gateway's.
    pub async fn open(path: &Path, gateway: GatewayId, fresh_epoch: Epoch, clock: &Clock) -> Result<Self, Error> {
        let opened = file::open(path, &gateway, fresh_epoch, clock.now()).await?;
        let reader = JournalReader::open(path).await?;
        let (jobs, queue) = mpsc::unbounded_channel();
        let (durable, last) = watch::channel(opened.head.seq);
        let shared = Arc::new(Shared { acked: AtomicU64::new(opened.acked), ..Shared::default() });
        let (epoch, opened_at) = (opened.epoch, opened.head.seq);
        tokio::spawn(writer::run(opened, queue, durable, Arc::clone(&shared)));
        let room = Arc::new(Semaphore::new(QUEUE_MAX_FACTS));
        let post_room = Arc::new(Semaphore::new(peers::POST_QUEUE_MAX));
        Ok(Self { gateway, epoch, jobs, room, post_room, shared, last, reader, opened_at })
    }

    /// Hands over facts to be written together. They are numbered in the order of the calls.
    ///
    /// # Errors
    /// At once, without waiting: see [`Refused`].
    pub fn append(&self, facts: Vec<Draft>) -> Result<Pending, Refused> {
        if facts.is_empty() || facts.len() > APPEND_MAX_FACTS {
            return Err(Refused::Size(facts));
        }
        let units = facts.len();
        self.hand_over(facts, None, units)
    }

    /// `units`: places taken in the queue.
    fn hand_over(&self, facts: Vec<Draft>, mark: Option<Box<Mark>>, units: usize) -> Result<Pending, Refused> {
        let permit =
            u32::try_from(units).ok().and_then(|units| Arc::clone(&self.room).try_acquire_many_owned(units).ok());
        let Some(permit) = permit else { return Err(Refused::Full(facts)) };
        let (answer, pending) = oneshot::channel();
        match self.jobs.send(Job::Append(Append { facts, mark, answer, permit })) {
            Ok(()) => Ok(Pending(pending)),
            Err(mpsc::error::SendError(Job::Append(Append { facts, .. }))) => Err(Refused::Closed(facts)),
            Err(_) => Err(Refused::Closed(Vec::new())),
        }
    }

    /// How many facts may still be appended before [`Refused::Full`].
    pub fn room(&self) -> usize {
        self.room.available_permits()
    }

    /// Entries after `seq`, in order, at most `limit` (and at most [`READ_MAX`]).
    ///
    /// # Errors
    /// Engine errors, or [`crate::Fault::BadRow`] for an entry that this program cannot read.
    pub async fn read_after(&self, seq: u64, limit: usize) -> Result<Vec<Entry>, Error> {
        self.reader.read_after(seq, limit).await
    }

    /// As [`Journal::read_after`], only entries of these kinds not older than `since`: for rebuilding who is inside.
    ///
    /// # Errors
    /// As [`Journal::read_after`].
    pub async fn read_kinds_after(
        &self,
        kinds: &[Kind],
        since: domain::UtcMillis,
        seq: u64,
        limit: usize,
    ) -> Result<Vec<Entry>, Error> {
        self.reader.read_kinds_after(kinds, since, seq, limit).await
    }

    /// Whose journal this is.
    pub fn gateway(&self) -> &GatewayId {
        &self.gateway
    }

    /// Which life of it.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The number of the last durable entry; 0 while there is none.
    pub fn last_seq(&self) -> u64 {
        *self.last.borrow()
    }

    /// Follows [`Journal::last_seq`]: changes after each commit.
    pub fn watch_last(&self) -> watch::Receiver<u64> {
        self.last.clone()
    }

    /// The last entry that the receiver is known to have committed. After a crash it may lag behind what
    /// [`Journal::set_acked`] was told: the receiver recognises repetitions.
    pub fn acked(&self) -> u64 {
        self.shared.acked.load(Ordering::Acquire)
    }

    /// Notes that the receiver has committed everything up to `seq`. Earlier numbers than already noted change
    /// nothing. Written to the file within about a second, and at close.
    ///
    /// # Errors
    /// [`AckAhead`] when there is no such entry here.
    pub fn set_acked(&self, seq: u64) -> Result<(), AckAhead> {
        let last = self.last_seq();
        if seq > last {
            return Err(AckAhead { acked: seq, last });
        }
        if self.shared.acked.fetch_max(seq, Ordering::AcqRel) < seq {
            // A closed journal keeps the cursor it wrote last, which is allowed to lag.
            let _ = self.jobs.send(Job::Acked);
        }
        Ok(())
    }

    /// Where the journal ended when it was opened. A receiver that has later numbers which were not sent to it since
    /// then shows that the file was replaced by an older copy: see [`Journal::resume_after`].
    pub fn opened_at(&self) -> u64 {
        self.opened_at
    }

    /// For a file that was replaced by an older copy: `seq` is the last entry that the receiver has from the lost
    /// file. Numbering goes on behind it, and what was recorded since the opening, under numbers that the receiver
    /// would take for repetitions, is recorded once more behind it. Verification reports the hole. Returns the
    /// numbers of the repeated entries, if there are any.
    ///
    /// # Errors
    /// Engine errors; nothing is changed then, and it may be called again.
    pub async fn resume_after(&self, seq: u64) -> Result<Option<RangeInclusive<u64>>, Error> {
        let (answer, resumed) = oneshot::channel();
        let closed = || Error::new("journal.resume", crate::Fault::Unavailable);
        self.jobs.send(Job::Resume { seq, answer }).map_err(|_| closed())?;
        let outcome = resumed.await.map_err(|_| closed())?;
        if outcome.is_ok() {
            self.shared.acked.fetch_max(seq, Ordering::AcqRel);
            let _ = self.jobs.send(Job::Acked);
        }
        outcome
    }

    /// Removes acknowledged entries, all but the last `keep` of them; the chain stays verifiable from there.
    /// Returns how many were removed.
    ///
    /// # Errors
    /// Engine errors.
    pub async fn prune(&self, keep: u64) -> Result<u64, Error> {
        let (answer, pruned) = oneshot::channel();
        let closed = || Error::new("journal.prune", crate::Fault::Unavailable);
        self.jobs.send(Job::Prune { keep, answer }).map_err(|_| closed())?;
        pruned.await.map_err(|_| closed())?
    }

    /// Reads the whole journal and checks its numbering and chain.
    ///
    /// # Errors
    /// Engine errors; what verification finds is in its report.
    pub async fn verify(&self) -> Result<Verification, Error> {
        self.reader.verify().await
    }

    /// Writes what waits, then the cursor, and closes the file. Later appends are [`Refused::Closed`].
    pub async fn close(&self) {
        // Readers first: the last connection to close folds the write-ahead log into the file, and must be able to.
        self.reader.close().await;
        let (answer, closed) = oneshot::channel();
        if self.jobs.send(Job::Close { answer }).is_ok() {
            let _ = closed.await;
        }
    }
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Journal({} epoch {} at {})", self.gateway, self.epoch, self.last_seq())
    }
}
