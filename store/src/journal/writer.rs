//! The task that owns the writing connection. Its inputs are [`Job`]s; the queue is bounded by the permits that
//! appends and posts carry (the other jobs are few and small, and their askers wait), and a permit is given back when
//! what it stands for is durable or failed. What waits together is committed together: [`super::group`].

use std::collections::{HashMap, HashSet};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::{Draft, Epoch, LineId};
use sqlx::{Connection, QueryBuilder, Sqlite, SqliteConnection};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use super::GROUP_MAX;
use super::chain::{self, Link};
use super::file::{self, Head, Opened};
use super::group::{Append, Group, Post, Written};
use super::peer_file::{self, Known, PeerRow, Recent};
use super::peer_sql;
use super::peers::Position;
use crate::error::{Error, Fault};

/// The cursor is written at most this often: a lost second of it costs a few repetitions.
const CURSOR_PERIOD: Duration = Duration::from_secs(1);

pub(super) enum Job {
    Append(Append),
    Post(Post),
    Resume {
        seq: u64,
        answer: oneshot::Sender<Result<Option<RangeInclusive<u64>>, Error>>,
    },
    /// The cursor has moved, or a peer has acknowledged messages; the values are shared.
    Acked,
    Prune {
        keep: u64,
        answer: oneshot::Sender<Result<u64, Error>>,
    },
    /// What is known of a peer.
    Peer {
        peer: LineId,
        answer: oneshot::Sender<Result<PeerRow, Error>>,
    },
    Edit {
        peer: LineId,
        edit: Edit,
        answer: oneshot::Sender<Result<(), Error>>,
    },
    Close {
        answer: oneshot::Sender<()>,
    },
}

/// A change by hand to what is known of a peer.
pub(super) enum Edit {
    Position(Option<Position>),
    Restart(Epoch),
    Forget,
}

/// Rows of the log of peers at which it is folded: a few milliseconds of work, and few enough to be read at opening.
const LOG_MAX_ROWS: usize = 2048;

/// What peers have acknowledged and the writer has not yet noted: one number a peer, so that a stalled disk gathers
/// nothing. The lock is held for a look or a change only.
#[derive(Debug, Default)]
pub(super) struct Drops(Mutex<HashMap<LineId, u64>>);

impl Drops {
    /// Notes a number; whether it is the first one to be noted.
    pub fn add(&self, peer: &LineId, up_to: u64) -> bool {
        let mut drops = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let first = drops.is_empty();
        let noted = drops.entry(peer.clone()).or_default();
        *noted = up_to.max(*noted);
        first
    }

    fn take(&self) -> HashMap<LineId, u64> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Events of the log, for those who ask; the lock is held for a look or a change only.
#[derive(Debug, Default)]
pub(super) struct RecentEvents(Mutex<Recent>);

impl RecentEvents {
    /// Which of these are there.
    pub fn known<'a>(&self, peer: &LineId, ids: &'a [String]) -> (HashSet<String>, Vec<&'a String>) {
        let recent = self.lock();
        let known = |id: &&String| recent.get(peer).is_some_and(|known| known.contains(id.as_bytes()));
        let (known, others): (Vec<_>, Vec<_>) = ids.iter().partition(known);
        (known.into_iter().cloned().collect(), others)
    }

    fn lock(&self) -> MutexGuard<'_, Recent> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What others may look at while the writer works.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub acked: AtomicU64,
    pub drops: Drops,
    pub recent: RecentEvents,
}

struct Writer {
    path: PathBuf,
    /// `None` after a failure: opened anew by the next write.
    connection: Option<SqliteConnection>,
    head: Head,
    durable: watch::Sender<u64>,
    shared: Arc<Shared>,
    acked_written: u64,
    /// Entries behind this one were written since the file was opened.
    opened_at: u64,
    peers: HashMap<LineId, PeerRow>,
    /// Rows of the log.
    log: usize,
    /// Peers with acknowledged messages that are still in the file.
    undeleted: HashSet<LineId>,
}

