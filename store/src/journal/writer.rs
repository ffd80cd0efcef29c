//! The task that owns the writing connection. Its inputs are [`Job`]s; the queue is bounded by the permits that
//! appends carry (the other jobs are few and small), and a permit is given back when its facts are durable or failed.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use domain::Draft;
use sqlx::{Connection, SqliteConnection};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot, watch};
use tokio::time::Instant;

use super::chain::{self, Link};
use super::file::{self, Head, Opened};
use super::{AppendError, GROUP_MAX};
use crate::error::{Error, Fault};

/// The cursor is written at most this often: a lost second of it costs a few repetitions.
const CURSOR_PERIOD: Duration = Duration::from_secs(1);

pub(super) enum Job {
    Append {
        facts: Vec<Draft>,
        answer: oneshot::Sender<Answer>,
        permit: OwnedSemaphorePermit,
    },
    Resume {
        seq: u64,
        answer: oneshot::Sender<Result<Option<RangeInclusive<u64>>, Error>>,
    },
    /// The cursor has moved; its value is shared.
    Acked,
    Prune {
        keep: u64,
        answer: oneshot::Sender<Result<u64, Error>>,
    },
    Close {
        answer: oneshot::Sender<()>,
    },
}

type Answer = Result<RangeInclusive<u64>, AppendError>;

struct Append {
    facts: Vec<Draft>,
    answer: oneshot::Sender<Answer>,
    _permit: OwnedSemaphorePermit,
}

struct Writer {
    path: PathBuf,
    /// `None` after a failure: opened anew by the next write.
    connection: Option<SqliteConnection>,
    head: Head,
    durable: watch::Sender<u64>,
    acked: Arc<AtomicU64>,
    acked_written: u64,
    /// Entries behind this one were written since the file was opened.
    opened_at: u64,
}

pub(super) async fn run(
    opened: Opened,
    mut jobs: mpsc::UnboundedReceiver<Job>,
    durable: watch::Sender<u64>,
    acked: Arc<AtomicU64>,
) {
    let Opened { path, connection, head, acked: acked_written, lock, .. } = opened;
    let mut writer =
        Writer { path, connection: Some(connection), opened_at: head.seq, head, durable, acked, acked_written };
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
            Some(Job::Append { facts, answer, permit }) => {
                let mut group = vec![Append { facts, answer, _permit: permit }];
                next = gather(&mut jobs, &mut group);
                writer.write(group).await;
            }
            Some(Job::Acked) => {
                cursor_due.get_or_insert_with(|| Instant::now() + CURSOR_PERIOD);
            }
            Some(Job::Prune { keep, answer }) => {
                let _ = answer.send(writer.prune(keep).await);
            }
            Some(Job::Resume { seq, answer }) => {
                let _ = answer.send(writer.resume(seq).await);
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

/// Adds the appends that already wait, up to [`GROUP_MAX`] facts. Returns the first job that does not belong.
fn gather(jobs: &mut mpsc::UnboundedReceiver<Job>, group: &mut Vec<Append>) -> Option<Job> {
    let mut facts: usize = group.iter().map(|append| append.facts.len()).sum();
    loop {
        match jobs.try_recv() {
            Ok(Job::Append { facts: more, answer, permit }) => {
                facts += more.len();
                if facts > GROUP_MAX {
                    return Some(Job::Append { facts: more, answer, permit });
                }
                group.push(Append { facts: more, answer, _permit: permit });
            }
            // Acknowledgements may come between appends without ending the group.
            Ok(Job::Acked) if facts < GROUP_MAX => {}
            Ok(other) => return Some(other),
            Err(_) => return None,
        }
    }
}

impl Writer {
    /// Writes a group and answers its waiters.
    async fn write(&mut self, mut group: Vec<Append>) {
        match self.try_write(&mut group).await {
            Ok(head) => {
                let mut first = self.head.seq + 1;
                self.head = head;
                for append in group {
                    let after = first + append.facts.len() as u64;
                    // A waiter that went away loses only the answer.
                    let _ = append.answer.send(Ok(first..=after - 1));
                    first = after;
                }
                self.durable.send_replace(head.seq);
            }
            Err(error) => {
                self.connection = None;
                let error = Arc::new(error);
                for append in group {
                    let _ = append.answer.send(Err(AppendError::Storage(Arc::clone(&error))));
                }
            }
        }
    }

    async fn try_write(&mut self, group: &mut [Append]) -> Result<Head, Error> {
        self.reconnect().await?;
        let mut head = self.head;
        let mut links: Vec<Link> = Vec::with_capacity(group.len());
        for fact in group.iter_mut().flat_map(|append| &mut append.facts) {
            file::trim(fact);
            head.seq += 1;
            head.link = chain::link(&head.link, head.seq, fact);
            links.push(head.link);
        }
        let facts: Vec<&Draft> = group.iter().flat_map(|append| &append.facts).collect();
        let first = self.head.seq + 1;
        let rows =
            facts.iter().zip(&links).enumerate().map(|(index, (fact, link))| (first + index as u64, *fact, *link));
        file::insert(self.connected()?, rows).await.map_err(|error| error.during("journal.append"))?;
        Ok(head)
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
        if head.seq < self.head.seq {
            return Err(Error::new("journal.reopen: entries are missing, the file was replaced", Fault::Corrupt));
        }
        self.head = head;
        self.durable.send_replace(head.seq);
        self.connection = Some(connection);
        tracing::info!(seq = head.seq, "journal.reopened");
        Ok(())
    }

    fn connected(&mut self) -> Result<&mut SqliteConnection, Error> {
        self.connection.as_mut().ok_or_else(|| Error::new("journal", Fault::Unavailable))
    }

    /// The cursor may lag, so a failure here is not worth an answer: the next write that matters reports the disk.
    async fn write_cursor(&mut self) {
        let acked = self.acked.load(Ordering::Acquire);
        let Some(connection) = self.connection.as_mut().filter(|_| acked != self.acked_written) else { return };
        let done =
            sqlx::query("UPDATE meta SET acked = $1 WHERE id = 1").bind(acked.cast_signed()).execute(connection).await;
        match done {
            Ok(_) => self.acked_written = acked,
            Err(error) => {
                tracing::warn!(error = %Error::from(error), "journal.cursor.not_written");
                self.connection = None;
            }
        }
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
        let until = self.acked.load(Ordering::Acquire).min(self.head.seq).saturating_sub(keep);
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
        file::insert(&mut transaction, rows).await?;
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