pub(super) async fn run(
    opened: Opened,
    mut jobs: mpsc::UnboundedReceiver<Job>,
    durable: watch::Sender<u64>,
    shared: Arc<Shared>,
) {
    let Opened { path, connection, head, acked: acked_written, known, lock, .. } = opened;
    let Known { peers, recent, log } = known;
    *shared.recent.lock() = recent;
    let mut writer = Writer {
        path,
        connection: Some(connection),
        opened_at: head.seq,
        head,
        durable,
        shared,
        acked_written,
        peers,
        log,
        undeleted: HashSet::new(),
    };
    let mut next = None;
    let mut cursor_due: Option<Instant> = None;
    let closed = loop {
        let job = match (next.take(), cursor_due) {
            (Some(job), _) => Some(job),
            (None, None) => jobs.recv().await,
            (None, Some(due)) => match tokio::time::timeout_at(due, jobs.recv()).await {
                Ok(job) => job,
                Err(_) => {
                    writer.write_cursor().await;
                    cursor_due = None;
                    continue;
                }
            },
        };
        match job {
            Some(Job::Append(append)) => {
                let mut group = Group { appends: vec![append], posts: Vec::new() };
                next = gather(&mut jobs, &mut group, &mut cursor_due);
                writer.write(group).await;
            }
            Some(Job::Post(post)) => {
                let mut group = Group { appends: Vec::new(), posts: vec![post] };
                next = gather(&mut jobs, &mut group, &mut cursor_due);
                writer.write(group).await;
            }
            Some(Job::Acked) => note_cursor(&mut cursor_due),
            Some(Job::Prune { keep, answer }) => {
                let _ = answer.send(writer.prune(keep).await);
            }
            Some(Job::Resume { seq, answer }) => {
                let _ = answer.send(writer.resume(seq).await);
            }
            Some(Job::Peer { peer, answer }) => {
                let _ = answer.send(writer.peer(&peer).await);
            }
            Some(Job::Edit { peer, edit, answer }) => {
                let _ = answer.send(writer.edit(&peer, edit).await);
            }
            Some(Job::Close { answer }) => break Some(answer),
            None => break None,
        }
    };
    // Appends that came after the closing are dropped, which tells their waiters.
    jobs.close();
    writer.write_cursor().await;
    if let Some(connection) = writer.connection.take() {
        let _ = connection.close().await;
    }
    drop(lock);
    if let Some(answer) = closed {
        let _ = answer.send(());
    }
}

fn note_cursor(due: &mut Option<Instant>) {
    due.get_or_insert_with(|| Instant::now() + CURSOR_PERIOD);
}

/// Adds what already waits to be written, up to [`GROUP_MAX`]. Returns the first job that does not belong.
fn gather(jobs: &mut mpsc::UnboundedReceiver<Job>, group: &mut Group, cursor_due: &mut Option<Instant>) -> Option<Job> {
    let mut size = group.size();
    loop {
        match jobs.try_recv() {
            Ok(Job::Append(append)) => {
                size += append.size();
                if size > GROUP_MAX {
                    return Some(Job::Append(append));
                }
                group.appends.push(append);
            }
            Ok(Job::Post(post)) => {
                size += post.messages.len();
                if size > GROUP_MAX {
                    return Some(Job::Post(post));
                }
                group.posts.push(post);
            }
            // Acknowledgements may come between appends without ending the group.
            Ok(Job::Acked) => note_cursor(cursor_due),
            Ok(other) => return Some(other),
            Err(_) => return None,
        }
    }
}

impl Writer {
    /// Writes a group and answers its waiters.
    async fn write(&mut self, mut group: Group) {
        match self.try_write(&mut group).await {
            Ok(written) => {
                let first = self.head.seq + 1;
                self.head = written.head;
                self.log += written.logged;
                group.note_events(&mut self.shared.recent.lock());
                group.answer(first, &written);
                self.peers.extend(written.peers);
                self.durable.send_replace(self.head.seq);
            }
            Err(error) => {
                self.connection = None;
                group.fail(error.during("journal.append"));
            }
        }
        if self.log >= LOG_MAX_ROWS {
            self.fold().await;
        }
    }

    /// Brings what the log of peers says to its places. If that fails, the log stays and is read again.
    async fn fold(&mut self) {
        let mut sql = QueryBuilder::new("BEGIN IMMEDIATE; ");
        self.push_fold(&mut sql);
        sql.push("COMMIT");
        let Some(connection) = self.connection.as_mut() else { return };
        match sql.build().persistent(false).execute(connection).await {
            Ok(_) => self.folded(),
            Err(error) => {
                tracing::warn!(error = %Error::from(error), "journal.peers.not_folded");
                self.connection = None;
            }
        }
    }

    fn push_fold(&self, sql: &mut QueryBuilder<Sqlite>) {
        if self.log == 0 {
            return;
        }
        let recent = self.shared.recent.lock();
        let rows = || recent.keys().filter_map(|id| self.peers.get_key_value(id));
        peer_sql::push_peers(sql, rows());
        peer_sql::push_fold(sql);
        for (_, row) in rows() {
            if let Some(until) = row.events_due() {
                peer_sql::push_events_due(sql, row.no, until);
            }
        }
    }

    fn folded(&mut self) {
        self.log = 0;
        for (id, _) in self.shared.recent.lock().drain() {
            if let Some(row) = self.peers.get_mut(&id) {
                row.folded = row.events;
            }
        }
    }

    async fn try_write(&mut self, group: &mut Group) -> Result<Written, Error> {
        self.reconnect().await?;
        self.take_drops();
        let connection = self.connection.as_mut().ok_or_else(|| Error::new("journal", Fault::Unavailable))?;
        group.write(connection, self.head, &self.peers).await
    }

    /// After a failure: opens the file again and takes up where it really ends. An entry whose append failed may be
    /// there; an entry that we called durable must be.
    async fn reconnect(&mut self) -> Result<(), Error> {
        if self.connection.is_some() {
            return Ok(());
        }
        let named = |error: Error| error.during("journal.reopen");
        let mut connection = file::connect(&self.path, false).await.map_err(named)?;
        let meta = file::read_meta(&mut connection).await.map_err(named)?;
        let head = file::read_head(&mut connection, &meta).await.map_err(named)?;
        let Known { mut peers, recent, log } = peer_file::load(&mut connection).await.map_err(named)?;
        if head.seq < self.head.seq {
            return Err(Error::new("journal.reopen: entries are missing, the file was replaced", Fault::Corrupt));
        }
        for (id, row) in &mut peers {
            let Some(known) = self.peers.get(id) else { continue };
            row.at_open = known.at_open;
            if row.out_epoch == known.out_epoch {
                row.dropped = row.dropped.max(known.dropped).min(row.posted);
            }
        }
        self.peers = peers;
        self.log = log;
        *self.shared.recent.lock() = recent;
        self.head = head;
        self.durable.send_replace(head.seq);
        self.connection = Some(connection);
        tracing::info!(seq = head.seq, "journal.reopened");
        Ok(())
    }

    fn connected(&mut self) -> Result<&mut SqliteConnection, Error> {
        self.connection.as_mut().ok_or_else(|| Error::new("journal", Fault::Unavailable))
    }

    /// The cursor may lag, so a failure here is not worth an answer: the next write that matters reports the disk. The
    /// same goes for messages that peers have acknowledged.
    async fn write_cursor(&mut self) {
        self.take_drops();
        let acked = self.shared.acked.load(Ordering::Acquire);
        if acked == self.acked_written && self.undeleted.is_empty() {
            return;
        }
        let Some(connection) = self.connection.as_mut() else { return };
        let mut sql = QueryBuilder::new("BEGIN IMMEDIATE; UPDATE meta SET acked = ");
        sql.push_bind(acked.cast_signed()).push(" WHERE id = 1; ");
        let rows = || self.undeleted.iter().filter_map(|id| self.peers.get_key_value(id));
        peer_sql::push_peers(&mut sql, rows());
        peer_sql::push_dropped(&mut sql, rows().map(|(_, row)| (row.no, row.dropped)));
        sql.push("COMMIT");
        match sql.build().execute(connection).await {
            Ok(_) => {
                self.acked_written = acked;
                self.undeleted.clear();
            }
            Err(error) => {
                tracing::warn!(error = %Error::from(error), "journal.cursor.not_written");
                self.connection = None;
            }
        }
    }

    /// Takes over what peers have acknowledged meanwhile.
    fn take_drops(&mut self) {
        for (id, up_to) in self.shared.drops.take() {
            let Some(row) = self.peers.get_mut(&id) else { continue };
            let dropped = up_to.min(row.posted);
            if dropped > row.dropped {
                row.dropped = dropped;
                self.undeleted.insert(id);
            }
        }
    }

    async fn peer(&mut self, peer: &LineId) -> Result<PeerRow, Error> {
        self.reconnect().await?;
        self.take_drops();
        Ok(self.peers.get(peer).copied().unwrap_or(PeerRow::new(0)))
    }

    async fn edit(&mut self, peer: &LineId, edit: Edit) -> Result<(), Error> {
        self.reconnect().await?;
        self.take_drops();
        let known = self.peers.get(peer).copied();
        if known.is_none() && matches!(edit, Edit::Forget | Edit::Position(None)) {
            return Ok(());
        }
        let mut row = known.unwrap_or_else(|| PeerRow::new(peer_file::next_no(self.peers.values())));
        let mut sql = QueryBuilder::new("BEGIN IMMEDIATE; ");
        // The log would otherwise contradict the edit.
        self.push_fold(&mut sql);
        match &edit {
            Edit::Position(to) => row.position = *to,
            Edit::Restart(fresh) => {
                row = PeerRow { out_epoch: Some(*fresh), posted: 0, dropped: 0, told: 0, at_open: 0, ..row };
                peer_sql::push_restart(&mut sql, row.no);
            }
            Edit::Forget => {
                peer_sql::push_restart(&mut sql, row.no);
                peer_sql::push_gone(&mut sql, row.no);
            }
        }
        if !matches!(edit, Edit::Forget) {
            peer_sql::push_peers(&mut sql, std::iter::once((peer, &row)));
        }
        sql.push("COMMIT");
        if let Err(error) = sql.build().persistent(false).execute(self.connected()?).await {
            self.connection = None;
            return Err(Error::from(error).during("journal.peer"));
        }
        self.folded();
        if matches!(edit, Edit::Forget) {
            self.peers.remove(peer);
        } else {
            self.peers.insert(peer.clone(), PeerRow { folded: row.events, ..row });
        }
        if !matches!(edit, Edit::Position(_)) {
            self.undeleted.remove(peer);
        }
        Ok(())
    }

    async fn resume(&mut self, seq: u64) -> Result<Option<RangeInclusive<u64>>, Error> {
        self.reconnect().await?;
        let from = self.opened_at;
        let last = self.head.seq.max(seq);
        let behind = Head { seq: last, ..self.head };
        let outcome = repeat(self.connected()?, from, behind).await;
        match outcome {
            Ok(head) => {
                self.head = head;
                self.opened_at = last;
                self.durable.send_replace(head.seq);
                Ok((head.seq > last).then_some(last + 1..=head.seq))
            }
            Err(error) => {
                self.connection = None;
                Err(error.during("journal.resume"))
            }
        }
    }

    async fn prune(&mut self, keep: u64) -> Result<u64, Error> {
        self.reconnect().await?;
        let until = self.shared.acked.load(Ordering::Acquire).min(self.head.seq).saturating_sub(keep);
        let outcome = prune(self.connected()?, until).await;
        if outcome.is_err() {
            self.connection = None;
        }
        outcome.map_err(|error| error.during("journal.prune"))
    }
}

/// Writes the entries behind `from` once more, behind `head`.
async fn repeat(connection: &mut SqliteConnection, from: u64, mut head: Head) -> Result<Head, Error> {
    let rows = sqlx::query("SELECT * FROM entry WHERE seq > $1 ORDER BY seq")
        .bind(from.cast_signed())
        .fetch_all(&mut *connection)
        .await?;
    let facts: Vec<Draft> =
        rows.iter().map(|row| file::read_row(row).map(|(_, fact, _)| fact)).collect::<Result<_, _>>()?;
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    for facts in facts.chunks(GROUP_MAX) {
        let first = head.seq + 1;
        let links: Vec<Link> = facts
            .iter()
            .map(|fact| {
                head.seq += 1;
                head.link = chain::link(&head.link, head.seq, fact);
                head.link
            })
            .collect();
        let rows =
            facts.iter().zip(&links).enumerate().map(|(index, (fact, link))| (first + index as u64, fact, *link));
        let mut sql = QueryBuilder::new("");
        file::push_entries(&mut sql, rows);
        sql.build().persistent(false).execute(&mut *transaction).await?;
    }
    transaction.commit().await?;
    Ok(head)
}

async fn prune(connection: &mut SqliteConnection, until: u64) -> Result<u64, Error> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    let until = until.cast_signed();
    sqlx::query(
        "UPDATE meta SET base_seq = $1, base_chain = (SELECT chain FROM entry WHERE seq = $1)
         WHERE EXISTS (SELECT 1 FROM entry WHERE seq = $1)",
    )
    .bind(until)
    .execute(&mut *transaction)
    .await?;
    let removed =
        sqlx::query("DELETE FROM entry WHERE seq <= $1").bind(until).execute(&mut *transaction).await?.rows_affected();
    transaction.commit().await?;
    Ok(removed)
}
